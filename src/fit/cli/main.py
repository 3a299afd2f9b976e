"""The command line: what each subcommand takes, and which function does it. Rooms are imported when needed."""

import argparse
import json
import math
import sys
from itertools import islice
from pathlib import Path

from fit.cli.parser import Number, Parser, Version, guarded, same_length
from fit.errors import FitError


def _print_json(data, path):
    from fit.io.files import atomic_write

    with atomic_write(path) as part:
        part.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")


def _json_in(path, keys, command):
    """The dict that `command` wrote to `path` as JSON, which must have `keys`."""
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FitError(f"{path}: there is no such file; `{command}` writes it") from None
    except ValueError as error:
        raise FitError(f"{path}: no JSON ({error}); name a file that `{command}` wrote") from None
    for key in keys:
        if not isinstance(found, dict) or key not in found:
            raise FitError(f"{path}: no key `{key}` in it; name a file that `{command}` wrote")
    return found


def _match_threshold_in(path, *also):
    found = _json_in(path, ("match_threshold", *also), "fit matches threshold")
    if found["match_threshold"] is None:
        raise FitError(f"{path}: no match threshold was found: {found.get('reason', 'it does not say why')}")
    if not isinstance(found["match_threshold"], (int, float)) or not -1 <= found["match_threshold"] <= 1:
        raise FitError(
            f"{path}: its match threshold is {found['match_threshold']!r}, not a cosine; name a file that `fit matches threshold` wrote"
        )
    return found


def _threshold_in(path):
    return _json_in(
        path,
        ("threshold", "interval", "below", "above", "changes", "concepts", "estimator", "penalty"),
        "fit threshold --out",
    )


def _by_slug(paths):
    """Concept -> file: a concept's file is named by its slug."""
    from fit.io.files import by_key

    return by_key(paths, lambda path: Path(path).stem, "the concept")


def _set_threads(count):
    if count:
        import torch

        torch.set_num_threads(count)


# --- concept sheets ---------------------------------------------------------------------------------------------------


def _print_rows(rows):
    from fit.io.escaping import delimited
    from fit.reports.tables import aligned

    print(aligned(delimited([list(rows[0]), *(row.values() for row in rows)])))


def concepts_check(args):
    from fit.concepts.check import check

    found = check(args.sheets)
    if found.summary:
        _print_rows(found.summary)
    for warning in found.warnings:
        print(f"fit: look at this: {warning}", file=sys.stderr)
    for error in found.errors:
        print(f"fit: {error}", file=sys.stderr)
    if found.errors:
        raise FitError(f"concepts check: errors to mend in the sheets, named above: {len(found.errors)}")


def concepts_sample(args):
    from fit.concepts.check import sample, write_sheet

    concepts, bins = sample(args.candidates, args.counts, args.size, args.seed)
    write_sheet(concepts, args.out)
    _print_rows(bins)
    print(f"{len(concepts)} concepts in {args.out}")


def concepts_fetch(args):
    from fit.concepts.check import fetch

    print(f"{fetch(args.url, args.sha256, args.out):,} bytes in {args.out}")


# --- captions ---------------------------------------------------------------------------------------------------------


def _columns_and_sampling(args):
    from fit.captions.count import Columns, Sampling

    return {
        "columns": Columns(
            args.caption_column, args.url_column, tuple(args.columns), getattr(args, "encoding", "utf-8")
        ),
        "sampling": Sampling(args.tokens, args.fold_accents == "yes", args.max_matched_captions, args.seed),
    }


def _caption_outputs(args):
    from fit.captions.count import Outputs

    beside = Path(args.counts).with_suffix("")
    others = [getattr(args, kind) or f"{beside}.{kind}.parquet" for kind in ("names", "shards")]
    return Outputs(
        Path(args.counts),
        Path(others[0]),
        Path(args.matched_captions or f"{beside}.matched_captions.parquet"),
        Path(others[1]),
    )


def _report_counts(outputs):
    from fit.captions.count import losses, remarks, unmentioned
    from fit.io.parquet import read

    counts = read(outputs.counts)
    mentions, rows = sum(counts.column("captions").to_pylist()), counts.column("corpus_rows")[0].as_py()
    print(f"{len(counts)} concepts are mentioned {mentions:,} times in {rows:,} captions: {outputs.counts}")
    for remark in [*losses(read(outputs.shards)), *unmentioned(counts), *remarks(read(outputs.names))]:
        print(f"fit: {remark}", file=sys.stderr)
    for row in read(outputs.shards).to_pylist():
        if row["status"] != "ok":
            rows = "an unknown number of" if row["rows"] is None else row["rows"]
            print(f"fit: skipped {rows} captions: {row['reason']}", file=sys.stderr)


def captions_count(args):
    from fit.captions.count import count_captions, count_index
    from fit.captions.sources import find_files
    from fit.concepts.sheet import read_sheet

    if bool(args.captions) == bool(args.elasticsearch):
        raise FitError("captions count: say what to count in, either --captions FILE ... or --elasticsearch INDEX")
    concepts, outputs = read_sheet(args.concepts), _caption_outputs(args)
    if args.elasticsearch:
        count_index(concepts, args.elasticsearch, outputs, **_columns_and_sampling(args))
    else:
        count_captions(
            concepts,
            find_files(args.captions),
            outputs,
            on_bad_shard=args.on_bad_shard,
            threads=args.threads,
            reuse=args.reuse,
            part=args.part,
            **_columns_and_sampling(args),
        )
    _report_counts(outputs)


def captions_merge(args):
    from fit.captions.count import Outputs, merge_counts

    outputs = _caption_outputs(args)
    merge_counts([Outputs.of_counts(part) for part in args.parts], outputs, **_columns_and_sampling(args))
    _report_counts(outputs)


def captions_explain(args):
    from fit.captions.explain import explain

    print(explain(args.name, args.caption))


# --- images and references --------------------------------------------------------------------------------------------


def images_collect(args):
    from fit.images.collect import collect

    work = args.work or Path(args.out[0]).parent / ".collected"
    collect(args.source, args.matched_captions, args.corpus, _by_slug(args.out), work=work, **_fetching(args))


def images_import(args):
    from fit.concepts.sheet import read_sheet
    from fit.images.decode import Limits
    from fit.images.local import import_generated, import_images, import_photographs

    targets = _by_slug(args.out)
    limits = Limits(args.max_pixels, args.min_side, args.decode_timeout_s, workers=args.decoders)
    places = {"work": args.work or Path(args.out[0]).parent / ".imported", "limits": limits}
    if args.kind != "photographs":
        places["sheet"] = [concept.concept for concept in read_sheet(args.sheet)] if args.sheet else None
    if args.kind == "training":
        import_images(args.place, targets, what="training images", none_too=True, **places)
        return
    if args.kind == "photographs":
        import_photographs(args.place, args.out[0], **places)
        return
    for concept, count in import_generated(args.place, targets, **places).items():
        print(f"fit: {concept}: {count} generated images can't be decoded and are left out", file=sys.stderr)


def images_retry(args):
    from fit.images.collect import MAY_PASS, retry
    from fit.io.parquet import read

    for table in args.files:
        there = set(read(table, ["status"]).column("status").to_pylist()) if args.status else set()
        for status in sorted(set(args.status or ()) - there):
            print(f"fit: {table}: no row has the status {status!r}; it has {', '.join(sorted(there))}", file=sys.stderr)
        tried, fixed = retry(table, set(args.status or MAY_PASS), **_fetching(args))
        left = "" if fixed else "; the file is left as it is"
        print(f"{table}: {tried} fetched again, {fixed} of them now images{left}")


def images_stats(args):
    from fit.images.table import statistics

    for table in args.files:
        print(f"{table}\n{statistics(table)}")


def _fetching(args):
    from fit.images.decode import Limits
    from fit.images.fetch import FetchSettings

    fetch = ("connections", "connections_per_host", "connect_timeout_s", "total_timeout_s", "max_bytes", "retries")
    switches = {name: getattr(args, name) == "yes" for name in ("honour_opt_out", "allow_loopback")}
    limits = Limits(args.max_pixels, args.min_side, args.decode_timeout_s, workers=args.decoders)
    return {"settings": FetchSettings(**{name: getattr(args, name) for name in fetch}, **switches), "limits": limits}


def images_show(args):
    from fit.images import table
    from fit.io.files import atomic_write

    if args.provenance:
        print(json.dumps(table.provenance(args.file), indent=2))
        return
    if args.unpack:
        print(f"{table.unpack(args.file, args.unpack)} pictures in {args.unpack}")
        return
    pictures = list(islice((picture for _, batch in table.stream(args.file) for picture in batch), args.most))
    if not pictures:
        raise FitError(f"{args.file}: no picture in it; its column `status` says why")
    out = args.sheet or Path(args.file).with_suffix(".png").name
    if not args.sheet and Path(out).exists():
        raise FitError(f"{out}: there is such a file already; name the picture to write with --sheet")
    with atomic_write(out) as part:
        table.contact_sheet(pictures, args.columns).save(part)
    print(f"{len(pictures)} pictures in {out}")


def references_collect(args):
    from fit.concepts.sheet import find_concepts, read_sheet
    from fit.references.references import collect_references

    targets = _by_slug(args.out)
    work = args.work or Path(args.out[0]).parent / ".collected"
    places = {"wanted": args.candidates, "cache": args.cache, "work": work}
    concepts, sheet = find_concepts(args.sheet, targets), [concept.concept for concept in read_sheet(args.sheet)]
    collect_references(args.source, args.place, concepts, targets, sheet=sheet, **places, **_fetching(args))


def references_select(args):
    from fit.concepts.sheet import read_sheet
    from fit.embeddings.files import read_single_faces
    from fit.io import parquet
    from fit.references import references

    same_length(args, "candidates", "embeddings", "out")
    vetoes = references.read_vetoes(args.vetoes) if args.vetoes else {}
    if vetoes:
        images_of = {
            Path(out).stem: parquet.read(candidates, ["image_id"]).column("image_id").to_pylist()
            for candidates, out in zip(args.candidates, args.out, strict=True)
        }
        slugs = [concept.concept for concept in read_sheet(args.sheet)] if args.sheet else None
        for said in references.unmatched_vetoes(vetoes, images_of, slugs):
            print(f"fit: {args.vetoes}: {said}", file=sys.stderr)
    for candidates, embeddings, out in zip(args.candidates, args.embeddings, args.out, strict=True):
        concept = Path(out).stem
        names, vectors = read_single_faces(embeddings)
        rules = {"keep": args.keep, "least": args.least, "vetoed": vetoes.get(concept, frozenset())}
        selected = references.select(parquet.read(candidates), names, vectors, **rules)
        if not any(selected.column("kept").to_pylist()):
            usable = sum(decision == "too few references" for decision in selected.column("decision").to_pylist())
            print(
                f"fit: {concept}: {usable} usable references of {len(selected)}, at least {args.least} are needed; add "
                f"{args.least - usable} or more{' to ' + args.place if args.place else ''}, or lower "
                f"`domains.{args.domain}.references.least`; the study goes on without this concept",
                file=sys.stderr,
            )
        parquet.write(selected, out)


def references_show(args):
    from fit.io.files import atomic_write
    from fit.reports.figures import references_sheet

    same_length(args, "files", "out")
    for path, out in zip(args.files, args.out, strict=True):
        with atomic_write(out) as part:
            references_sheet(path, part, Path(path).stem)


# --- embeddings and matches -------------------------------------------------------------------------------------------


def _weights(args):
    from fit.embeddings.base import EmbedderSettings

    of_faces = ("detection_side", "min_face_size", "pixel_mean", "pixel_std", "channels")
    given = {name: getattr(args, name) for name in of_faces if hasattr(args, name)}
    return EmbedderSettings(args.model, args.dtype, args.download == "yes", **given)


def embed_images(args):
    from fit.embeddings.run import embed_tables

    same_length(args, "images", "out")
    _set_threads(args.threads)
    embed_tables(args.backend, _weights(args), args.images, args.out, args.batch_size, args.decoders)


def embed_texts(args):
    from fit.embeddings.run import embed_texts as embed

    _set_threads(1)
    embed(args.backend, _weights(args), args.texts, args.out)


def embed_prompts(args):
    from fit.concepts.sheet import read_sheet
    from fit.embeddings.run import embed_texts as embed

    _set_threads(1)
    texts = [prompt.format(name=concept.name) for concept in read_sheet(args.sheet) for prompt in args.prompts]
    embed(args.backend, _weights(args), list(dict.fromkeys(texts)), args.out)


def embed_convert(args):
    from fit.embeddings.csd import convert

    print(f"{args.out}: {convert(args.checkpoint, args.out)}")


def _method(text):
    if text in ("midpoint", "best_f1"):
        return text
    try:
        return COSINE(text)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither midpoint, best_f1 nor a cosine from -1 to 1") from None


def _write_threshold(positive, negative, args, labels, title):
    from fit.io.files import atomic_write
    from fit.matches.threshold import find_match_threshold, no_match_threshold
    from fit.reports.figures import match_threshold_figure

    try:
        found = find_match_threshold(positive, negative, args.method)
    except FitError as error:
        if args.needed == "yes":
            raise
        found = no_match_threshold(positive, negative, str(error))
        print(f"fit: {error}; no count or score needs it, so the study goes on", file=sys.stderr)
    _print_json(found, args.out)
    if args.figure:
        with atomic_write(args.figure) as part:
            domain = Path(args.out).name.split(".")[0]
            match_threshold_figure(positive, negative, found["match_threshold"], labels, part, f"{domain}: {title}")


def cut_concepts(args):
    from fit.matches.threshold import reference_means

    same_length(args, "references", "embeddings")
    within, between = reference_means(args.references, args.embeddings)
    labels = ("within a concept", "between concepts", "mean cosine of references")
    _write_threshold(within, between, args, labels, "same concept or not")


def cut_art(args):
    from fit.matches.threshold import similarity_to_texts

    artworks = similarity_to_texts(args.artworks, args.texts)
    photographs = similarity_to_texts(args.photographs, args.texts)
    labels = ("references", "photographs", "highest cosine to the texts")
    _write_threshold(artworks, photographs, args, labels, "artwork or photograph")


def recognisers(args):
    from fit.concepts.sheet import read_sheet
    from fit.io.files import atomic_write
    from fit.matches.verification import assess
    from fit.reports.tables import aligned, recognisers

    concepts = read_sheet(args.sheet)
    assessed = [
        (folder, *assess(concepts, args.references, folder, args.method, args.seed)) for folder in args.embeddings
    ]
    table = recognisers(assessed)
    if args.out:
        with atomic_write(args.out) as part:
            part.write_text(table, encoding="utf-8")
    print(aligned(table))


def match(args):
    from fit.io.parquet import write
    from fit.matches.match import match_images

    same_length(args, "images", "references", "reference_embeddings", "out")
    if args.art_embeddings:
        same_length(args, "images", "art_embeddings")
        if not (args.art_texts and args.art_threshold):
            raise FitError(
                "match: --art-embeddings go together with --art-texts and --art-threshold; give all three or none"
            )
    match_threshold, art_threshold = (
        _match_threshold_in(args.match_threshold)["match_threshold"],
        _match_threshold_in(args.art_threshold[0])["match_threshold"] if args.art_threshold else None,
    )
    art_files = args.art_embeddings or [None] * len(args.images)
    files = zip(args.images, args.references, args.reference_embeddings, art_files, args.out, strict=True)
    for images, references, reference_embeddings, art, out in files:
        filtering = (art, args.art_texts[0], art_threshold) if art else None
        write(match_images(images, references, reference_embeddings, match_threshold, filtering), out, row_group=65536)


def counts(args):
    from fit.counts.estimate import estimate_counts
    from fit.io.parquet import write

    same_length(args, "images", "matches")
    write(estimate_counts(args.captions or None, _by_slug(args.matches), args.images), args.out, row_group=4096)


def counts_import(args):
    import pyarrow as pa

    from fit.concepts.sheet import read_sheet
    from fit.images.local import read_counts
    from fit.io.parquet import write

    counts_of = read_counts(args.table, [concept.concept for concept in read_sheet(args.sheet)])
    columns = {"concept": list(counts_of), "effective_count": list(counts_of.values())}
    write(pa.table(columns), args.out, row_group=4096)


def counts_scale(args):
    from fit.counts.estimate import scale_counts
    from fit.io.parquet import write

    write(scale_counts(args.captions, args.counts), args.out, row_group=4096)


# --- generation and scores --------------------------------------------------------------------------------------------


def generate(args):
    from fit import generated as generators
    from fit.concepts.sheet import find_concepts
    from fit.generated.run import generate_tables

    concepts = find_concepts(args.sheet, _by_slug(args.out))
    _set_threads(args.threads)
    generator = generators.prepare(
        args.backend,
        pipeline=args.pipeline,
        revision=args.revision or None,
        scheduler=args.scheduler or None,
        dtype=args.dtype,
        steps=args.steps,
        guidance=args.guidance,
        height=args.height or None,
        width=args.width or None,
        negative_prompt=args.negative_prompt,
        variant=args.variant or None,
        compile=args.compile == "yes",
        device=args.device,
        download=args.download == "yes",
    )
    statuses = generate_tables(
        generator,
        concepts,
        args.out,
        prompts=args.prompts,
        images_per_prompt=args.images_per_prompt,
        batch_size=args.batch_size,
        study_seed=args.seed,
        work=args.work,
        image_format=args.image_format,
    )
    for concept, counted in statuses.items():
        bad = ", ".join(f"{count} {status}" for status, count in counted.items() if status != "ok")
        if bad:
            print(f"fit: {concept}: of {counted.total()} pictures {bad}; they count as not made", file=sys.stderr)


def _compared(args):
    """(out, what one concept's pictures are compared with, as every way of scoring takes it) of each concept."""
    names = ("generated", "generated_embeddings", "references", "reference_embeddings", "out")
    optional = [name for name in ("images", "matches", "prompt_images") if getattr(args, name, None)]
    same_length(args, *names, *optional)
    for place, out in enumerate(args.out):
        files = {name: getattr(args, name)[place] for name in (*names[:-1], *optional)}
        yield out, {"images": None, "matches": None, "targets_rule": args.targets} | files


def score(args):
    from fit.io.parquet import write
    from fit.scores.imitation import score_concept

    for out, compared in _compared(args):
        write(score_concept(**compared, top_k=args.top_k), out)


def scores_tabulate(args):
    from fit.io.parquet import write
    from fit.scores.imitation import tabulate_scores

    table, unscored = tabulate_scores(args.counts, _by_slug(args.scores), args.sheet)
    for concept, path in unscored.items():
        print(f"fit: {concept}: no usable picture or target, so no score ({path})", file=sys.stderr)
    write(table, args.out, row_group=4096)


def alternatives_score(args):
    from fit.alternatives import score_concept
    from fit.io.parquet import write

    for out, compared in _compared(args):
        write(score_concept(**{"prompt_images": None} | compared, prompts=args.prompts or None), out)


def alternatives_tabulate(args):
    from fit.alternatives import tabulate
    from fit.io.parquet import write

    write(tabulate(args.imitation, _by_slug(args.scores), args.kind), args.out, row_group=4096)


def threshold(args):
    from fit.thresholds import describe, measure, read_table
    from fit.thresholds.answer import sentence

    settings = {"penalty": args.penalty, "resamples": args.resamples, "seed": args.seed}
    found = measure(read_table(args.table), **settings, **({"estimators": args.estimators} if args.estimators else {}))
    if args.out:
        _print_json(found, args.out)
    print(sentence(found), *describe(found), sep="\n")


def answer(args):
    from fit.config.config import load
    from fit.thresholds.answer import of_study

    config = load(*args.config)
    study = args.study or config.default_study
    if study not in config.studies:
        raise FitError(f"answer: there is no study {study!r}; there are {', '.join(sorted(config.studies))}")
    print("\n".join(of_study(config, study)))


def audit(args):
    from fit.audit import audit as compare
    from fit.audit import plan, read_counted, read_threshold, write_audit
    from fit.reports.tables import aligned

    if bool(args.matched_captions) != bool(args.plan):
        raise FitError(
            "audit: a plan takes --matched-captions (the rows to choose from) and --plan (the files to write) together"
        )
    if bool(args.images) != bool(args.matches) or (args.images and not args.matched_captions):
        raise FitError("audit: --images and --matches go together, with --matched-captions and --plan")
    for folder in filter(None, (args.images, args.matches)):
        if not Path(folder).is_dir():
            raise FitError(f"{folder}: there is no such folder; name the one that has a file per concept")
    counted, skipped, of_captions = read_counted(args.counts)
    if of_captions:
        print(
            f"fit: {args.counts}: it counts captions, not images that show the concept (effective counts)",
            file=sys.stderr,
        )
    found = compare(counted, read_threshold(args.threshold), skipped, of_captions)
    out = args.plan and args.plan.removesuffix(".parquet").removesuffix(".csv")
    if out:
        plan(found, counted, args.matched_captions, out, args.images, args.matches)
    write_audit(found, args.out, out)
    print(aligned(found.table()), found.note(), sep="\n\n", end="")


# --- sensitivity ------------------------------------------------------------------------------------------------------


THRESHOLDS_TRIED = ("midpoint", "best_f1", "lowest_positive", "highest_negative")
"""Keys of what `fit matches threshold` writes that fit.sensitivity.measure.thresholds_around takes."""


def sensitivity_rescore(args):
    from fit.io.parquet import write
    from fit.sensitivity.measure import rescore_concept

    match_threshold = _match_threshold_in(args.match_threshold, *THRESHOLDS_TRIED) if args.match_threshold else None
    art_threshold = _match_threshold_in(args.art_threshold)["match_threshold"] if args.art_threshold else None
    for out, compared in _compared(args):
        write(
            rescore_concept(**compared, top_k=args.top_k, match_threshold=match_threshold, art_threshold=art_threshold),
            out,
            row_group=4096,
        )


def sensitivity_measure(args):
    from fit.io.files import atomic_write
    from fit.reports.figures import sensitivity_figure
    from fit.sensitivity.measure import CHOICES, describe, in_short, measure
    from fit.thresholds import read_table

    found = measure(
        read_table(args.table),
        _threshold_in(args.threshold),
        rescored=_by_slug(args.rescored),
        top_k=args.top_k,
        match_threshold=_match_threshold_in(args.match_threshold, *THRESHOLDS_TRIED) if args.match_threshold else None,
        prompts=args.prompts,
    )
    if args.out:
        _print_json(found, args.out)
    if args.figure:
        names = {key: (CHOICES[key], in_short(choice["summary"])) for key, choice in found["choices"].items()}
        with atomic_write(args.figure) as part:
            sensitivity_figure(found, names, args.title, part)
    print("\n".join(describe(found)))


def sensitivity_outliers(args):
    from fit.io.files import atomic_write
    from fit.reports.figures import contact_sheet
    from fit.sensitivity import outliers
    from fit.thresholds import read_table

    table = read_table(args.table)
    folders = ("references", "reference_embeddings", "generated", "generated_embeddings")
    optional: dict = {name: getattr(args, name) or None for name in ("names", "images", "rescored")}
    measurements = outliers.Measurements(
        counts=args.counts,
        match_threshold=_match_threshold_in(args.match_threshold)["match_threshold"] if args.match_threshold else None,
        **{name: getattr(args, name) for name in folders},
        **optional,
    )
    found = _threshold_in(args.threshold)
    explained, medians = outliers.explain(table, found, measurements)
    if args.out:
        with atomic_write(args.out) as part:
            part.write_text(outliers.tabulate(table, explained, medians), encoding="utf-8")
    if args.sheet:
        # The farthest of either side.
        shown = [
            one for side in ("below", "above") for one in [o for o in explained if o.side == side][: args.rows // 2]
        ]
        files = [[measurements.of(kind, one.concept) for kind in ("references", "generated")] for one in shown]
        rows = [(outliers.label(table, one), *paths) for one, paths in zip(shown, files, strict=True)]
        with atomic_write(args.sheet) as part:
            contact_sheet(rows, part, args.title or "concepts that defy the threshold")
    print("\n".join(outliers.describe(table, explained, medians)))


# --- people's judgement -----------------------------------------------------------------------------------------------


def ratings_serve(args):
    from fit.concepts.sheet import read_sheet
    from fit.ratings.pairs import sample_pairs
    from fit.ratings.server import Study, hosts_of, is_loopback, serve
    from fit.ratings.store import Answers

    names = {concept.concept: concept.name for concept in read_sheet(args.names)} if args.names else {}
    pairs, left_out = sample_pairs(args.table, args.references, args.generated, args.pairs, args.seed)
    for concept, why in left_out.items():
        print(f"fit: {concept}: not shown, as {why}", file=sys.stderr)
    if len(pairs) < args.pairs:
        print(f"fit: there are only {len(pairs)} pictures to ask about", file=sys.stderr)
    hosts = hosts_of(args.host, args.hostname)
    if not is_loopback(args.host):
        print(
            f"fit: --host {args.host}: whoever reaches this machine there can see these pictures and answer under any "
            f"name, and nothing is encrypted; it answers requests for {hosts}; further names: --hostname",
            file=sys.stderr,
        )

    def started(url):
        concepts = len({pair.concept for pair in pairs})
        print(f"{len(pairs)} pictures of {concepts} concepts to rate at {url}", flush=True)
        print(f"answers go to {args.out}; Ctrl-C ends, and the same command goes on", flush=True)

    with Answers(args.out) as answers:
        before = len(answers.ratings)
        study = Study(pairs, answers, seed=args.seed, question=args.question, names=names)
        serve(study, args.host, args.port, started, hosts)
        print(f"\n{len(answers.ratings) - before} answers more in {args.out}, {len(answers.ratings)} in all")


def ratings_import(args):
    from fit.ratings.store import import_ratings

    added, there = import_ratings(args.file, args.out)
    print(f"{added} of {there} ratings added to {args.out}")


def ratings_report(args):
    from fit.ratings.report import make_report, summary

    settings = {"penalty": args.penalty, "resamples": args.resamples, "seed": args.seed}
    report = make_report(args.ratings, args.table, **settings)
    if report["unknown_concepts"]:
        named = ", ".join(report["unknown_concepts"][:5])
        print(f"fit: left out, as {args.table} does not have them: {named}", file=sys.stderr)
    _print_json(report, args.out)
    print(summary(report))


# --- figures and tables -----------------------------------------------------------------------------------------------


def plot_threshold(args):
    from fit.io.files import atomic_write
    from fit.reports.figures import threshold_figure
    from fit.thresholds import read_scores

    _, counts_of, scores = read_scores(args.table)
    with atomic_write(args.out) as part:
        threshold_figure(counts_of, scores, _threshold_in(args.threshold), args.title, part, args.score)


def plot_counts(args):
    from fit.io.files import atomic_write
    from fit.io.parquet import read
    from fit.reports.figures import counts_figure

    with atomic_write(args.out) as part:
        counts_figure(read(args.counts, ["captions"]).column("captions").to_numpy(), args.title, part)


def plot_generated(args):
    from fit.io.files import atomic_write
    from fit.reports.figures import generated_sheet

    with atomic_write(args.out) as part:
        generated_sheet(args.table, part, args.title)


def plot_contact_sheet(args):
    import numpy as np

    from fit.io.files import atomic_write
    from fit.reports.figures import contact_sheet
    from fit.thresholds import read_scores

    concepts, counts_of, scores = read_scores(args.table)
    found = _threshold_in(args.threshold)
    split = found["below"]["concepts"] if found["below"] else len(concepts) // 2
    # As many rows from each side of the threshold, spread over it, so that the page shows both.
    sides = [np.arange(split), np.arange(split, len(concepts))]
    chosen = [
        side[i]
        for side in sides
        if len(side)
        for i in np.unique(np.linspace(0, len(side) - 1, args.rows // 2).astype(int))
    ]
    rows = []
    for i in chosen:
        mark = "" if found["threshold"] is None else " (above)" if i >= split else " (below)"
        label = f"{concepts[i]}\n{counts_of[i]:.0f} images, score {scores[i]:.2f}{mark}"
        rows.append((label, f"{args.references}/{concepts[i]}.parquet", f"{args.generated}/{concepts[i]}.parquet"))
    with atomic_write(args.out) as part:
        contact_sheet(rows, part, args.title)


def report(args):
    from fit.io.files import by_key
    from fit.reports import report as paper
    from fit.thresholds.answer import of_pair

    def by_pair(paths):
        """(model or corpus, domain) -> path, of files .../MODEL/DOMAIN.suffix."""
        return by_key(paths, lambda path: (Path(path).parent.name, Path(path).stem), "the pair")

    def of_cut(path):
        kind = Path(path).stem.split(".")
        return kind[0], "artworks" if kind[1:] else "same concept"

    match_thresholds = by_key(args.match_thresholds, of_cut, "the domain")
    missing: dict[tuple[str, ...], list[str]] = {}
    for text in args.missing:
        pair, _, lacking = text.partition(": ")
        missing.setdefault(tuple(pair.split("/")), []).append(lacking)
    figures = {" ".join(Path(path).with_suffix("").parts[-3:]).removeprefix("results "): path for path in args.figures}
    counts_of = by_pair(args.counts)
    tables = [
        paper.thresholds_table(by_pair(args.thresholds), missing, counts_of),
        paper.counts_table(counts_of),
        paper.calibration_table(match_thresholds),
    ]
    answers = [of_pair(model, domain, path) for (model, domain), path in by_pair(args.thresholds).items()]
    answers += [of_pair(pair[0], pair[-1], "", lacks) for pair, lacks in missing.items()]
    paper.write_report(args.study, answers, tables, missing, figures, args.out)
    print(f"{args.out}/report.md: {len(args.thresholds)} thresholds, {len(missing)} missing")


def tables_show(args):
    from fit.reports.show import show

    for line in show(args.file, args.rows):
        print(line)


# --- planning ---------------------------------------------------------------------------------------------------------


def plan(args):
    from fit.config.config import load
    from fit.plan import estimate, report

    config = load(*args.config)
    print(report(estimate(config, args.study), args.study or config.default_study, args.gpus))


def check(args):
    from fit.check import run

    return run(args)


# --- the atelier ------------------------------------------------------------------------------------------------------


def atelier_paint(args):
    from fit.atelier.build import paint_world

    paint_world(
        args.sheet,
        seed=args.seed,
        zeros=args.zeros,
        largest=args.largest,
        references=args.references,
        photographs=args.photographs,
        anonymous=args.anonymous,
        training_set=args.training_set,
        shards=args.shards,
        truth=args.truth,
        references_file=args.references_file,
        photographs_file=args.photographs_file,
    )


def atelier_train_style_encoder(args):
    from fit.atelier.build import build_style_encoder

    _set_threads(args.threads)
    build_style_encoder(args.out, steps=args.steps, seed=args.seed)


def atelier_train_art_filter(args):
    from fit.atelier.build import build_art_filter

    _set_threads(args.threads)
    build_art_filter(args.out, steps=args.steps, seed=args.seed)


def atelier_train_generator(args):
    from fit.atelier.build import build_generator

    _set_threads(args.threads)
    build_generator(
        args.training_set,
        args.out,
        autoencoder_steps=args.autoencoder_steps,
        steps=args.steps,
        batch_size=args.batch_size,
        seed=args.seed,
    )


# --- arguments --------------------------------------------------------------------------------------------------------

COSINE = Number(float, -1, 1)
STEPS = Number(int, 1, 10**9)
"""Of a training; Model.steps is of a picture."""


def _seconds():
    return Number(float, 0, 86_400, beyond=True)


NUMBERS = {
    "anonymous": Number(int, 0, 10**9),
    "autoencoder_steps": STEPS,
    "batch_size": Number(int, 1, 1_000_000),
    "candidates": Number(int, 1, 10_000),
    "columns": Number(int, 1, 1000),
    "connect_timeout_s": _seconds(),
    "connections": Number(int, 1, 10_000),
    "connections_per_host": Number(int, 1, 1000),
    "decode_timeout_s": _seconds(),
    "decoders": Number(int, 0, 4096),
    "detection_side": Number(int, 64, 65_536),
    "guidance": Number(float, -math.inf, math.inf),
    "height": Number(int, 8, 65_536, also=("0",)),
    "images_per_prompt": Number(int, 1, 1_000_000),
    "keep": Number(int, 2, 10_000),
    "largest": Number(int, 1, 10**9),
    "least": Number(int, 1, 10_000),
    "max_bytes": Number(int, 1, 2**40),
    "max_matched_captions": Number(int, 0, 10**9),
    "max_pixels": Number(int, 1, 2**40),
    "min_face_size": Number(int, 12, 65_536),
    "min_side": Number(int, 1, 1_000_000),
    "most": Number(int, 1, 1_000_000),
    "pairs": Number(int, 1, 1_000_000),
    "penalty": Number(float, 0, math.inf, beyond=True),
    "photographs": Number(int, 2, 1_000_000),
    "pixel_mean": Number(float, -math.inf, math.inf, also=("auto",)),
    "pixel_std": Number(float, 0, math.inf, beyond=True, also=("auto",)),
    "port": Number(int, 0, 65_535),
    "references": Number(int, 2, 10_000),
    "resamples": Number(int, 1, 10_000_000),
    "retries": Number(int, 0, 100),
    "rows": Number(int, 0, 10**9),
    "seed": Number(int, 0, 2**63 - 1),
    "size": Number(int, 1, 10**9),
    "steps": Number(int, 1, 10_000),
    "threads": Number(int, 1, 4096, also=("0",)),
    "top_k": Number(int, 1, 1_000_000),
    "total_timeout_s": _seconds(),
    "width": Number(int, 8, 65_536, also=("0",)),
    "zeros": Number(int, 0, 1_000_000),
}
"""Option that is a number -> its bounds, which are those of the key of the same name in fit.config.config."""


def _command(commands, name, function, help_text):
    parser = commands.add_parser(name, help=help_text, description=help_text)
    parser.set_defaults(function=function)

    def add(*flags, **options):
        if flags[0].startswith("--") and "default" not in options and options.get("action") is None:
            options.setdefault("required", True)
        if options.get("type") in (int, float):
            options["type"] = NUMBERS[flags[0].removeprefix("--").replace("-", "_")]
        parser.add_argument(*flags, **options)

    return add


def _group(commands, name, help_text):
    return commands.add_parser(name, help=help_text, description=help_text).add_subparsers(
        metavar="COMMAND", required=True
    )


def _add_weights(add):
    add("--backend", help="name in the registry of embedders")
    add("--model", help="a model's name, hub id, folder or file: the backend says which")
    add("--dtype", choices=("auto", "float32", "float16", "bfloat16"), default="auto", help="number format")
    add("--download", choices=("yes", "no"), default="no", help="whether missing weights may be fetched")


def _many(add, *names, **options):
    for name in names:
        add(f"--{name}", nargs="+", **options)


def _add_caption_outputs(add):
    add("--caption-column", default="caption", metavar="COLUMN")
    add("--url-column", default="url", metavar="COLUMN")
    add("--columns", nargs="*", default=[], metavar="COLUMN", help="others to carry into the matched captions")
    add("--tokens", choices=("standard", "words"), default="standard", help="what a token is (docs/captions.md)")
    add("--fold-accents", choices=("yes", "no"), default="no", help="whether é counts as e")
    add("--max-matched-captions", type=int, default=100_000, help="largest sample of rows per concept; 0 for none")
    add("--seed", type=int, default=0)
    add("--counts", help="file to write: captions per concept")
    add("--matched-captions", default=None, help="file to write: the sampled rows (default: beside --counts)")
    add("--names", default=None, help="file to write: captions per name and alias (default: beside --counts)")
    add("--shards", default=None, help="file to write: what was read and what was skipped (default: beside --counts)")


def _add_fetching(add):
    add("--connections", type=int, default=64, help="requests at once")
    add("--connections-per-host", type=int, default=4)
    add("--connect-timeout-s", type=float, default=10.0)
    add("--total-timeout-s", type=float, default=60.0, help="for one attempt, in all")
    add("--max-bytes", type=int, default=25_000_000, help="largest body")
    add("--retries", type=int, default=2)
    add("--honour-opt-out", choices=("yes", "no"), default="yes", help="leave what X-Robots-Tag keeps from AI")
    add("--allow-loopback", choices=("yes", "no"), default="no", help="let links lead to this machine, for tests")
    _add_limits(add)


def _add_compared(add):
    _many(add, "generated", "generated-embeddings", "references", "reference-embeddings", help="a file a concept")
    for name in ("images", "matches"):
        add(f"--{name}", nargs="*", default=[], help="of training images, a file a concept; nothing without any")
    add("--targets", choices=("matches_and_references", "matches_or_references"))


def _add_limits(add):
    add("--max-pixels", type=int, default=100_000_000)
    add("--min-side", type=int, default=1, help="shortest side of a picture, in pixels")
    add("--decode-timeout-s", type=float, default=20.0, help="processor time for one picture, at most")
    add("--decoders", type=Number(int, 1, 4096), default=2, help="processes that decode")


def make_parser():
    """The parser of the whole command line."""
    parser = Parser(
        prog="fit",
        description="Finding the imitation threshold: how many training images of a concept a text-to-image model "
        "needs before it can imitate it. The workflow calls these commands; each also works alone.",
    )
    parser.add_argument("--version", action=Version, help="print the version")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    group = _group(commands, "concepts", "make and check concept sheets")
    add = _command(group, "check", concepts_check, "find concepts and names that stand twice or may mislead")
    add("sheets", nargs="+", help="concept sheets; those given together are compared")
    add = _command(group, "sample", concepts_sample, "draw a sheet from a longer one, evenly over log captions")
    add("--candidates", help="concept sheet to draw from")
    add("--counts", help="CSV or Parquet with the columns concept and captions, as `fit captions count` writes it")
    add("--size", type=int, help="how many to draw")
    add("--seed", type=int, default=0)
    add("--out", help="concept sheet to write")
    add = _command(group, "fetch", concepts_fetch, "bring a list here, if its checksum is the one expected")
    add("url", help="file://, http:// or https://")
    add("--sha256", help="of the file, 64 hexadecimal digits")
    add("--out", help="file to write")

    group = _group(commands, "captions", "count how often captions mention each concept")
    add = _command(group, "count", captions_count, "count mentions in files of captions, and sample their rows")
    add("--concepts", help="concept sheet")
    add(
        "--captions",
        nargs="*",
        default=[],
        metavar="FILE",
        help="Parquet, CSV, TSV or JSON lines, here or at s3://, hf://, https://; patterns, or lists of files (.txt)",
    )
    add("--elasticsearch", metavar="INDEX", nargs="?", const="", default="", help="count in an index instead")
    add(
        "--encoding", default="utf-8", help="of text files: utf-8, windows-1252 ... (a byte order mark tells by itself)"
    )
    add("--on-bad-shard", choices=("fail", "skip"), default="fail", help="what a broken file leads to")
    add("--threads", type=int, default=1, help="files read at once")
    add("--reuse", metavar="FOLDER", default=None, help="keep counts here, so that one more concept is counted alone")
    add("--part", action="store_true", help="the files are a part of a corpus, which may have no row")
    _add_caption_outputs(add)
    add = _command(group, "merge", captions_merge, "merge counts of several groups of files into one")
    _many(
        add, "parts", metavar="FILE", help="counts.parquet of each, beside names, matched captions and shards.parquet"
    )
    _add_caption_outputs(add)
    add = _command(group, "explain", captions_explain, "say why a caption mentions a name, or why not")
    add("name")
    add("caption")

    group = _group(commands, "images", "collect and look at training images")
    add = _command(group, "collect", images_collect, "collect the images behind sampled captions")
    add("--source", help="where the images are: embedded (in the corpus's own files) or http (behind the links)")
    add("--matched-captions", help="file that `fit captions count` wrote")
    add("--corpus", nargs="*", default=[], metavar="FILE", help="the corpus's files, for embedded images")
    _many(add, "out", help="image tables to write, named by the slugs of their concepts")
    add("--work", default=None, metavar="FOLDER", help="for what a kill must not lose (default: beside --out)")
    _add_fetching(add)
    add = _command(group, "import", images_import, "take pictures that are at hand")
    add("--kind", choices=("training", "generated", "photographs"), help="photographs: one folder, without slugs")
    add("--place", help="folder with a folder per slug, or Parquet with the columns concept and bytes")
    add("--sheet", default="", help="concept sheet, by which rows of a table that are of no concept are named")
    _many(add, "out", help="image tables to write, named by the slugs of their concepts")
    add("--work", default=None, metavar="FOLDER", help="for what a kill must not lose (default: beside --out)")
    _add_limits(add)
    add = _command(group, "retry", images_retry, "fetch failures of image tables again")
    add("files", nargs="+", help="image tables that `fit images collect` wrote")
    add(
        "--status",
        nargs="+",
        default=None,
        help="which failures, as `fit images stats` names them (default: those that may pass)",
    )
    _add_fetching(add)
    add = _command(group, "stats", images_stats, "count the statuses of image tables")
    add("files", nargs="+", help="image tables")
    add = _command(group, "show", images_show, "draw a contact sheet of an image table, or unpack it")
    add("file", help="image table (Parquet)")
    add("--unpack", metavar="FOLDER", default=None, help="write every picture into this folder instead")
    add("--provenance", action="store_true", help="print what made the pictures instead, as JSON")
    add("--sheet", default=None, help="picture to write (default: the table's name, .png, in this folder)")
    add("--most", type=int, default=200, help="pictures on the sheet, at most")
    add("--columns", type=int, default=20)

    group = _group(commands, "references", "verified images of each concept")
    add = _command(group, "collect", references_collect, "collect candidates from a table, a folder or a search")
    add("--source", choices=("table", "folder", "serpapi", "wikiart"))
    add("--place", nargs="?", const="", default="", help="the table or folder, or what to ask serpapi for, with {name}")
    add("--sheet", help="concept sheet")
    add("--candidates", type=int, default=30, help="how many to search for")
    add("--cache", default=".searches", metavar="FOLDER", help="keeps the answers of searches")
    _many(add, "out", help="image tables to write, named by the slugs of their concepts")
    add("--work", default=None, metavar="FOLDER", help="for what a kill must not lose (default: beside --out)")
    _add_fetching(add)
    add = _command(group, "select", references_select, "keep the most mutually similar ones")
    _many(add, "candidates", "embeddings", "out")
    add("--keep", type=int)
    add("--least", type=int, default=10, help="with fewer usable ones a concept is left out")
    add("--domain", default="NAME", help="of the concepts, to name its keys in messages")
    add("--place", default="", help="where references are put, to name it in messages")
    add(
        "--vetoes", nargs="?", const="", default="", metavar="FILE", help="TSV of concept and image_id: rejected images"
    )
    add("--sheet", nargs="?", const="", default="", help="concept sheet, by which vetoes of no concept are named")
    add = _command(group, "show", references_show, "draw which references were kept, which not, and why")
    _many(add, "files", help="tables that `fit references select` wrote")
    _many(add, "out", help="pictures to write")

    group = _group(commands, "embed", "one vector per face or image")
    add = _command(group, "images", embed_images, "embed image tables")
    _add_weights(add)
    add("--batch-size", type=int, default=64, help="images a batch, at most; halved as often as memory runs out")
    add("--threads", type=int, default=0, help="processor threads (0: the library's choice)")
    add(
        "--decoders",
        type=int,
        default=None,
        help="processes that decode pictures (0: this one; default: one per thread, but 0 with one thread)",
    )
    add("--detection-side", type=int, default=1280, help="longest side in pixels of what faces are searched in")
    add("--min-face-size", type=int, default=20, help="side of the smallest faces, in pixels of that")
    for name in ("--pixel-mean", "--pixel-std"):
        add(name, type=float, default=None, help="arcface: how pixels are scaled; auto: as the file tells")
    add("--channels", choices=("rgb", "bgr"), default="rgb", help="arcface: order of the colours")
    _many(add, "images", "out")
    add = _command(group, "texts", embed_texts, "embed texts, for the art filter")
    _add_weights(add)
    _many(add, "texts")
    add("--out")
    add = _command(group, "convert", embed_convert, "a CSD checkpoint as published into safetensors")
    add("checkpoint", help="pytorch_model.bin of CSD-ViT-L")
    add("out", help=".safetensors file to write, for the embedder csd")

    add = _command(group, "prompts", embed_prompts, "embed the prompts of every concept, for the CLIP score")
    _add_weights(add)
    add("--sheet", help="concept sheet")
    _many(add, "prompts", help="templates with {name}")
    add("--out")

    group = _group(commands, "match-threshold", "find the cosine that tells same from different")
    add = _command(group, "concepts", cut_concepts, "from references: within a concept against between concepts")
    _many(add, "references", "embeddings")
    add("--method", type=_method, help="midpoint, best_f1, or a cosine")
    add(
        "--needed",
        choices=("yes", "no"),
        default="yes",
        help="no: where none can be found, write that instead of failing",
    )
    add("--out", help="JSON to write")
    add("--figure", default=None, help="histogram to write")
    add = _command(group, "art", cut_art, "similarity to the texts of artworks against photographs")
    _many(add, "artworks", help="embeddings of references")
    add("--photographs", nargs="*", default=[], help="embeddings of photographs; none where a cosine is given")
    add("--texts", help="embeddings of the texts")
    add("--method", type=_method, help="midpoint, best_f1, or a cosine")
    add(
        "--needed",
        choices=("yes", "no"),
        default="yes",
        help="no: where none can be found, write that instead of failing",
    )
    add("--out", help="JSON to write")
    add("--figure", default=None, help="histogram to write")

    add = _command(commands, "recognisers", recognisers, "how often embedders err on references, by group of the sheet")
    add("--sheet", help="concept sheet; its column group says who belongs together")
    add("--references", help="folder of reference tables, named by slugs")
    add("--embeddings", nargs="+", metavar="FOLDER", help="of those references, a folder per embedder")
    add("--method", type=_method, help="of each embedder's match threshold: midpoint, best_f1, or a cosine")
    add("--seed", type=int, default=0, help="of the bootstrap over concepts")
    add("--out", default=None, help="table to write (TSV)")

    add = _command(commands, "match", match, "which training images show their concept")
    _many(add, "images", "references", "reference-embeddings", "out")
    add("--match-threshold", help="JSON of `fit matches threshold`")
    add("--art-embeddings", nargs="*", default=[], help="of the same images, by the art filter; nothing without one")
    add("--art-texts", nargs="*", default=[], help="embeddings of the texts")
    add("--art-threshold", nargs="*", default=[], help="JSON of `fit matches art-threshold`")

    group = _group(commands, "counts", "effective counts")
    add = _command(group, "estimate", counts, "from captions, downloads and matches")
    add("--captions", nargs="?", const="", default="", help="counts that `fit captions count` wrote, if any")
    _many(add, "images", "matches", help="files named by slugs")
    add("--out")
    add = _command(group, "import", counts_import, "take effective counts that are at hand")
    add("--table", help="CSV or Parquet with the columns concept and effective_count")
    add("--sheet", help="concept sheet")
    add("--out")
    add = _command(group, "scale", counts_scale, "another corpus's, by the ratio of captions")
    add("--captions", help="captions of this corpus")
    add("--counts", help="effective counts of the other")
    add("--out")

    add = _command(commands, "generate", generate, "generate pictures of concepts")
    add("--backend", default="diffusers")
    add("--pipeline", help="folder or hub id")
    add("--revision", nargs="?", default="", const="", help="commit of a hub id")
    add("--download", choices=("yes", "no"), default="no", help="whether to fetch a hub id that is not here")
    add("--variant", nargs="?", default="", const="", help="of the weights, as fp16 (default: none, or the only one)")
    add("--scheduler", nargs="?", default="", const="", help="class of diffusers scheduler (default: its own)")
    add("--dtype", default="float32", choices=("float32", "float16", "bfloat16"))
    add("--steps", type=int)
    add("--guidance", type=float)
    add("--height", type=int, default=0, help="pixels (0: the pipeline's own)")
    add("--width", type=int, default=0, help="pixels (0: the pipeline's own)")
    add("--negative-prompt", nargs="?", default="", const="", metavar="TEXT", help="what to guide away from")
    add("--compile", choices=("yes", "no"), default="no", help="torch.compile: minutes at first, faster then")
    add("--device", choices=("auto", "cuda", "cpu"), default="auto", help="cuda: fail where there is no GPU")
    add("--sheet", help="concept sheet")
    _many(add, "prompts", help="templates with {name}")
    add("--images-per-prompt", type=int)
    add("--batch-size", type=int, default=20, help="pictures at once; halved while memory does not suffice")
    add("--image-format", choices=("png", "webp"), default="png", help="both without loss")
    add("--seed", type=int)
    add("--threads", type=int, default=0)
    _many(add, "out", help="image tables to write, named by the slugs of their concepts")
    add("--work", default=None, metavar="FOLDER", help="for what a stop must not lose (default: beside --out)")

    add = _command(commands, "score", score, "imitation scores of concepts, a file each, a row a prompt")
    _add_compared(add)
    add("--top-k", type=int, default=10)
    _many(add, "out", help="files to write, in the order of the others")

    group = _group(commands, "alternatives", "other scores than the imitation score, on the same pictures")
    add = _command(group, "score", alternatives_score, "CLIP score, Fréchet distance and top-5 mean of concepts")
    _add_compared(add)
    add("--prompt-images", nargs="*", default=[], help="embeddings of the pictures by a model that reads text, if any")
    add("--prompts", nargs="?", const="", default="", help="embeddings of the prompts by it, if any")
    _many(add, "out", help="files to write, in the order of the others")
    add = _command(group, "tabulate", alternatives_tabulate, "counts and one such score, for `fit threshold`")
    add("--imitation", help="table that `fit scores` wrote")
    _many(add, "scores", help="files named by slugs")
    add("--kind", choices=("clip", "frechet", "top5"))
    add("--out")

    add = _command(commands, "scores", scores_tabulate, "counts and scores of all concepts in one table")
    add("--counts")
    _many(add, "scores", help="files named by slugs")
    add("--sheet", default=None, help="concept sheet with the groups, if any")
    add("--out")

    add = _command(commands, "threshold", threshold, "the imitation threshold of a table of concepts")
    add("table", help="CSV or Parquet with the columns concept, effective_count, score (and more: docs/threshold.md)")
    add(
        "--estimators",
        nargs="+",
        default=None,
        help="pelt, single, isotonic, logistic (default: all, in this order); the first is the headline",
    )
    add("--penalty", type=float, default=0.9, help="of PELT, for each change")
    add("--resamples", type=int, default=1000, help="of the bootstrap, and permutations of the tests")
    add("--seed", type=int, default=0)
    add("--out", default=None, help="JSON to write")

    add = _command(commands, "answer", answer, "what a study found, in a sentence, and where its report is")
    add("study", nargs="?", default=None, help="one of `studies` (default: the default study)")
    add("--config", nargs="+", default=["config.yaml"], help="as `snakemake --configfile` takes them, one over another")

    add = _command(commands, "audit", audit, "which concepts lie above a threshold, and which rows would have to go")
    add("--threshold", help="JSON of `fit threshold`, or a number of images")
    add("--counts", help="CSV or Parquet with the columns concept and effective_count, also low, high and captions")
    add("--matched-captions", default=None, help="file that `fit captions count` wrote, to plan which rows to remove")
    add("--images", default=None, metavar="FOLDER", help="image tables of the matched captions, named by slugs")
    add("--matches", default=None, metavar="FOLDER", help="their matches, named by slugs: those are removed first")
    add("--plan", default=None, metavar="OUT", help="rows to remove: OUT.parquet, OUT.csv and OUT.txt are written")
    add("--out", default=None, metavar="TABLE.tsv", help="table to write, and a note beside it")

    group = _group(commands, "ratings", "people's judgement of generated pictures")
    add = _command(group, "serve", ratings_serve, "serve a page on which people rate pictures beside references")
    add("--references", metavar="FOLDER", help="reference tables, named by the slugs of their concepts")
    add("--generated", metavar="FOLDER", help="generated tables, named likewise")
    add("--table", help="CSV or Parquet with the columns concept, effective_count and score")
    add("--out", help="CSV that answers are added to")
    add("--pairs", type=int, default=200, help="pictures to ask each rater about")
    add("--seed", type=int, default=0, help="of their choice and order")
    add("--host", default="127.0.0.1", help="address to listen at (default: this machine alone)")
    add(
        "--hostname",
        nargs="+",
        default=[],
        metavar="NAME",
        help="names by which browsers may ask for the page, beside localhost and, unless only this machine is served, "
        "its own name and addresses",
    )
    add("--port", type=int, default=8000, help="0 for any that is free")
    add("--question", default="How much does the picture look like the same person or style as the others?")
    add("--names", metavar="SHEET", default=None, help="concept sheet, to show raters the names (default: don't)")
    add = _command(group, "import", ratings_import, "add ratings made elsewhere")
    add("file", help="CSV with the columns rater, concept, rating (1 to 5), and where there are some image_id and time")
    add("--out", help="CSV that they are added to")
    add = _command(group, "report", ratings_report, "compare ratings with scores, raters, and the threshold")
    _many(add, "ratings", metavar="FILE", help="CSVs that `fit ratings` wrote")
    add("--table", help="CSV or Parquet with the columns concept, effective_count and score")
    add("--penalty", type=float, default=0.9, help="of the change points, for ratings from 0 to 1 and scores alike")
    add("--resamples", type=int, default=1000, help="of the bootstrap over concepts")
    add("--seed", type=int, default=0, help="of its draws")
    add("--out", help="JSON to write")

    group = _group(commands, "sensitivity", "how much each choice moves the threshold, and the concepts that defy it")
    add = _command(
        group, "rescore", sensitivity_rescore, "scores of concepts at every top-k and around the match threshold"
    )
    _add_compared(add)
    add(
        "--match-threshold",
        nargs="?",
        const="",
        default="",
        help="JSON of `fit matches threshold`; nothing without training images",
    )
    add(
        "--art-threshold",
        nargs="?",
        const="",
        default="",
        help="JSON of `fit matches art-threshold`; nothing without a filter",
    )
    add("--top-k", type=int, default=10, help="of the study")
    _many(add, "out", help="files to write, in the order of the others")
    add = _command(
        group,
        "measure",
        sensitivity_measure,
        "thresholds over penalties, concepts, prompts, top-k and match thresholds",
    )
    add("table", help="as `fit threshold` takes it")
    add("--threshold", help="JSON of `fit threshold`")
    add("--rescored", nargs="*", default=[], help="files of `fit sensitivity rescore`, for top-k and match thresholds")
    add("--top-k", type=int, default=10, help="of the study")
    add(
        "--match-threshold",
        nargs="?",
        const="",
        default="",
        help="JSON of `fit matches threshold`; nothing without training images",
    )
    add("--prompts", nargs="*", default=[], help="their templates, to name them by")
    add("--title", default="")
    add("--out", default=None, help="JSON to write")
    add("--figure", default=None, help="picture to write")

    add = _command(
        group, "outliers", sensitivity_outliers, "concepts below with a high score, and above with a low one"
    )
    add("table", help="that `fit scores` wrote")
    add("--threshold", help="JSON of `fit threshold`")
    add("--counts", help="effective counts")
    for name, what in (("references", "reference tables"), ("generated", "generated tables")):
        add(f"--{name}", metavar="FOLDER", help=f"of {what}, named by slugs")
    for name in ("reference-embeddings", "generated-embeddings"):
        add(f"--{name}", metavar="FOLDER")
    add("--names", nargs="?", const="", default="", help="captions per name, that `fit captions count` wrote, if any")
    add("--images", nargs="?", const="", default="", metavar="FOLDER", help="of embeddings of training images, if any")
    add("--rescored", nargs="?", const="", default="", metavar="FOLDER", help="of `fit sensitivity rescore`, if any")
    add(
        "--match-threshold",
        nargs="?",
        const="",
        default="",
        help="JSON of `fit matches threshold`; nothing without training images",
    )
    add("--rows", type=int, default=24, help="of the sheet, at most")
    add("--title", default="")
    add("--out", default=None, help="table to write (TSV)")
    add("--sheet", default=None, help="pictures to write")

    group = _group(commands, "plot", "figures")
    add = _command(group, "threshold", plot_threshold, "scores against counts")
    add("table")
    add("--threshold", help="JSON of `fit threshold`")
    add("--score", default="imitation score", help="what it is called in the figure")
    add("--title", default="")
    add("--out")
    add = _command(group, "counts", plot_counts, "how many concepts have how many captions")
    add("counts", help="file that `fit captions count` wrote")
    add("--title", default="")
    add("--out")
    add = _command(group, "generated", plot_generated, "pictures of a concept, a row a prompt")
    add("table", help="image table that `fit generate` wrote")
    add("--title", default="")
    add("--out")
    add = _command(group, "contact-sheet", plot_contact_sheet, "references beside generated pictures, below and above")
    add("table")
    add("--threshold", help="JSON of `fit threshold`")
    add("--references", help="folder of reference tables")
    add("--generated", help="folder of generated tables")
    add("--rows", type=int, default=20)
    add("--title", default="")
    add("--out")

    add = _command(commands, "report", report, "a study's tables, in three formats, and a page that shows them")
    add("study", help="its name, the title of the page")
    add("--thresholds", nargs="*", default=[], help="JSON files MODEL/DOMAIN.json")
    add("--counts", nargs="*", default=[], help="effective counts, CORPUS/DOMAIN.parquet")
    add("--match-thresholds", nargs="*", default=[], help="JSON files DOMAIN.json and DOMAIN.art.json")
    add("--figures", nargs="*", default=[], help="pictures to show")
    add("--missing", nargs="*", default=[], metavar="TEXT", help="MODEL/DOMAIN: what it lacks")
    add("--out", help="folder to write into")

    add = _command(commands, "plan", plan, "what a study will cost: GPU and CPU hours, disk, links")
    add("study", nargs="?", default="", help="of config.yaml (default: its default study)")
    add("--config", nargs="+", default=["config.yaml"], metavar="FILE", help="a later one lies over those before it")
    add("--gpus", type=Number(int, 1, 1_000_000), default=1, help="that work at once, for the time it takes")

    add = _command(commands, "check", check, "what a study lacks, and what is wrong with its inputs, before it runs")
    add("study", nargs="?", default="", help="of config.yaml (default: its default study)")
    add("--config", nargs="+", default=["config.yaml"], metavar="FILE", help="a later one lies over those before it")

    group = _group(commands, "tables", "tables of results")
    add = _command(group, "show", tables_show, "print a table in columns")
    add("file", help="TSV, CSV, Parquet or JSON; pictures and other bytes are left out")
    add("--rows", type=int, default=100, help="of Parquet and JSON lines, at most (0: all)")

    group = _group(commands, "atelier", "the built-in world")
    add = _command(group, "paint", atelier_paint, "paint its corpus, references and photographs")
    add("--sheet")
    for name in ("seed", "zeros", "largest", "references", "photographs", "anonymous"):
        add(f"--{name}", type=int)
    _many(add, "shards", help="corpus files to write")
    for name in ("training-set", "truth", "references-file", "photographs-file"):
        add(f"--{name}")
    for name, function in (("style-encoder", atelier_train_style_encoder), ("art-filter", atelier_train_art_filter)):
        add = _command(group, f"train-{name}", function, f"train the {name.replace('-', ' ')} on painters of its own")
        add("--steps", type=STEPS)
        add("--seed", type=int)
        add("--threads", type=int, default=0)
        add("--out", help="folder to write")
    add = _command(group, "train-generator", atelier_train_generator, "train the text-to-image pipeline")
    add("--training-set")
    add("--steps", type=STEPS)
    for name in ("autoencoder-steps", "batch-size", "seed"):
        add(f"--{name}", type=int)
    add("--threads", type=int, default=0)
    add("--out", help="folder to write")
    return parser


WRITTEN = {
    captions_count: ("counts", "matched_captions", "names", "shards", "reuse"),
    captions_merge: ("counts", "matched_captions", "names", "shards"),
    images_show: ("sheet", "unpack"),
    sensitivity_outliers: ("out", "sheet"),
    audit: ("out", "plan"),
    atelier_paint: ("shards", "training_set", "truth", "references_file", "photographs_file"),
    embed_convert: ("out",),
}
"""Command -> its arguments that name what it writes, where these are not `out`, `figure` and `work`."""
ADDED_TO = (ratings_serve, ratings_import)
"""Commands that add to a file that is there."""


def check_outputs(args):
    """Check that no file is written twice by one command, nor written and read.

    Raises:
        PlaceError: one is; both arguments are named.
    """
    from fit.io.files import check_apart, expand

    names = WRITTEN.get(args.function, ("out", "figure", "work"))

    def of(name):
        value = getattr(args, name)
        return [text for text in (value if isinstance(value, (list, tuple)) else [value]) if isinstance(text, str)]

    written = {name: of(name) for name in names if name in vars(args)}
    if args.function is audit:
        plan_out = [text.removesuffix(".parquet").removesuffix(".csv") for text in written["plan"]]
        written["plan"] = [text + suffix for text in plan_out for suffix in (".parquet", ".csv", ".txt")]
        written["out"] += [f"{text}.txt" for text in written["out"]]
    if args.function is captions_count or args.function is captions_merge:
        outputs = _caption_outputs(args)
        written |= {name: [str(getattr(outputs, name))] for name in ("counts", "matched_captions", "names", "shards")}
    read = {name: expand(of(name)) for name in vars(args) if name not in written and name != "function"}
    check_apart(written, {} if args.function in ADDED_TO else read)


def main(argv=None):
    """Run one command and return its exit status; what a user can mend is printed without a traceback, and is 1."""
    args = make_parser().parse_args(argv)

    def run(args):
        check_outputs(args)
        return args.function(args)

    return guarded(run, args)


if __name__ == "__main__":
    sys.exit(main())
