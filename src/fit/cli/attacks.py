"""`fit attacks`."""

import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

from fit.attacks import REGISTRY
from fit.attacks.settings import AssociationSettings, PrefixSettings, PromptingSettings
from fit.captions.settings import ReadingSettings, SamplingSettings
from fit.cli.command import Command
from fit.cli.common import set_threads
from fit.cli.flags import add_settings, read_settings
from fit.cli.parser import SEED, THREADS, Number, OptionalPath, Slugs
from fit.errors import DataError, FitError
from fit.generated.settings import ChangeSettings, PipelineSettings


def _add_concepts(add: Callable[..., None]) -> None:
    add("--sheet", metavar="FILE", help="concept sheet")
    add("--concepts", action=Slugs, required=True, help="which concepts")


def words_arguments(add: Callable[..., None]) -> None:
    """Add the options of `fit attacks words`."""
    _add_concepts(add)
    add("--counts", metavar="FILE", help="counts of captions, as `fit captions count` wrote them")
    add("--matched-captions", metavar="FILE", help="matched captions of the same count")
    add("--captions", nargs="+", metavar="FILE", help="the same files of captions, as `fit captions count` takes them")
    add_settings(add, AssociationSettings, SamplingSettings, ReadingSettings)
    add("--seed", type=SEED, default=0, metavar="N", help="of the sample of captions")
    add("--out", metavar="FILE", help="table to write, a row a concept and word")


def words(args: Namespace) -> None:
    """Rank the words that go with each concept."""
    from fit.attacks.words import WORDS, rank_words
    from fit.captions.sources import find_files
    from fit.concepts.sheet import find_concepts
    from fit.io.parquet import read

    found = rank_words(
        args.counts,
        args.matched_captions,
        find_concepts(args.sheet, args.concepts),
        find_files(args.captions),
        read_settings(AssociationSettings, args),
        read_settings(SamplingSettings, args),
        read_settings(ReadingSettings, args),
        args.seed,
        args.out,
    )
    for concept in (concept for concept, count in found.items() if not count):
        print(f"fit: {concept}: no word goes with it: too few captions mention it (--least-captions)", file=sys.stderr)
    table = read(args.out, schema=WORDS)
    first = {c: [row["word"] for row in table.to_pylist() if row["concept"] == c][:10] for c in found}
    for concept, names in first.items():
        print(f"{concept}: {', '.join(names) or '-'}", file=sys.stderr)


def prefix_arguments(add: Callable[..., None]) -> None:
    """Add the options of `fit attacks prefix`."""
    add_settings(add, PipelineSettings, ChangeSettings, PrefixSettings)
    _add_concepts(add)
    add("--images", nargs="+", metavar="PLACE", help="image tables that show the concept: references, or generated")
    add("--prompts", nargs="+", metavar="TEXT", help="templates with {name}, which the prefix is to go before")
    add("--seed", type=SEED, default=0, metavar="N", help="of the first embeddings and the noise")
    add("--threads", type=THREADS, default=0, help="of PyTorch; 0: its own number")
    add("--out", metavar="FILE", help="file of token embeddings to write (safetensors)")


def prefix(args: Namespace) -> None:
    """Find a prefix of token embeddings with which a model imitates a concept."""
    from fit import generated
    from fit.attacks.prefix import find_prefix
    from fit.attacks.prefix_files import read_pictures, write_prefix
    from fit.concepts.sheet import find_concepts
    from fit.generated.diffusers import Diffusers
    from fit.generated.rewriting import rewrite_prompts

    (concept, *others) = find_concepts(args.sheet, args.concepts)
    if others:
        raise DataError("--concepts: a prefix is found for one concept; name one, and call the command for each")
    set_threads(args.threads)
    changes = read_settings(ChangeSettings, args)
    model = generated.prepare(read_settings(PipelineSettings, args), changes)
    if not isinstance(model, Diffusers):
        raise FitError(f"`backend: {args.backend}`: a prefix is found for a diffusers pipeline; name such a model")
    pictures = read_pictures(args.images, concept.slug)
    # The prefix is found before the text that it will go before.
    rewritten = rewrite_prompts([concept], args.prompts, changes)
    asked = [prompt.format(name=concept.name) for prompt in args.prompts]
    prompts = [rewritten.get(prompt, prompt) for prompt in asked]
    settings = read_settings(PrefixSettings, args)
    vectors, losses = find_prefix(model, pictures, prompts, settings, args.seed)
    told = {"concept": concept.slug, "pipeline": args.pipeline, "seed": str(args.seed), "steps": str(len(losses))}
    write_prefix(vectors, told, args.out)
    few = max(1, len(losses) // 4)
    first, last = (sum(part) / len(part) for part in (losses[:few], losses[-few:]))
    said = f"the loss went from {first:.4f} to {last:.4f} (means of {few} steps)"
    print(f"fit: {concept.slug}: {said}", file=sys.stderr)


def plan_arguments(add: Callable[..., None]) -> None:
    """Add the options of `fit attacks plan`."""
    _add_concepts(add)
    add("--attacks", nargs="+", choices=list(REGISTRY), help="which attacks")
    add("--prompts", nargs="+", metavar="TEXT", help="templates with {name}, those of the domain")
    add("--words", action=OptionalPath, help="table of `fit attacks words`")
    add("--descriptions", action=OptionalPath, help="table with the columns concept and description")
    add("--prefixes", nargs="*", default=[], metavar="FILE", help="files SLUG.safetensors of `fit attacks prefix`")
    add_settings(add, PromptingSettings)
    add("--out", metavar="FILE", help="table of prompts to write, for `fit generated make --prompt-table`")


def plan(args: Namespace) -> None:
    """Write what a model is asked for by attacks on concepts."""
    from fit.attacks.plan import plan_attacks, read_subjects
    from fit.concepts.sheet import find_concepts

    prefixes = {Path(path).stem: path for path in args.prefixes}
    subjects = read_subjects(
        find_concepts(args.sheet, args.concepts), args.prompts, args.words, args.descriptions, prefixes
    )
    for remark in plan_attacks(subjects, args.attacks, read_settings(PromptingSettings, args), args.out):
        print(f"fit: {remark}", file=sys.stderr)


def tabulate_arguments(add: Callable[..., None]) -> None:
    """Add the options of `fit attacks tabulate`."""
    add("--trials", metavar="FILE", help="table of `fit attacks plan`")
    add("--scores", nargs="+", metavar="PLACE", help="tables of `fit scores imitation`: files or folders")
    add("--attacks", nargs="+", choices=list(REGISTRY), help="which attacks, in the order of the rows")
    add("--model", metavar="NAME", help="the model that is attacked")
    add(
        "--base",
        metavar="NAME",
        help="the model whose curve scores are read on: the one that it is derived from, or itself",
    )
    add("--base-scores", metavar="FILE", help="table of `fit scores tabulate` of the base")
    add(
        "--resamples", type=Number(int, 1, 10_000_000), default=1000, metavar="N", help="of the bootstrap over pictures"
    )
    add("--seed", type=SEED, default=0, metavar="N", help="of the bootstrap")
    add("--settings-file", metavar="FILE", help="table to write, a row a concept, attack and setting")
    add("--out", metavar="FILE", help="table to write, a row a concept and attack; and the same as text (.tsv)")


def tabulate(args: Namespace) -> None:
    """Bring together what each attack achieves."""
    from fit.attacks.tabulate import fit_base, tabulate_attacks, write_tables
    from fit.thresholds.scores import read_table

    base = fit_base(args.base, read_table(args.base_scores), args.resamples, args.seed)
    settings, attacks = tabulate_attacks(
        args.trials, args.scores, args.attacks, args.model, base, args.resamples, args.seed
    )
    write_tables(settings, attacks, args.settings_file, args.out)
    unknown = attacks.filter(attacks["effective_count"].is_null())["concept"].unique(maintain_order=True).to_list()
    if unknown:
        print(
            f"fit: {args.base_scores}: it lacks {', '.join(unknown)}, whose own counts are not known", file=sys.stderr
        )
    for remark in base.remarks:
        print(f"fit: {args.base_scores}: {remark}", file=sys.stderr)
    for row in attacks.iter_rows(named=True):
        said = row["said"] or row["reason"] or f"score {row['score']:.2f}"
        print(f"{row['concept']}, {row['attack']}: {said}", file=sys.stderr)


def compare_arguments(add: Callable[..., None]) -> None:
    """Add the options of `fit attacks compare`."""
    add(
        "--tables",
        nargs="+",
        metavar="FILE",
        help="tables of `fit attacks tabulate`, one a model, in the order of the rows",
    )
    add("--out", metavar="FILE", help="table to write, a row a model, concept and attack; and the same as text (.tsv)")


def compare(args: Namespace) -> None:
    """Put what attacks achieve on several models side by side."""
    from fit.attacks.compare import ALL, BEFORE, compare_attacks, read_attacks, write_compared

    compared = compare_attacks(read_attacks(args.tables))
    write_compared(compared, args.out)
    if BEFORE not in compared["attack"]:
        print(
            f"fit: the attack {BEFORE!r} was not tried, so there is nothing that others could gain over",
            file=sys.stderr,
        )
    for row in compared.iter_rows(named=True):
        if row["concept"] == ALL and row["gain"] is not None:
            said = f"{row['gain']:+.2f} (95 %: {row['gain_low']:+.2f} to {row['gain_high']:+.2f})"
            print(
                f"{row['model']}, {row['attack']}: mean score over that of the domain's prompts {said}", file=sys.stderr
            )


def plot_arguments(add: Callable[..., None]) -> None:
    """Add the options of `fit attacks plot`."""
    add("--table", metavar="FILE", help="table of `fit attacks compare`")
    add("--out", metavar="PNG", help="figure to write")


def plot(args: Namespace) -> None:
    """Draw models and attacks on the axis of training images."""
    import polars as pl

    from fit.attacks.compare import COMPARED
    from fit.attacks.figure import draw_attacks
    from fit.io.parquet import read

    draw_attacks(pl.DataFrame(pl.from_arrow(read(args.table, list(COMPARED)))), args.out)


COMMANDS = (
    Command("words", "rank the words that go with each concept in captions", words_arguments, words),
    Command("prefix", "find token embeddings with which a model imitates a concept", prefix_arguments, prefix),
    Command("plan", "write what a model is asked for by attacks on concepts", plan_arguments, plan),
    Command(
        "tabulate",
        "what each attack achieves, with intervals",
        tabulate_arguments,
        tabulate,
        writes=("settings_file", "out"),
    ),
    Command("compare", "what attacks achieve on several models, side by side", compare_arguments, compare),
    Command("plot", "draw models and attacks on the axis of training images", plot_arguments, plot),
)
