"""The result of a run as Markdown for docs/performance.md.

May import: the standard library and `mlcore.bench.cases`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mlcore.bench.cases import ENGINES, MODES, TITLES

#: Multiply-adds of one film count as two operations; what DenseNet needs at 224 × 224 (docs/performance.md).
_GFLOP = {"densenet121": 5.67, "densenet169": 6.72}
_PRECISIONS = ("float64", "float32", "tf32", "bfloat16")


def markdown(document: Mapping[str, Any]) -> str:
    """Machine, versions, then a table per kind of work; what failed or was left out is said, not dropped."""
    rows = sorted(document["cases"], key=_place)
    done = [row for row in rows if "error" not in row]
    parts = [
        "\n".join(_about(document)),
        *_section("Matrix product, 8192 × 8192", ("precision", "TFLOP/s"), map(_product, _of(done, "matmul"))),
        *_section(
            "Inference with map, films on the device",
            ("engine", "precision", "batch", "p50 ms", "p95 ms", "films/s", "share of peak", "from and to host p50 ms",
             "peak MiB", "first call s", "differs: probabilities / maps"),
            [_inference(row, document, done) for row in _of(done, "infer")],
        ),
        *_section(
            "Training step, batch copied from the host",
            ("engine", "precision", "batch", "p50 ms", "p95 ms", "films/s", "peak MiB", "first call s"),
            map(_training, _of(done, "train")),
        ),
        *_section(
            f"From film files to results ({document['film_files']}; {document['processes']} processes decode)",
            ("engine", "files", "precision", "batch", "films/s", "decode / gate / preprocessing, ms of one core"),
            map(_files, _of(done, "jpeg", "png16")),
        ),
        "\n".join(_not_measured(rows)),
    ]  # fmt: skip
    return "\n\n".join(part for part in parts if part) + "\n"


def _about(document: Mapping[str, Any]) -> Iterator[str]:
    network = document["network"]
    gpu = document["gpu"]
    hardware = ", ".join([*(gpu or {}).values()][:3]) or "no GPU"
    size = " × ".join(map(str, network["size"]))
    yield f"{document['date'][:10]}, {hardware}; {document['machine']}; Python {document['python']}."
    yield f"{network['backbone']}, {size}, {network['labels']} labels, made-up weights. `{document['command']}`"
    yield ""
    for name, about in document["engines"].items():
        versions = ", ".join(f"{package} {version}" for package, version in about.get("versions", {}).items())
        yield f"- {TITLES[name]}: {about.get('error') or about.get('gpu') or 'CPU'}" + (
            f" ({versions})" * bool(versions)
        )


def _inference(row: Mapping[str, Any], document: Mapping[str, Any], done: list[Mapping[str, Any]]) -> list[str]:
    peak = next((c["tflops"] for c in done if c["work"] == "matmul" and c["precision"] == row["precision"]), None)
    operations = _GFLOP.get(document["network"]["backbone"]) if document["network"]["size"] == [224, 224] else None
    share = f"{row['films_per_s'] * operations / 10 / peak:.1f} %" if peak and operations else ""
    differs = row["differs"]
    return [
        _engine(row), row["precision"], str(row["batch"]), f"{row['p50_ms']:.2f}", f"{row['p95_ms']:.2f}",
        f"{row['films_per_s']:,.0f}", share, f"{row['host_p50_ms']:.2f}", _peak(row), f"{row['first_call_s']:.1f}",
        f"{differs['probabilities']:.1e} / {differs['maps']:.1e}",
    ]  # fmt: skip


def _training(row: Mapping[str, Any]) -> list[str]:
    return [
        _engine(row), row["precision"], str(row["batch"]), f"{row['p50_ms']:.1f}", f"{row['p95_ms']:.1f}",
        f"{row['films_per_s']:,.0f}", _peak(row), f"{row['first_call_s']:.1f}",
    ]  # fmt: skip


def _files(row: Mapping[str, Any]) -> list[str]:
    kinds = {"jpeg": "JPEG, 8 bit", "png16": "PNG, 16 bit"}
    steps = " / ".join(f"{value:.0f}" for value in row["cpu_ms"].values())
    return [
        _engine(row), kinds[row["work"]], row["precision"], str(row["batch"]), f"{row['films_per_s']:,.0f}", steps,
    ]  # fmt: skip


def _product(row: Mapping[str, Any]) -> list[str]:
    return [row["precision"], f"{row['tflops']:,.0f}"]


def _not_measured(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    failed = [row for row in rows if "error" in row]
    if failed:
        yield "Not measured:"
        yield ""
    reasons: dict[str, list[str]] = {}
    for row in failed:
        reasons.setdefault(row["error"], []).append(f"{_engine(row)} {row['work']} {row['precision']} {row['batch']}")
    for reason, names in reasons.items():
        yield f"- {reason}: {'; '.join(names)}"


def _section(title: str, columns: Iterable[str], rows: Iterable[list[str]]) -> Iterator[str]:
    rows, columns = list(rows), list(columns)
    if rows:
        lines = [columns, ["---"] * len(columns), *rows]
        yield f"**{title}**\n\n" + "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _of(rows: Iterable[Mapping[str, Any]], *works: str) -> list[Mapping[str, Any]]:
    return [row for row in rows if row["work"] in works]


def _engine(row: Mapping[str, Any]) -> str:
    return f"{TITLES[row['engine']]}, {MODES[row['engine']][row['mode']]}"


def _peak(row: Mapping[str, Any]) -> str:
    """An engine that only knows its process's peak gives an upper bound."""
    return "" if row["peak_mib"] is None else f"{'' if row['peak_is_exact'] else '≤ '}{row['peak_mib']:,}"


def _place(row: Mapping[str, Any]) -> tuple[int, int, int, str]:
    return _PRECISIONS.index(row["precision"]), row["batch"], ENGINES.index(row["engine"]), row["mode"]
