"""The command line of the model side: `python -m mlcore train | evaluate | predict`.

May import: the standard library; everything else inside the command that needs it, so that help stays instant.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlcore.contracts import FilmResult
    from mlcore.pipeline import Pipeline

_BACKBONE = "mobilenet_v2"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is 0 when everything asked for was done."""
    options = _parser().parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from mlcore.contracts import ModelIntegrityError
    from mlcore.training.dataset import TrainingError

    try:
        return int(options.command(options))
    except (TrainingError, ModelIntegrityError) as error:
        print(f"mlcore: {error}", file=sys.stderr)
        return 2


def predict(options: argparse.Namespace) -> int:
    """One line per file; 1 when a file was missing, unreadable or refused."""
    from mlcore.pipeline import Pipeline

    predictor = _predictor(options.model)
    pipeline = Pipeline(predictor)
    if options.overlay:
        options.overlay.mkdir(parents=True, exist_ok=True)
    status = 0
    for number, path in enumerate(options.files):
        result = _predict_file(pipeline, path, options.overlay, number)
        status = status or int(result.state == "rejected")
        print(_line(result) if options.json else _text(result), flush=True)
    return status


def evaluate(options: argparse.Namespace) -> int:
    """Print the figures again from the films; 1 when they differ from the card's."""
    from mlcore.training.dataset import read_manifest, select, thin
    from mlcore.training.evaluate import differences, report, scores, table

    films = read_manifest(_data(options.data))
    predictor = _predictor(options.model)
    card = predictor.card
    chosen = thin(select(films, split=options.split, labels=card.label_keys), options.limit)
    kept, raw = scores(chosen, predictor)
    train = select(films, split="train", labels=card.label_keys)
    result = report(kept, card.calibration.apply(raw), card, train, options.replicates)
    if options.json:
        print(json.dumps(result, ensure_ascii=False, allow_nan=False))
    else:
        print(f"{card.name} {card.version}, split {options.split}\n{table(result)}")
    if options.limit is not None or options.replicates != card.metrics[options.split]["replicates"]:
        print("Not compared with the card: other films or replicates.", file=sys.stderr)
        return 0
    lines = differences(card.metrics[options.split], result)
    print("\n".join(["The card says otherwise:", *lines]) if lines else "Same as the card.", file=sys.stderr)
    return int(bool(lines))


def train(options: argparse.Namespace) -> int:
    """Train the members one after another, then write the model folder `OUT/model`."""
    from dataclasses import replace

    from mlcore.backbones import Architecture
    from mlcore.preprocess import PreprocessingSpec
    from mlcore.training.bundle import LABEL_KEYS, write_model_folder
    from mlcore.training.dataset import manifest_sha256, read_manifest, thin
    from mlcore.training.train import Recipe, load_samples, train_member

    data = _data(options.data)
    films = [film for film in read_manifest(data) if film.label in LABEL_KEYS]
    if options.limit is not None:
        films = [
            film
            for split in ("train", "val", "test")
            for film in thin([f for f in films if f.split == split], options.limit)
        ]
    spec = PreprocessingSpec()
    one = Architecture(_BACKBONE, spec.size, len(LABEL_KEYS))
    samples = load_samples(films, spec, options.out / "cache")
    weights = None if options.weights == "none" else options.weights
    runs = []
    for number in range(options.members):
        recipe = Recipe(epochs=options.epochs, per_epoch=options.per_epoch, seed=options.seed + number)
        folder = options.out / f"member-{number}"
        runs.append(
            train_member(
                samples, labels=LABEL_KEYS, architecture=one, spec=spec, recipe=recipe, weights=weights, out=folder
            )
        )
    card = write_model_folder(
        options.out / "model",
        members=[options.out / f"member-{number}" / "best.weights.h5" for number in range(options.members)],
        architecture=replace(one, members=options.members),
        spec=spec,
        films=films,
        name=options.name,
        version=options.version,
        training={"data": manifest_sha256(data), "members": runs},
        replicates=options.replicates,
    )
    print(f"{options.out / 'model'}: {card.name} {card.version}, sha256 {card.sha256}")
    return 0


def _predict_file(pipeline: Pipeline, path: str, overlay: Path | None, number: int) -> FilmResult:
    from mlcore.display import overlay_picture
    from mlcore.explain import finding_map
    from mlcore.pipeline import rejected

    try:
        data = Path(path).read_bytes()
    except OSError as error:
        return rejected(path, "file_unreadable", f"The file cannot be read: {error.strerror}.")
    result, image, output = pipeline.run_with_maps(data, path)
    if overlay and image is not None and output is not None:
        for place, finding in enumerate(result.findings):
            target = overlay / f"{number + 1:04d}-{Path(path).stem}-{finding.label}.png"
            target.write_bytes(overlay_picture(image, finding_map(output.maps[0], place)))
    return result


def _line(result: FilmResult) -> str:
    """One JSON object: file, state, code, message, model, findings, warnings."""
    value: dict[str, Any] = asdict(result)
    value.pop("timings_ms")
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _text(result: FilmResult) -> str:
    if result.state == "rejected":
        return f"{result.file}: refused ({result.code}): {result.message}"
    findings = ", ".join(
        f"{f.label} {f.word} {f.calibrated:.2f} (threshold {f.threshold:.2f})" for f in result.findings
    )
    return f"{result.file}: {findings}"


def _predictor(folder: Path | None) -> Any:
    from mlcore.card import load_card
    from mlcore.registry import bundled_folder, load_predictor

    folder = folder or bundled_folder()
    return load_predictor(folder, expected_sha256=load_card(folder).sha256)


def _data(folder: Path | None) -> Path:
    from mlcore.training.dataset import DEFAULT_DATA

    return folder or DEFAULT_DATA


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m mlcore",
        description="Train, measure and use chest X-ray models. Not a medical device.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _predict_options(commands.add_parser("predict", help="say what the model sees on films"))
    _evaluate_options(commands.add_parser("evaluate", help="measure a model again and compare with its card"))
    _train_options(commands.add_parser("train", help="train a model and write its folder"))
    return parser


def _predict_options(parser: argparse.ArgumentParser) -> None:
    parser.description = "Predict JPEG, PNG, GIF or DICOM films. Exit status 1 when any of them could not be used."
    parser.add_argument("files", nargs="+", metavar="FILE", help="a film")
    parser.add_argument("--model", type=Path, metavar="FOLDER", help="model folder (default: the bundled model)")
    parser.add_argument("--overlay", type=Path, metavar="DIR", help="write film + map per finding as PNG here")
    parser.add_argument("--json", action="store_true", help="one JSON object per file and line")
    parser.set_defaults(command=predict)


def _evaluate_options(parser: argparse.ArgumentParser) -> None:
    parser.description = "Recompute every figure of the card from the films. Exit status 1 when one differs."
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="folder with manifest.csv (default: ../shared/data/cxr256)"
    )
    parser.add_argument("--split", choices=("val", "test"), default="test", help="default: test")
    parser.add_argument("--model", type=Path, metavar="FOLDER", help="model folder (default: the bundled model)")
    parser.add_argument("--limit", type=_positive, metavar="N", help="only N films, spread over source and label")
    parser.add_argument("--replicates", type=_positive, default=1000, help="bootstrap replicates (default: 1000)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(command=evaluate)


def _train_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Train into OUT and write OUT/model. A checkpoint is kept after every epoch: "
        "run the same command again to go on after an interruption."
    )
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="folder with manifest.csv (default: ../shared/data/cxr256)"
    )
    parser.add_argument(
        "--weights", default="imagenet", metavar="PATH|imagenet|none", help="starting weights (default: imagenet)"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the run is kept")
    parser.add_argument("--epochs", type=_positive, default=16, help="epochs per member (default: 16)")
    parser.add_argument(
        "--per-epoch", type=_positive, default=2700, metavar="N", help="films drawn per epoch (default: 2700)"
    )
    parser.add_argument("--members", type=_positive, default=1, help="networks that vote together (default: 1)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the first member (default: 1)")
    parser.add_argument("--limit", type=_positive, metavar="N", help="only N films per split, for a trial")
    parser.add_argument("--replicates", type=_positive, default=1000, help="bootstrap replicates (default: 1000)")
    parser.add_argument("--name", default="cxr-three", help="name in the card (default: cxr-three)")
    parser.add_argument("--version", default="0.0.0", help="version in the card (default: 0.0.0)")
    parser.set_defaults(command=train)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return value


if __name__ == "__main__":
    sys.exit(main())
