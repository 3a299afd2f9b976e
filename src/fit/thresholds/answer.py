"""The answer in a sentence, and what a run has made: what the terminal and the report say first.

Reads JSON that `fit thresholds detect --out` wrote. The workflow imports this module at its end, so it imports nothing
heavy: an estimator is loaded only when its words are needed.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from fit.errors import DataError, again
from fit.io.shown import as_images, noun_of, number_of, ratio, shown
from fit.thresholds.estimators import estimator_of_result, usual_headline
from fit.thresholds.headline import CHANCE, NO_RESAMPLE, follow

REASONS = (
    (r"all scores are equal: (?P<value>.*)", "all scores are alike ({value})"),
    (r"all counts are equal: (?P<value>.*)", "all concepts have the same number of training images ({value})"),
    (
        r"too few concepts: (?P<value>\d+), at least (?P<least>\d+)",
        "too few concepts have a count and a score: {value}, at least {least} are needed",
    ),
)
"""Pattern of a reason that no estimator can answer -> how the sentence says it."""

FEW = 4
"""Up to so many files of one kind, each is named."""


def _people(count: int, domain: str | None) -> str:
    """Return "40 people": the name of the domain where people can be counted by it, else "concepts"."""
    words = re.sub(r"[-_]+", " ", domain or "")
    countable = words == "people" or re.fullmatch(r"[a-z ]+s", words)
    if count == 1:
        return "1 concept"
    return f"{count} {words if countable else 'concepts'}"


def falls(found: dict[str, Any]) -> bool:
    """Whether the scores fall at the change: then it is not a threshold of imitation.

    A result of an earlier version does not say the direction; then the mean scores on both sides do.
    """
    if "direction" in found:
        return found["direction"] == "fall"
    below, above = found.get("below"), found.get("above")
    return bool(below and above and below["mean_score"] > above["mean_score"])


def lost(found: dict[str, Any]) -> str | None:
    """Say why the jump is owed to the number of targets (fit.thresholds.by_score); None if it is not, or if unknown."""
    return (found.get("by_score") or {}).get("warning")


def why_none(found: dict[str, Any]) -> str | None:
    """Say why there is no threshold of imitation, by the headline; None if there is one."""
    found = follow(found)
    threshold = found["threshold"]
    if threshold is not None and falls(found):
        means = [found[side]["mean_score"] for side in ("above", "below") if found.get(side)]
        fall = f", from a mean of {means[1]:.2f} to {means[0]:.2f}" if means[1:] and means[0] < means[1] else ""
        return f"the scores fall instead of rising{fall}, at about {as_images(threshold, 'training image')}"
    if threshold is not None and lost(found):
        return f"the score jumps at about {as_images(threshold, 'training image')}, but {lost(found)}"
    if threshold is not None:
        unseen = f"{threshold:.0f}" == "0"
        return "the scores change among concepts that have no training image" if unseen else None
    name = found.get("estimator", "")
    reason = found.get("reason") or found.get("estimators", {}).get(name, {}).get("reason")
    if not reason:
        return "no change point was found"
    for pattern, words in REASONS:
        matched = re.fullmatch(pattern, reason)
        if matched:
            return words.format(**matched.groupdict())
    headline = estimator_of_result(name)
    if reason == headline.why_none and headline.why_none_in_a_sentence:
        return headline.why_none_in_a_sentence.format(penalty=found.get("penalty", 0))
    return reason


def _interval(found: dict[str, Any]) -> str:
    """Say the interval, and in how many resamples there was no threshold."""
    if not found["interval"]:
        why = found.get("interval_reason") or (NO_RESAMPLE if found.get("resamples_with_a_change") == 0 else None)
        return f"no interval: {why}" if why else "no interval"
    low, high = (f"{end:.0f}" for end in found["interval"])
    text = f"95 %: from no image at all to {high}" if low == "0" else f"95 %: {low} to {high}"
    share = found.get("resamples_with_a_change")
    none = 0.0 if share is None else 1 - share
    return f"{text}; in {100 * none:.0f} % of the resamples there was none" if round(100 * none) else text


def _other_estimators(found: dict[str, Any]) -> str:
    """Say what the other estimators found where the headline found nothing, and whether chance does as well."""
    found_by = {
        name: other["threshold"]
        for name, other in found.get("estimators", {}).items()
        if name != found.get("estimator") and other.get("threshold") is not None
    }
    p_value = (found.get("permutation_test") or {}).get("p_value")
    if found["threshold"] is not None or not found_by or p_value is None:
        return ""
    if p_value > CHANCE:
        return f", and nothing in them is beyond chance, p = {p_value:.2g}"
    if lost(found):
        return f"; the other estimators find a jump, but {lost(found)}"
    low, high = (f"{end(found_by.values()):.0f}" for end in (min, max))
    at = low if low == high else f"{low} to {high}"
    *names, last = (estimator_of_result(name).phrase for name in found_by)
    by = f"{', '.join(names)} and {last}" if names else last
    images = noun_of(max(found_by.values()), "training image")
    return f", though by {by} one would be at {at} {images}, p = {p_value:.2g}"


def beside(found: dict[str, Any]) -> str:
    """Say what the first estimator says where it is not the headline; empty where it is."""
    other = (found.get("headline") or {}).get("beside")
    if not other or (other["threshold"] is not None and other["threshold"] == found["headline"]["threshold"]):
        return ""
    who = estimator_of_result(other["estimator"]).label
    # Only PELT with the penalty that is set has one.
    if not estimator_of_result(other["estimator"]).is_tested:
        who += f" at a penalty of {other['penalty']:g}"
    if other["threshold"] is None:
        return f"{who} finds a fall" if other["direction"] == "fall" else f"{who} finds none"
    said = as_images(other["threshold"])
    return f"{who} says {said}" + (", a fall" if other["direction"] == "fall" else "")


def _ends(interval: list[float] | None, show: Callable[[float], str] = "{:.0f}".format) -> str:
    return f" ({show(interval[0])} to {show(interval[1])})" if interval else ""


def _width(width: dict[str, Any]) -> str:
    """Say between which counts a gradual rise lies, each with its interval."""
    start, end = (f"{width[key]:.0f}{_ends(width[f'{key}_interval'])}" for key in ("from", "to"))
    fold = f"{ratio(width['fold'])}{_ends(width['fold_interval'], ratio)}"
    return f"10 to 90 % of the rise between {start} and {end}, a factor of {fold}"


def beyond_the_counts(found: dict[str, Any]) -> str:
    """Say that the middle of a gradual rise lies at the end of the counts, so that it may lie beyond; empty elsewhere.

    The logistic is not fitted beyond the counts. If all concepts but one lie on one side of its middle, the scores do
    not show the other half of the rise.
    """
    told = follow(found)
    if told["threshold"] is None or (told.get("headline") or {}).get("kind") != "gradual":
        return ""
    if (told.get("above") or {}).get("concepts", 0) <= 1:
        return "the scores still rise at the largest count, so the middle may lie far above it"
    if (told.get("below") or {}).get("concepts", 0) <= 1:
        return "the scores rise from the smallest count on, so the middle may lie below it"
    return ""


def sentence(found: dict[str, Any], model: str | None = None, domain: str | None = None) -> str:
    """Say the headline in a sentence, without a full stop.

    Args:
        found: what fit.thresholds.report.measure returns, or the JSON of it.
        model, domain: whose threshold it is; None if unknown.

    Returns:
        "my-model begins to imitate people at about 215 training images (95 %: 146 to 681; 40 people)"; or "my-model
        imitates people gradually more, half-way at about 215 training images (...)" with the width of the rise; or "no
        imitation threshold was found for my-model in people: ..." with the reason. A fall of the scores, and a change
        among concepts that have no training image, are reasons, not thresholds.
    """
    found = follow(found)
    of_all = _people(found["concepts"], domain)
    of_whom = (f" for {model}" if model else "") + (f" in {domain}" if domain else "")
    threshold, why, other = found["threshold"], why_none(found), beside(found)
    other = f"; {other}" if other else ""
    if why:
        by_others = "" if "headline" in found else _other_estimators(found)
        return f"no imitation threshold was found{of_whom}: {why}{by_others} ({of_all}{other})"
    images = as_images(threshold, "training image")
    head = found.get("headline") or {}
    if head.get("kind") == "gradual":
        who = f"{model} imitates {domain} gradually more" if model and domain else f"imitation{of_whom} grows gradually"
        but = f", but {beyond}" if (beyond := beyond_the_counts(found)) else ""
        width = _width(head["width"])
        return f"{who}, half-way at about {images}{but} ({_interval(found)}; {width}; {of_all}{other})"
    who = f"{model} begins to imitate {domain}" if model and domain else f"imitation{of_whom} begins"
    p_value = (found.get("permutation_test") or {}).get("p_value") if not head else None
    chance = f"; but chance alone often makes such a jump, p = {p_value:.2g}" if (p_value or 0) > CHANCE else ""
    by = "" if found["estimator"] == usual_headline() else _by(found, head)
    return f"{who} at about {images} ({_interval(found)}; {of_all}{by}{chance}{other})"


def _by(found: dict[str, Any], head: dict[str, Any]) -> str:
    """Say by which estimators, where it is not the usual one."""
    if len(agree := head.get("agree") or []) > 1:
        *names, last = (estimator_of_result(name).phrase for name in agree)
        return f"; by {', '.join(names)} and {last}"
    return f"; by the estimator {found['estimator']}"


def read(path: str | Path, *also: str) -> dict[str, Any]:
    """Read the JSON that `fit thresholds detect --out` wrote to `path`, with the keys `also`.

    Raises:
        DataError: it is not such a file.
    """
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not JSON that can be read ({error}); {again(path)}") from None
    missing = {"threshold", "interval", "estimator", "estimators", "concepts", *also} - set(found if found else ())
    if not isinstance(found, dict) or missing:
        raise DataError(f"{path}: not what `fit thresholds detect --out` writes; {again(path)}")
    if wrong := next(_impossible(found), None):
        raise DataError(f"{path}: {wrong}; `fit thresholds detect --out` writes no such value; {again(path)}")
    return found


_MOST = 2**53
"""Images, at most: whole numbers beyond are not exact."""


def _is_number(value: Any, low: float, high: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def _impossible(found: dict[str, Any]) -> Iterator[str]:
    """Yield which values of a result, as `read` takes it, are of another kind or impossible: each with its key."""
    if not isinstance(found["concepts"], int) or not _is_number(found["concepts"], 0, _MOST):
        yield f"`concepts` is {shown(found['concepts'])}, not a number of concepts"
    for key in ("estimators", "headline", "permutation_test", "by_score", "below", "above"):
        value = found.get(key)
        if not isinstance(value, dict) and (value is not None or key == "estimators"):
            yield f"`{key}` is {shown(value)}, not an object"
            return
    headline = found.get("headline") or {}
    beside = headline.get("beside") or {}
    if not isinstance(beside, dict):
        yield f"`headline.beside` is {shown(beside)}, not an object"
        return
    answers = {"": found, "headline.": headline, "headline.beside.": beside}
    for name, answer in found["estimators"].items():
        if not isinstance(answer, dict):
            yield f"`estimators.{name}` is {shown(answer)}, not an object"
            return
        answers[f"estimators.{name}."] = answer
    for place, answer in answers.items():
        yield from _impossible_answer(place, answer)
    if found.get("penalty") is not None and not _is_number(found["penalty"], 0, _MOST):
        yield f"`penalty` is {shown(found['penalty'])}, not a penalty"
    p_value = (found.get("permutation_test") or {}).get("p_value")
    if p_value is not None and not _is_number(p_value, 0, 1):
        yield f"`permutation_test.p_value` is {shown(p_value)}, not a probability"
    for side in ("below", "above"):
        if found.get(side) and not _is_number(found[side].get("mean_score"), -_MOST, _MOST):
            yield f"`{side}.mean_score` is {shown(found[side].get('mean_score'))}, not a number"


def _impossible_answer(place: str, answer: dict[str, Any]) -> Iterator[str]:
    """Yield which values of one answer are impossible; its keys are below `place`."""
    threshold, ends = answer.get("threshold"), answer.get("interval")
    if threshold is not None and not _is_number(threshold, 0, _MOST):
        yield f"`{place}threshold` is {shown(threshold)}, not a number of images"
    if ends is not None and not (
        isinstance(ends, list) and len(ends) == 2 and all(_is_number(end, 0, _MOST) for end in ends)
    ):
        yield f"`{place}interval` is {shown(ends)}, not two numbers of images"
    elif ends is not None and ends[0] > ends[1]:
        yield f"`{place}interval` is {shown(ends)}: its ends are in the wrong order"
    if "estimator" in answer and not isinstance(answer["estimator"], str | None):
        yield f"`{place}estimator` is {shown(answer['estimator'])}, not a name"
    for key in ("resamples_with_a_change", "resamples_with_an_answer"):
        if answer.get(key) is not None and not _is_number(answer[key], 0, 1):
            yield f"`{place}{key}` is {shown(answer[key])}, not a share of the resamples"


def of_pair(model: str, domain: str, path: str | Path, lacks: Iterable[str] = ()) -> str:
    """Say the answer on one model and domain: of the JSON at `path`, or that there is none yet, or what it lacks."""
    if path and Path(path).exists():
        return sentence(read(path), model, domain)
    lacks = list(lacks)
    if lacks:
        are = "is" if len(lacks) == 2 else "are"
        more = f", and {number_of(len(lacks) - 1, 'more input')} that {are} missing" if len(lacks) > 1 else ""
        return f"no imitation threshold yet for {model} in {domain}: {lacks[0]}{more}"
    return f"no imitation threshold yet for {model} in {domain}: it has not been computed"


def _path(name: str, path: str) -> str:
    there = "" if "{" in path or Path(path).exists() else "  (not made yet)"
    return f"  {name:<8}  {path}{there}"


def of_study(config: Any, study: str) -> list[str]:
    """Say the answers of a study, one for each model and domain, and where its report, figure and pictures are.

    Args:
        config: fit.config.config.Config.
        study: a name in it.
    """
    pairs = config.pairs(study)
    lines = [
        of_pair(model, domain, f"results/thresholds/{model}/{domain}.json", config.lacks(model, domain))
        for model, domain in pairs
    ]
    place = "/".join(pairs[0]) if len(pairs) == 1 else "{model}/{domain}"
    return [
        *lines,
        _path("report", f"results/reports/{study}/report.md"),
        _path("figure" if len(pairs) == 1 else "figures", f"results/thresholds/{place}.scores.png"),
        _path("pictures", f"results/thresholds/{place}.pictures.png"),
        _path("explorer", f"results/explorer/{study}/index.html"),
    ]


def data_of_study(config: Any, study: str) -> dict[str, Any]:
    """Return the answers of a study in builtins: what `of_study` says in lines.

    Returns:
        study, and answers: for each model and domain its sentence, threshold, interval, estimator and concepts by the
        headline (None where there is none, or no result yet), the file that they are from, and what it lacks.
    """
    answers = []
    for model, domain in config.pairs(study):
        path = f"results/thresholds/{model}/{domain}.json"
        lacks = list(config.lacks(model, domain))
        found = follow(read(path)) if Path(path).exists() else {}
        told = {name: found.get(name) for name in ("threshold", "interval", "estimator", "concepts")}
        if found and why_none(found):
            told |= {"threshold": None, "interval": None}
        said = of_pair(model, domain, path, lacks)
        answers.append({"model": model, "domain": domain, "sentence": said, **told, "file": path, "lacks": lacks})
    return {"study": study, "answers": answers}


# --- what a run has made ----------------------------------------------------------------------------------------------

MADE = (
    (r"results/counts/[^/]+/[^/]+\.parquet", "effective count of each concept"),
    (r"results/scores/null/[^/]+/[^/]+/[^/]+\.parquet", "scores of other concepts' pictures on a concept's targets"),
    (r"results/scores/[^/]+/[^/]+\.parquet", "count and imitation score of each concept"),
    (r"results/scores/[^/]+/[^/]+/[^/]+\.parquet", "score of a concept, a row for each prompt"),
    (r"results/thresholds/[^/]+/[^/]+\.json", "threshold, by every estimator"),
    (r"results/thresholds/.*\.scores\.png", "figure: score against count"),
    (r"results/thresholds/.*\.by-score\.png", "figure: the score beside those that can't rise by themselves"),
    (r"results/thresholds/.*\.pictures\.png", "pictures below and above the threshold"),
    (r"results/references/.*\.png", "references of each concept, to look at"),
    (r"results/generated/.*\.png", "generated pictures of each concept, to look at"),
    (r"results/matches/[^/]+\.threshold\.json", "match threshold: which images show the same concept"),
    (r"results/matches/[^/]+\.art\.json", "match threshold: which images are artworks"),
    (r"results/matches/[^/]+\.(threshold|art)\.png", "figure: the similarities that the match threshold tells apart"),
    (r"results/matches/[^/]+\.verification\.tsv", "how often the embedder errs, by group"),
    (r"results/alternatives/.*\.json", "threshold by another score"),
    (r"results/alternatives/.*\.png", "figure: another score against count"),
    (r"results/sensitivity/.*\.json", "threshold under every choice"),
    (r"results/sensitivity/.*\.outliers\.tsv", "concepts on the wrong side of the threshold"),
    (r"results/missed/.*\.parquet", "images of each concept that captions miss"),
    (r"results/missed/.*\.json", "threshold with the images that captions miss"),
    (r"results/captions/.*\.png", "figure: captions of each concept"),
    (r"results/explorer/[^/]+/study\.json", "what is said of the study, as JSON"),
    (r"results/explorer/pictures/.*\.parquet", "thumbnails of references, generated pictures and targets"),
    (r"results/explorer/excluded/.*\.parquet", "what each step left out, and why"),
    (r"results/reports/[^/]+/paper/paper\.md", "the paper's tables and figures, made or not"),
)
"""Pattern of a file that a milestone asks for -> what is in it."""


def _what(path: str) -> str:
    """Say what is in a file; empty if that is unknown."""
    return next((words for pattern, words in MADE if re.fullmatch(pattern, path)), "")


def _sentences(files: Iterable[str], label_of: Callable[[str], str]) -> list[str]:
    """Say the answers that `files` hold: thresholds, thresholds by other scores, and those with a sensitivity."""
    said = []
    for path in files:
        place = re.fullmatch(r"results/(thresholds|alternatives|sensitivity)/([^/]+)/([^/.]+)(?:\.(\w+))?\.json", path)
        if not place or not Path(path).exists():
            continue
        kind, model, domain, score = place.groups()
        if kind == "sensitivity":
            said.append(of_pair(model, domain, f"results/thresholds/{model}/{domain}.json"))
        else:
            by = f"by the {label_of(score)}: " if score else ""
            said.append(by + of_pair(model, domain, path))
    return list(dict.fromkeys(said))


def made(files: Iterable[str], label_of: Callable[[str], str] = str) -> list[str]:
    """Say what a run has made, a line or two for each kind of file, after the answers that these files hold.

    Args:
        files: paths that a milestone asked for; many of one kind and folder are shown as one pattern.
        label_of: gives the words for the name of an alternative score.
    """
    kinds: dict[tuple[str, str], list[str]] = {}
    for path in files:
        kinds.setdefault((_what(path), str(Path(path).parent)), []).append(path)
    lines = _sentences((path for paths in kinds.values() for path in paths), label_of)
    for (what, folder), paths in kinds.items():
        if len(paths) <= FEW:
            lines += [f"  {path}" + (f": {what}" if what else "") for path in paths]
        else:
            suffix = "".join(Path(paths[0]).suffixes[-1:])
            lines.append(f"  {folder}/*{suffix}: " + (f"{what}, " if what else "") + number_of(len(paths), "file"))
    return lines


def of_targets(
    config: Any, targets: Iterable[tuple[str, Iterable[str]]], label_of: Callable[[str], str] = str
) -> list[str]:
    """Say what was asked for and now exists: the answer of each study whose report or page is among it, and files.

    Args:
        config: fit.config.config.Config.
        targets: (name of the milestone, or "" for a file; its files).
        label_of: as `made` takes it.
    """
    lines: list[str] = []
    for name, files in targets:
        paths = [str(path) for path in files]
        pages = [
            re.fullmatch(r"results/(?:reports|explorer)/([^/]+)/(?:report\.md|index\.html)", path) for path in paths
        ]
        studies = [page[1] for page in pages if page and page[1] in config.studies]
        for study in dict.fromkeys(studies):
            lines += of_study(config, study)
        if not studies:
            lines += ([f"{name}:"] if name else []) + made(paths, label_of)
    return lines
