"""Figures: scores against counts, the histogram behind a match threshold, contact sheets of pictures beside references."""

import textwrap

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.ticker import FuncFormatter, NullLocator

from fit.images import table as images
from fit.io import parquet
from fit.thresholds.answer import why_none

matplotlib.rcParams["text.parse_math"] = False  # a dollar sign in a name is a dollar sign

INK, ACCENT, SOFT, LEAF = "#1f2933", "#d55e00", "#0072b2", "#66c2a5"
"""Text and lines; the threshold; dots and bars; a second curve. After Okabe and Ito (Color Universal Design, 2008), the
green made lighter: tests/unit/test_plots.py holds that they differ for colour-blind readers too. What is drawn together
differs in its line or marker besides."""
ESTIMATORS = {"pelt": "PELT", "one_change": "best single split", "isotonic": "isotonic", "logistic": "logistic"}
"""Estimator -> what figures call it."""
WIDEST = 62
"""Characters of a line of a title."""
MARKERS = {"pelt": "*", "one_change": "s", "isotonic": "D", "logistic": "^"}


def _axes(width, height):
    plt.rcParams.update({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False})
    return plt.subplots(figsize=(width, height), layout="constrained")


def _strip_and_axes(width, height, rows):
    """A figure whose axes have a strip of `rows` lines above them, or None without any, which shares their counts."""
    figure, axes = _axes(width, height + 0.24 * rows)
    if not rows:
        return figure, None, axes
    axes.remove()
    strip, axes = figure.subplots(2, 1, sharex=True, height_ratios=[0.24 * rows, height - 1.5])
    strip.spines["bottom"].set_visible(False)
    strip.tick_params(bottom=False, labelbottom=False, left=False)
    return figure, strip, axes


def _counts_axis(axes, right):
    """Counts in a logarithm that has a place for 0."""
    axes.set_xscale("symlog", linthresh=1, linscale=0.3)
    axes.set_xlim(-0.15, right)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{count:,.0f}"))


def _name_sides(axes, at):
    """Say on which side of the threshold the model imitates, above the dots; upright where a side is narrow."""
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.11 * (high - low))
    place = axes.transAxes.inverted().transform(axes.transData.transform((at, high)))[0]
    for text, room, side, shift in (("does not imitate", place, "right", -5), ("imitates", 1 - place, "left", 5)):
        narrow = room < (0.22 if side == "right" else 0.12)
        axes.annotate(
            text,
            (at, 0.99),
            xycoords=axes.get_xaxis_transform(),
            xytext=(shift, 0),
            textcoords="offset points",
            ha=side,
            va="top",
            rotation=90 if narrow else 0,
            color=INK,
            fontsize=9,
            style="italic",
            annotation_clip=False,
        )


def _other_estimators(strip, found, others):
    """A line for each other estimator: where thresholds coincide, their marks lie below one another."""
    for row, (name, answer) in enumerate(others.items()):
        interval = answer.get("interval")
        if interval:
            strip.plot(interval, [row, row], color=INK, linewidth=1, alpha=0.5)
        marker, at = MARKERS.get(name, "o"), answer["threshold"]
        strip.plot([at], [row], marker=marker, color=INK, linestyle="none", markersize=6)
    strip.set_ylim(len(others) - 0.4, -0.6)
    labels = [f"{ESTIMATORS.get(name, name)}: {answer['threshold']:.0f}" for name, answer in others.items()]
    strip.set_yticks(range(len(others)), labels=labels, fontsize=8)
    strip.spines["left"].set_visible(False)


def _fits(axes, estimators, right):
    """The curves that two estimators fit."""
    if "curve" in estimators.get("isotonic", {}):
        curve = zip(*estimators["isotonic"]["curve"], strict=True)
        axes.step(*curve, where="post", color=INK, linewidth=1.2, label="isotonic fit")
    if "midpoint" in estimators.get("logistic", {}):
        fit = estimators["logistic"]
        x = np.linspace(0, np.log1p(right), 400)
        # The rise from 10 to 90 % is 2 log 9 scales.
        scale = (np.log1p(fit["to"]) - np.log1p(fit["midpoint"])) / np.log(9)
        rise = 1 / (1 + np.exp(-np.clip((x - np.log1p(fit["midpoint"])) / scale, -500, 500)))
        curve = fit["low"] + (fit["high"] - fit["low"]) * rise
        axes.plot(np.expm1(x), curve, color=LEAF, linewidth=1.8, linestyle="-.", label="logistic fit")


def threshold_figure(counts, scores, found, title, path, score="imitation score"):
    """Draw a score against effective count, with the headline's threshold and interval, and two estimators' fits;
    in a strip above, what the other estimators say.

    Args:
        counts, scores: [N]; found: dict of fit.thresholds.measure; path: of the picture to write (PNG, PDF, SVG).
        score: what it is called at its axis.
    """
    headline, threshold = found["estimator"], found["threshold"]
    others = {name: a for name, a in found["estimators"].items() if name != headline and a["threshold"] is not None}
    figure, strip, axes = _strip_and_axes(7.5, 5.0, len(others))
    many = len(counts) > 150
    one = f"a concept: its training images, its {score}"
    axes.scatter(counts, scores, s=9 if many else 18, color=SOFT, alpha=0.45 if many else 0.7, linewidths=0, label=one)
    right = float(np.max(counts, initial=1.0)) * 1.15
    _counts_axis(axes, right)
    title = textwrap.fill(title or f"{score[:1].upper()}{score[1:]} against training images", WIDEST)
    name = ESTIMATORS.get(headline, headline)
    why = why_none(found)
    if why:
        title += "\n" + textwrap.fill(f"no imitation threshold: {why}", WIDEST)
    both = [axes] if strip is None else [axes, strip]
    if threshold is not None:
        said = "here the scores change" if why else "imitation threshold"
        for each in both:
            line = each.axvline(threshold, color=ACCENT, linewidth=1.8, zorder=1)
            shade = None
            if found["interval"]:
                shade = each.axvspan(*found["interval"], color=ACCENT, alpha=0.12, linewidth=0, zorder=0)
            if each is axes:
                line.set_label(f"{said} ({name}): {threshold:.0f} images")
                if shade:
                    low, high = found["interval"]
                    shade.set_label(f"its 95 % interval: {low:.0f} to {high:.0f} images")
    _fits(axes, found["estimators"], right)
    if not why:
        figure.draw_without_rendering()
        _name_sides(axes, threshold)
    if strip is not None:
        _other_estimators(strip, found, others)
        strip.set_ylabel("other\nestimators", fontsize=8, rotation=0, ha="right", va="center")
    (axes if strip is None else strip).set_title(title, fontsize=11)
    axes.set_xlabel("effective count: training images of the concept")
    axes.set_ylabel(score)
    # Below the axes, as concepts may lie anywhere within.
    figure.legend(frameon=False, loc="outside lower center", ncols=2)
    figure.savefig(path, dpi=160)
    plt.close(figure)


def counts_figure(counts, title, path):
    """Draw how many concepts have how many captions: bars of equal width in the logarithm, and one for none.

    Args:
        counts: [N] captions per concept; path: of the picture to write.
    """
    figure, axes = _axes(6, 3.2)
    top = max(1, int(np.ceil(np.log10(max(1, counts.max(initial=1)) + 1))))
    edges = np.concatenate([[-0.5, 0.5], 10 ** np.linspace(0, top, 4 * top + 1)[1:]])
    axes.hist(counts, edges, color=SOFT, edgecolor="white", linewidth=0.5)
    axes.set_xscale("symlog", linthresh=1, linscale=0.4)
    axes.set_xlim(-0.6, 1.8 * max(1, counts.max(initial=1)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{count:,.0f}"))
    axes.set_title(f"{title + ': ' if title else ''}captions of {len(counts)} concepts")
    axes.set_xlabel("captions that mention the concept")
    axes.set_ylabel("concepts")
    figure.savefig(path, dpi=160)
    plt.close(figure)


def match_threshold_figure(positive, negative, match_threshold, labels, path, title):
    """Draw the two histograms of cosines that a match threshold tells apart; labels: of the positive, the negative and the axis."""
    figure, axes = _axes(6, 3.8)
    every = np.concatenate([positive, negative, [] if match_threshold is None else [match_threshold]])
    if not len(every):
        every = np.zeros(1)
    bins = np.linspace(every.min(), every.max(), 60)
    kinds = ((negative, labels[1], SOFT, ""), (positive, labels[0], ACCENT, "////"))
    for values, label, colour, hatch in kinds:
        if len(values):
            weights = np.full(len(values), 1 / len(values))
            bars = {"facecolor": (*to_rgb(colour), 0.45), "edgecolor": colour, "hatch": hatch}
            axes.hist(values, bins, weights=weights, histtype="stepfilled", label=label, **bars)
    if match_threshold is not None:
        axes.axvline(match_threshold, color=INK, linestyle="--", label=f"match threshold: {match_threshold:.3f}")
    axes.set_title(
        title if match_threshold is not None else f"{title}: no match threshold was found, too few references"
    )
    axes.set_xlabel(labels[2])
    axes.set_ylabel("share of each kind")
    # Below the axes: bars may rise anywhere within.
    if axes.get_legend_handles_labels()[0]:
        figure.legend(frameon=False, loc="outside lower center", ncols=3)
    figure.savefig(path, dpi=160)
    plt.close(figure)


def sensitivity_figure(found, names, title, path):
    """Draw the thresholds that each choice leads to, a strip a choice: a mark's area is its share of settings.

    Args:
        found: dict of fit.sensitivity.measure.measure; names: key of a choice -> (its name, what its strip says at the right).
        path: of the picture to write.
    """
    choices = found["choices"]
    figure, axes = _axes(9, 1.5 + 0.62 * len(choices))
    axes.set_xscale("symlog", linthresh=1, linscale=0.3)
    if found["interval"]:
        axes.axvspan(*found["interval"], color=ACCENT, alpha=0.12, linewidth=0, label="its 95 % interval")
    if found["threshold"] is not None:
        axes.axvline(
            found["threshold"], color=ACCENT, label=f"imitation threshold of the study: {found['threshold']:.0f} images"
        )
    right = 1.0
    for line, (key, choice) in enumerate(choices.items()):
        name, text = names[key]
        weights: dict[float, float] = {}
        for answer in choice["answers"]:
            if answer["threshold"] is not None:
                weights[answer["threshold"]] = weights.get(answer["threshold"], 0.0) + answer["weight"]
        axes.axhline(line, color=INK, linewidth=0.4, alpha=0.3, zorder=0)
        # The smallest mark can still be seen.
        sizes = [12 + 380 * weight for weight in weights.values()]
        axes.scatter(list(weights), [line] * len(weights), s=sizes, color=SOFT, alpha=0.75, edgecolor="white", zorder=3)
        axes.text(1.02, line, f"{name}\n{text}", transform=axes.get_yaxis_transform(), va="center", fontsize=8)
        right = max([right, *weights, *(found["interval"] or [])])
    axes.set_xlim(-0.3, right * 1.6)
    steps = [step for power in range(8) for step in (10**power, 3 * 10**power) if step <= right * 1.6]
    axes.set_xticks([0, *steps], labels=["0", *(f"{step:,}" for step in steps)])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_ylim(len(choices) - 0.5, -0.5)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    title = title or "How much each choice moves the threshold"
    axes.set_title(title if found["threshold"] is not None else f"{title}: the study has no threshold")
    # In two lines: the texts at the right leave the strips little width, and a longer label would be cut off.
    axes.set_xlabel("threshold: training images of the concept\narea of a mark: share of the settings that lead to it")
    if axes.get_legend_handles_labels()[0]:
        figure.legend(frameon=False, loc="outside lower center", ncols=2)
    figure.savefig(path, dpi=160)
    plt.close(figure)


def references_sheet(table, path, title, columns=8):
    """Draw the references of a concept with their ids and decisions: those kept in full, then the others, paler.

    Args:
        table: path of a table that `fit references select` wrote; path: of the picture to write.
    """
    rows = parquet.read(table, ["image_id", "kept", "decision", "bytes"]).to_pylist()
    rows.sort(key=lambda row: (not row["kept"], row["decision"], row["image_id"]))
    lines = max(1, -(-len(rows) // columns))
    figure, grid = plt.subplots(lines, columns, figsize=(1.3 * columns, 1.55 * lines + 0.5), squeeze=False)
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.02, top=1 - 0.45 / figure.get_figheight(), hspace=0.45)
    kept = sum(row["kept"] for row in rows)
    figure.suptitle(f"{title or 'References'}: {kept} of {len(rows)} kept", fontsize=10)
    for axes in grid.flat:
        axes.axis("off")
    for axes, row in zip(grid.flat, rows, strict=False):
        if row["bytes"]:
            picture = images.decode(row["bytes"], f"{table}, image {row['image_id']}")
            axes.imshow(picture, alpha=1 if row["kept"] else 0.35)
        colour = INK if row["kept"] else ACCENT
        axes.set_title(f"{row['image_id'][-24:]}\n{row['decision']}", fontsize=5, color=colour, pad=2)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def generated_sheet(table, path, title, columns=12):
    """Draw generated pictures of a concept, the first of each prompt beside it; one that failed by its status; without
    any, a blank page.

    Args:
        table: path of a table of the schema GENERATED; path: of the picture to write; columns: pictures a prompt.
    """
    rows = parquet.read(table, ["prompt", "status"]).to_pylist()
    of_prompts: dict[str, list] = {}
    for number, row in enumerate(rows):
        of_prompts.setdefault(row["prompt"], []).append(number)
    columns = min(columns, max(map(len, of_prompts.values()), default=1))
    pictures = images.pictures_at(
        table, [number for of_prompt in of_prompts.values() for number in of_prompt[:columns]]
    )
    lines = max(1, len(of_prompts))
    width, height = columns + 2.6, 1.05 * lines + 0.45
    figure, grid = plt.subplots(lines, columns, figsize=(width, height), squeeze=False)
    figure.subplots_adjust(left=2.5 / width, right=0.995, bottom=0.01, top=1 - 0.4 / height, wspace=0.05, hspace=0.05)
    figure.suptitle(f"{title or 'Generated'}: {len(rows)} pictures", fontsize=10)
    for axes in grid.flat:
        axes.axis("off")
    for cells, (prompt, of_prompt) in zip(grid, of_prompts.items(), strict=False):
        text = textwrap.fill(prompt, 34)
        cells[0].text(-0.08, 0.5, text, transform=cells[0].transAxes, ha="right", va="center", fontsize=7)
        for axes, number in zip(cells, of_prompt, strict=False):
            picture = pictures[number]
            if picture:
                axes.imshow(picture.resize((96, 96)) if max(picture.size) > 256 else picture, interpolation="nearest")
            else:
                axes.text(
                    0.5, 0.5, rows[number]["status"], transform=axes.transAxes, ha="center", color=ACCENT, fontsize=7
                )
    figure.savefig(path, dpi=110)
    plt.close(figure)


def contact_sheet(rows, path, title, references=4, generated=8):
    """Draw a row of pictures a concept: kept references on the left, generated ones on the right.

    Args:
        rows: list of (label, reference table, generated table), paths of image tables; without any, a blank page.
        path: of the picture to write; references, generated: how many of each.
    """
    columns, lines = references + generated, max(1, len(rows))
    figure, grid = plt.subplots(lines, columns, figsize=(0.62 * columns + 2.2, 0.62 * lines + 0.7), squeeze=False)
    figure.subplots_adjust(
        left=2.2 / figure.get_figwidth(), right=0.995, bottom=0.01, top=1 - 0.6 / figure.get_figheight()
    )
    figure.suptitle(title or "References and generated pictures", fontsize=10, y=1 - 0.1 / figure.get_figheight())
    for axes in grid.flat:
        axes.axis("off")
    for cells, (label, left, right) in zip(grid, rows, strict=False):
        chosen = []
        for table, wanted in ((left, references), (right, generated)):
            there = images.rows_to_show(table)
            every = there[np.linspace(0, len(there) - 1, min(wanted, len(there))).astype(int)].tolist()
            chosen.append([*images.pictures_at(table, every).values(), *[None] * (wanted - len(every))])
        for axes, picture in zip(cells, chosen[0] + chosen[1], strict=True):
            if picture is not None:
                axes.imshow(picture, interpolation="nearest")
        cells[0].text(-0.15, 0.5, label, transform=cells[0].transAxes, ha="right", va="center", fontsize=7)
    for column, text in ((0, "references"), (references, "generated")):
        grid[0][column].text(0, 1.12, text, transform=grid[0][column].transAxes, fontsize=8, color=ACCENT)
    figure.savefig(path, dpi=100)
    plt.close(figure)
