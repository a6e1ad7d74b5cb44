"""How a model is made and measured: data, augmentation, training, evaluation, calibration."""
