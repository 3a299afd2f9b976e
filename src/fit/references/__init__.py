"""References: verified pictures of each concept, of which the most mutually similar ones are kept."""

SOURCES = {
    "table": "fit.references.table:Table",
    "folder": "fit.references.folder:Folder",
    "serpapi": "fit.references.search.serpapi:Serpapi",
    "wikiart": "fit.references.search.wikiart:Wikiart",
}
"""Name in config.yaml -> class of fit.references.base.ReferenceSource."""
VERSIONS = {"collect_references": 3, "select_references": 4, "draw_references": 2, "count_candidates": 1}
"""Stage -> version, raised whenever what it computes changes."""
