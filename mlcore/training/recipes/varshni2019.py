"""Varshni et al. 2019: features of a pretrained network, a classical classifier on them, normal against pneumonia.

May import: `mlcore` and `mlcore.training`; Keras and scikit-learn inside functions. One task per source of films, as
the paper's films are of one source; the features of every film are computed once and kept.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from mlcore.training.dataset import Film, Samples, TrainingError, read_films
from mlcore.training.recipes.common import SPLITS, Array, Options, Study
from mlcore.training.recipes.paper import Claim, Paper, Protocol
from mlcore.training.tasks import THREE, Task

HELP = "Network features and a classical classifier, normal or pneumonia (Varshni 2019: DenseNet169 + SVM, AUC 0.8002)"
LABELS = ("normal", "pneumonia")
NIH = "NIH ChestX-ray14"
#: Films whose features are kept together.
_CHUNK = 512

_PROTOCOL = Protocol((NIH,), LABELS, None, None)
PAPER = Paper(
    citation="Varshni D, Thakral K, Agarwal L, Nijhawan R, Mittal A. Pneumonia Detection Using CNN based Feature "
    "Extraction. ICECCT 2019. doi:10.1109/ICECCT.2019.8869364",
    year=2019,
    data="Frontal films of ChestX-ray14, normal and pneumonia. The number tested and the split are not at hand.",
    method="Features of networks pretrained on ImageNet; support vector machine, random forest, nearest neighbours and "
    "naive Bayes on them. DenseNet169 with an SVM of radial basis functions ranked best.",
    claims=(
        Claim("densenet169 + svm", f"pneumonia, {NIH}", "auroc.pneumonia", 0.8002, _PROTOCOL),
    ),
)  # fmt: skip

DIFFERENCES = (
    "The classifiers' settings are chosen by cross-validation on the training split, patients kept together: those of "
    "the paper are not at hand.",
    "Labels are weighed by their number in the SVM and the forest, because the films here are not balanced.",
    "Every film gets the same blur and contrast before the network, as at serving.",
    "Patients known to us are in one split only; whether the paper kept them apart is not known.",
)


def run(options: Options) -> dict[str, Any]:
    """Features once, then four classifiers on every source that holds both labels in every split."""
    films = read_films(options.data)
    backbone = options.backbone or "densenet169"
    study = Study("varshni2019", PAPER, options, _tasks(films), everything=films)
    for task in study.tasks:
        for kind in ("svm", "forest", "neighbours", "bayes"):
            if study.wants(f"{backbone} + {kind}"):
                _classified(study, task, backbone, kind)
    return study.report(
        "Network features and a classical classifier",
        [*DIFFERENCES, *_network_differences(options, backbone)],
        notes=["An SVM's margin passes through a logistic function to stand where a probability does."],
    )


def _tasks(films: Sequence[Film]) -> list[Task]:
    """Normal or pneumonia within one source, for every source that can be asked."""
    kinds = {(film.source, film.split, film.label) for film in films}
    sources = sorted(
        source for source in {film.source for film in films}
        if all((source, split, label) in kinds for split in SPLITS for label in LABELS)
    )  # fmt: skip
    if not sources:
        raise TrainingError("No source of films has both normal and pneumonia in every split; the recipe needs one.")
    return [_within(source) for source in sources]


def _within(source: str) -> Task:
    def labels_of(film: Film) -> frozenset[str] | None:
        return frozenset({film.label}) if film.source == source and film.label in LABELS else None

    return Task(f"pneumonia, {source}", f"Normal or pneumonia, {source}", LABELS, True, labels_of)


def _network_differences(options: Options, backbone: str) -> list[str]:
    lines = [] if backbone == "densenet169" else [f"The features are those of {backbone}, not of DenseNet169."]
    if options.weights_of(backbone) == "none":
        lines.append("The network has random weights: what its features carry is little more than the raw picture.")
    return lines


def _classified(study: Study, task: Task, backbone: str, kind: str) -> None:
    size = study.options.size or 224
    settings = {
        "features": backbone, "size": size, "weights": study.options.weights, "kind": kind, "seed": study.options.seed,
    }  # fmt: skip

    def make(_: Path) -> tuple[Sequence[Film], Array, Mapping[str, Any]]:
        samples, features = _features(study, task, backbone, size)
        train = np.array([film.split == "train" for film in samples.films])
        held = [film for film in samples.films if film.split != "train"]
        truth = np.array([LABELS.index(film.label) for film in samples.films])[train]
        groups = np.array([film.group for film in samples.films])[train]
        search = _search(kind, truth, study.options.seed)
        search.fit(features[train], truth, groups=groups)
        facts = {
            "classifier": kind,
            "chosen": {name.split("__")[-1]: value for name, value in search.best_params_.items()},
            "cross_validated_auroc": round(float(search.best_score_), 4),
            "features": int(features.shape[1]),
        }
        return held, _probabilities(search.best_estimator_, features[~train]), facts

    study.system(f"{backbone} + {kind}", task, settings, make)


def _features(study: Study, task: Task, backbone: str, size: int) -> tuple[Samples, Array]:
    """The pooled feature map of every film, (films, features); every chunk of films is kept in the run's folder."""
    samples = study.samples(task, size)
    weights, seed = study.options.weights_of(backbone), study.options.seed
    made_from = repr((backbone, size, weights, seed, [film.sha256 for film in samples.films]))
    folder = study.options.out / "features" / hashlib.sha256(made_from.encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    network: Any = None
    chunks = []
    for start in tqdm(range(0, len(samples.films), _CHUNK), desc=f"{backbone}, {task.key}", unit="chunk"):
        path = folder / f"{start}.npy"
        if not path.exists():
            from mlcore.training.train import scores_of

            network = network or _network(backbone, size, weights, seed)
            chunk = samples.select([start <= i < start + _CHUNK for i in range(len(samples.films))])
            partial = path.with_suffix(".part.npy")
            np.save(partial, scores_of(network, chunk))
            os.replace(partial, path)
        chunks.append(np.load(path))
    return samples, np.concatenate(chunks)


def _network(backbone: str, size: int, weights: str, seed: int) -> Any:
    """8-bit films (n, size, size) → what enters the head of a classifier built on the backbone, (n, features)."""
    import keras

    from mlcore.training.layers import Standardise
    from mlcore.training.train import Plan, default_build

    keras.utils.set_random_seed(seed)
    plan = Plan(backbone=backbone, size=size, weights=weights)
    member = default_build(THREE, plan)
    pooled = keras.layers.GlobalAveragePooling2D()(member.get_layer("head").input)
    pixels = keras.Input(plan.spec.size, dtype="uint8")
    films = Standardise(plan.spec)(keras.layers.Rescaling(1 / 255)(pixels))
    return keras.Model(pixels, keras.Model(member.input, pooled)(films))


def _search(kind: str, truth: Any, seed: int) -> Any:
    """The classifier with the settings to choose from, cross-validated with patients kept together."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold
    from sklearn.naive_bayes import GaussianNB
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    classifier, grid = {
        "svm": (
            SVC(kernel="rbf", class_weight="balanced", random_state=seed),
            {"svc__C": [1, 10], "svc__gamma": [1e-4, 3e-4, 1e-3]},
        ),
        "forest": (
            RandomForestClassifier(300, class_weight="balanced_subsample", random_state=seed, n_jobs=2),
            {"randomforestclassifier__min_samples_leaf": [1, 4]},
        ),
        "neighbours": (KNeighborsClassifier(), {"kneighborsclassifier__n_neighbors": [5, 15, 45]}),
        "bayes": (GaussianNB(), {"gaussiannb__var_smoothing": [1e-9, 1e-3, 1e-1]}),
    }[kind]
    folds = StratifiedGroupKFold(max(2, min(3, int(np.bincount(truth).min()))), shuffle=True, random_state=seed)
    return GridSearchCV(make_pipeline(StandardScaler(), classifier), grid, scoring="roc_auc", cv=folds)


def _probabilities(classifier: Any, features: Array) -> Array:
    """(films, labels); the SVM's margin through a logistic function, which leaves ranks and signs as they are."""
    if hasattr(classifier, "predict_proba"):
        return np.asarray(classifier.predict_proba(features), dtype=np.float32)
    pneumonia = 1 / (1 + np.exp(-classifier.decision_function(features)))
    return np.stack([1 - pneumonia, pneumonia], axis=1).astype(np.float32)
