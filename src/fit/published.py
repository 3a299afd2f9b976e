"""Values that others published, each with its source: to compare results with, and match thresholds with a name."""

MIMETIC2 = "arXiv 2410.15002"

SOURCE = f"{MIMETIC2}, first version; read from a copy of its tables, not from the paper itself"
"""Where THRESHOLDS, LATER_CHANGES, INVARIANCE and FACES_THAT_CAPTIONS_MISS were read."""

Pair = tuple[str, str]
"""(model, domain), named as in config.yaml."""

_DOMAINS = ("celebrities", "politicians", "classical_artists", "modern_artists")
_OF_DOMAINS = {"sd1.1": (364, 234, 112, 198), "sd1.5": (364, 234, 112, 198), "sd2.1": (527, 369, 185, 241)}

THRESHOLDS: dict[Pair, int] = {
    **{(model, domain): of[i] for model, of in _OF_DOMAINS.items() for i, domain in enumerate(_DOMAINS)},
    ("sd1.2", "politicians"): 252,
    ("sd1.3", "politicians"): 234,
    ("sd1.4", "politicians"): 234,
}
"""(model, domain) -> imitation threshold, in images: the first change point of PELT at the penalty 0.9 (SOURCE)."""

LATER_CHANGES: dict[Pair, tuple[int, ...]] = {("sd1.1", "classical_artists"): (391,)}
"""(model, domain) -> change points of PELT after the first, in images (SOURCE)."""

INVARIANCE = dict(zip(_DOMAINS, (0.0007, 0.0023, -0.0088, -0.0013), strict=True))
"""Domain -> mean difference of the scores of concepts that are fewer than 10 images apart (SOURCE; the copy names no
model, and does not say which of two scores is taken from the other)."""

FACES_THAT_CAPTIONS_MISS = (0.0, 0.00051)
"""Least and greatest share of images that show a concept's face though their captions do not name it (SOURCE, which
gives 0 to 0.051 %; faces only)."""

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

CAPTION_BINS = (1, 100, 500, 1000, 5000, 10_000)
"""Captions at which the paper's bins of concepts begin, after the bin of no caption: the first holds 1 to 99 (the code
of MIMETIC2, vsahil/MIMETIC-2)."""

CONCEPTS_IN_BINS = {("laion2b_en", "classical_artists"): (14, 67, 133, 62, 63, 39, 40)}
"""(corpus, domain) -> concepts without a caption, and in each of CAPTION_BINS: counted in the list of 418 artists that
the code of MIMETIC2 comes with (`fit concepts fetch paper-classical-artists`)."""
