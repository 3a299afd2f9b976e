"""`fit copies`."""

import sys
from argparse import Namespace
from collections.abc import Callable

from fit.captions.settings import ReadingSettings, SamplingSettings
from fit.cli.command import Command
from fit.cli.common import add_work, set_threads
from fit.cli.flags import add_settings, read_settings
from fit.cli.parser import SEED, THREADS, Number
from fit.cli.scores import EVIDENCE
from fit.copies.settings import CopiesWorldSettings, CopySettings, PromptSettings
from fit.generated.settings import ChangeSettings, GenerationSettings, PipelineSettings
from fit.scores.settings import ScoreSettings

COLUMN = {
    "default": SamplingSettings.caption_column,
    "metavar": "TEXT",
    "help": "column (or field) with the caption",
}
ENCODING = {"default": ReadingSettings.encoding, "metavar": "TEXT", "help": "of text files"}


def prompts_arguments(add: Callable[..., None]) -> None:
    """Add the options of `fit copies prompts`."""
    add("--captions-files", nargs="*", default=[], metavar="FILE", help="files of captions of the model's corpus")
    add("--caption-column", **COLUMN)
    add("--encoding", **ENCODING)
    add(
        "--table", default=None, metavar="FILE", help="prompts: a table with the column caption, and memorised if known"
    )
    add(
        "--other-table",
        default=None,
        metavar="FILE",
        help="prompts of no training image: a table with the column caption",
    )
    add_settings(add, PromptSettings)
    add("--seed", type=SEED, metavar="N", help="of the prompts of no training image that are made of captions")
    add("--out", metavar="FILE", help="table to write, a row a prompt")


def prompts(args: Namespace) -> None:
    """Choose the prompts."""
    from fit.copies.prompts import choose_prompts, write_prompts

    found = choose_prompts(
        files=args.captions_files,
        column=args.caption_column,
        encoding=args.encoding,
        settings=read_settings(PromptSettings, args),
        seed=args.seed,
        table=args.table,
        others=args.other_table,
    )
    write_prompts(found, args.out)


def _add_model(add: Callable[..., None]) -> None:
    """Add what says which model makes the pictures of which prompts."""
    add_settings(add, PipelineSettings, GenerationSettings, ChangeSettings)
    add("--prompts", metavar="FILE", help="table that `fit copies prompts` wrote")
    add("--seed", type=SEED, metavar="N", help="of the study")
    add("--threads", type=THREADS, default=0, help="processor threads (0: the library's choice)")


def generate_arguments(add: Callable[..., None]) -> None:
    """Add the options of `fit copies generate`."""
    _add_model(add)
    add("--job", type=Number(int, 0, 999_999), default=0, metavar="N", help="of --jobs, from 0: which prompts")
    add("--jobs", type=Number(int, 1, 1_000_000), default=1, metavar="N", help="that share the prompts")
    add_work(add)
    add("--out", metavar="FILE", help="image table to write")


def generate(args: Namespace) -> None:
    """Generate the pictures of prompts."""
    from fit import generated
    from fit.copies.tables import as_concepts, read_chosen
    from fit.generated.run import generate_table
    from fit.io.shown import number_of

    concepts = as_concepts(read_chosen(args.prompts), args.job, args.jobs)
    set_threads(args.threads)
    statuses = generate_table(
        generated.prepare(read_settings(PipelineSettings, args), read_settings(ChangeSettings, args)),
        concepts,
        args.out,
        settings=read_settings(GenerationSettings, args),
        prompts=["{name}"],
        study_seed=args.seed,
        work=args.work,
    )
    bad = sum(count for counted in statuses.values() for status, count in counted.items() if status != "ok")
    if bad:
        print(f"fit: {number_of(bad, 'picture')} failed (nan, black, constant) and count as not made", file=sys.stderr)


def guidance_arguments(add: Callable[..., None]) -> None:
    """Add the options of `fit copies guidance`."""
    _add_model(add)
    add("--out", metavar="FILE", help="table to write, a row a prompt")


def guidance(args: Namespace) -> None:
    """Measure the text-conditional part of the predicted noise."""
    from fit import generated
    from fit.copies.conditional import measure_norms
    from fit.copies.tables import as_concepts, read_chosen

    concepts = as_concepts(read_chosen(args.prompts))
    set_threads(args.threads)
    generator = generated.load(read_settings(PipelineSettings, args), read_settings(ChangeSettings, args))
    measure_norms(generator, concepts, read_settings(GenerationSettings, args).images_per_prompt, args.seed, args.out)


def find_arguments(add: Callable[..., None]) -> None:
    """Add the options of `fit copies find`."""
    add("--prompts", metavar="FILE", help="table that `fit copies prompts` wrote")
    add("--generated", nargs="+", metavar="FILE", help="image tables that `fit copies generate` wrote")
    add("--guidance", metavar="FILE", help="table that `fit copies guidance` wrote")
    add("--training-images", nargs="+", metavar="FILE", help="Parquet tables with a column of pictures")
    add_settings(add, CopySettings)
    add("--threads", type=THREADS, default=0, help="processor threads (0: the library's choice)")
    add("--summary", metavar="FILE", help="JSON to write: cuts, false positives, how many suspects and copies")
    add("--out", metavar="FILE", help="table to write, a row a prompt")


def find(args: Namespace) -> None:
    """Find suspects and copies."""
    from fit.copies.find import find_copies, told
    from fit.io.json_files import write_json
    from fit.io.parquet import write

    found, summary = find_copies(
        args.prompts, args.generated, args.guidance, args.training_images, read_settings(CopySettings, args)
    )
    write(found, args.out, row_group=65_536)
    write_json(summary, args.summary)
    print("\n".join(told(summary)), file=sys.stderr)


def paint_arguments(add: Callable[..., None]) -> None:
    """Add the options of `fit copies paint`."""
    add("--sheet", metavar="FILE", help="concept sheet of the painters")
    add_settings(add, CopiesWorldSettings)
    add("--seed", type=SEED, metavar="N", help="of every random choice")
    add("--training-set", metavar="FILE", help="Parquet file to write: the captioned pictures that the generator sees")
    add("--painters-file", metavar="FILE", help="table to write: each painter's count, and of what kind the images are")
    add("--prompts-file", metavar="FILE", help="table to write: a caption of each painter, and whether it is memorised")
    add("--references-file", metavar="FILE", help="Parquet file to write: pictures of each painter")


def paint(args: Namespace) -> None:
    """Paint painters of equal count, of distinct images or one that is repeated."""
    from fit.copies.paint import CopiesWorldFiles, paint_copies_world

    files = CopiesWorldFiles(
        training_set=args.training_set,
        painters=args.painters_file,
        prompts=args.prompts_file,
        references=args.references_file,
    )
    paint_copies_world(args.sheet, read_settings(CopiesWorldSettings, args), args.seed, files)


def compare_arguments(add: Callable[..., None]) -> None:
    """Add the options of `fit copies compare`."""
    add("--painters", metavar="FILE", help="table of painters of `fit copies paint`")
    add("--found", metavar="FILE", help="table of `fit copies find`")
    add("--summary", metavar="FILE", help="JSON of `fit copies find`")
    for name, what in EVIDENCE.items():
        add(f"--{name}", nargs="+", metavar="PLACE", help=f"{what}: files or folders")
    add_settings(add, ScoreSettings)
    add(
        "--resamples", type=Number(int, 1, 10_000_000), default=1000, metavar="N", help="of the bootstrap over painters"
    )
    add("--seed", type=SEED, default=0, metavar="N", help="of the bootstrap")
    add("--figure", metavar="PNG", help="figure to write: copies and imitation over the count")
    add("--answer", metavar="FILE", help="JSON to write")
    add("--out", metavar="FILE", help="table to write, a row a painter")


def compare(args: Namespace) -> None:
    """Compare painters of equal count."""
    from fit.copies.compare import compare_painters, draw_compared, summarise
    from fit.io.concept_tables import ConceptTables
    from fit.io.json_files import read_json, write_json
    from fit.io.parquet import write_frame

    frame = compare_painters(
        args.painters,
        args.found,
        generated=ConceptTables(args.generated),
        generated_embeddings=ConceptTables(args.generated_embeddings),
        references=ConceptTables(args.references),
        reference_embeddings=ConceptTables(args.reference_embeddings),
        top_k=read_settings(ScoreSettings, args).top_k,
    )
    found = read_json(args.summary, ["epsilon", "known"], "fit copies find")
    answer = summarise(frame, found, args.resamples, args.seed)
    write_frame(frame, args.out)
    write_json(answer, args.answer)
    draw_compared(frame, answer, args.figure)


COMMANDS = (
    Command("prompts", "choose the prompts: the most duplicated captions, or a table", prompts_arguments, prompts),
    Command("generate", "generate many pictures of each prompt", generate_arguments, generate),
    Command("guidance", "how much of the predicted noise is due to the text", guidance_arguments, guidance),
    Command("find", "which prompts make copies of training images", find_arguments, find, writes=("out", "summary")),
    Command(
        "paint",
        "paint painters with distinct images, or one that is repeated",
        paint_arguments,
        paint,
        writes=("training_set", "painters_file", "prompts_file", "references_file"),
    ),
    Command(
        "compare",
        "painters of equal count, with distinct images or one that is repeated",
        compare_arguments,
        compare,
        writes=("out", "answer", "figure"),
    ),
)
