"""Figures by what they draw: titles, axes, legends and the data of their marks; and colours for all readers."""

import itertools

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from fit.reports import figures, style
from fit.reports.contact_sheets import contact_sheet
from fit.thresholds.report import measure
from fit.thresholds.scores import sort_scores

# Machado, Oliveira and Fernandes, "A Physiologically-based Model for Simulation of Color Vision Deficiency" (2009),
# severity 1.0, on linear RGB.
BLIND = {
    "none": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def lab(colour, blindness):
    """CIELAB (D65) of a colour as a reader with that blindness sees it."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.array(BLIND[blindness]) @ linear, 0, 1)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ seen
    x, y, z = np.cbrt(np.maximum(xyz / [0.9505, 1.0, 1.089], 1e-9))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("blindness", BLIND)
def test_colours_that_are_drawn_together_differ_for_everybody(blindness):
    together = {name: getattr(style, name) for name in ("INK", "ACCENT", "SOFT", "LEAF")} | {"PAPER": "white"}
    for (one, a), (other, b) in itertools.combinations(together.items(), 2):
        assert np.linalg.norm(lab(a, blindness) - lab(b, blindness)) > 25, f"{one} and {other}: {blindness}"


def test_red_and_green_would_not_pass():
    assert np.linalg.norm(lab("#c2410c", "deuteranopia") - lab("#6b7a1e", "deuteranopia")) < 25


@pytest.fixture
def drawn(monkeypatch):
    """The figures that were drawn: they are kept instead of closed."""
    kept = []
    monkeypatch.setattr(plt, "close", kept.append)
    yield kept
    monkeypatch.undo()
    plt.close("all")


def draw(counts, scores, path, title="my-model: people"):
    table = sort_scores([f"c{i:03d}" for i in range(len(counts))], np.array(counts), np.array(scores, float))
    found = measure(table, penalty=0.9, resamples=50, seed=0)
    figures.threshold_figure(table.counts, table.scores, found, title, path)
    return found


def texts(figure):
    return [text.get_text() for text in figure.findobj(plt.Text) if text.get_text()]


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def overlap(figure, legend):
    box = legend.get_window_extent()
    return [axes for axes in figure.axes if box.overlaps(axes.get_window_extent())]


@pytest.mark.slow
def test_a_threshold_is_called_that_and_its_sides_are_named(tmp_path, drawn):
    draw(range(20), [0.1] * 10 + [0.9] * 10, tmp_path / "f.png")
    assert "imitation threshold (PELT): 10 images" in legend(drawn[0])
    assert "a concept: its training images, its imitation score" in legend(drawn[0])
    assert {"imitates", "does not imitate"} <= set(texts(drawn[0]))
    assert "my-model: people" in texts(drawn[0])


def lines_of(axes):
    """Label -> data [P, 2] of the lines of axes."""
    return {str(line.get_label()): np.array(line.get_xydata()) for line in axes.lines}


@pytest.mark.slow
def test_every_concept_is_a_dot_at_its_count_and_score(tmp_path, drawn):
    scores = np.linspace(0.1, 0.9, 20)
    draw(range(20), scores, tmp_path / "f.png")
    axes = drawn[0].axes[-1]
    assert np.array(axes.collections[0].get_offsets()) == pytest.approx(np.stack([np.arange(20), scores], axis=1))
    assert axes.get_xlabel() == "effective count: training images of the concept"
    assert axes.get_ylabel() == "imitation score"
    assert axes.get_xscale() == "symlog" and axes.get_xlim()[1] > 19


@pytest.mark.slow
def test_the_threshold_its_interval_and_the_fits_are_drawn_where_they_were_found(tmp_path, drawn):
    found = draw(range(20), [0.1] * 10 + [0.9] * 10, tmp_path / "f.png")
    strip, axes = drawn[0].axes
    for each in (axes, strip):
        spans = [patch.get_extents() for patch in each.patches]
        inside = [each.transData.inverted().transform(span) for span in spans]
        assert [pytest.approx(found["interval"])] == [span[:, 0].tolist() for span in inside]
    lines = lines_of(axes)
    assert set(lines["imitation threshold (PELT): 10 images"][:, 0]) == {10}
    assert lines["isotonic fit"].tolist() == found["estimators"]["isotonic"]["curve"]
    fit = lines["logistic fit"]
    answer = found["estimators"]["logistic"]
    assert fit[0] == pytest.approx([0, answer["low"]], abs=1e-3)
    assert fit[-1, 1] == pytest.approx(answer["high"], abs=1e-3)
    low, high = found["interval"]
    assert f"its 95 % interval: {low:.0f} to {high:.0f} images" in legend(drawn[0])


@pytest.mark.slow
def test_an_estimator_that_is_not_known_any_more_is_drawn_by_its_name(tmp_path, drawn):
    found = draw(range(20), [0.1] * 10 + [0.9] * 10, tmp_path / "f.png")
    found["estimators"]["of old"] = {"threshold": 7, "interval": [6, 9]}
    figures.threshold_figure(np.arange(20), np.arange(20) / 20, found, "t", tmp_path / "g.png")
    assert "of old: 7" in [label.get_text() for label in drawn[1].axes[0].get_yticklabels()]


def test_captions_are_counted_in_bars(tmp_path, drawn):
    counts = np.array([0, 0, 0, 1, 5, 50, 700])
    figures.counts_figure(counts, "laion: people", tmp_path / "f.png")
    (axes,) = drawn[0].axes
    heights = [bar.get_height() for bar in axes.patches]
    assert sum(heights) == 7 and heights[0] == 3
    assert axes.patches[0].get_x() == -0.5 and axes.patches[0].get_width() == 1
    assert axes.get_title() == "laion: people: captions of 7 concepts"
    assert axes.get_xlabel() == "captions that mention the concept"


@pytest.mark.slow
def test_similarities_are_two_histograms_of_shares_and_a_line_between(tmp_path, drawn):
    labels = ("within a concept", "between concepts", "mean cosine")
    figures.match_threshold_figure(np.full(4, 0.8), np.full(6, 0.2), 0.5, labels, tmp_path / "f.png", "same or not")
    (axes,) = drawn[0].axes
    tops = {patch.get_label(): patch.get_path().vertices[:, 1].max() for patch in axes.patches}
    assert tops == {"between concepts": pytest.approx(1), "within a concept": pytest.approx(1)}
    assert set(lines_of(axes)["match threshold: 0.500"][:, 0]) == {0.5}
    assert axes.get_xlabel() == "mean cosine"
    assert set(legend(drawn[0])) == {*labels[:2], "match threshold: 0.500"}
    figures.match_threshold_figure(np.full(4, 0.8), np.zeros(0), None, labels, tmp_path / "g.png", "same or not")
    assert drawn[1].axes[0].get_title() == "same or not: no match threshold was found, too few references"
    assert not drawn[1].axes[0].lines


def test_the_sensitivity_is_a_mark_for_each_threshold_whose_area_is_its_weight(tmp_path, drawn):
    answers = [{"threshold": 5, "weight": 0.5}, {"threshold": 5, "weight": 0.25}, {"threshold": 9, "weight": 0.25}]
    choices = {"penalty": {"answers": answers}, "prompts": {"answers": [{"threshold": None, "weight": 1.0}]}}
    found = {"threshold": 5, "interval": [2, 9], "choices": choices}
    names = {"penalty": ("penalty", "5 to 9 images"), "prompts": ("prompts", "no threshold")}
    figures.sensitivity_figure(found, names, "a study", tmp_path / "f.png")
    (axes,) = drawn[0].axes
    marks = axes.collections[0]
    assert marks.get_offsets().tolist() == [[5, 0], [9, 0]]
    assert marks.get_sizes().tolist() == [12 + 380 * 0.75, 12 + 380 * 0.25]
    assert axes.collections[1].get_offsets().tolist() == []
    assert {"penalty\n5 to 9 images", "prompts\nno threshold", "a study"} <= set(texts(drawn[0]))
    assert "imitation threshold of the study: 5 images" in legend(drawn[0])
    figures.sensitivity_figure(found | {"threshold": None, "interval": None}, names, "a study", tmp_path / "g.png")
    assert drawn[1].axes[0].get_title() == "a study: the study has no threshold"


@pytest.mark.slow
def test_estimators_that_agree_are_marked_below_one_another(tmp_path, drawn):
    found = draw(range(20), [0.1] * 10 + [0.9] * 10, tmp_path / "f.png")
    assert found["estimators"]["one_change"]["threshold"] == found["estimators"]["isotonic"]["threshold"] == 10
    strip = next(axes for axes in drawn[0].axes if axes.get_yticklabels() and len(axes.get_yticks()) == 5)
    marks = [line for line in strip.lines if line.get_linestyle() == "None"]
    assert len({tuple(line.get_ydata()) for line in marks}) == 5
    assert len({line.get_marker() for line in marks}) == 5
    assert [label.get_text().split(":")[0] for label in strip.get_yticklabels()] == [
        "PELT as published",
        "PELT, scaled",
        "best single split",
        "isotonic",
        "logistic",
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("counts", "scores", "why"),
    [
        (range(20), [0.9] * 10 + [0.1] * 10, "the scores fall instead of rising"),
        (range(20), [0.1, 0.2] * 10, "no more of a jump than chance makes"),
        ([1, 2], [0.1, 0.9], "too few concepts"),
        ([0] * 20, [0.1, 0.9] * 10, "all concepts have the same number of training images"),
    ],
)
def test_where_there_is_no_threshold_no_side_is_said_to_imitate(tmp_path, drawn, counts, scores, why):
    draw(counts, scores, tmp_path / "f.png")
    said = " ".join(texts(drawn[0])).replace("\n", " ")
    assert f"no imitation threshold: {why}" in said
    assert "imitates" not in said
    assert not [text for text in legend(drawn[0]) if text.startswith("imitation threshold")]


@pytest.mark.slow
def test_a_title_is_within_its_figure_however_long_it_is(tmp_path, drawn):
    draw(range(20), [0.9] * 10 + [0.1] * 10, tmp_path / "f.png", title="a $model$ with a long name: " + "people " * 12)
    figure = drawn[0]
    figure.draw_without_rendering()
    boxes = [axes.title.get_window_extent() for axes in figure.axes if axes.get_title()]
    assert len(boxes) == 1
    assert boxes[0].x0 >= 0 and boxes[0].x1 <= figure.bbox.x1 and boxes[0].y1 <= figure.bbox.y1


@pytest.mark.slow
def test_no_legend_covers_bars_or_dots(tmp_path, drawn):
    rng = np.random.default_rng(0)
    labels = ("references", "photographs", "highest cosine to the texts")
    figures.match_threshold_figure(
        rng.uniform(0, 1, 500), rng.uniform(0, 1, 500), 0.5, labels, tmp_path / "f.png", "art or not"
    )
    draw(range(20), [0.1] * 10 + [0.9] * 10, tmp_path / "g.png")
    for figure in drawn:
        assert not overlap(figure, figure.legends[0])
        assert not [axes for axes in figure.axes if axes.get_legend()]


@pytest.mark.slow
def test_every_figure_has_a_title_even_where_none_is_given(tmp_path, drawn):
    draw(range(20), [0.1] * 10 + [0.9] * 10, tmp_path / "a.png", title="")
    figures.counts_figure(np.arange(20), "", tmp_path / "b.png")
    labels = ("within", "between", "cosine")
    figures.match_threshold_figure(np.ones(3), np.zeros(3), 0.5, labels, tmp_path / "c.png", "same concept or not")
    choices = {"penalty": {"answers": [{"threshold": 5, "weight": 1.0}]}}
    found = {"threshold": 5, "interval": [0, 9], "choices": choices}
    figures.sensitivity_figure(found, {"penalty": ("penalty", "5")}, "", tmp_path / "d.png")
    contact_sheet([], tmp_path / "e.png", "")
    for figure in drawn:
        assert figure.get_suptitle() or any(axes.get_title() for axes in figure.axes)
