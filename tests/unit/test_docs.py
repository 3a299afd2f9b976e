"""What the docs tell a reader to type names what is there."""

import re
from pathlib import Path

import pytest

from fit.concepts import read_sheet

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def unknown_painters(text, slugs):
    """Files of the default study in `text` whose concept is not on its sheet."""
    return [slug for slug in re.findall(r"/painters/([a-z0-9-]+)\.(?:parquet|png)", text) if slug not in slugs]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_names_only_painters_who_are_on_the_sheet(page):
    slugs = {concept.concept for concept in read_sheet(ROOT / "concepts/painters.tsv")}
    assert unknown_painters("snakemake -f results/scores/atelier/painters/ada-morrini.parquet", slugs)
    assert not unknown_painters(page.read_text(encoding="utf-8"), slugs)
