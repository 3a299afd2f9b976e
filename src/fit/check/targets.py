"""Says of a target that the workflow does not know what it may mean, and which targets there are."""

from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import PurePosixPath

from fit.config.attacks import attacked
from fit.config.config import Config
from fit.config.copies import WORLD, why_no_copies_world
from fit.config.truth import truth_runs, why_no_truth
from fit.io.nearby import nearest
from fit.io.shown import shown


def unknown_target(target: str, config: Config, milestones: Collection[str], makes: Callable[[str], bool]) -> str:
    """Return a sentence on a target that is neither a rule nor a file that a rule makes.

    Args:
        target: as it was typed.
        config: the configuration.
        milestones: names that may be asked for.
        makes: whether the workflow makes a file.
    """
    name = target if target.isprintable() else shown(target)
    if target in config.studies:
        default = config.default_study
        remedy = "leave the word out" if target == default else f"write `default_study: {target}` into config.yaml"
        return f"{name}: a study, and a run makes the default study, which is {default}; {remedy}"
    if target in ("truth", "truth_pruning") and (lacks := why_no_truth(config)):
        return f"{name}: {lacks}"
    if target == "copies_atelier" and (lacks := why_no_copies_world(config)):
        return f"{name}: {lacks}"
    if target == "beyond":
        missing = [key for key in ("attacks", "copies.atelier", "poisoning") if not _has(config, key)]
        return f"{name}: this milestone needs the sections {', '.join(missing)} of config.yaml, too; add them"
    if target in milestones:  # those of sections that may be left out; the others are always there
        own = {"copies_atelier": "copies.atelier", "truth_pruning": "truth"}
        key = own.get(target, target)
        return f"{name}: this milestone needs the section `{key}` of config.yaml, which says what is made; add it"
    if "/" not in target:
        other = nearest(target, milestones)
        hint = f"did you mean {other}? There are" if other else "there are"
        return (
            f"{name}: not a milestone; {hint}: {', '.join(milestones)}; a file is named with its folder, such as "
            "results/thresholds/MODEL/DOMAIN.json"
        )
    hints = [other for other in _alike(target, config) if makes(other)]
    remedy = f"did you mean {hints[0]}? " if hints else ""
    return f"{name}: a file that no rule makes; {remedy}{_names(config)}"


def _has(config: Config, key: str) -> bool:
    """Whether the configuration has the section of an experiment."""
    return why_no_copies_world(config) is None if key == "copies.atelier" else getattr(config, key) is not None


def _names(config: Config) -> str:
    kinds: dict[str, Iterable[str]] = {"models": config.models, "domains": config.domains, "corpora": config.corpora}
    # Those of experiments are not in config.yaml.
    added = {WORLD} | {name for run in truth_runs(config) for name in (run.model, run.domain, run.corpus)}
    added |= {attacked(name) for name in config.models}
    known = {kind: [name for name in sections if name not in added] for kind, sections in kinds.items()}
    return "config.yaml has " + "; ".join(f"the {kind} {', '.join(names)}" for kind, names in known.items())


def _alike(target: str, config: Config) -> Iterator[str]:
    """Yield `target` with each name in it that is near one of the configuration in place of it."""
    known = [*config.models, *config.domains, *config.corpora, *config.embedders, *config.studies]
    parts = list(PurePosixPath(target).parts)
    for index, part in enumerate(parts):
        stem, dot, rest = part.partition(".")
        other = nearest(stem, known)
        if other and other != stem and stem not in known:
            parts[index] = other + dot + rest
    yield "/".join(parts)
