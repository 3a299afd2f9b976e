"""What each stage depends on besides its files: a dict of builtins, in which a change redoes the stage's jobs.

`flags` are the words by which the stage's command is told its settings; they are made from the declarations in the
rooms, so a new setting is one line in one `settings.py`. A stage's version is in its room, in `VERSIONS`.
"""

from functools import cache
from importlib import import_module
from typing import Any

from fit.atelier.settings import (
    ArtFilterSettings,
    GeneratorSettings,
    StyleEncoderSettings,
    WorldSettings,
)
from fit.captions.settings import ReadingSettings
from fit.config.config import Config
from fit.config.data import written_data
from fit.config.experiments import EXPERIMENTS
from fit.config.pick import Job, Pick, loaded, nothing, sampling
from fit.counts.settings import ScalingSettings
from fit.embeddings.settings import EmbedderSettings, FaceSettings
from fit.explorer.settings import PageSettings, PictureSettings, ShownSettings
from fit.generated.settings import GenerationSettings
from fit.images.settings import DecodeSettings, FetchSettings
from fit.matches.settings import MeanSettings
from fit.missed.settings import MissedSettings
from fit.published import ART_THRESHOLDS, MATCH_THRESHOLDS
from fit.references.settings import SearchSettings, SelectionSettings
from fit.scores.settings import FixedTargetSettings, NullSettings, ScoreSettings, TargetSettings
from fit.settings import written_settings
from fit.thresholds.settings import ThresholdSettings

ROOMS = (
    *("captions", "images", "references", "embeddings", "matches", "counts", "generated", "scores", "thresholds"),
    *("alternatives", "sensitivity", "missed", "reports", "explorer", "atelier", "truth"),
    *("defences", "copies", "attacks", "poisoning"),
)
"""Rooms that have stages, in the order that data flows."""


def _needed(config: Config, job: Job) -> str:
    return "--needed" if config.needs_match_threshold(job["domain"]) else "--no-needed"


def _of_atelier(settings: type) -> Pick:
    return lambda config, job: {"flags": [*written_settings(config.atelier, settings), f"--seed={config.seed}"]}


def _count_captions(config: Config, job: Job) -> dict[str, Any]:
    captions = config.corpora[job["corpus"]].captions
    flags = [*sampling(config, job)["flags"], *written_settings(captions, ReadingSettings)]
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
    flags = [*loaded(model, GenerationSettings), f"--seed={config.seed}"]
    if model.prompt_table:
        return {"flags": [*flags, f"--prompt-table={model.prompt_table}"]}
    return {"flags": [*flags, "--prompts", *config.domains[job["domain"]].prompts]}


def _score_alternatives(config: Config, job: Job) -> dict[str, Any]:
    # The other settings are the imitation score's alone.
    return {"flags": [f"--targets={config.domains[job['domain']].targets}"]}


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
    flags = [*written_settings(corpus, MissedSettings), *sampling(config, job)["flags"]]
    return {
        "flags": [*flags, *written_settings(corpus.captions, ReadingSettings)],
        "files": config.caption_files(job["corpus"]),
    }


def _report_study(config: Config, job: Job) -> dict[str, Any]:
    lacking = {f"{model}/{domain}": config.lacks(model, domain) for model, domain in config.pairs(job["study"])}
    return {"missing": [f"{pair}: {text}" for pair, texts in lacking.items() for text in texts]}


def _write_report(config: Config, job: Job) -> dict[str, Any]:
    return {**_report_study(config, job), "data": written_data(config, job["study"])}


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
        **_write_report(config, job),
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
    "score_attack": _score_imitation,
    "estimate_poisoning": _detect_threshold,
    **EXPERIMENTS,
    "count_captions": _count_captions,
    "merge_captions": sampling,
    "plot_counts": nothing,
    "collect_images": _collect_images,
    "import_training_images": _import_training_images,
    "import_photographs": _import_photographs,
    "count_statuses": nothing,
    "collect_references": _collect_references,
    "select_references": _select_references,
    "count_candidates": nothing,
    "draw_references": nothing,
    "embed_images": _embed_images,
    "embed_art_texts": _embed_art_texts,
    "embed_prompts": _embed_prompts,
    "find_match_threshold": _find_match_threshold,
    "find_art_threshold": _find_art_threshold,
    "verify_embedder": _verify_embedder,
    "find_matches": nothing,
    "estimate_counts": nothing,
    "scale_counts": _scale_counts,
    "import_counts": nothing,
    "generate_images": _generate_images,
    "import_generated": _import_generated,
    "draw_generated": nothing,
    "score_imitation": _score_imitation,
    "gather_pictures": _gather_pictures,
    "score_null": _score_null,
    "tabulate_scores": _tabulate_scores,
    "detect_threshold": _detect_threshold,
    "plot_threshold": _plot_threshold,
    "plot_by_score": nothing,
    "draw_contact_sheet": nothing,
    "score_alternatives": _score_alternatives,
    "tabulate_alternative": nothing,
    "rescore_imitation": _rescore_imitation,
    "measure_sensitivity": _measure_sensitivity,
    "list_outliers": _list_outliers,
    "sample_unnamed": _sample_unnamed,
    "measure_missed": nothing,
    "count_missed": _detect_threshold,
    "report_study": _write_report,
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
