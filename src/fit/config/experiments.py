"""What the stages of the experiments depend on: erasing, the truth, copies, attacks and poisoned scorers."""

from dataclasses import replace
from typing import Any

from fit.atelier.changes import WORLDS
from fit.atelier.settings import ErasingSettings, GeneratorSettings, StyleEncoderSettings, WorldSettings
from fit.attacks.settings import AssociationSettings, PrefixSettings, PromptingSettings
from fit.captions.settings import ReadingSettings
from fit.config.config import Config
from fit.config.copies import copies_of, searched
from fit.config.pick import Job, Pick, loaded, nothing, sampling
from fit.config.truth import truth_runs
from fit.copies.settings import CopiesWorldSettings, CopySettings, PromptSettings
from fit.defences.settings import DefenceSettings
from fit.generated.settings import GenerationSettings
from fit.poisoning.settings import PoisoningSettings
from fit.scores.settings import ScoreSettings
from fit.settings import part_of, written_settings
from fit.truth.design import USUAL


def _of_truth(settings: type, seed: str, **longer: str) -> Pick:
    """Return what picks the settings of a stage of the truth experiment.

    Args:
        settings: the settings class.
        seed: the wildcard that is the seed; "": the study's.
        longer: a field -> the field of fit.atelier.changes.Changes that multiplies it.
    """

    def pick(config: Config, job: Job) -> dict[str, Any]:
        section = config.atelier if settings is StyleEncoderSettings else config.truth
        assert section is not None
        given: Any = part_of(settings, section)
        changes = WORLDS.get(job["changes"], WORLDS[USUAL])  # the pruned world is trained as the usual one
        for name, factor in longer.items():
            value = getattr(given, name) * getattr(changes, factor)
            given = replace(given, **{name: round(value) if isinstance(getattr(given, name), int) else value})
        return {"flags": [*written_settings(given, settings), f"--seed={job[seed] if seed else config.seed}"]}

    return pick


def _paint_truth_world(config: Config, job: Job) -> dict[str, Any]:
    assert config.truth is not None
    found = _of_truth(WorldSettings, "world")(config, job)["flags"]
    return {"flags": [*found, f"--deal={job['deal']}", f"--deals={config.truth.deals}", f"--changes={job['changes']}"]}


def _prune_truth_world(config: Config, job: Job) -> dict[str, Any]:
    assert config.truth is not None
    return {"flags": [f"--painters={config.truth.pruned_painters}"]}


def _measure_truth(config: Config, job: Job) -> dict[str, Any]:
    run = next(run for run in truth_runs(config) if run.model == job["model"])
    flags = [f"--world={run.world}", f"--changes={run.changes}", f"--deal={run.deal}", f"--training={run.training}"]
    return {"flags": [*flags, *written_settings(config.threshold, ScoreSettings)]}


def _estimate_truth(config: Config, job: Job) -> dict[str, Any]:
    return {"flags": [f"--resamples={config.threshold.resamples}", f"--seed={config.seed}"]}


def _choose_prompts(config: Config, job: Job) -> dict[str, Any]:
    found, captions = searched(config, job["model"]), config.corpora[config.models[job["model"]].corpus].captions
    flags = [*written_settings(copies_of(config), PromptSettings), f"--seed={config.seed}"]
    if captions:
        flags += [f"--caption-column={captions.caption_column}", f"--encoding={captions.encoding}"]
    for flag, path in (("--table", found.prompts), ("--other-table", found.other_prompts)):
        flags += [f"{flag}={path}"] if path else []
    return {"flags": flags, "files": list(found.caption_files)}


def _of_copies(pictures: str) -> Pick:
    """Return what picks the settings of a stage that makes pictures; `pictures`: the key that says how many."""

    def pick(config: Config, job: Job) -> dict[str, Any]:
        model, copies = config.models[job["model"]], copies_of(config)
        flags = loaded(model, GenerationSettings, without=("images_per_prompt",))
        flags += [f"--images-per-prompt={getattr(copies, pictures)}", f"--seed={config.seed}"]
        return {"flags": flags, "jobs": copies.jobs} if pictures == "images_per_prompt" else {"flags": flags}

    return pick


def _find_copies(config: Config, job: Job) -> dict[str, Any]:
    flags = written_settings(copies_of(config), CopySettings)
    return {"flags": flags, "training_images": list(searched(config, job["model"]).training_images)}


def _of_copies_world(settings: type) -> Pick:
    return lambda config, job: {
        "flags": [*written_settings(copies_of(config).atelier, settings), f"--seed={config.seed}"]
    }


def _compare_copies(config: Config, job: Job) -> dict[str, Any]:
    flags = [f"--resamples={config.threshold.resamples}", f"--seed={config.seed}"]
    return {"flags": [*flags, *written_settings(config.threshold, ScoreSettings)]}


def _rank_words(config: Config, job: Job) -> dict[str, Any]:
    assert config.attacks is not None
    captions = config.corpora[job["corpus"]].captions
    flags = [*written_settings(config.attacks, AssociationSettings), *sampling(config, job)["flags"]]
    return {
        "flags": [*flags, *written_settings(captions, ReadingSettings)],
        "files": config.caption_files(job["corpus"]),
        "concepts": config.attacks.concepts,
    }


def _find_prefix(config: Config, job: Job) -> dict[str, Any]:
    assert config.attacks is not None
    flags = loaded(config.models[job["model"]])
    flags += [*written_settings(config.attacks, PrefixSettings), f"--seed={config.seed}"]
    return {"flags": [*flags, "--prompts", *config.domains[job["domain"]].prompts]}


def _plan_attacks(config: Config, job: Job) -> dict[str, Any]:
    section = config.attacks
    assert section is not None
    names = {concept.slug: list(concept.names) for concept in config.sheet(job["domain"])}
    prompts = config.domains[job["domain"]].prompts
    return {
        "flags": [*written_settings(section, PromptingSettings), "--prompts", *prompts],
        "attacks": section.attacks,
        "concepts": section.concepts,
        "names": [names[slug] for slug in section.concepts],
    }


def _tabulate_attacks(config: Config, job: Job) -> dict[str, Any]:
    assert config.attacks is not None
    flags = [f"--resamples={config.threshold.resamples}", f"--seed={config.seed}"]
    base = config.derived_from(job["model"]) or job["model"]
    return {"flags": [*flags, f"--model={job['model']}", f"--base={base}"], "attacks": config.attacks.attacks}


def _train_poisoned(config: Config, job: Job) -> dict[str, Any]:
    named = [f"--objective={job['objective']}", f"--seed={job['scorer_seed']}"]
    return {"flags": [*written_settings(config.poisoning, PoisoningSettings), *named]}


def _erase_concepts(config: Config, job: Job) -> dict[str, Any]:
    erase = config.models[job["model"]].erase
    assert erase is not None
    flags = [*written_settings(erase, ErasingSettings), f"--seed={config.seed}"]
    prompts = config.domains[erase.domain].prompts
    return {"flags": [*flags, "--concepts", *erase.concepts, "--prompts", *prompts]}


def _measure_defence(config: Config, job: Job) -> dict[str, Any]:
    slugs = set(config.slugs(job["domain"]))
    erased = [slug for slug in config.models[job["model"]].erases if slug in slugs]
    flags = [*written_settings(config.defences, DefenceSettings), f"--resamples={config.threshold.resamples}"]
    return {"flags": [*flags, f"--seed={config.seed}", "--erased", *erased]}


EXPERIMENTS: dict[str, Pick] = {
    "erase_concepts": _erase_concepts,
    "measure_defence": _measure_defence,
    "plot_defence": nothing,
    "paint_truth_world": _paint_truth_world,
    "plan_truth_pruning": nothing,
    "prune_truth_world": _prune_truth_world,
    "train_truth_encoder": _of_truth(StyleEncoderSettings, "", encoder_steps="encoder_longer"),
    "train_truth_generator": _of_truth(
        GeneratorSettings, "training", generator_steps="longer", generator_width="wider"
    ),
    "measure_truth": _measure_truth,
    "gather_truth": nothing,
    "estimate_truth": _estimate_truth,
    "plot_truth": nothing,
    "choose_prompts": _choose_prompts,
    "generate_copies": _of_copies("images_per_prompt"),
    "measure_guidance": _of_copies("detector_pictures"),
    "find_copies": _find_copies,
    "paint_copies": _of_copies_world(CopiesWorldSettings),
    "train_copies": _of_copies_world(GeneratorSettings),
    "compare_copies": _compare_copies,
    "rank_words": _rank_words,
    "find_prefix": _find_prefix,
    "plan_attacks": _plan_attacks,
    "tabulate_attacks": _tabulate_attacks,
    "compare_attacks": nothing,
    "plot_attacks": nothing,
    "train_poisoned": _train_poisoned,
    "plot_poisoning": nothing,
}
"""Stage -> which settings it depends on."""
