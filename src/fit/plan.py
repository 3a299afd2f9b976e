"""What a study will cost: hours of GPUs and processors, disk, links, from the configuration.

Rates are measured where a run left Snakemake's benchmark files (results/benchmarks, seconds in the column `s`) together
with the tables that it made, and else assumed; which of the two is said of every number. Nothing here imports torch.
"""

from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

ALIVE = 0.74
"""Share of links that still lead to an image: the paper's (arXiv 2410.15002, section 3)."""
ANSWER_S = 1.5
"""Seconds that a link takes, dead ones and further attempts included. Assumed."""
COLLECT_S = 1 / 455
"""Seconds that a collected image takes at least, two processes decoding; measured (docs/images.md)."""
COUNT_S = 403e-9
"""Seconds of one thread per caption, hits sampled; measured (docs/captions.md)."""
CPU_FACTOR = 60
"""How many times longer than one GPU one processor core takes for a model. Assumed."""

TRAINING_IMAGE_BYTES, REFERENCE_BYTES, ATELIER_BYTES = 1e5, 2e5, 3e3
"""Mean bytes of an image from the web, of a reference, of one of the atelier's small pictures. Assumed."""

GENERATORS = (
    # what an id contains, GPU seconds per step, bytes of a picture, where from
    (("xl",), 0.10, 1.4e6, "1,024 x 1,024"),
    (("stable-diffusion-2-1-base", "stable-diffusion-2-base", "stable-diffusion-v1", "sd1"), 0.020, 4.5e5, "512 x 512"),
    (("stable-diffusion-2",), 0.055, 9e5, "768 x 768"),
    (("results/atelier/",), 0.00004, ATELIER_BYTES, "the atelier's pictures"),
    (("",), 0.10, 1.4e6, "an unknown model, taken for a large one"),
)
"""Seconds per denoising step and picture, in batches, at half precision, with guidance, on a GPU of the A100's class.
Assumed: no GPU has been timed."""

EMBEDDERS = (
    # what backend and model contain, GPU seconds per image, numbers in an embedding, vectors per image, where from
    (("facenet", "arcface", "onnx"), 0.010, 512, 1.5, "detection and embedding of 1.5 faces an image"),
    (("vit-h", "dfn5b"), 0.020, 1024, 1, "a ViT-H at 378 x 378"),
    (("vit-l", "csd"), 0.006, 768, 1, "a ViT-L at 224 x 224"),
    (("results/atelier/",), 0.0001, 128, 1, "the atelier's encoders"),
    (("",), 0.010, 1024, 1, "an unknown model, taken for a large one"),
)
"""Seconds per image, in batches, on a GPU of the A100's class. Assumed, as above."""

START_S = 5
"""Seconds that a command takes to start and to read and write its tables, where it has little else to do. Assumed."""
ATELIER_S = {"paint_world": 60, "train_style_encoder": 90, "train_art_filter": 30, "train_generator": 600}
"""Seconds that building the atelier takes on two cores, with its own settings. Assumed."""


@dataclass(frozen=True)
class Work:
    """Jobs of one stage, for one model, embedder or corpus.

    `units` is how many `unit` they work through, None where nobody knows; `seconds` what one takes, `size` the bytes
    that it leaves; `reason` says where both come from.
    """

    stage: str
    subject: str
    jobs: int
    units: float | None
    unit: str
    seconds: float
    size: float
    reason: str
    gpu: bool = False
    threads: int = 1
    measured: bool = False
    bound: bool = False
    """Whether `units` is an upper bound."""

    @property
    def hours(self):
        """Hours of one job at a time."""
        return (self.units or 0) * self.seconds / 3600

    @property
    def gpu_hours(self):
        """Hours of a GPU."""
        return self.hours if self.gpu else 0.0

    @property
    def cpu_hours(self):
        """Hours of processor cores; a job on a GPU keeps one busy."""
        return self.hours * self.threads

    @property
    def disk(self):
        """Bytes left under results/."""
        return (self.units or 0) * self.size


@dataclass
class _Measured:
    """What a run left of some stage: seconds, units, and the bytes of the tables that it made."""

    seconds: float = 0.0
    units: int = 0
    size: int = 0


class _Planner:
    def __init__(self, config, results):
        self.config, self.results = config, Path(results)
        self.slugs = {}
        self.found = defaultdict(_Measured)
        self.works = []

    def concepts(self, domain):
        if domain not in self.slugs:
            self.slugs[domain] = [concept.slug for concept in self.config.sheet(domain)]
        return self.slugs[domain]

    def shared_jobs(self, domain, heavy):
        """The concepts of each job that takes several, as in workflow/common.smk; none where a job takes one."""
        return self.config.shared_jobs(domain, self.concepts(domain), heavy)

    def add(self, domain, place, made, counted=None, heavy=False, **fields):
        """Add work in a domain, and what was measured of it.

        Args:
            place: folder of its benchmarks, below results/benchmarks.
            made: folder of the tables that it makes, one a concept, below results.
            counted: folder of tables whose rows are its units; None where a unit is a concept.
            heavy: whether a concept takes minutes.
        """
        jobs = len(self.shared_jobs(domain, heavy)) or len(self.concepts(domain))
        work = Work(jobs=jobs, **fields)
        self.works.append(work)
        found = self.found[work.stage, work.subject, work.gpu]
        for path in sorted((self.results / "benchmarks" / place).glob("*.tsv")):
            slugs = self.covered(domain, path.stem, heavy)
            tables = [self.results / (counted or made) / f"{slug}.parquet" for slug in slugs]
            outputs = [self.results / made / f"{slug}.parquet" for slug in slugs]
            if not slugs or not all(table.is_file() for table in tables + outputs):
                continue
            rows = [_rows(table) if counted else 1 for table in tables]
            if None in rows:
                continue
            found.seconds += _seconds(path)
            found.units += sum(rows)
            found.size += sum(output.stat().st_size for output in outputs)

    def covered(self, domain, stem, heavy):
        """Concepts of the job whose benchmark is named `stem`: one, or those that share it."""
        if stem in self.concepts(domain):
            return [stem]
        number, shared = stem.removeprefix(f"batch_{domain}_").removesuffix("_light"), self.shared_jobs(domain, heavy)
        return shared[int(number)] if number.isdigit() and int(number) < len(shared) else []

    def once(self, stage):
        """A job of the atelier, measured or not."""
        path = self.results / "benchmarks" / f"{stage}.tsv"
        there = path.is_file()
        self.works.append(
            Work(
                stage=stage,
                subject="atelier",
                jobs=1,
                units=1,
                unit="world" if stage == "paint_world" else "model",
                seconds=_seconds(path) if there else ATELIER_S[stage],
                size=0,
                reason="its benchmark" if there else "on two cores, with the settings of config.yaml",
                threads=1 if stage == "paint_world" else 2,
                measured=there,
            )
        )

    def rated(self):
        """All work, with measured rates where there are any, that of several domains added up."""
        sums: dict[tuple[str, str], Work] = {}
        for work in self.works:
            found = self.found[work.stage, work.subject, work.gpu]
            if found.units:
                work = replace(
                    work,
                    seconds=found.seconds / found.units,
                    size=found.size / found.units,
                    measured=True,
                    reason=f"of {found.units:,} {work.unit}",
                )
            key = (work.stage, work.subject)
            if key in sums:
                before = sums[key]
                units = None if None in (before.units, work.units) else before.units + work.units
                work = replace(before, jobs=before.jobs + work.jobs, units=units, bound=before.bound or work.bound)
            sums[key] = work
        return list(sums.values())


def _rows(path):
    """Rows of a table; None where it is none."""
    try:
        return pq.read_metadata(path).num_rows
    except (OSError, pa.ArrowException):
        return None


def _seconds(path):
    """Mean seconds of a Snakemake benchmark file."""
    header, *rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    column = header.index("s")
    return sum(float(row[column]) for row in rows) / len(rows)


def _pick(table, text):
    """The first row of an assumptions' table whose key occurs in `text`."""
    return next(row[1:] for row in table if any(key in text.lower() for key in row[0]))


def _captions(config, corpus, results):
    """Captions of a corpus, None where nobody has counted them: from the footers of its Parquet files."""
    files = [Path(file) for file in config.caption_files(corpus)]
    if not files or not all(file.suffix == ".parquet" and file.is_file() for file in files):
        return None
    rows = [_rows(file) for file in files]
    return None if None in rows else sum(rows)


def _links(planner, corpus, domain):
    """(Sampled captions of a domain, whether that is an upper bound): counted, or max_matched_captions for each concept."""
    config, captions = planner.config, planner.config.corpora[corpus].captions
    path = planner.results / "captions" / corpus / domain / "counts.parquet"
    slugs = planner.concepts(domain)
    if path.is_file():
        table = pq.read_table(path, columns=["concept", "captions"])
        counts = dict(zip(table["concept"].to_pylist(), table["captions"].to_pylist(), strict=True))
        if set(slugs) <= set(counts):
            return sum(min(counts[slug], captions.max_matched_captions) for slug in slugs), False
    most = captions.max_matched_captions
    rows = _captions(config, corpus, planner.results)
    if rows is not None:
        most = min(most, rows)
    if any(file.startswith("results/atelier/") for file in captions.files or ()):
        # Captions that name a painter under what is not theirs come on top; they are fewer than the works.
        most = min(most, 2 * config.atelier.largest_count)
    return most * len(slugs), True


def _embedders(domain):
    """The embedders that see a domain's images: its own, and that of its art filter."""
    return [domain.embedder] + ([domain.art_filter.embedder] if domain.art_filter else [])


def _embedding(planner, name, stage, unit, domain, units, place, counted, bound=False, share=1.0, heavy=False):
    """Add the embedding of images by embedder `name`: of `units` rows, of which `share` have an image."""
    embedder = planner.config.embedders[name]
    seconds, numbers, vectors, reason = _pick(EMBEDDERS, f"{embedder.backend} {embedder.model}")
    planner.add(
        domain,
        f"{stage}/{name}/{place}",
        f"embeddings/{name}/{place}",
        counted,
        stage=stage,
        subject=name,
        heavy=heavy,
        units=units,
        unit=unit,
        seconds=share * seconds * (1 if embedder.gpus else CPU_FACTOR),
        size=share * vectors * (4 * numbers + 100),
        reason=reason,
        gpu=bool(embedder.gpus),
        bound=bound,
    )


def _of_corpus(planner, corpus, domain, results):
    """Counting captions, and where a corpus has images, collecting, embedding and matching them."""
    config = planner.config
    its, theirs = config.corpora[corpus], config.domains[domain]
    slugs = planner.concepts(domain)
    if its.captions:
        planner.works.append(
            Work(
                stage="count_captions",
                subject=corpus,
                jobs=len(config.caption_parts(corpus)),
                units=_captions(config, corpus, results),
                unit="captions",
                seconds=COUNT_S / 1.57,
                size=0,
                reason="docs/captions.md, two threads",
                threads=2,
            )
        )
    if not its.has_images:
        return
    if its.images:
        links, bound = _links(planner, corpus, domain)
        remote = its.images == "http"
        connections = config.collection.connections
        planner.add(
            domain,
            f"collect_images/{corpus}/{domain}",
            f"images/{corpus}/{domain}",
            f"images/{corpus}/{domain}",
            stage="collect_images",
            subject=corpus,
            heavy=True,
            units=links,
            unit="links" if remote else "rows",
            seconds=max(ANSWER_S / connections, COLLECT_S) if remote else COLLECT_S,
            size=TRAINING_IMAGE_BYTES * ALIVE if remote else ATELIER_BYTES,
            reason=(
                f"{ANSWER_S} s a link, {connections} connections, {ALIVE:.0%} alive, {_amount(TRAINING_IMAGE_BYTES)}B"
                if remote
                else "docs/images.md"
            ),
            bound=bound,
        )
        unit, share = "links" if remote else "rows", ALIVE if remote else 1.0
    else:
        links, bound, unit, share = None, False, "images", 1.0
    for name in _embedders(theirs):
        place = f"images/{corpus}/{domain}"
        heavy = bool(its.images)
        _embedding(planner, name, "embed_training_images", unit, domain, links, place, place, bound, share, heavy)
    planner.add(
        domain,
        f"match_images/{corpus}/{domain}",
        f"matches/{corpus}/{domain}",
        stage="match_images",
        subject=corpus,
        units=len(slugs),
        unit="concepts",
        seconds=START_S,
        size=2e4,
        reason="starting takes most of it",
    )


def _of_domain(planner, domain):
    """Collecting and embedding references."""
    theirs = planner.config.domains[domain]
    each = (
        theirs.references.candidates if theirs.references.source in ("serpapi", "wikiart") else theirs.references.keep
    )
    images = each * len(planner.concepts(domain))
    size = ATELIER_BYTES if theirs.references.place.startswith("results/atelier/") else REFERENCE_BYTES
    planner.add(
        domain,
        f"collect_references/{domain}",
        f"references/{domain}/candidates",
        f"references/{domain}/candidates",
        stage="collect_references",
        subject=theirs.references.source,
        units=images,
        unit="images",
        seconds=START_S / each,
        size=size,
        reason=f"starting takes most of it, {_amount(size)}B each",
    )
    for name in _embedders(theirs):
        place, counted = f"references/{domain}", f"references/{domain}/candidates"
        _embedding(planner, name, "embed_references", "images", domain, images, place, counted)


def _of_model(planner, model, domain):
    """Generating, embedding and scoring a model's pictures."""
    its, theirs = planner.config.models[model], planner.config.domains[domain]
    slugs = planner.concepts(domain)
    pictures = len(slugs) * len(theirs.prompts) * its.images_per_prompt
    place = f"generated/{model}/{domain}"
    if its.pipeline:
        seconds, size, reason = _pick(GENERATORS, its.pipeline)
        seconds *= its.steps * (2 if its.dtype == "float32" else 1) * (1 if its.gpus else CPU_FACTOR)
        planner.add(
            domain,
            f"generate_images/{model}/{domain}",
            place,
            place,
            stage="generate_images",
            subject=model,
            heavy=True,
            units=pictures,
            unit="pictures",
            seconds=seconds,
            size=size,
            reason=f"{its.steps} steps, {its.dtype}, {reason}",
            gpu=bool(its.gpus),
        )
    _embedding(
        planner,
        theirs.embedder,
        "embed_generated",
        "pictures",
        domain,
        pictures,
        place,
        place,
        heavy=bool(its.pipeline),
    )
    planner.add(
        domain,
        f"score_imitation/{model}/{domain}",
        f"scores/{model}/{domain}",
        stage="score_imitation",
        subject=model,
        units=len(slugs),
        unit="concepts",
        seconds=START_S,
        size=5e3,
        reason="starting takes most of it",
    )


def estimate(config, study=None, results="results"):
    """What a study costs from nothing, stage by stage: a list of Work, in the order of the data.

    Args:
        config: a fit.config.config.Config.
        study: its name; the default study where left out.
        results: folder in which a run may have left benchmarks and tables.

    Raises:
        ConfigError: there is no such study. SheetError: a sheet is not usable.
    """
    study = config.study_named(study)
    planner, pairs = _Planner(config, results), config.pairs(study)
    if any((config.models[model].pipeline or "").startswith("results/atelier/") for model, _ in pairs):
        for stage in ATELIER_S:
            planner.once(stage)
    corpora: dict[tuple[str, str], None] = {}
    for model, domain in pairs:
        corpus = config.models[model].corpus
        corpora |= {(config.matched_corpus(corpus), domain): None, (corpus, domain): None}
    for corpus, domain in corpora:
        _of_corpus(planner, corpus, domain, results)
    for domain in dict.fromkeys(domain for _, domain in pairs):
        _of_domain(planner, domain)
    for model, domain in pairs:
        _of_model(planner, model, domain)
    order = list(dict.fromkeys(work.stage for work in planner.works))
    return sorted(planner.rated(), key=lambda work: order.index(work.stage))


def _amount(number):
    """A number in a few characters: 12, 3.4 k, 560 M."""
    for factor, sign in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= factor:
            scaled = number / factor
            return f"{scaled:.0f} {sign}" if scaled >= 100 else f"{scaled:.3g} {sign}"
    return f"{number:.0f} "


def _time(seconds):
    """Seconds per unit, readable from nanoseconds to hours."""
    for factor, sign in ((1, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if seconds >= factor:
            return f"{seconds / factor:.3g} {sign}"
    return f"{seconds / 1e-9:.3g} ns"


def _duration(hours):
    """Hours as a person says them."""
    return (
        f"{hours / 24:,.1f} days"
        if hours >= 48
        else f"{hours:,.1f} hours"
        if hours >= 1
        else f"{hours * 60:.0f} minutes"
    )


def report(works, study, gpus=1):
    """The estimate as text: a row a stage and subject, totals, the time on `gpus` GPUs, and what is assumed."""
    rows = [("stage", "for", "jobs", "amount", "GPU hours", "CPU hours", "disk", "rate")]
    for work in works:
        amount = "?" if work.units is None else f"{'up to ' if work.bound else ''}{round(work.units):,}"
        known = work.units is not None
        rows.append(
            (
                work.stage,
                work.subject,
                f"{work.jobs:,}",
                f"{amount} {work.unit}",
                f"{work.gpu_hours:,.1f}" if work.gpu and known else "",
                f"{work.cpu_hours:,.1f}" if known else "?",
                f"{_amount(work.disk)}B" if work.disk else "",
                f"{_time(work.seconds)} {'measured' if work.measured else 'assumed'}",
            )
        )
    gpu_hours = sum(work.gpu_hours for work in works)
    totals = (f"{sum(work.jobs for work in works):,}", "", f"{gpu_hours:,.1f}")
    cpu_hours, disk = sum(work.cpu_hours for work in works), sum(work.disk for work in works)
    rows.append(("total", "", *totals, f"{cpu_hours:,.1f}", f"{_amount(disk)}B", ""))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    right = {2, 3, 4, 5, 6}
    lines = [
        "  ".join(
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    rule = "  ".join("-" * width for width in widths)
    lines = [f"study {study}, from nothing to its thresholds", "", lines[0], rule, *lines[1:-1], rule, lines[-1], ""]
    lines.append("Merging, cuts, tables and figures take minutes and are left out.")
    if gpu_hours:
        lines.append(f"GPU work: {_duration(gpu_hours / gpus)} on {gpus} GPU{'s' if gpus > 1 else ''} without a pause")
    for work in works:
        if work.stage == "collect_images" and work.unit == "links" and work.units:
            most = "up to " if work.bound else ""
            lines.append(f"requests for {work.subject}: {most}{_duration(work.hours)}, one job at a time")
    assumed = [work for work in works if not work.measured]
    if assumed:
        lines += ["", "Rates that are assumed, not measured (a run leaves measured ones in results/benchmarks):"]
        lines += [f"  {work.stage}, {work.subject}: {_time(work.seconds)} each; {work.reason}" for work in assumed]
    unknown = [
        f"  {work.stage}, {work.subject}: how many {work.unit} there are" for work in works if work.units is None
    ]
    if unknown:
        lines += ["", "Not known here, and not in the totals:", *unknown]
    if any(work.bound for work in works):
        lines += [
            "",
            "`up to`: captions are not counted yet, so every concept is taken to have its most (max_matched_captions).",
        ]
    return "\n".join(lines)
