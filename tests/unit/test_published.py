"""The published numbers that the docs show are those that the package compares with."""

from pathlib import Path

from fit.published import FACES_THAT_CAPTIONS_MISS, INVARIANCE, LATER_CHANGES, SOURCE, THRESHOLDS

TEXT = (Path(__file__).parents[2] / "docs/paper.md").read_text(encoding="utf-8")
DOMAINS = ("celebrities", "politicians", "classical_artists", "modern_artists")


def test_the_docs_show_the_published_thresholds_of_each_model():
    for model in ("sd1.1", "sd1.5", "sd2.1"):
        cells = " | ".join(str(THRESHOLDS[model, domain]) for domain in DOMAINS)
        assert f"| {model.upper()} | {cells} |" in TEXT
    assert ", ".join(str(THRESHOLDS[f"sd1.{i}", "politicians"]) for i in range(1, 6)) + " images" in TEXT


def test_the_docs_show_the_other_published_numbers_and_their_source():
    assert f"| {LATER_CHANGES['sd1.1', 'classical_artists'][0]} images |" in TEXT
    assert ", ".join(f"{INVARIANCE[domain]:.4f}" for domain in DOMAINS) in TEXT
    low, high = FACES_THAT_CAPTIONS_MISS
    assert f"{100 * low:.0f} to {100 * high:.3f} %" in TEXT
    assert SOURCE.partition("; ")[2] in TEXT
