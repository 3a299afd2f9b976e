"""How long a study takes that enters the road half-way, from `snakemake` to its report and page, beside its floor.

    python benchmarks/halfway.py [--write docs/images.md]

44 people with 5 references and 5 generated pictures each, and a table of counts, all on the disk. The floor is one
process that does the same work without the workflow: embeds the pictures, and scores them.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import yaml
from pages import write_between

ROOT = Path(__file__).parents[1]
CONFIG = {
    "default_study": "mine",
    "studies": {"mine": {"models": ["my-model"], "domains": ["people"]}},
    "domains": {
        "people": {
            "concepts": "people.tsv",
            "embedder": "tiny",
            "references": {"folder": "references", "least": 5},
            "match_threshold": "midpoint",
            "targets": "matches_and_references",
            "prompts": ["a photograph of {name}"],
        }
    },
    "corpora": {"my-corpus": {"provided_counts": "counts.csv"}},
    "models": {"my-model": {"corpus": "my-corpus", "provided_images": "generated"}},
    "embedders": {"tiny": {"backend": "openclip", "model": "local-dir:encoder", "gpus": 0, "threads": 2}},
}
"""What README's section Half-way shows, with an embedder that is trained here."""


def make_study(folder, people, pictures):
    """Make the study's inputs in `folder`: a sheet, counts, pictures by invented painters in place of people."""
    from fit.atelier.painting import draw_styles, paint
    from fit.images.table import encode_png

    rng = np.random.default_rng(0)
    styles = draw_styles(people, rng)
    slugs = [f"person-{number:02d}" for number in range(people)]
    for index, slug in enumerate(slugs):
        painted = [encode_png(one) for one in paint(styles.take([index] * 2 * pictures), [0] * 2 * pictures, rng)]
        for kind, some in (("references", painted[:pictures]), ("generated", painted[pictures:])):
            place = folder / kind / slug
            place.mkdir(parents=True)
            for number, data in enumerate(some):
                (place / f"{number}.png").write_bytes(data)
    rows = "".join(f"{slug}\tPerson {index}\n" for index, slug in enumerate(slugs))
    (folder / "people.tsv").write_text("concept\tname\n" + rows)
    counts = "".join(f"{slug},{round(1.2**index)}\n" for index, slug in enumerate(slugs))
    (folder / "counts.csv").write_text("concept,effective_count\n" + counts)
    (folder / "mine.yaml").write_text(yaml.safe_dump(CONFIG))
    for name in ("concepts", "config.yaml"):
        (folder / name).symlink_to(ROOT / name)
    command = [
        "fit",
        "atelier",
        "train-style-encoder",
        "--encoder-steps",
        "5",
        "--seed",
        "0",
        "--out",
        str(folder / "encoder"),
    ]
    subprocess.run(command, check=True, capture_output=True)


def floor(folder):
    """Embed every picture and score every concept, in this process."""
    from fit.embeddings.files import read_single_faces
    from fit.embeddings.run import embed_table
    from fit.embeddings.settings import EmbedderSettings, FaceSettings
    from fit.images.local import import_generated, import_images
    from fit.images.settings import DecodeSettings
    from fit.scores.imitation import imitation_score

    slugs = sorted(path.name for path in Path("references").iterdir())
    references, generated = (Path(folder, f"{kind}.parquet") for kind in ("references", "generated"))
    options = {"decoding": DecodeSettings(), "decoders": 1}
    import_images("references", slugs, references, what="references", work=Path(folder, "work-r"), **options)
    import_generated("generated", slugs, generated, work=Path(folder, "work-g"), **options)
    settings = EmbedderSettings(model="local-dir:encoder", dtype="float32")
    vectors = [table.with_suffix(".vectors.parquet") for table in (references, generated)]
    for table, out in zip((references, generated), vectors, strict=True):
        embed_table("openclip", settings, FaceSettings(), [table], out, 64, 0)
    for slug in slugs:
        of_references, of_generated = (read_single_faces(path, slug)[1] for path in vectors)
        imitation_score(of_generated, of_references, 10)


def timed(command, folder):
    """(wall seconds, processor seconds) of a command and its children."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, capture_output=True, env=os.environ | {"OMP_NUM_THREADS": "2"})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - started, processor


def jobs_of(folder):
    """How many jobs the study took."""
    return len(list(Path(folder, "results/benchmarks").rglob("*.tsv")))


def main():
    """Make the study, run it and its floor, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=44)
    parser.add_argument("--pictures", type=int, default=5, help="references of each, and as many generated pictures")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table between the markers of this file")
    parser.add_argument("--floor", default=None, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.floor:
        floor(args.floor)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make_study(folder, args.people, args.pictures)
        profile = ["--workflow-profile", str(ROOT / "profiles/default"), "--configfile", "mine.yaml", "--cores", "2"]
        snakemake = ["snakemake", "--snakefile", str(ROOT / "Snakefile"), *profile]
        whole = timed(snakemake, folder)
        jobs = jobs_of(folder)
        one = folder / "results/scores/my-model/people/person-03.parquet"
        again = timed([*snakemake, "--forcerun", str(one.relative_to(folder)), str(one.relative_to(folder))], folder)
        bare = timed([sys.executable, __file__, "--floor", str(folder / "floor")], folder)
    lines = [
        f"| {args.people} people, {args.pictures} references and {args.pictures} generated pictures each "
        "| jobs | seconds | processor seconds |",
        "| --- | ---: | ---: | ---: |",
        f"| `snakemake`, to the report and the page | {jobs} | {whole[0]:.0f} | {whole[1]:.0f} |",
        f"| one concept's score again | 1 | {again[0]:.0f} | {again[1]:.0f} |",
        f"| floor: one process embeds and scores | | {bare[0]:.0f} | {bare[1]:.0f} |",
    ]
    print("\n".join(lines))
    if args.write:
        write_between(args.write, "halfway", lines)


if __name__ == "__main__":
    main()
