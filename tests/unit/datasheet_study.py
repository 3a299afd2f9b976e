"""A made-up study.json, with tables of thumbnails, for tests of the datasheet."""

import io
import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pydantic
from PIL import Image

from fit.explorer.contents import (
    PICTURES,
    Answer,
    Comparison,
    Concept,
    Estimate,
    Excluded,
    Fact,
    NameCount,
    Outlier,
    Part,
    Penalty,
    Prompt,
    Published,
    ScoreKind,
    Source,
    Strip,
    StripValue,
    Study,
    Verdict,
)
from fit.explorer.words import GLOSSARY, Measured, assumptions
from fit.io.concept_tables import write_concepts
from fit.thresholds.limits import limits

MARKUP = "<img src=x onerror=alert(1)>"
CHINESE = "張大千"
PROMPTS = ("a painting by {name}", "a portrait in the style of {name}")


def make_concept(at: int, of: int, threshold: float = 100.0, name: str | None = None) -> Concept:
    """Return a concept whose count grows with `at`, from 0 to about 3,000."""
    rng = np.random.default_rng(at)
    count = 0.0 if at == 0 else float(round(10 ** (3.5 * at / of)))
    score = (0.55 if count >= threshold else 0.2) + float(rng.normal(0, 0.03))
    slug, name = f"painter-{at:03}", name or f"Painter {at:03}"
    prompts = [
        Prompt(
            prompt=prompt.format(name=name),
            scores={"score": score + shift, "minus_null": score + shift - 0.1},
            images=20,
            targets=int(count) + 10,
        )
        for prompt, shift in zip(PROMPTS, (-0.02, 0.02), strict=True)
    ]
    above = count >= threshold
    return Concept(
        slug=slug,
        name=name,
        aliases=[f"P. {at:03}"],
        group="old" if at % 2 else "new",
        count=count,
        count_interval=[max(0.0, count * 0.9), count * 1.1 + 1],
        captions=int(count * 1.4),
        downloaded=int(count * 1.2),
        matches=int(count * 0.8),
        names=[NameCount(name=name, captions=int(count * 1.4))],
        corrected_count=count * 0.95,
        corrected_interval=[count * 0.85, count * 1.05],
        scores={"score": score, "minus_null": score - 0.1},
        prompts=prompts,
        excluded=[Excluded(step="training images", number=3, why="the link is dead")],
        verdict=Verdict(
            verdict="above" if above else "below",
            words=f"Its {count:,.0f} training images are {'above' if above else 'below'} the threshold's interval.",
            p_above=0.99 if above else 0.02,
            p_high=0.9 if above else 0.1,
        ),
        outlier=Outlier(side="below", causes=["few references"]) if at == 1 else None,
    )


def make_part(concepts: int = 40, names: dict[int, str] | None = None, **changed: Any) -> Part:
    """Return a part with a jump at 100 training images; `changed` replaces fields of it."""
    names = names or {}
    estimates = [
        Estimate(estimator="pelt", label="PELT, as published", threshold=100.0, interval=[70.0, 140.0]),
        Estimate(estimator="logistic", label="logistic", threshold=None, interval=None, reason="the fit has no rise"),
    ]
    part = Part(
        model="my-model",
        domain="painters",
        corpus="pictures",
        is_of_people=False,
        score_label="imitation score",
        answer=Answer(
            kind="jump",
            sentence="my-model begins to imitate painters at about 100 training images (95 %: 70 to 140)",
            threshold=100.0,
            interval=[70.0, 140.0],
            estimator="pelt",
            rests_on=[
                "It rests on 40 concepts and 1,600 generated pictures.",
                "Chance alone does not make such a jump.",
            ],
            warnings=["Few concepts lie near the threshold."],
            published=Published(threshold=112.0, ours=100.0, sentence="the paper has 112, this study 100"),
        ),
        scores=[
            ScoreKind(
                name="score",
                label="imitation score, as published",
                words="The mean cosine to the nearest targets.",
                estimates=estimates,
                penalties=[Penalty(penalty=0.9, threshold=100.0)],
            ),
            ScoreKind(
                name="minus_null", label="score minus null", words="What is above the null.", estimates=estimates
            ),
        ],
        concepts=[make_concept(at, concepts, name=names.get(at)) for at in range(concepts)],
        calibration=[Fact(label="match threshold", value="0.278", words="A cosine above it is a match.")],
        sensitivity=[
            Strip(
                choice="penalty",
                values=[
                    StripValue(label="0.5", threshold=90.0, is_used=False),
                    StripValue(label="0.9", threshold=100.0, is_used=True),
                ],
            )
        ],
        assumptions=assumptions(Measured(corpus="pictures", survives=True)),
    )
    return replace(part, **changed)


def make_study(*parts: Part, **changed: Any) -> Study:
    """Return a study of some parts; `changed` replaces fields of it."""
    study = Study(
        study="made-up",
        made="2026-01-30 12:00:00 UTC",
        fit="0.1.0",
        seed=7,
        parts=list(parts),
        comparisons=[],
        missing=["No ratings of people were given."],
        pictures_left_out="",
        glossary=list(GLOSSARY),
        limits=list(limits()),
        versions={"numpy": "2.0.0", "torch": "2.9.0"},
        sources=[
            Source(
                file="results/scores/my-model/painters.parquet",
                rule="tabulate_scores",
                says="counts and scores",
                sha256="0" * 64,
                made="2026-01-29 10:00:00 UTC",
                settings={"seed": 7},
            )
        ],
        tables=[],
    )
    return replace(study, **changed)


COMPARISON = Comparison(
    first="my-model/painters",
    second="other/painters",
    sentence="other's threshold is 1.5 times my-model's",
    ratio=1.5,
    interval=[0.9, 2.4],
    p_value=0.12,
    concepts=40,
    pairs=[],
)


def write_study(study: Study, root: Path) -> Path:
    """Write results/explorer/{study}/study.json in the folder `root`, and return its path."""
    path = Path(root, "results", "explorer", study.study, "study.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pydantic.TypeAdapter(Study).dump_json(study))
    return path


def write_pictures(part: Part, root: Path, only: int | None = None) -> Path:
    """Write thumbnails of the first `only` concepts of a part; return their folder."""
    folder = Path(root, "results", "explorer", "pictures", part.model, part.domain)
    tables = []
    for concept in part.concepts[:only]:
        rows = [
            {"role": "reference", "rank": 0, "image_id": "r0", "prompt": "", "cosine": None, "near": ""},
            {"role": "reference", "rank": 1, "image_id": "r1", "prompt": "", "cosine": None, "near": ""},
        ]
        for at in range(3):
            made = {"image_id": f"g{at}", "prompt": concept.prompts[0].prompt if concept.prompts else ""}
            rows.append({"role": "generated", "rank": at, "cosine": None, "near": ""} | made)
            near = {"image_id": f"t{at}", "prompt": "", "cosine": 0.5 + at / 10, "near": f"g{at}"}
            rows.append({"role": "target", "rank": at} | near)
        for at, row in enumerate(rows):
            row |= {"concept": concept.slug, "width": 96, "height": 64 + 8 * (at % 5), "bytes": _picture(at)}
        tables.append((concept.slug, pa.Table.from_pylist(rows, schema=PICTURES).drop_columns("concept")))
    folder.mkdir(parents=True, exist_ok=True)
    write_concepts(tables, folder / "part_000.parquet", PICTURES)
    return folder


@cache
def _picture(seed: int) -> bytes:
    drawn = np.random.default_rng(seed).integers(0, 255, (8 + seed % 5, 12, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(drawn).resize((96, 64 + 8 * (seed % 5))).save(file, "WEBP", quality=70)
    return file.getvalue()


def written(path: Path) -> dict[str, Any]:
    """Return what is in a study.json."""
    return json.loads(path.read_text())
