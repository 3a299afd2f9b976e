"""Words of the explorer and the datasheet: the glossary, and what a result rests on."""

import re
from dataclasses import dataclass, field
from typing import Literal

from fit.explorer.contents import Assumption, Term
from fit.io.shown import noun_of, number_of

CHANCE = 0.05
"""A test whose p-value is above this found nothing beyond chance."""

GLOSSARY: tuple[Term, ...] = (
    Term(
        term="imitation threshold",
        words="The number of training images of a concept from which on the model's pictures resemble it clearly more. "
        "A concept is a person or a style that the study looks for. The threshold is measured over many concepts of "
        "one domain, such as painters. It is not a limit for each single concept: one may be "
        "imitated with fewer images, another not with more. It is not a legal limit.",
    ),
    Term(
        term="effective count",
        words="How many training images show a concept: images that match it, scaled up to all captions that name it, "
        "because some images could not be collected. It is an estimate with an interval. It is not the number of "
        "captions with the name, and not the number of different works: copies count.",
    ),
    Term(
        term="imitation score",
        words="How closely the model's pictures of a concept resemble it. An embedder, which is a neural network, "
        "turns each picture, or the face in it, into a vector; the score is the mean cosine between generated pictures "
        "and the targets nearest to them. Higher is more alike. It is not a percentage, not a probability, and not the "
        "judgement of people.",
    ),
    Term(
        term="reference",
        words="A picture of which it is known that it shows the concept. Training images and generated pictures are "
        "compared with references. A reference need not be a training image.",
    ),
    Term(
        term="match",
        words="A training image that is nearer to some reference of a concept than the match threshold, which is a "
        "cosine. The match threshold is not the imitation threshold, which is a number of images. A match is not proof "
        "that the image shows the concept.",
    ),
    Term(
        term="target",
        words="An image that generated pictures of a concept are compared with: a matched training image or a "
        "reference, as the study sets. That a generated picture is near a target does not show that it is a copy of "
        "it.",
    ),
    Term(
        term="interval",
        words="The range in which the true value lies in about 95 of 100 such studies, if the assumptions hold. An "
        "interval of images is above its first number and at most its second. It contains what was drawn by chance. It "
        "does not contain errors of the assumptions.",
    ),
    Term(
        term="estimator",
        words="A rule that finds the threshold in the counts and scores. PELT finds jumps, and is the one that the "
        "paper used, with a penalty that says how large a jump must be. The logistic fits a smooth rise. An estimator "
        "is not a measurement of its own: all use the same scores. Where they differ much, there may be no one number.",
    ),
    Term(
        term="null score",
        words="The score that pictures of other concepts get on a concept's targets: what remains of the score where "
        "the model imitates somebody else. It rises with the number of targets alone. What is above it may be "
        "imitation; what is not above it is not evidence of any.",
    ),
    Term(
        term="gradual rise",
        words="Scores that grow over a wide range of counts, without a jump. Then the middle of the rise is given and "
        "the counts at 10 and 90 % of it. The middle is not a line: imitation grows below it, too.",
    ),
)
"""In the order in which a reader meets them."""


@dataclass(frozen=True)
class Ratings:
    """What people's ratings of pictures say of the score (fit ratings report, key `correlation`)."""

    raters: int
    concepts: int
    spearman: float | None
    interval: tuple[float, float] | None
    """For other raters and other concepts."""
    given_count: float | None = None
    """Partial correlation given the count."""
    given_count_interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class GroupRates:
    """How often the embedder errs on one group of concepts (fit matches verify); without intervals: None."""

    group: str
    fnmr_interval: tuple[float, float] | None
    """Share of pairs of one concept that it does not see as one."""
    fmr_interval: tuple[float, float] | None
    """Share of pairs of two concepts that it takes for one."""


@dataclass(frozen=True)
class Missed:
    """What captions miss (fit missed threshold): thresholds without and with those images; None: no threshold."""

    images: int
    """Of the sample that were looked at."""
    interval: tuple[float, float] | None
    """Of the threshold as captions count."""
    with_missed: float | None


@dataclass(frozen=True)
class Difficulty:
    """What was measured of how difficult concepts are to imitate (by_score.difficulty)."""

    adjusted_for: tuple[str, ...]
    """Covariates that the adjusted score takes off."""
    not_adjusted_for: tuple[tuple[str, str], ...]
    """(covariate, why it could not be)."""
    published: float | None
    """The threshold by the published score; None: there is none."""
    interval: tuple[float, float] | None
    """Of that threshold."""
    adjusted: float | None
    """The threshold by the adjusted score; None: there is none."""


@dataclass(frozen=True)
class Measured:
    """What a study measured that its assumptions can be held against. None: it was not measured."""

    corpus: str = ""
    """Name of the corpus; empty if counts were given."""
    counts_from: str = ""
    """Name of another corpus whose counts were scaled; empty if the corpus was counted itself."""
    downloaded_share: float | None = None
    """Images that were collected, of all that captions of the concepts asked for: 0 to 1."""
    copies_share: float | None = None
    """Of the collected images, those that are copies of another of their concept by a perceptual hash: 0 to 1."""
    groups: tuple[str, ...] = ()
    """Groups of concepts whose thresholds were compared."""
    group_p_value: float | None = None
    """Of the test that they have one threshold."""
    survives: bool | None = None
    """Whether the jump is there at a fixed number of targets and above the null (by_score.survives)."""
    missed: Missed | None = None
    difficulty: Difficulty | None = None
    image_tpr: float | None = None
    """Of the embedder on single images, over all concepts."""
    image_fpr: float | None = None
    worst_pair: tuple[str, str, float] | None = None
    """(images of, taken for, share), of the two concepts that it confuses most."""
    verification: tuple[GroupRates, ...] = field(default=())
    """By group, without the row of all concepts."""
    prompts: int | None = None
    """Prompts of the study."""
    prompt_thresholds: tuple[float | None, ...] = ()
    """Thresholds that the sensitivity found with the prompts chosen otherwise; None among them: no threshold."""
    ratings: Ratings | None = None


Status = Literal["checked", "checked in part", "not checked", "does not hold"]


def _number(value: float) -> str:
    return f"{value:,.0f}"


def _share(value: float) -> str:
    """Return a share in percent, as exactly as its size needs; neither 0 nor 100 % unless it is that."""
    percent = 100 * value
    if percent in (0, 100):
        return f"{percent:.0f} %"
    if percent < 0.01 or percent > 99.99:
        return "under 0.01 %" if percent < 1 else "over 99.99 %"
    return f"{percent:.1f} %" if 0.95 <= percent <= 99.05 else f"{percent:.2f} %"


def in_percent(probability: float) -> str:
    """Say a probability in percent, no finer than the 100 quantiles of a threshold tell it (docs/audit.md)."""
    if probability >= 0.995:
        return "over 99.5 %"
    if probability <= 0.005:
        return "under 0.5 %"
    return f"{100 * probability:.{0 if 0.1 <= probability <= 0.9 else 1}f} %"


def unbroken(text: str) -> str:
    """Return a text whose lines do not end between a number and its percent sign."""
    return re.sub(r"(?<=\d) %", "\N{NO-BREAK SPACE}%", text)


def _and(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else "".join(names)


def _trained_on(of: Measured) -> tuple[Status, str]:
    if of.counts_from:
        return "not checked", (
            f"The counts of {of.corpus} are those of {of.counts_from}, scaled by captions. The study's configuration "
            "says what the model was trained on; nothing here can measure it."
        )
    if not of.corpus:
        return "not checked", "The counts were given. Where they come from is for their source to say."
    return "not checked", (
        f"The study's configuration says that the model was trained on {of.corpus}. Nothing here can measure it: the "
        "model's makers can say it."
    )


def _captions(of: Measured) -> tuple[Status, str]:
    if of.missed is None and not of.corpus:
        return "not checked", "The counts were given. How many images captions miss is for their source to say."
    if of.missed is None:
        return "not checked", "How many images captions miss was not measured; `fit run missed` measures it."
    looked_at = number_of(of.missed.images, "image")
    sample = f"Among {looked_at} whose captions name no concept, each was compared with every concept"
    if of.missed.interval is None:
        return "checked in part", f"{sample}. There is no threshold with an interval that this could move."
    low, high = map(_number, of.missed.interval)
    if of.missed.with_missed is None:
        return "does not hold", f"{sample}. With the images that captions miss, no threshold is found."
    moved = f"With the images that captions miss, the threshold is {_number(of.missed.with_missed)}"
    inside = of.missed.interval[0] <= of.missed.with_missed <= of.missed.interval[1]
    if inside:
        return "checked", f"{sample}. {moved}, in the interval without them ({low} to {high})."
    return "does not hold", f"{sample}. {moved}, outside the interval without them ({low} to {high})."


def _links(of: Measured) -> tuple[Status, str]:
    if of.downloaded_share is None:
        return "not checked", "How many images were collected is not known here."
    if of.downloaded_share >= 1:
        return "checked", "Every image that was asked for was collected, so nothing was extrapolated."
    return "not checked", (
        f"{_share(of.downloaded_share)} of the images that captions lead to were collected. Whether the others show "
        "their concept as often is not measured."
    )


def _alike(of: Measured) -> tuple[Status, str]:
    said = "Copies, crops, small and large images count as one image each. No training with other images tested this."
    if of.copies_share is not None:
        said += f" {_share(of.copies_share)} of the collected images are copies of another one of their concept, maybe "
        said += "encoded again or resized."
    return "not checked", said


def _exchangeable(of: Measured) -> tuple[Status, str]:
    if of.group_p_value is None or len(of.groups) < 2:
        return (
            "not checked",
            "No groups of concepts were compared. A column `group` in the sheet lets the study compare them.",
        )
    who = f"The thresholds of {_and(of.groups)} were compared"
    if of.group_p_value <= CHANCE:
        return "does not hold", f"{who}: they differ by more than chance (p = {of.group_p_value:.2g})."
    return "checked in part", (
        f"{who}: no difference beyond chance (p = {of.group_p_value:.2g}). That is not proof that there is none, and "
        "other ways to group the concepts were not tried."
    )


def _targets(of: Measured) -> tuple[Status, str]:
    if of.survives is None:
        return "not checked", "The score was not compared at a fixed number of targets, nor with its null."
    if of.survives:
        return "checked", "The score also rises at a fixed number of targets, and above the null, by more than chance."
    return "does not hold", (
        "At a fixed number of targets, or above the null, the score does not rise by more than chance. So its rise may "
        "be owed to the number of targets."
    )


def _confounder(of: Measured) -> tuple[Status, str]:
    others = (
        "Fame, age, or a style that is easy to draw may go with many images; retraining with more or fewer images of a "
        "concept would tell."
    )
    if of.difficulty is None:
        return "not checked", f"How difficult a concept is to imitate was not measured apart from its count. {others}"
    if not of.difficulty.adjusted_for:
        why = "; ".join(f"{label}: {reason}" for label, reason in of.difficulty.not_adjusted_for)
        return "not checked", f"The score could not be adjusted for difficulty ({why}). {others}"
    said = f"Of what may do so, the {_and(of.difficulty.adjusted_for)} was measured. "
    if of.difficulty.published is None:
        return "checked in part", f"{said}There is no threshold that it could move. {others}"
    if of.difficulty.adjusted is None:
        return "does not hold", f"{said}By the score adjusted for it there is no threshold. {others}"
    said += f"By the score adjusted for it the threshold is {_number(of.difficulty.adjusted)}"
    if of.difficulty.interval is None:
        return "checked in part", f"{said}. {others}"
    low, high = of.difficulty.interval
    if low < of.difficulty.adjusted <= high:
        return "checked in part", f"{said}, in the interval without it ({_number(low)} to {_number(high)}). {others}"
    return "does not hold", f"{said}, outside the interval without it ({_number(low)} to {_number(high)}). {others}"


def _apart(first: tuple[float, float] | None, second: tuple[float, float] | None) -> bool:
    return first is not None and second is not None and (first[1] < second[0] or second[1] < first[0])


def _recogniser(of: Measured) -> tuple[Status, str]:
    rates = []
    if of.image_tpr is not None:
        rates.append(f"It finds {_share(of.image_tpr)} of single images of a concept")
    if of.image_fpr is not None:
        rates.append(f"{'it' if rates else 'It'} takes {_share(of.image_fpr)} of the images of others for it")
    said = f"{' and '.join(rates)}, over all concepts." if rates else ""
    if of.worst_pair:
        images_of, taken_for, share = of.worst_pair
        said += f" It errs most on images of {images_of}: {_share(share)} are taken for {taken_for}."
    rated = [rates for rates in of.verification if rates.fnmr_interval or rates.fmr_interval]
    if len(rated) < 2:
        if not said:
            return "not checked", "The embedder's errors were not measured; `fit run verification` measures them."
        return "checked in part", f"{said.strip()} Groups of concepts were not compared."
    names = _and(tuple(rates.group for rates in rated))
    apart = [
        f"{one.group} and {other.group}"
        for at, one in enumerate(rated)
        for other in rated[at + 1 :]
        if _apart(one.fnmr_interval, other.fnmr_interval) or _apart(one.fmr_interval, other.fmr_interval)
    ]
    if apart:
        more = f" and {len(apart) - 3} more {noun_of(len(apart) - 3, 'pair')} of groups" if len(apart) > 3 else ""
        return (
            "does not hold",
            f"The embedder errs more on one than on the other: {'; '.join(apart[:3])}{more}. {said}".strip(),
        )
    return "checked in part", (
        f"By group ({names}), the intervals of its error rates overlap. That is not proof that the rates are equal. "
        f"{said}"
    ).strip()


def _prompts(of: Measured) -> tuple[Status, str]:
    their = (
        "The prompts of the study were"
        if of.prompts is None
        else f"The {of.prompts} prompts of the study were"
        if of.prompts > 1
        else "The one prompt of the study was"
    )
    fixed = f"{their} written for it. What users ask for was not measured."
    if not of.prompt_thresholds:
        return "not checked", fixed
    found = [threshold for threshold in of.prompt_thresholds if threshold is not None]
    tries = f"{len(of.prompt_thresholds)} other choices among them"
    if not found:
        return "checked in part", f"{fixed} By {tries} there is no threshold."
    low, high = _number(min(found)), _number(max(found))
    span = f"is {low}" if low == high else f"lies between {low} and {high}"
    none = len(of.prompt_thresholds) - len(found)
    without = f"; by {none} of these there is none" if none else ""
    return "checked in part", f"{fixed} By {tries} the threshold {span}{without}."


def _people(of: Measured) -> tuple[Status, str]:
    rated = of.ratings
    if rated is None:
        return "not checked", "No ratings of people were given; `fit ratings serve` asks them."
    who = f"{number_of(rated.raters, 'person')} rated pictures of {number_of(rated.concepts, 'concept')}"
    if rated.spearman is None:
        return "checked in part", f"{who}. Score and ratings have no correlation that could be computed."
    said = f"{who}. The rank correlation with the score is {rated.spearman:.2f}"
    if rated.interval is None:
        return "checked in part", f"{said}, without an interval: how other people would rate is not known."
    low, high = rated.interval
    said += f" (95 %: {low:.2f} to {high:.2f})"
    if high < 0:
        return "does not hold", f"{said}: people see less resemblance where the score is high."
    if low <= 0:
        return "checked in part", f"{said}: so it is not shown that people see what the score measures."
    if rated.given_count is None or rated.given_count_interval is None:
        return "checked in part", f"{said}. Whether it is more than that both rise with the count is not known."
    low, high = rated.given_count_interval
    given = f"Given the count, it is {rated.given_count:.2f} (95 %: {low:.2f} to {high:.2f})"
    if low <= 0:
        return "checked in part", f"{said}. {given}: so it may be only that both rise with the count."
    return "checked", f"{said}. {given}."


_ASSUMPTIONS = (
    ("The model was trained on the corpus that was counted.", _trained_on),
    ("Captions name what their pictures show: few images of a concept lack its name.", _captions),
    ("Images that could not be collected are like those that were.", _links),
    ("Every image of a concept counts alike.", _alike),
    ("The embedder errs as often on every concept.", _recogniser),
    ("The score rises because pictures resemble the concept more, not because it has more targets.", _targets),
    ("Concepts are exchangeable: but for the count, none is easier to imitate than another.", _exchangeable),
    ("Nothing else that goes with the count makes a concept easier to imitate.", _confounder),
    ("The prompts ask for what users ask for.", _prompts),
    ("The score is what people see.", _people),
)


def assumptions(measured: Measured) -> list[Assumption]:
    """Return what a threshold rests on, each with how far this study checked it.

    Args:
        measured: what the study measured; what it did not measure is "not checked".

    Returns:
        In the order of the method. "checked" is said only where the study's own measurement is about the whole
        assumption; "does not hold" where one contradicts it.
    """
    held = [(text, *hold(measured)) for text, hold in _ASSUMPTIONS]
    return [Assumption(assumption=text, status=status, words=words) for text, status, words in held]


METHOD: tuple[str, ...] = (
    'The method is MIMETIC2, of "How Many Van Goghs Does It Take to Van Gogh? Finding the Imitation Threshold" '
    "(arXiv 2410.15002). It looks at one trained model, and trains none.",
    "Counts: captions of the training set that name a concept are found, and their images are collected as far as they "
    "can be. An image counts if it matches references of the concept. The matches are scaled up to all captions: this "
    "is the effective count.",
    "Scores: the model draws each concept by several prompts, with many seeds. The imitation score says how closely "
    "these pictures resemble the concept's targets.",
    "Threshold: concepts are sorted by count, and estimators look for the count at which scores jump or rise. Tests "
    "ask whether chance alone would do as well.",
    "Interval: concepts, prompts, pictures and counts are drawn again many times, and the threshold is found each "
    "time.",
    "Other scores: the score also rises with the number of targets alone. So it is measured again at a fixed number of "
    "targets, and beside the null score, where the study did so.",
)
"""How a study measures: first what the method is, then its steps."""
