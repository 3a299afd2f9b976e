"""Charts of the explorer, made with Vega-Altair: one description for the page, and the same with data for print.

The page fills the named data sets of a chart (`concepts`, `lines` ...) and its parameters (colours, domains), so it
draws another part, score or theme without making a chart again.
"""

import base64
import gzip
import math
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import altair as alt
import vl_convert

from fit.explorer.contents import Comparison, Concept, Part, ScoreKind, Strip

INK, SOFT, GRID, PAPER = "#1f2933", "#52606d", "#e4e7eb", "#ffffff"
ACCENT, DOT, OTHER = "#d55e00", "#0072b2", "#cc79a7"
"""The threshold; a concept; a second thing of the same kind. After Okabe and Ito (Color Universal Design, 2008).
What is drawn together differs in its line or shape too."""
FONT = "Helvetica, Arial, sans-serif"
FORMAT = ",.0f"
LEAST = -0.45
"""Where the axis of counts begins: left of the place of 0."""
MANY = 150
"""Lines of more concepts are fainter, so that the marks stay in front."""
_VEGA_LITE = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])


def ticks(largest: float) -> list[int]:
    """Return 0, 1, 10, 100 ... as far as `largest`."""
    return [0, *(10**power for power in range(int(math.log10(max(largest, 1.0))) + 1))]


def count_domain(counts: Iterable[float | None]) -> list[float]:
    """Return the ends of an axis of counts that shows all of `counts`."""
    return [LEAST, max([count for count in counts if count is not None], default=10.0) * 1.25 + 1]


def threshold_domain(counts: Iterable[float | None]) -> list[float]:
    """Return the ends of an axis that shows thresholds with some room: it need not begin at 0."""
    found = [count for count in counts if count is not None] or [1.0]
    return [LEAST if min(found) < 2 else min(found) / 2, count_domain(found)[1] * 1.6]


def ticks_between(domain: Sequence[float]) -> list[int]:
    """Return 1, 2, 3, 5, 10 ... within the ends of an axis."""
    low, high = domain
    powers = [10**power for power in range(int(math.log10(max(high, 1.0))) + 1)]
    return [tick for tick in [0, *(times * power for power in powers for times in (1, 2, 3, 5))] if low <= tick <= high]


def _span(values: Iterable[float | None]) -> list[float]:
    """Return the ends of an axis of scores: those of `values`, with some room."""
    found = [value for value in values if value is not None] or [0.0, 1.0]
    low, high = min(found), max(found)
    room = 0.06 * ((high - low) or abs(high) or 1.0)
    return [low - room, high + room]


def _parameters(**more: Any) -> list[alt.Parameter]:
    colours = {"ink": INK, "soft": SOFT, "grid": GRID, "paper": PAPER, "accent": ACCENT, "dot": DOT, "other": OTHER}
    return [alt.param(name=name, value=value) for name, value in (colours | more).items()]


def _of(name: str) -> Any:  # Vega-Lite takes an expression in more places than Altair's hints say
    return alt.ExprRef(expr=name)


def _counts(field: str, title: str = "effective count (training images)") -> alt.X:
    """Return the axis of counts: a logarithm with a place for 0."""
    scale = alt.Scale(type="symlog", constant=1, domain=_of("count_domain"), nice=False, zero=False)
    axis = alt.Axis(title=title, values=_of("ticks"), format=FORMAT, grid=False, labelOverlap="greedy")
    return alt.X(field, type="quantitative", scale=scale, axis=axis)


def _scores(field: str, title: str | None) -> alt.Y:
    scale = alt.Scale(domain=_of("score_domain"), nice=True, zero=False)
    return alt.Y(field, type="quantitative", scale=scale, axis=alt.Axis(title=title, grid=True, tickCount=6))


def _look(chart: Any, **more: Any) -> dict[str, Any]:
    """Return a chart as a dict of Vega-Lite, in the look that all share."""
    found: dict[str, Any] = chart.add_params(*_parameters(**more)).to_dict()
    colour = {"expr": "soft"}
    found["config"] = {
        "font": FONT,
        "background": None,
        "view": {"stroke": None},
        "axis": {
            "labelColor": colour,
            "titleColor": colour,
            "labelFontSize": 12,
            "titleFontSize": 12,
            "titleFontWeight": "normal",
            "titlePadding": 10,
            "labelPadding": 6,
            "domainColor": colour,
            "tickColor": colour,
            "tickSize": 4,
            "gridColor": {"expr": "grid"},
        },
        "axisY": {"domain": False, "ticks": False},
        "title": {"color": {"expr": "ink"}, "anchor": "start", "fontSize": 14, "subtitleColor": colour, "offset": 14},
        "legend": {"labelColor": colour, "titleColor": colour, "labelFontSize": 12},
        "aria": False,
    }
    found["autosize"] = {"type": "fit", "contains": "padding"}
    return found


@cache
def _curve(y_title: str | None, shape: str | None = None) -> dict[str, Any]:
    """Return the chart of scores against counts; `shape` is a field that tells two parts apart."""
    concepts, lines = alt.NamedData(name="concepts"), alt.NamedData(name="lines")
    colour: Any = alt.value(_of("dot"))
    band_colour: Any = alt.value(_of("accent"))
    marker: Any = alt.Shape(
        "mark", type="nominal", scale=alt.Scale(domain=["concept", "outlier"], range=["circle", "diamond"]), legend=None
    )
    size: Any = alt.Size(
        "mark", type="nominal", scale=alt.Scale(domain=["concept", "outlier"], range=[34, 90]), legend=None
    )
    if shape:
        scale = alt.Scale(domain=["first", "second"], range=[_of("dot"), _of("accent")])
        colour = band_colour = alt.Color(shape, type="nominal", scale=scale, legend=None)
        marker = alt.Shape(
            shape, type="nominal", scale=alt.Scale(domain=["first", "second"], range=["circle", "square"]), legend=None
        )
        size = alt.value(34)
    band = alt.Chart(lines).mark_rect(opacity=0.13).encode(x=_counts("low"), x2="high", color=band_colour)
    rule = (
        alt.Chart(lines)
        .mark_rule(strokeWidth=2)
        .encode(
            x=_counts("threshold"),
            color=band_colour,
            strokeDash=alt.StrokeDash(
                "line",
                type="nominal",
                scale=alt.Scale(domain=["threshold", "penalty"], range=[[1, 0], [5, 4]]),
                legend=None,
            ),
        )
    )
    counts = (
        alt.Chart(concepts)
        .mark_rule(strokeWidth=1, opacity=_of("faint"))
        .encode(x=_counts("low"), x2="high", y=_scores("score", y_title), color=colour)
    )
    spread = (
        alt.Chart(concepts)
        .mark_rule(strokeWidth=1.5, opacity=_of("faint"))
        .encode(x=_counts("count"), y=_scores("bottom", y_title), y2="top", color=colour)
    )
    points = (
        alt.Chart(concepts)
        .mark_point(filled=True, opacity=0.85, strokeWidth=1, stroke=_of("paper"))
        .encode(x=_counts("count"), y=_scores("score", y_title), color=colour, shape=marker, size=size)
    )
    layers = alt.layer(band, counts, spread, rule, points).resolve_scale(shape="independent", size="independent")
    return _look(layers, count_domain=[LEAST, 1000], score_domain=[0, 1], ticks=ticks(1000), faint=0.3)


@cache
def _strips() -> dict[str, Any]:
    """Return the chart of how each choice moves the threshold: a line per choice, a mark per value of it."""
    values = alt.NamedData(name="values")
    y: Any = alt.Y("choice", type="nominal", sort=None, axis=alt.Axis(title=None, domain=False, labelLimit=220))
    between = (
        alt.Chart(alt.NamedData(name="spans"))
        .mark_rule(strokeWidth=1, stroke=_of("soft"), opacity=0.5)
        .encode(x=_counts("low", "threshold (training images)"), x2="high", y=y)
    )
    marks = (
        alt.Chart(values)
        .mark_point(filled=True, opacity=0.9, strokeWidth=1, stroke=_of("paper"))
        .encode(
            x=_counts("threshold", "threshold (training images)"),
            y=y,
            color=alt.Color(
                "used",
                type="nominal",
                scale=alt.Scale(domain=["used", "other"], range=[_of("accent"), _of("dot")]),
                legend=None,
            ),
            shape=alt.Shape(
                "used",
                type="nominal",
                scale=alt.Scale(domain=["used", "other"], range=["diamond", "circle"]),
                legend=None,
            ),
            size=alt.Size(
                "used", type="nominal", scale=alt.Scale(domain=["used", "other"], range=[130, 60]), legend=None
            ),
        )
    )
    return _look(alt.layer(between, marks), count_domain=[LEAST, 1000], ticks=ticks(1000))


def _pairs(x_title: str | None, y_title: str | None) -> dict[str, Any]:
    """Return the chart of two parts' scores of the same concepts."""
    pairs = alt.NamedData(name="pairs")
    scale = alt.Scale(domain=_of("score_domain"), nice=False, zero=False)
    axis: dict[str, Any] = {"grid": True, "tickCount": 5}
    x = alt.X("first", type="quantitative", scale=scale, axis=alt.Axis(title=x_title, **axis))
    y = alt.Y("second", type="quantitative", scale=scale, axis=alt.Axis(title=y_title, **axis))
    same = (
        alt.Chart(alt.NamedData(name="same"))
        .mark_line(strokeDash=[4, 4], strokeWidth=1, stroke=_of("soft"))
        .encode(x=x, y=y)
    )
    points = (
        alt.Chart(pairs)
        .mark_point(filled=True, size=40, opacity=0.8, fill=_of("dot"), stroke=_of("paper"), strokeWidth=1)
        .encode(x=x, y=y)
    )
    return _look(alt.layer(same, points), score_domain=[0, 1])


@cache
def page_charts() -> dict[str, dict[str, Any]]:
    """Return the charts that the page draws, by name, compiled to Vega: it fills their data and parameters."""
    charts = {"curve": _curve(None), "two": _curve(None, "part"), "strips": _strips(), "pairs": _pairs(None, None)}
    return {name: vl_convert.vegalite_to_vega(chart, vl_version=_VEGA_LITE) for name, chart in charts.items()}


@cache
def runtime() -> str:
    """Return the JavaScript that draws Vega, from the installed wheel: it defines `vegaEmbed`."""
    return vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=_VEGA_LITE).replace("\r\n", "\n")


def score_of(concept: Concept, kind: str) -> float | None:
    """Return the score of a concept of a kind; None if it has none."""
    return concept.scores.get(kind)


def concept_rows(part: Part, kind: str) -> list[dict[str, Any]]:
    """Return a row per concept that has a count and a score of a kind, as the chart takes it.

    bottom and top are the lowest and highest score of a prompt; low and high the interval of the count.
    """
    rows = []
    for concept in part.concepts:
        score = score_of(concept, kind)
        if concept.count is None or score is None:
            continue
        prompts = [value for prompt in concept.prompts if (value := prompt.scores.get(kind)) is not None] or [score]
        low, high = concept.count_interval or [concept.count, concept.count]
        rows.append(
            {"name": concept.name, "count": concept.count, "score": score, "low": low, "high": high}
            | {"bottom": min(prompts), "top": max(prompts), "mark": "outlier" if concept.outlier else "concept"}
        )
    return rows


def _print(chart: dict[str, Any], data: dict[str, list[dict[str, Any]]], width: int, height: int, **values: Any) -> Any:
    """Return a chart with its data and parameters, on white, at a size in pixels."""
    parameters = [
        parameter | ({"value": values[parameter["name"]]} if parameter["name"] in values else {})
        for parameter in chart["params"]
    ]
    size = {"width": width, "height": height, "background": PAPER, "padding": 12}
    more = {"title": values["title"]} if values.get("title") else {}
    return chart | size | more | {"params": parameters, "datasets": data}


def _files(chart: dict[str, Any]) -> dict[str, str]:
    """Return a chart as SVG and as PDF, each compressed with gzip, in base64."""
    svg = vl_convert.vegalite_to_svg(chart, vl_version=_VEGA_LITE)
    found = {"svg": svg.encode(), "pdf": vl_convert.svg_to_pdf(svg)}
    return {kind: base64.b64encode(gzip.compress(data, mtime=0)).decode("ascii") for kind, data in found.items()}


def _title(text: str, below: str) -> dict[str, Any]:
    return {"text": text, "subtitle": below}


def curve_files(part: Part, kind: ScoreKind, below: str) -> dict[str, str]:
    """Return the figure of a part by a kind of score, in print quality; `below` is the line under its title."""
    rows = concept_rows(part, kind.name)
    first = kind is part.scores[0]
    found = next((one for one in kind.estimates if one.estimator == part.answer.estimator), None)
    threshold, interval = (
        (part.answer.threshold, part.answer.interval)
        if first
        else (found.threshold if found else None, found.interval if found else None)
    )
    lines = [] if threshold is None else [threshold_row(threshold, interval)]
    ends = [end for line in lines for end in (line["low"], line["high"])]
    counts = count_domain([row["high"] for row in rows] + ends)
    spans = [row[end] for row in rows for end in ("bottom", "top")]
    label = part.score_label if first else kind.label
    chart = _print(
        _curve(label),
        {"concepts": rows, "lines": lines},
        720,
        440,
        count_domain=counts,
        ticks=ticks(counts[1]),
        faint=0.16 if len(rows) > MANY else 0.3,
        score_domain=_span(spans),
        title=_title(f"{part.model}, {part.domain}: {kind.label}", below),
    )
    return _files(chart)


def threshold_row(threshold: float, interval: Sequence[float] | None) -> dict[str, Any]:
    """Return the row of a threshold, as the chart takes it; without an interval it has no width."""
    low, high = interval or (threshold, threshold)
    return {"threshold": threshold, "low": low, "high": high, "line": "threshold"}


def strip_rows(strips: Sequence[Strip]) -> dict[str, list[dict[str, Any]]]:
    """Return the data of the chart of sensitivity: a row per value that has a threshold; a span per choice."""
    values = [
        {"choice": strip.choice, "threshold": value.threshold, "used": "used" if value.is_used else "other"}
        for strip in strips
        for value in strip.values
        if value.threshold is not None
    ]
    spans = []
    for choice in dict.fromkeys(value["choice"] for value in values):
        found = [float(value["threshold"] or 0) for value in values if value["choice"] == choice]
        spans.append({"choice": choice, "low": min(found), "high": max(found)})
    return {"values": values, "spans": spans}


def strip_files(part: Part) -> dict[str, str] | None:
    """Return the figure of the sensitivity of a part, in print quality; None if no value has a threshold."""
    data = strip_rows(part.sensitivity)
    if not data["values"]:
        return None
    counts = threshold_domain(value["threshold"] for value in data["values"])
    title = _title(f"{part.model}, {part.domain}: how each choice moves the threshold", "diamond: the value in use")
    height = 110 + 34 * len(data["spans"])
    return _files(
        _print(_strips(), data, 720, height, count_domain=counts, ticks=ticks_between(counts), title=title),
    )


def pair_files(comparison: Comparison, below: str) -> dict[str, str] | None:
    """Return the figure of a comparison, in print quality; None if no concept has both scores."""
    pairs = [
        {"first": pair.scores[0], "second": pair.scores[1]} for pair in comparison.pairs if None not in pair.scores
    ]
    if not pairs:
        return None
    low, high = _span([value for pair in pairs for value in pair.values()])
    same = [{"first": low, "second": low}, {"first": high, "second": high}]
    title = _title(f"{comparison.second} against {comparison.first}", below)
    chart = _pairs(f"score, {comparison.first}", f"score, {comparison.second}")
    return _files(_print(chart, {"pairs": pairs, "same": same}, 520, 520, score_domain=[low, high], title=title))
