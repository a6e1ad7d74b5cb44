"""Pictures of the reports as SVG text: the same numbers always give the same bytes.

May import: NumPy; matplotlib inside functions. Every function returns a whole `<svg>` element. Colours are those of
Okabe and Ito, which colour-blind readers can tell apart; lines carry their name, so no picture needs a legend.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
INK, SOFT, HAIR = "#1a1a1a", "#62666b", "#e3e5e8"
_FONT = "'Source Sans 3','Segoe UI','Helvetica Neue',Arial,'Liberation Sans',sans-serif"
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "mlcore",
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "text.color": INK,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": SOFT,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "lines.linewidth": 1.5,
    "figure.facecolor": "white",
}
_PALE = {"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 1}
Curve = Mapping[str, Any]


def roc(curves: Mapping[str, Curve | None], columns: int = 0) -> str:
    """ROC curve per name: {"x": false positive rates, "y": sensitivities, "auroc": figure or number,
    "point": (x, y) of the operating point, optional}. One small panel each, none where the curve is None; `columns`
    panels in a row (0: as many as fit)."""

    def draw(axes: Any, colour: str, curve: Curve) -> None:
        axes.plot([0, 1], [0, 1], color=HAIR, linewidth=1)
        axes.plot(curve["x"], curve["y"], color=colour)
        if curve.get("point"):
            axes.plot(*curve["point"], "o", color=colour, markersize=5, markeredgecolor="white")
        if "auroc" in curve:
            axes.text(0.98, 0.05, f"AUROC {_spread(curve['auroc'])}", ha="right", color=INK, fontsize=8)

    return _panels(curves, draw, "False positive rate", "Sensitivity", square=True, columns=columns)


def reliability(curves: Mapping[str, Curve | None], columns: int = 0) -> str:
    """Frequency against probability per name: {"x": mean probabilities, "y": frequencies, "ece": figure or number,
    "before": {"x", "y"} optional (shown dashed)}. Panels as in `roc`."""

    def draw(axes: Any, colour: str, curve: Curve) -> None:
        axes.plot([0, 1], [0, 1], color=HAIR, linewidth=1)
        if curve.get("before"):
            axes.plot(curve["before"]["x"], curve["before"]["y"], color=SOFT, linewidth=1, linestyle=(0, (2, 2)))
        axes.plot(curve["x"], curve["y"], color=colour, marker="o", markersize=3)
        if "ece" in curve:
            axes.text(0.98, 0.05, f"ECE {_spread(curve['ece'])}", ha="right", color=INK, fontsize=8, bbox=_PALE)

    return _panels(curves, draw, "Mean predicted probability", "Share with the label", square=True, columns=columns)


def confusion(labels: Sequence[str], counts: Sequence[Sequence[int]]) -> str:
    """Films by their label (rows) and the first choice of the model (columns); shade is the share of the row."""
    table = np.asarray(counts)
    share = table / np.maximum(table.sum(1, keepdims=True), 1)
    side = 1.4 + 0.72 * len(labels)
    with _figure(side + 0.6, side) as (figure, save):
        axes = figure.add_subplot()
        axes.imshow(share, cmap=_pale_to("#0072b2"), vmin=0, vmax=1)
        for row, column in np.ndindex(*table.shape):
            colour = "white" if share[row, column] > 0.55 else INK
            axes.text(column, row, f"{table[row, column]}", ha="center", va="center", color=colour)
        axes.set_xticks(range(len(labels)), [_words(label) for label in labels])
        axes.set_yticks(range(len(labels)), [_words(label) for label in labels])
        axes.set(xlabel="Model's first choice", ylabel="Label of the film")
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        return save()


def training_curves(logs: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Loss and validation score by epoch, a line per name; a log is `Run.log`: {"epoch", "loss", "score"} each."""
    with _figure(6.4, 2.7) as (figure, save):
        for place, (key, title) in enumerate((("loss", "Training loss"), ("score", "Validation score")), 1):
            axes = figure.add_subplot(1, 2, place)
            ends = []
            for number, (name, log) in enumerate(logs.items()):
                rows = [entry for entry in log if entry.get(key) is not None]
                if not rows:
                    continue
                colour = COLOURS[number % len(COLOURS)]
                axes.plot([r["epoch"] for r in rows], [r[key] for r in rows], color=colour)
                ends.append((rows[-1]["epoch"], rows[-1][key], _words(name), colour))
            _name_lines(axes, ends)
            axes.set(xlabel="Epoch", title=title)
            axes.xaxis.get_major_locator().set_params(integer=True)
        return save()


def forest(
    names: Sequence[str],
    values: Sequence[float],
    lows: Sequence[float],
    highs: Sequence[float],
    xlabel: str,
    reference: float | None = None,
) -> str:
    """One row per name: the value and its interval; `reference` draws a line, at chance or at no difference."""
    rows = np.arange(len(names))[::-1]
    with _figure(6.4, 0.75 + 0.25 * len(names)) as (figure, save):
        axes = figure.add_subplot()
        if reference is not None:
            axes.axvline(reference, color=HAIR, linewidth=1)
        axes.hlines(rows, lows, highs, color=COLOURS[0], linewidth=1.3)
        axes.plot(values, rows, "o", color=COLOURS[0], markersize=4.5)
        edge = axes.get_yaxis_transform()
        for row, value, low, high in zip(rows, values, lows, highs, strict=True):
            text = f"{value:.2f} ({low:.2f}–{high:.2f})"
            axes.text(1.03, row, text, transform=edge, va="center", ha="left", fontsize=8)
        axes.set_yticks(rows, names)
        axes.set_ylim(-0.6, len(names) - 0.4)
        axes.set_xlabel(xlabel)
        axes.tick_params(axis="y", length=0, labelcolor=INK)
        axes.spines["left"].set_visible(False)
        return save()


def decision_curve(curves: Mapping[str, Curve | None], columns: int = 0) -> str:
    """Net benefit per name: {"x": threshold probabilities, "model", "all": net benefits}; treating nobody is zero."""

    def draw(axes: Any, colour: str, curve: Curve) -> None:
        axes.axhline(0, color=HAIR, linewidth=1)
        axes.plot(curve["x"], curve["all"], color=SOFT, linewidth=1, linestyle=(0, (2, 2)))
        axes.plot(curve["x"], curve["model"], color=colour)
        top = max(max(curve["model"]), max(curve["all"]), 0.01)
        axes.set_ylim(-0.15 * top, 1.1 * top)

    return _panels(curves, draw, "Threshold probability", "Net benefit", square=False, columns=columns)


def sweep(results: Mapping[str, Sequence[Mapping[str, Any]]], ylabel: str = "Macro AUROC within source") -> str:
    """How a figure falls as films get worse, per kind of change: rows {"strength" (text), "lines": {name: value}}."""
    lowest = min((v for rows in results.values() for row in rows for v in row["lines"].values()), default=0.5)
    columns = min(3, max(1, len(results)))
    lines = -(-len(results) // columns)
    with _figure(2.25 * columns + 0.5, 1.75 * lines + 0.3) as (figure, save):
        for place, (name, rows) in enumerate(results.items(), 1):
            axes = figure.add_subplot(lines, columns, place)
            for number, line in enumerate(rows[0]["lines"]):
                values = [row["lines"][line] for row in rows]
                axes.plot(values, color=COLOURS[number], marker="o", markersize=3)
                if place == 1:
                    place_of = {"xytext": (1, -6), "textcoords": "offset points", "va": "top", "fontsize": 7.5}
                    axes.annotate(_words(line), (0, min(values)), color=COLOURS[number], **place_of)
            axes.set_xticks(range(len(rows)), [str(row["strength"]) for row in rows])
            axes.set_ylim(min(0.5, lowest) - 0.02, 1.02)
            axes.set_title(_words(name))
            if (place - 1) % columns == 0:
                axes.set_ylabel(ylabel)
        return save()


def flow(summary: Mapping[str, Any]) -> str:
    """Films from those read, past those left out with the reason, to every split; `summary` is `split_summary`'s."""
    steps, splits = summary["flow"], summary["splits"]
    tallest = max((len(split["labels"]) for split in splits.values()), default=0)
    height, step = 0.75 * len(steps) + 0.9 + 0.14 * tallest, 0.75
    with _figure(6.4, height) as (figure, save):
        axes = figure.add_subplot()
        axes.set_axis_off()
        axes.set(xlim=(0, 1), ylim=(-height, 0))
        for number, part in enumerate(steps):
            top = -0.1 - step * number
            axes.plot([0.4, 0.4], [top, top - step], color=SOFT, linewidth=0.8, zorder=0)
            _box(axes, 0.4, top, [f"{part['films']:,} films {_words(part['step']).lower()}"], "top")
            gone = [f"{count:,} {reason.replace('_', ' ')}" for reason, count in part["left_out"].items() if count]
            if gone:
                axes.plot([0.4, 0.8], [top - 0.55, top - 0.55], color=SOFT, linewidth=0.8, zorder=0)
                _box(axes, 0.8, top - 0.55, gone, "center")
        fork = -0.1 - step * len(steps)
        middles = [(number + 0.5) / len(splits) for number in range(len(splits))]
        axes.plot([*middles, 0.4], [fork] * (len(splits) + 1), color=SOFT, linewidth=0.8, zorder=0)
        for middle, (name, split) in zip(middles, splits.items(), strict=True):
            axes.plot([middle, middle], [fork - 0.2, fork], color=SOFT, linewidth=0.8, zorder=0)
            labels = [f"{_words(label)} {count:,}" for label, count in split["labels"].items()]
            patients = f"{split['groups']:,} patient groups"
            _box(axes, middle, fork - 0.2, [f"{_words(name)}: {split['films']:,} films", patients, *labels], "top")
        return save()


def _box(axes: Any, x: float, y: float, lines: Sequence[str], place: str) -> None:
    frame = {"boxstyle": "square,pad=0.6", "facecolor": "white", "edgecolor": SOFT, "linewidth": 0.8}
    axes.text(x, y, "\n".join(lines), ha="center", va=place, linespacing=1.5, bbox=frame)


def _panels(
    curves: Mapping[str, Curve | None],
    draw: Callable[[Any, str, Curve], None],
    xlabel: str,
    ylabel: str,
    *,
    square: bool,
    columns: int = 0,
) -> str:
    """A small panel per name, at most four in a row, named above."""
    columns = columns or min(3 if len(curves) <= 6 else 4, max(1, len(curves)))
    lines = -(-len(curves) // columns)
    drawn = [place for place, curve in enumerate(curves.values()) if curve]
    lowest = {place % columns: place for place in drawn}
    first = {place // columns: place for place in reversed(drawn)}
    with _figure(2.15 * columns + 0.35, (2.35 if square else 1.95) * lines + 0.2) as (figure, save):
        for place, (name, curve) in enumerate(curves.items()):
            if not curve:
                continue
            axes = figure.add_subplot(lines, columns, place + 1)
            draw(axes, COLOURS[place % columns] if columns <= 3 else COLOURS[0], curve)
            axes.set_title(_words(name))
            if square:
                axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
                axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
                axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
            if lowest[place % columns] == place:
                axes.set_xlabel(xlabel)
            if first[place // columns] == place:
                axes.set_ylabel(ylabel)
        return save()


def _name_lines(axes: Any, ends: Sequence[tuple[float, float, str, str]]) -> None:
    """Names at the right ends of lines, pushed apart so that none covers another."""
    if not ends:
        return
    low, high = axes.get_ylim()
    gap, last = (high - low) * 0.07, -np.inf
    for x, y, name, colour in sorted(ends, key=lambda end: end[1]):
        last = max(y, last + gap)
        axes.annotate(name, (x, last), xytext=(5, 0), textcoords="offset points", color=colour, va="center", fontsize=8)


@contextmanager
def _figure(width: float, height: float) -> Iterator[tuple[Any, Callable[[], str]]]:
    """A figure of our style and the function that turns it into text. No window system and no global state is used."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")

        def save() -> str:
            buffer = io.StringIO()
            figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None}, bbox_inches="tight")
            return _tidy(buffer.getvalue())

        yield figure, save


def _tidy(svg: str) -> str:
    """Only the element, with the page's fonts; names of groups repeat from picture to picture and nothing uses them."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    return svg.replace("'DejaVu Sans'", _FONT)


def _pale_to(colour: str) -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("share", ["#f7f9fb", colour])


def _spread(figure: Any) -> str:
    if not isinstance(figure, Mapping):
        return f"{figure:.3f}"
    interval = f" ({figure['low']:.2f}–{figure['high']:.2f})" if figure.get("low") is not None else ""
    return f"{figure['value']:.2f}{interval}"


def _words(key: str) -> str:
    """`pleural_thickening` → `Pleural thickening`."""
    return (key[:1].upper() + key[1:]).replace("_", " ")
