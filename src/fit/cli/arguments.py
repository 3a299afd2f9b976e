"""Arguments that several commands take, and what is read back of them."""

import math

from fit.cli.parser import Number, same_length

COSINE = Number(float, -1, 1)
STEPS = Number(int, 1, 10**9)
"""Of a training; Model.steps is of a picture."""


def seconds():
    return Number(float, 0, 86_400, beyond=True)


NUMBERS = {
    "anonymous": Number(int, 0, 10**9),
    "autoencoder_steps": STEPS,
    "batch_size": Number(int, 1, 1_000_000),
    "candidates": Number(int, 1, 10_000),
    "columns": Number(int, 1, 1000),
    "connect_timeout_s": seconds(),
    "connections": Number(int, 1, 10_000),
    "connections_per_host": Number(int, 1, 1000),
    "decode_timeout_s": seconds(),
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
    "total_timeout_s": seconds(),
    "width": Number(int, 8, 65_536, also=("0",)),
    "zeros": Number(int, 0, 1_000_000),
}
"""Option that is a number -> its bounds, which are those of the key of the same name in fit.config.config."""


def add_embedder(add):
    add("--backend", help="name in the registry of embedders")
    add("--model", help="a model's name, hub id, folder or file: the backend says which")
    add("--dtype", choices=("auto", "float32", "float16", "bfloat16"), default="auto", help="number format")
    add("--download", choices=("yes", "no"), default="no", help="whether missing weights may be fetched")


def many(add, *names, **options):
    for name in names:
        add(f"--{name}", nargs="+", **options)


def add_fetching(add):
    add("--connections", type=int, default=64, help="requests at once")
    add("--connections-per-host", type=int, default=4)
    add("--connect-timeout-s", type=float, default=10.0)
    add("--total-timeout-s", type=float, default=60.0, help="for one attempt, in all")
    add("--max-bytes", type=int, default=25_000_000, help="largest body")
    add("--retries", type=int, default=2)
    add("--honour-opt-out", choices=("yes", "no"), default="yes", help="leave what X-Robots-Tag keeps from AI")
    add("--allow-loopback", choices=("yes", "no"), default="no", help="let links lead to this machine, for tests")
    add_limits(add)


def add_compared(add):
    many(add, "generated", "generated-embeddings", "references", "reference-embeddings", help="a file a concept")
    for name in ("images", "matches"):
        add(f"--{name}", nargs="*", default=[], help="of training images, a file a concept; nothing without any")
    add("--targets", choices=("matches_and_references", "matches_or_references"))


def add_limits(add):
    add("--max-pixels", type=int, default=100_000_000)
    add("--min-side", type=int, default=1, help="shortest side of a picture, in pixels")
    add("--decode-timeout-s", type=float, default=20.0, help="processor time for one picture, at most")
    add("--decoders", type=Number(int, 1, 4096), default=2, help="processes that decode")


def embedder_settings(args):
    from fit.embeddings.base import EmbedderSettings

    of_faces = ("detection_side", "min_face_size", "pixel_mean", "pixel_std", "channels")
    given = {name: getattr(args, name) for name in of_faces if hasattr(args, name)}
    return EmbedderSettings(args.model, args.dtype, args.download == "yes", **given)


def fetching(args):
    from fit.images.decode import Limits
    from fit.images.fetch import FetchSettings

    fetch = ("connections", "connections_per_host", "connect_timeout_s", "total_timeout_s", "max_bytes", "retries")
    switches = {name: getattr(args, name) == "yes" for name in ("honour_opt_out", "allow_loopback")}
    limits = Limits(args.max_pixels, args.min_side, args.decode_timeout_s, workers=args.decoders)
    return {"settings": FetchSettings(**{name: getattr(args, name) for name in fetch}, **switches), "limits": limits}


def compared_files(args):
    """(out, what one concept's pictures are compared with, as every way of scoring takes it) of each concept."""
    names = ("generated", "generated_embeddings", "references", "reference_embeddings", "out")
    optional = [name for name in ("images", "matches", "prompt_images") if getattr(args, name, None)]
    same_length(args, *names, *optional)
    for place, out in enumerate(args.out):
        files = {name: getattr(args, name)[place] for name in (*names[:-1], *optional)}
        yield out, {"images": None, "matches": None, "targets_rule": args.targets} | files
