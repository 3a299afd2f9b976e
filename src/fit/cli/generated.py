"""`fit generated`."""

import sys

from fit.cli.arguments import many
from fit.cli.command import Command
from fit.cli.common import by_slug, set_threads


def make_arguments(add):
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
    many(add, "prompts", help="templates with {name}")
    add("--images-per-prompt", type=int)
    add("--batch-size", type=int, default=20, help="pictures at once; halved while memory does not suffice")
    add("--image-format", choices=("png", "webp"), default="png", help="both without loss")
    add("--seed", type=int)
    add("--threads", type=int, default=0)
    many(add, "out", help="image tables to write, named by the slugs of their concepts")
    add("--work", default=None, metavar="FOLDER", help="for what a stop must not lose (default: beside --out)")


def make(args):
    from fit import generated as generators
    from fit.concepts.sheet import find_concepts
    from fit.generated.run import generate_tables

    concepts = find_concepts(args.sheet, by_slug(args.out))
    set_threads(args.threads)
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


def draw_arguments(add):
    add("table", help="image table that `fit generate` wrote")
    add("--title", default="")
    add("--out")


def draw(args):
    from fit.io.files import atomic_write
    from fit.reports.figures import generated_sheet

    with atomic_write(args.out) as part:
        generated_sheet(args.table, part, args.title)


COMMANDS = (
    Command("make", "generate pictures of concepts", make_arguments, make),
    Command("draw", "pictures of a concept, a row a prompt", draw_arguments, draw),
)
