"""Measures how far scores rise with the count where nothing is imitated, and writes the tables into the docs.

    python benchmarks/scores.py --docs docs/scores.md

The first table scores vectors: pictures of another identity than the concept's, compared with more and more targets.

The others are of whole studies. A study has 100 or 400 concepts, 200 counts from 1 to 100,000, log-uniform, and 20
references beside the matches. The cosines of a concept's targets to its pictures are normal, with an sd that is given;
so are those of 20 other concepts' pictures. A concept has a level, the same in its published and its fixed score, with
an sd of 0.02. What imitation adds is the same for all targets of a concept.
"""

import argparse
import sys
import time
from functools import cache
from pathlib import Path

import numpy as np
from scipy.special import expit
from scipy.stats import norm

from fit.scores.fixed import fixed_scores, fixed_weights
from fit.scores.imitation import image_scores
from fit.scores.targets import FEW_MATCHES
from fit.thresholds.by_score import rise_p_value
from fit.thresholds.estimators import find_estimator
from fit.thresholds.report import CHANCE
from fit.thresholds.scores import sort_scores
from fit.thresholds.uncertainty import permutation_p_value

sys.path.insert(0, str(Path(__file__).parent))
from pages import write_between
from threshold import table_of

TOP_K, FIXED, REFERENCES, OTHERS = 10, 20, 20, 20
PENALTY = 0.9
COUNTS = np.floor(10 ** ((np.arange(200) + 0.5) / 40)).astype(int)
LEVEL = 0.02
"""Sd of the level of a concept."""
WIDTH = np.log(81)
"""Of a logistic, in its scale: from 10 to 90 %."""
KINDS = {"face-like": (0.042, True), "style-like": (0.066, False)}
"""Name -> (sd of the cosines, whether references are targets beside the matches)."""


def unit(vectors):
    """Vectors [..., D] of length 1."""
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def score_strangers(matches, sd, both, size, rng):
    """(published score, that at `size` targets) of pictures of one identity on the targets of another."""
    # The mean of 4 pictures with cosines of 0.5 to one another has a length of 0.79.
    dimension = round((0.79 / sd) ** 2)
    pictures = unit(unit(rng.normal(size=dimension)) + unit(rng.normal(size=(4, dimension))))
    number = matches + REFERENCES if both else (matches if matches >= FEW_MATCHES else REFERENCES)
    targets = unit(rng.normal(size=(number, dimension)))
    cosines = targets.astype(np.float64) @ pictures.mean(axis=0, dtype=np.float64)
    fixed = fixed_scores(cosines[:, None], fixed_weights(number, [size], TOP_K))[0, 0]
    return image_scores(pictures, targets, TOP_K).mean(), fixed


def strangers_table(repeats, seed, matches=(0, 10, 11, 20, 100, 1000, 10_000)):
    """Lines of a table: mean scores of pictures of another identity, by the number of matches."""
    rows = []
    for kind, (sd, both) in KINDS.items():
        # Of styles, one concept with 11 matches limits all of them to choosing from 11 targets.
        size = FIXED if both else FEW_MATCHES
        drawn = [[np.random.default_rng([seed, m, r]) for r in range(repeats)] for m in matches]
        scores = [
            [score_strangers(m, sd, both, size, rng) for rng in of_m] for m, of_m in zip(matches, drawn, strict=True)
        ]
        published, fixed = np.mean(scores, axis=1).T
        rows.append((f"{kind} (sd {sd}), published score", [f"{score:.3f}" for score in published]))
        rows.append((f"{kind}, fixed at {size} targets", [f"{score:.3f}" for score in fixed]))
    return table_of(rows, [f"{m:,} matches" for m in matches])


@cache
def weights_of(number):
    """Weights [number] of targets, at the fixed number."""
    return fixed_weights(number, [FIXED], TOP_K)[0]


def draw_top(numbers, rng):
    """Mean of the TOP_K highest of so many normal draws: [N] for `numbers` [N], without drawing the others."""
    tail, total = np.zeros(len(numbers)), np.zeros(len(numbers))
    for place in range(TOP_K):
        tail += np.log(rng.random(len(numbers))) / (numbers - place)
        total += norm.isf(-np.expm1(tail))
    return total / TOP_K


def draw_standard(concepts, rng):
    """Counts [N], and published, fixed and null scores [N] of a study without imitation; the cosines' sd is 1."""
    counts = rng.choice(COUNTS, concepts)
    published, fixed = np.empty(concepts), np.empty(concepts)
    for concept, number in enumerate(counts + REFERENCES):
        cosines = np.sort(rng.standard_normal(number))[::-1]
        published[concept] = cosines[:TOP_K].mean()
        fixed[concept] = weights_of(int(number)) @ cosines
    null = np.mean([draw_top(counts + REFERENCES, rng) for _ in range(OTHERS)], axis=0)
    return counts, published, fixed, null


def judge(counts, scores, permutations):
    """(PELT's threshold or NaN, best split or NaN, whether the score rises by more than chance) of one score."""
    table = sort_scores([f"c{i:04d}" for i in range(len(counts))], counts, scores)
    is_tested = permutation_p_value(table, permutations, 0) <= CHANCE
    rise = rise_p_value(table)
    pelt, split = (find_estimator(name).estimate(table, PENALTY).threshold for name in ("pelt", "one_change"))
    answers = [np.nan if answer is None else answer for answer in (pelt, split)]
    return (*answers, bool(is_tested), bool(is_tested and rise is not None and rise <= CHANCE))


def studies_tables(studies, seed, permutations, sds, sizes):
    """Lines of two tables: type 1 errors without imitation, and what is found of true jumps and rises."""
    none, true = [], []
    for concepts in sizes:
        errors: dict = {}
        found: dict = {}
        for study in range(studies):
            rng = np.random.default_rng([seed, concepts, study])
            counts, *standard = draw_standard(concepts, rng)
            level = rng.normal(0, LEVEL, concepts)
            for sd in sds:
                published, fixed, null = (score * sd for score in standard)
                scores = published + level, fixed + level, published + level - null
                of_each = [judge(counts, score, permutations) for score in scores]
                survives = of_each[1][3] and of_each[2][3]
                pelt = np.isfinite(of_each[0][0])
                errors.setdefault(sd, []).append([pelt, of_each[0][2], of_each[1][3], of_each[2][3], pelt and survives])
            for fold in (1, 10):
                place = np.log(counts / 1000)
                rise = 0.4 * (place >= 0 if fold == 1 else expit(place * WIDTH / np.log(fold)))
                published, fixed, null = (score * 0.08 for score in standard)
                level_of = level + rise + rng.normal(0, 0.08, concepts)
                scores = published + level_of, fixed + level_of, published + level_of - null
                of_each = [judge(counts, score, permutations) for score in scores]
                found.setdefault(fold, []).append(
                    [*(one[0] for one in of_each), *(one[1] for one in of_each), of_each[1][3] and of_each[2][3]]
                )
        for sd, of_studies in errors.items():
            none.append((f"{concepts} concepts, sd {sd:g}", [f"{share:.1%}" for share in np.mean(of_studies, axis=0)]))
        for fold, of_studies in found.items():
            kind = "step" if fold == 1 else f"rise over a factor of {fold}"
            *answers, survived = np.array(of_studies, float).T
            cells = [f"{np.nanmedian(one):,.0f}" if np.isfinite(one).any() else "none" for one in answers]
            true.append((f"{kind} at 1,000, {concepts} concepts", [*cells, f"{survived.mean():.0%}"]))
    of_none = (
        *("PELT finds a threshold", "p <= .05, published", "rises, fixed targets", "rises, minus null"),
        "the sentence says a threshold",
    )
    scores = ("published", "fixed targets", "minus null")
    of_true = (*(f"PELT, {one}" for one in scores), *(f"best split, {one}" for one in scores), "survives")
    return table_of(none, of_none), table_of(true, of_true)


def main():
    """Simulate, print the tables, and write them into the docs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=20, help="simulated studies per row; the docs' are of more")
    parser.add_argument("--repeats", type=int, default=20, help="concepts per number of matches in the first table")
    parser.add_argument("--permutations", type=int, default=199, help="of each test")
    parser.add_argument("--sds", type=float, nargs="+", default=[0.0, 0.03, 0.045, 0.06, 0.1], help="of the cosines")
    parser.add_argument("--concepts", type=int, nargs="+", default=[100, 400], help="of a study")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--docs", type=Path, default=None, help="file whose tables are written again: docs/scores.md")
    args = parser.parse_args()
    started = time.process_time()
    none, true = studies_tables(args.studies, args.seed, args.permutations, args.sds, args.concepts)
    tables = {"strangers": strangers_table(args.repeats, args.seed), "without": none, "with": true}
    for mark, lines in tables.items():
        if mark != "strangers":
            lines[:0] = [f"{args.studies} studies a row.", ""]
        print("\n".join(lines), "", sep="\n")
        if args.docs:
            write_between(args.docs, mark, lines)
    print(f"{time.process_time() - started:.0f} s")


if __name__ == "__main__":
    main()
