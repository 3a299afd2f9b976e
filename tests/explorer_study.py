"""A made-up study of any size, as study.json and tables of thumbnails, for tests of the explorer and a benchmark."""

import hashlib
import io
import json
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image

from fit.explorer.contents import PICTURES, VERSION
from fit.io.concept_tables import write_concepts

MARKUP = "<img src=x onerror=alert(1)>"
"""A name that would run a script, if a page took it for markup."""
KINDS = {
    "score": ("imitation score, as published", "The mean cosine of the pictures to their ten closest targets."),
    "fixed_score": ("at a fixed number of targets", "The same score with as many targets for each concept."),
    "minus_null": ("minus the null score", "The score less that of other concepts' pictures on the same targets."),
    "null_score": ("null score", "The score of other concepts' pictures: it shows what rises by itself."),
}
ESTIMATORS = {"pelt": "PELT, as published", "one_change": "one change", "isotonic": "isotonic", "logistic": "logistic"}
PROMPTS = ("a photograph of {name}", "{name} at the sea", "a portrait of {name}", "{name} in a garden", "{name}")
TERMS = {
    "imitation threshold": "The number of training images of a concept from which a model imitates it. It is not a "
    "limit that a law sets.",
    "effective count": "How many training images show a concept. It is not the number of captions.",
    "imitation score": "How closely generated pictures resemble the concept's own. It is not a judgement by people.",
    "reference": "A verified picture of a concept, by which others are recognised.",
    "target": "A picture that generated pictures are compared with: a match or a reference.",
    "match": "A training image that shows its concept, as far as the embedder can tell.",
    "interval": "A range that contains the true value in 95 of 100 studies like this one.",
    "estimator": "A rule by which the jump of the scores is found.",
    "null score": "The score where nothing is imitated.",
    "gradual rise": "Scores that rise without a jump; then there is a middle and a width, and no single threshold.",
}


def concept(number, count, threshold, rng, **changed):
    """Return concept `number` of a part, as study.json has it."""
    name = changed.get("name", f"Painter Nr. {number:03d}")
    level = 0.25 + 0.35 / (1 + math.exp(-2.2 * (math.log10(count + 1) - math.log10(threshold + 1))))
    prompts = []
    for prompt in PROMPTS:
        score = float(level + rng.normal(0, 0.02))
        null = float(0.22 + 0.01 * math.log10(count + 1) + rng.normal(0, 0.01))
        scores = {"score": score, "fixed_score": score - 0.01, "minus_null": score - null, "null_score": null}
        prompts.append({"prompt": prompt.format(name=name), "scores": scores, "images": 40, "targets": 10})
    is_high = level > 0.42
    found = {
        "slug": f"painter-{number:03d}",
        "name": name,
        "aliases": [f"Master {number}"] if number % 3 == 0 else [],
        "group": ("north", "south", "")[number % 3],
        "count": count,
        "count_interval": [max(0, round(count * 0.8) - 1), round(count * 1.25) + 1],
        "captions": round(count * 1.4),
        "downloaded": round(count * 1.1),
        "matches": round(count * 0.8),
        "names": [{"name": name, "captions": round(count * 1.4)}],
        "corrected_count": count * 0.95,
        "corrected_interval": [count * 0.7, count * 1.3],
        "scores": {kind: float(np.mean([prompt["scores"][kind] for prompt in prompts])) for kind in KINDS},
        "prompts": prompts,
        "excluded": [{"step": "generated pictures", "number": 3, "why": "no face was found"}]
        if number % 5 == 0
        else [],
        "verdict": {
            "verdict": "above" if is_high else "below",
            "words": f"its {count:,} images are {'above' if is_high else 'below'} the threshold",
            "p_above": 0.98 if is_high else 0.02,
            "p_high": 0.97 if is_high else 0.03,
        },
        "outlier": None,
    }
    if number % 41 == 7:
        found["outlier"] = {"side": "below" if not is_high else "above", "causes": ["its references are alike"]}
    return found | changed


def part(model, domain, concepts, threshold, seed=0, **changed):
    """Return a part of `concepts` concepts, as study.json has it."""
    rng = np.random.default_rng(seed)
    counts = np.unique(np.round(10 ** np.linspace(0, 4.6, concepts))).astype(int).tolist()
    counts = sorted([0] * (concepts - len(counts)) + counts) if len(counts) < concepts else counts
    counts[0] = 0
    found = [concept(number, count, threshold, rng) for number, count in enumerate(counts)]
    estimates = [
        {
            "estimator": name,
            "label": label,
            "threshold": threshold * (1 + 0.1 * place),
            "interval": [threshold * 0.7, threshold * 1.5],
        }
        for place, (name, label) in enumerate(ESTIMATORS.items())
    ]
    none = {"threshold": None, "interval": None, "reason": "the scores do not change"}
    penalties = [
        {"penalty": penalty, "threshold": threshold * (0.8 + penalty / 5) if penalty < 2 else None}
        for penalty in (0.1, 0.3, 0.5, 0.7, 0.9, 1.2, 2.0)
    ]
    strip = [(str(row["penalty"]), row["threshold"], row["penalty"] == 0.9) for row in penalties]
    targets = [("matches and references", threshold, True), ("matches alone", threshold * 1.4, False)]
    return {
        "model": model,
        "domain": domain,
        "corpus": "made-up-corpus",
        "is_of_people": False,
        "score_label": "imitation score (cosine)",
        "answer": {
            "kind": "jump",
            "sentence": f"{model} imitates {domain} from {threshold} training images on (95 % interval: "
            f"{threshold * 0.7:.0f} to {threshold * 1.5:.0f}): there the imitation score of a concept jumps",
            "threshold": threshold,
            "interval": [threshold * 0.7, threshold * 1.5],
            "estimator": "pelt",
            "rests_on": [
                f"It rests on {concepts} concepts, each with its effective count and 200 pictures.",
                "The permutation test calls it no chance (p = 0.001).",
            ],
            "warnings": ["By the score minus the null score, the jump is at 1.2 times as many images."],
            "published": {
                "threshold": 364,
                "ours": threshold,
                "sentence": f"The paper found 364 for SD1.1; here it is {threshold}.",
            },
        },
        "scores": [
            {
                "name": kind,
                "label": label,
                "words": words,
                "estimates": [one | none for one in estimates] if kind == "null_score" else estimates,
                "penalties": [] if kind == "null_score" else penalties,
            }
            for kind, (label, words) in KINDS.items()
        ],
        "concepts": found,
        "calibration": [
            {"label": "match threshold", "value": "0.46", "words": "Above it, two images show the same concept."},
            {"label": "false matches", "value": "0.3 %", "words": "Of images of other concepts."},
        ],
        "sensitivity": [
            {"choice": choice, "values": [{"label": a, "threshold": b, "is_used": c} for a, b, c in values]}
            for choice, values in {"penalty": strip, "targets of faces": targets}.items()
        ],
        "assumptions": [
            {"assumption": "Captions name their pictures.", "status": "checked in part", "words": "12 % are missed."},
            {"assumption": "Each image counts alike.", "status": "not checked", "words": "It can be by retraining."},
            {"assumption": "Recognition errs alike for all.", "status": "does not hold", "words": "Groups differ."},
            {"assumption": "The jump is no chance.", "status": "checked", "words": "A permutation test says so."},
        ],
    } | changed


def comparison(first, second):
    """Return a comparison of two parts, as study.json has it."""
    other = {one["slug"]: one for one in second["concepts"]}
    both = [(one, other[one["slug"]]) for one in first["concepts"] if one["slug"] in other]
    return {
        "first": f"{first['model']}/{first['domain']}",
        "second": f"{second['model']}/{second['domain']}",
        "sentence": "the threshold of the second is 1.4 times that of the first (95 % interval: 1.1 to 1.9)",
        "ratio": 1.4,
        "interval": [1.1, 1.9],
        "p_value": 0.012,
        "concepts": len(both),
        "pairs": [
            {
                "slug": a["slug"],
                "name": a["name"],
                "counts": [a["count"], b["count"]],
                "scores": [a["scores"]["score"], b["scores"]["score"]],
            }
            for a, b in both
        ],
    }


def study(parts, **changed):
    """Return a study, as study.json has it."""
    table = [[one["name"], one["count"], one["scores"].get("score")] for part in parts for one in part["concepts"]]
    return {
        "version": VERSION,
        "study": "made-up",
        "made": "2026-01-02 03:04 UTC",
        "fit": "0.1.0",
        "seed": 0,
        "parts": parts,
        "comparisons": [],
        "missing": [],
        "pictures_left_out": "",
        "glossary": [{"term": term, "words": words} for term, words in TERMS.items()],
        "limits": ["It says what goes with more images, not what they cause.", "It says nothing about other models."],
        "readers": [{"who": "Teams that train models", "words": "A reason to look at these concepts."}],
        "unsupported": ["As a permission: see docs/limits.md."],
        "data": [
            {
                "kind": "corpus",
                "name": "crawl",
                "places": ["data/part-0.parquet", "images behind its links"],
                "origin": "somebody",
                "licence": "cc-by-4.0",
                "opt_outs": "honoured: 3 of 1,204 links were refused, and left out",
                "refused": 3,
                "links": 1204,
            },
            {"kind": "model", "name": "a", "places": ["owner/a"], "origin": "", "licence": "", "opt_outs": ""},
        ],
        "versions": {"fit": "0.1.0", "torch": "2.15.0"},
        "sources": [
            {
                "file": "results/thresholds/a/painters.json",
                "rule": "detect_threshold",
                "says": "The threshold and its interval.",
                "sha256": hashlib.sha256(b"made up").hexdigest(),
                "made": "2026-01-02 03:00 UTC",
                "settings": {"penalty": 0.9, "seed": 0},
            }
        ],
        "tables": [
            {"name": "concepts", "title": "Concepts", "columns": ["name", "count", "score"], "rows": table, "note": ""}
        ],
    } | changed


def thumbnail(rng, level, px=112):
    """Return a picture as WebP, about as large as that of a photograph: waves of random colours, and grain."""
    y, x = np.mgrid[0:px, 0:px] / px
    waves = sum(
        rng.normal(0, 28, (1, 1, 3))
        * np.sin(2 * np.pi * (rng.uniform(0.5, 7) * x + rng.uniform(0.5, 7) * y) + rng.uniform(0, 6))[..., None]
        for _ in range(6)
    )
    pixels = 110 + 60 * level + waves + rng.normal(0, 26, (px, px, 1))
    data = io.BytesIO()
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(data, "webp", quality=70)
    return data.getvalue()


def pictures_of(one, rng, references=2, generated=4, targets=1, px=112, pool=()):
    """Return the rows of a concept's thumbnails: contents.PICTURES, without the column `concept`.

    Pictures are made, or drawn from `pool`.
    """
    rows = []

    def add(role, rank, image_id, prompt=None, cosine=None, near=None):
        data = pool[rng.integers(len(pool))] if pool else thumbnail(rng, rng.random(), px)
        row = {"role": role, "rank": rank, "image_id": image_id, "prompt": prompt, "cosine": cosine, "near": near}
        rows.append(row | {"width": px, "height": px, "bytes": data})

    for rank in range(references):
        add("reference", rank, f"reference-{rank}")
    for rank in range(generated):
        prompt = one["prompts"][rank % len(one["prompts"])]["prompt"] if one["prompts"] else "a picture"
        add("generated", rank, f"generated-{rank}", prompt)
        for place in range(targets):
            add("target", place, f"target-{rank}-{place}", cosine=0.6 - 0.05 * place, near=f"generated-{rank}")
    return rows


def write(folder, found, pictures=True, **of_pictures):
    """Write a study below `folder`; return the path of study.json, and the folders of its tables of pictures."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "study.json"
    path.write_text(json.dumps(found), encoding="utf-8")
    places = []
    columns = pa.schema([field for field in PICTURES if field.name != "concept"])
    for part in found["parts"] if pictures else []:
        rng = np.random.default_rng(len(places))
        place = folder / "pictures" / part["model"] / part["domain"]
        place.mkdir(parents=True)
        tables = [
            (one["slug"], pa.Table.from_pylist(pictures_of(one, rng, **of_pictures), columns))
            for one in part["concepts"]
        ]
        write_concepts(tables, place / "part_000.parquet", PICTURES)
        places.append(place)
    return path, places
