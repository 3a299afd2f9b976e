"""Values that others published, each with its source: to compare results with, and match thresholds with a name."""

MIMETIC2 = "arXiv 2410.15002"

THRESHOLDS = {
    ("sd1.1", "celebrities"): 364,
    ("sd1.1", "politicians"): 234,
    ("sd1.1", "classical_artists"): 112,
    ("sd1.1", "modern_artists"): 198,
}
"""(model, domain) -> imitation threshold, in images (MIMETIC2, table 2)."""

MATCH_THRESHOLDS = {
    "paper-faces": 0.457,
    "paper-faces-f1": 0.558,
    "paper-classical": 0.278,
    "paper-modern": 0.288,
}
"""Name -> cosine above which two images show the same concept (MIMETIC2). Faces: ArcFace with ResNet-100, the midpoint
and the best F1. Styles: CSD with ViT-L, the best F1, of classical and of modern artists."""

ART_THRESHOLDS = {"paper-classical": 0.182, "paper-modern": 0.177}
"""Name -> cosine to "an artwork" above which an image is one (MIMETIC2, with DFN5B ViT-H-14-384), by domain."""
