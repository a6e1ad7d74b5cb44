"""Engines that turn inputs into probabilities and maps; all satisfy `base.Predictor`."""
