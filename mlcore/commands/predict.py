"""`python -m mlcore predict FILE …`: what the model sees on films, one line each.

May import: the standard library and `mlcore`; heavy parts inside functions.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlcore.commands.common import load

if TYPE_CHECKING:
    from mlcore.contracts import FilmResult
    from mlcore.pipeline import Pipeline

HELP = "Say what the model sees on films (JPEG, PNG, GIF or DICOM); status 1 when any could not be used."


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="FILE", help="a film")
    parser.add_argument("--model", type=Path, metavar="FOLDER", help="model folder (default: the bundled model)")
    parser.add_argument("--overlay", type=Path, metavar="DIR", help="write film + map per finding as PNG here")
    parser.add_argument("--json", action="store_true", help="one JSON object per file and line")


def run(options: argparse.Namespace) -> int:
    """One line per file; 1 when a file was missing, unreadable or refused."""
    from mlcore.pipeline import Pipeline

    predictor = load(options.model)
    pipeline = Pipeline(predictor)
    if options.overlay:
        options.overlay.mkdir(parents=True, exist_ok=True)
    status = 0
    for number, path in enumerate(options.files):
        result = _predict_file(pipeline, path, options.overlay, number)
        status = status or int(result.state == "rejected")
        print(_line(result) if options.json else _text(result), flush=True)
    return status


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
            heat = finding_map(output.maps[0], place, exclusive=pipeline.predictor.card.architecture.exclusive)
            target.write_bytes(overlay_picture(image, heat))
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
