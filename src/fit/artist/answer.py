"""What is said of a name: its verdict against a threshold, and what it rests on, in sentences."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from fit.artist.find import Found
from fit.audits.counts import ConceptCount
from fit.audits.threshold import Threshold, read_threshold
from fit.audits.verdicts import NOT_SHOWN, STATEMENT, audit
from fit.io.shown import as_images, noun_of, number_of
from fit.published import THRESHOLDS

Kind = Literal["people", "styles"]
DOMAINS = {"people": ("celebrities", "politicians"), "styles": ("classical_artists", "modern_artists")}
"""Kind -> the domains of published thresholds."""


@dataclass(frozen=True)
class Compared:
    """A threshold, and where it comes from."""

    threshold: Threshold
    source: str
    caveats: tuple[str, ...] = ()
    statement: str = STATEMENT
    """What the comparison is, and what it does not show."""


@dataclass(frozen=True)
class Answer:
    """The answer to whether a name is above a threshold."""

    verdict: str
    """above, within, below, refused or unknown."""
    count: int | None
    is_of_captions: bool
    """Whether the count is of captions, since no picture could be recognised."""
    headline: str
    reasons: tuple[str, ...]
    """What the count and the threshold are, and what is doubtful."""
    caveats: tuple[str, ...]


def published(kind: Kind) -> Compared:
    """Return the range of published thresholds of a kind of concepts, as if it were an interval."""
    images = sorted({count for (_, domain), count in THRESHOLDS.items() if domain in DOMAINS[kind]})
    models = sorted({model for model, domain in THRESHOLDS if domain in DOMAINS[kind]})
    return Compared(
        Threshold(images[0], images[0] - 1, images[-1], has_interval=True),
        f"published thresholds of {' and '.join(DOMAINS[kind]).replace('_', ' ')} ({images[0]} to {images[-1]} images)",
        (
            f"Published thresholds are of Stable Diffusion ({', '.join(models)}), trained on LAION, with the paper's "
            "recogniser. Another model, corpus or recogniser has another threshold, which `fit run` finds.",
        ),
        "This compares one count with a range of published thresholds. They speak of imitation by the paper's score, "
        f"for its models and their corpus, on the assumptions of its method (docs/audit.md). {NOT_SHOWN}",
    )


def given(threshold: str) -> Compared:
    """Return a threshold that a study found, or that somebody names.

    Raises:
        DataError: it is neither a number nor a file that `fit thresholds detect` wrote.
    """
    read = read_threshold(threshold)
    source = (
        f"{threshold}: {read}"
        if threshold.endswith(".json")
        else f"a threshold of {as_images(read.images or 0)}, as given"
    )
    sure = (
        ()
        if read.has_interval or read.images is None
        else ("The threshold is given without an interval: how far off it may be is not known.",)
    )
    statement = STATEMENT if threshold.endswith(".json") else f"This compares one count with a number. {NOT_SHOWN}"
    return Compared(read, source, (*sure, *read.remarks), statement)


def _of_count(found: Found) -> Iterator[str]:
    """Yield what the count is."""
    name, count = found.concept.name, found.count
    if found.captions is not None:
        share = f", 1 in {round(found.rows / found.captions):,}" if found.rows and found.captions else ""
        mention = "mentions" if found.captions == 1 or found.rows == 1 else "mention"
        yield f"{found.captions:,} of {number_of(found.rows or 0, 'caption')} {mention} {name}{share}."
    if found.captions and found.doubtful:
        yield (
            f"{found.doubtful:,} of {number_of(found.capitalising, 'caption')} with capitals write "
            "a name of one word without "
            "capitals: there it may be a common word, so these mentions are doubtful."
        )
    if found.captions == 0 and found.last_word:
        word, captions = found.last_word
        yield (
            f"{number_of(captions, 'caption', 'has')} the last word, {word!r}. "
            + ("Give other spellings with --alias." if captions else "So the name is not in them in another form.")
        )
    if count:
        show = "shows" if 1 in (count["matches"], count["downloaded"]) else "show"
        of = f"{count['matches']:,} of {number_of(count['downloaded'], 'image')} that could be looked at {show} {name}"
        yield (
            f"{of}. Scaled to all captions: {number_of(count['effective_count'], 'training image')} (95 % interval "
            f"{count['low']:,} to {count['high']:,})."
            if count["captions"] is not None
            else f"{of}."
        )
    elif found.training and found.match_threshold is None:
        they = "it shows" if found.training.total == 1 else "they show"
        yield (
            f"{number_of(found.training.total, 'training image', 'is')} there. Whether {they} {name} is not known: "
            "that takes references, and an embedder."
        )


def _of_generated(found: Found) -> Iterator[str]:
    generated = found.generated
    if generated and generated.matches is not None:
        seen = len(generated.similarity)
        yield (
            f"Of {number_of(generated.total, 'picture')} by the model, {generated.matches:,} are as "
            "close to a reference as two "
            f"pictures of one concept are (cosine above {found.match_threshold:g})"
            + (f"; in {generated.total - seen:,} no face was found." if seen < generated.total else ".")
        )


def answer(found: Found, compared: Compared) -> Answer:
    """Compare what was found with a threshold.

    The count is the effective count where there is one. Else it is that of captions, and the headline says so.
    """
    name, count = found.concept.name, found.count
    of_captions = count is None and found.captions is not None
    number = count["effective_count"] if count else found.captions
    low, high = (count["low"], count["high"]) if count else (None, None)
    counted = ConceptCount(found.concept.slug, number, low, high, found.captions)
    row: dict[str, Any] = audit([counted], compared.threshold, of_captions=of_captions).rows[0]
    verdict = row["verdict"]
    noun = noun_of(number or 0, "caption" if of_captions else "training image")
    counted_as = "" if number is None else f"{number:,} {noun}, compared with {compared.source}"
    said = {
        "above": f"{name} is above: {counted_as}",
        "within": f"{name} is between, so that there is no verdict: {counted_as}",
        "below": f"{name} {'was not found' if number == 0 else 'is below'}: {counted_as}",
        "unknown": f"No verdict on {name}: there is no count; give --captions or --images",
        "refused": f"No verdict on {name}: {row.get('reason')}",
    }
    headline = said[verdict]
    caveats: list[str] = []
    if of_captions:
        caveats.append(
            "This counts captions, not images that show the concept. A threshold is in images, and not every "
            "caption that mentions a name has one that shows it. To count images, give --images, --references and "
            "--embedder."
        )
    return Answer(
        verdict,
        number,
        of_captions,
        headline + ".",
        (*_of_count(found), *_of_generated(found)),
        (*caveats, *compared.caveats, *found.remarks, compared.statement),
    )


def lines(said: Answer, page: str) -> Sequence[str]:
    """Return the answer as lines of a screen."""
    return [said.headline, *(f"  {text}" for text in said.reasons), *(f"  note: {t}" for t in said.caveats[:-1]), page]
