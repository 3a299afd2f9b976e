"""What each stage depends on besides its files: a dict of builtins, in which a change redoes the stage's jobs.

`flags` are the words by which the stage's command is told its settings; they are made from the declarations in the
rooms, so a new setting is one line in one `settings.py`. A stage's version is in its room, in `VERSIONS`.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from importlib import import_module
from typing import Any

from fit.atelier.changes import WORLDS
from fit.atelier.settings import (
    ArtFilterSettings,
    ErasingSettings,
    GeneratorSettings,
    StyleEncoderSettings,
    WorldSettings,
)
from fit.attacks.settings import AssociationSettings, PrefixSettings, PromptingSettings
from fit.captions.settings import ReadingSettings, SamplingSettings
from fit.config.config import Config
from fit.config.copies import copies_of, searched
from fit.config.truth import truth_runs
from fit.copies.settings import CopiesWorldSettings, CopySettings, PromptSettings
from fit.counts.settings import ScalingSettings
from fit.defences.settings import DefenceSettings
from fit.embeddings.settings import EmbedderSettings, FaceSettings
from fit.explorer.settings import PageSettings, PictureSettings, ShownSettings
from fit.generated.settings import ChangeSettings, GenerationSettings, PipelineSettings
from fit.images.settings import DecodeSettings, FetchSettings
from fit.matches.settings import MeanSettings
from fit.missed.settings import MissedSettings
from fit.poisoning.settings import PoisoningSettings
from fit.published import ART_THRESHOLDS, MATCH_THRESHOLDS
from fit.references.settings import SearchSettings, SelectionSettings
from fit.scores.settings import FixedTargetSettings, NullSettings, ScoreSettings, TargetSettings
from fit.settings import part_of, written_settings
from fit.thresholds.settings import ThresholdSettings
from fit.truth.design import USUAL

ROOMS = (
    *("captions", "images", "references", "embeddings", "matches", "counts", "generated", "scores", "thresholds"),
    *("alternatives", "sensitivity", "missed", "reports", "explorer", "atelier", "truth"),
    *("defences", "copies", "attacks", "poisoning"),
)
"""Rooms that have stages, in the order that data flows."""
Job = dict[str, str]
"""The wildcards of a job."""
Pick = Callable[[Config, Job], dict[str, Any]]


def _nothing(config: Config, job: Job) -> dict[str, Any]:
    return {}


def _needed(config: Config, job: Job) -> str:
    return "--needed" if config.needs_match_threshold(job["domain"]) else "--no-needed"


def _of_atelier(settings: type) -> Pick:
    return lambda config, job: {"flags": [*written_settings(config.atelier, settings), f"--seed={config.seed}"]}


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
        flags = written_settings(model, PipelineSettings, GenerationSettings, without=("images_per_prompt",))
        if model.base:
            flags += written_settings(model.changes, ChangeSettings)
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
    flags = [*written_settings(config.attacks, AssociationSettings), *_sampling(config, job)["flags"]]
    return {
        "flags": [*flags, *written_settings(captions, ReadingSettings)],
        "files": config.caption_files(job["corpus"]),
        "concepts": config.attacks.concepts,
    }


def _find_prefix(config: Config, job: Job) -> dict[str, Any]:
    assert config.attacks is not None
    model = config.models[job["model"]]
    flags = written_settings(model, PipelineSettings)
    if model.base:  # the prefix is one for the model as it is changed
        flags += written_settings(model.changes, ChangeSettings)
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
    return {"flags": flags, "attacks": config.attacks.attacks}


def _train_poisoned(config: Config, job: Job) -> dict[str, Any]:
    named = [f"--objective={job['objective']}", f"--seed={job['scorer_seed']}"]
    return {"flags": [*written_settings(config.poisoning, PoisoningSettings), *named]}


def _sampling(config: Config, job: Job) -> dict[str, Any]:
    captions = config.corpora[job["corpus"]].captions
    return {"flags": [*written_settings(captions, SamplingSettings), f"--seed={config.seed}"]}


def _count_captions(config: Config, job: Job) -> dict[str, Any]:
    captions = config.corpora[job["corpus"]].captions
    flags = [*_sampling(config, job)["flags"], *written_settings(captions, ReadingSettings)]
    files = config.caption_parts(job["corpus"])[job["part"]]
    return {"flags": flags, "files": files, "elasticsearch": (captions and captions.elasticsearch) or ""}


def _limits(config: Config) -> list[str]:
    return written_settings(config.collection, DecodeSettings)


def _collect_images(config: Config, job: Job) -> dict[str, Any]:
    corpus = config.corpora[job["corpus"]]
    files = config.caption_files(job["corpus"]) if corpus.images == "embedded" else []
    return {"flags": _collection(config), "images": corpus.images, "files": files}


def _collection(config: Config) -> list[str]:
    return written_settings(config.collection, FetchSettings, DecodeSettings)


def _import_training_images(config: Config, job: Job) -> dict[str, Any]:
    return {"flags": _limits(config), "place": config.corpora[job["corpus"]].provided_images}


def _import_generated(config: Config, job: Job) -> dict[str, Any]:
    return {"flags": _limits(config), "place": config.models[job["model"]].provided_images}


def _import_photographs(config: Config, job: Job) -> dict[str, Any]:
    art_filter = config.domains[job["domain"]].art_filter
    return {"flags": _limits(config), "place": art_filter and art_filter.photographs}


def _collect_references(config: Config, job: Job) -> dict[str, Any]:
    references = config.domains[job["domain"]].references
    source = [f"--source={references.source}", *([f"--place={references.place}"] if references.place else [])]
    found: dict[str, Any] = {"flags": [*source, *written_settings(references, SearchSettings), *_collection(config)]}
    if references.source in ("table", "folder"):
        found["reading"] = 2  # a version of how these are read, so that what came from the web is not asked for again
    return found


def _select_references(config: Config, job: Job) -> dict[str, Any]:
    references = config.domains[job["domain"]].references
    flags = written_settings(references, SelectionSettings)
    place = references.folder or references.table
    if place:
        flags.append(f"--place={place}")
    if references.vetoes:
        # Vetoes that name no concept of the sheet are reported.
        flags += [f"--vetoes={references.vetoes}", f"--sheet={config.domains[job['domain']].concepts}"]
    return {"flags": flags}


def _embed_images(config: Config, job: Job) -> dict[str, Any]:
    embedder = config.embedders[job["embedder"]]
    return {"flags": [f"--backend={embedder.backend}", *written_settings(embedder, EmbedderSettings, FaceSettings)]}


def _text_embedder(config: Config, job: Job) -> list[str]:
    embedder = config.embedders[job["embedder"]]
    return [f"--backend={embedder.backend}", *written_settings(embedder, EmbedderSettings)]


def _embed_art_texts(config: Config, job: Job) -> dict[str, Any]:
    art_filter = config.domains[job["domain"]].art_filter
    return {"flags": [*_text_embedder(config, job), "--texts", *(art_filter.texts if art_filter else [])]}


def _embed_prompts(config: Config, job: Job) -> dict[str, Any]:
    names = [concept.name for concept in config.sheet(job["domain"])]
    prompts = config.domains[job["domain"]].prompts
    return {"flags": [*_text_embedder(config, job), "--prompts", *prompts], "names": names}


def _match_method(config: Config, job: Job) -> list[str]:
    domain = config.domains[job["domain"]]
    method = MATCH_THRESHOLDS.get(str(domain.match_threshold), domain.match_threshold)
    return [f"--method={method}", *written_settings(domain, MeanSettings)]


def _find_match_threshold(config: Config, job: Job) -> dict[str, Any]:
    return {"flags": [*_match_method(config, job), _needed(config, job)]}


def _find_art_threshold(config: Config, job: Job) -> dict[str, Any]:
    art_filter = config.domains[job["domain"]].art_filter
    threshold = art_filter.threshold if art_filter else None
    method = "best_f1" if threshold is None else ART_THRESHOLDS.get(str(threshold), threshold)
    return {"flags": [f"--method={method}", _needed(config, job)]}


def _verify_embedder(config: Config, job: Job) -> dict[str, Any]:
    embedder = config.domains[job["domain"]].embedder
    return {"flags": [*_match_method(config, job), f"--seed={config.seed}"], "embedder": embedder}


def _scale_counts(config: Config, job: Job) -> dict[str, Any]:
    return {"flags": written_settings(config.corpora[job["corpus"]], ScalingSettings)}


def _generate_images(config: Config, job: Job) -> dict[str, Any]:
    model = config.models[job["model"]]
    flags = written_settings(model, PipelineSettings, GenerationSettings)
    if model.base:  # other models' jobs are told nothing new, so that they do not run again
        flags += written_settings(model.changes, ChangeSettings)
    flags.append(f"--seed={config.seed}")
    if model.prompt_table:
        return {"flags": [*flags, f"--prompt-table={model.prompt_table}"]}
    return {"flags": [*flags, "--prompts", *config.domains[job["domain"]].prompts]}


def _score_alternatives(config: Config, job: Job) -> dict[str, Any]:
    # The other settings are the imitation score's alone.
    return {"flags": [f"--targets={config.domains[job['domain']].targets}"]}


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


def _rescore_imitation(config: Config, job: Job) -> dict[str, Any]:
    of_targets = written_settings(config.domains[job["domain"]], TargetSettings)
    return {"flags": [*of_targets, *written_settings(config.threshold, ScoreSettings)]}


def _score_imitation(config: Config, job: Job) -> dict[str, Any]:
    fixed = written_settings(config.threshold, FixedTargetSettings)
    return {"flags": [*_rescore_imitation(config, job)["flags"], *fixed]}


def _gather_pictures(config: Config, job: Job) -> dict[str, Any]:
    """The folder of the many tables, as _list_outliers names it."""
    embedder = config.domains[job["domain"]].embedder
    return {"generated_embeddings": f"results/embeddings/{embedder}/generated/{job['model']}/{job['domain']}"}


def _score_null(config: Config, job: Job) -> dict[str, Any]:
    null = written_settings(config.threshold, NullSettings)
    return {"flags": [*_score_imitation(config, job)["flags"], *null, f"--seed={config.seed}"]}


def _tabulate_scores(config: Config, job: Job) -> dict[str, Any]:
    flags = written_settings(config.threshold, FixedTargetSettings)
    return {
        "flags": flags,
        "groups": {concept.slug: concept.group for concept in config.sheet(job["domain"]) if concept.group},
    }


def _detect_threshold(config: Config, job: Job) -> dict[str, Any]:
    return {"flags": [*written_settings(config.threshold, ThresholdSettings), f"--seed={config.seed}"]}


def _plot_threshold(config: Config, job: Job) -> dict[str, Any]:
    """Only figures of alternatives have a kind, the name of a score."""
    return {"score": job.get("kind", "imitation score")}


def _measure_sensitivity(config: Config, job: Job) -> dict[str, Any]:
    # Provided pictures may be of other prompts than the domain's.
    model = config.models[job["model"]]
    prompts = config.domains[job["domain"]].prompts if model.pipeline and not model.prompt_table else []
    drawn = [f"--resamples={config.threshold.resamples}", f"--seed={config.seed}"]
    return {"flags": [*written_settings(config.threshold, ScoreSettings), *drawn, "--prompts", *prompts]}


def _list_outliers(config: Config, job: Job) -> dict[str, Any]:
    """The folders of the many tables, whose paths would be too much for one command line."""
    embeddings = f"results/embeddings/{config.domains[job['domain']].embedder}"
    corpus = config.matched_corpus(config.models[job["model"]].corpus)
    images = [f"{embeddings}/images/{corpus}/{job['domain']}"] if config.corpora[corpus].has_images else []
    return {"generated_embeddings": f"{embeddings}/generated/{job['model']}/{job['domain']}", "images": images}


def _sample_unnamed(config: Config, job: Job) -> dict[str, Any]:
    corpus = config.corpora[job["corpus"]]
    flags = [*written_settings(corpus, MissedSettings), *_sampling(config, job)["flags"]]
    return {
        "flags": [*flags, *written_settings(corpus.captions, ReadingSettings)],
        "files": config.caption_files(job["corpus"]),
    }


def _report_study(config: Config, job: Job) -> dict[str, Any]:
    lacking = {f"{model}/{domain}": config.lacks(model, domain) for model, domain in config.pairs(job["study"])}
    return {"missing": [f"{pair}: {text}" for pair, texts in lacking.items() for text in texts]}


def _select_pictures(config: Config, job: Job) -> dict[str, Any]:
    of_targets = [f"--targets={config.domains[job['domain']].targets}"]
    return {"flags": [*of_targets, *written_settings(config.explorer, PictureSettings)]}


def _gather_study(config: Config, job: Job) -> dict[str, Any]:
    pairs = [pair for pair in config.pairs(job["study"]) if not config.lacks(*pair)]
    domains = list(dict.fromkeys(domain for _, domain in pairs))
    corpora = {model: config.models[model].corpus for model, _ in pairs}
    scaled = {corpus: config.matched_corpus(corpus) for corpus in corpora.values()}
    flags = written_settings(config.threshold, ThresholdSettings, ScoreSettings)
    return {
        "parts": [f"{model}/{domain}" for model, domain in pairs],
        "corpora": [f"{model}={corpus}" for model, corpus in corpora.items()],
        "counts_from": [f"{corpus}={other}" for corpus, other in scaled.items() if other != corpus],
        "sheets": [f"{domain}={config.domains[domain].concepts}" for domain in domains],
        "embedders": [f"{domain}={config.domains[domain].embedder}" for domain in domains],
        "people": [domain for domain in domains if config.is_of_people(domain)],
        "flags": [*flags, *written_settings(config.explorer, ShownSettings), f"--seed={config.seed}"],
        **_report_study(config, job),
    }


def _build_explorer(config: Config, job: Job) -> dict[str, Any]:
    folders = [f"results/explorer/pictures/{model}/{domain}" for model, domain in config.shown_pairs(job["study"])]
    return {"flags": written_settings(config.explorer, PageSettings), "folders": folders}


def _report_paper(config: Config, job: Job) -> dict[str, Any]:
    return {
        **_report_study(config, job),
        "flags": [f"--resamples={config.threshold.resamples}", f"--seed={config.seed}"],
        "config": config.files,
    }


STAGES: dict[str, Pick] = {
    "paint_world": _of_atelier(WorldSettings),
    "train_style_encoder": _of_atelier(StyleEncoderSettings),
    "train_art_filter": _of_atelier(ArtFilterSettings),
    "train_generator": _of_atelier(GeneratorSettings),
    "erase_concepts": _erase_concepts,
    "measure_defence": _measure_defence,
    "plot_defence": _nothing,
    "paint_truth_world": _paint_truth_world,
    "plan_truth_pruning": _nothing,
    "prune_truth_world": _prune_truth_world,
    "train_truth_encoder": _of_truth(StyleEncoderSettings, "", encoder_steps="encoder_longer"),
    "train_truth_generator": _of_truth(
        GeneratorSettings, "training", generator_steps="longer", generator_width="wider"
    ),
    "measure_truth": _measure_truth,
    "gather_truth": _nothing,
    "estimate_truth": _estimate_truth,
    "plot_truth": _nothing,
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
    "score_attack": _score_imitation,
    "tabulate_attacks": _tabulate_attacks,
    "train_poisoned": _train_poisoned,
    "estimate_poisoning": _detect_threshold,
    "plot_poisoning": _nothing,
    "count_captions": _count_captions,
    "merge_captions": _sampling,
    "plot_counts": _nothing,
    "collect_images": _collect_images,
    "import_training_images": _import_training_images,
    "import_photographs": _import_photographs,
    "collect_references": _collect_references,
    "select_references": _select_references,
    "draw_references": _nothing,
    "embed_images": _embed_images,
    "embed_art_texts": _embed_art_texts,
    "embed_prompts": _embed_prompts,
    "find_match_threshold": _find_match_threshold,
    "find_art_threshold": _find_art_threshold,
    "verify_embedder": _verify_embedder,
    "find_matches": _nothing,
    "estimate_counts": _nothing,
    "scale_counts": _scale_counts,
    "import_counts": _nothing,
    "generate_images": _generate_images,
    "import_generated": _import_generated,
    "draw_generated": _nothing,
    "score_imitation": _score_imitation,
    "gather_pictures": _gather_pictures,
    "score_null": _score_null,
    "tabulate_scores": _tabulate_scores,
    "detect_threshold": _detect_threshold,
    "plot_threshold": _plot_threshold,
    "plot_by_score": _nothing,
    "draw_contact_sheet": _nothing,
    "score_alternatives": _score_alternatives,
    "tabulate_alternative": _nothing,
    "rescore_imitation": _rescore_imitation,
    "measure_sensitivity": _measure_sensitivity,
    "list_outliers": _list_outliers,
    "sample_unnamed": _sample_unnamed,
    "measure_missed": _nothing,
    "count_missed": _detect_threshold,
    "report_study": _report_study,
    "report_paper": _report_paper,
    "select_pictures": _select_pictures,
    "gather_study": _gather_study,
    "build_explorer": _build_explorer,
}
"""Stage -> which settings it depends on."""


@cache
def versions() -> dict[str, int]:
    """The version of each stage, as its room says it."""
    return {stage: version for room in ROOMS for stage, version in import_module(f"fit.{room}").VERSIONS.items()}


def stage_settings(config: Config, stage: str, **wildcards: str) -> dict[str, Any]:
    """What `stage` depends on besides its inputs: builtins with sorted keys, and the stage's version.

    Args:
        config: the configuration.
        stage: a key of STAGES.
        wildcards: of the job: domain, corpus, model, embedder ... as far as the stage has them.
    """
    return dict(sorted((STAGES[stage](config, wildcards) | {"version": versions()[stage]}).items()))
