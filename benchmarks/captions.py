"""How fast captions are counted, and in how much memory, beside the floor and what one would use otherwise.

    python benchmarks/captions.py                      # about ten minutes on 2 cores; makes 10 million captions first
    python benchmarks/captions.py --hostile 1000000    # compare mentions with the reference instead, in every mode

Each figure is the median over rounds. In every round each method runs once, in a process of its own, after a warm-up of
one batch; what is compared is what ran in the same round. The floor is pyarrow's decoding of the same columns and
nothing else. Captions are made up: 67 bytes on average, 6.5 % with more than ASCII, 1.5 % with a name.
"""

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).parents[1]
CONSONANTS = ["b", "c", "d", "f", "g", "h", "k", "l", "m", "n", "p", "r", "s", "t", "v", "w", "z", "br", "st", "tr"]
VOWELS = ["a", "e", "i", "o", "u", "ai", "or", "an", "el"]
SYLLABLES = [a + b for a in CONSONANTS for b in VOWELS]
FILES = 8


def smaller(most: int) -> int:
    """Return how many names the smaller sheet has beside one of `most`: a hundredth."""
    return max(1, most // 100)


# --- data -------------------------------------------------------------------------------------------------------------


def make_words(rng: np.random.Generator, count: int) -> list[str]:
    lengths = rng.choice([1, 2, 2, 3, 4], size=count)
    return ["".join(rng.choice(SYLLABLES, length)) for length in lengths]


def make_sheet(path: Path, words: list[str], concepts: int, rng: np.random.Generator) -> list[str]:
    """Write a sheet, and return its names: of two or three words, one in fifty of one; one in ten has an alias."""
    rows: list[tuple[str, str, str]] = []
    seen: set[str] = set()
    firsts = [word.title() for word in words[200:2200]]
    while len(rows) < concepts:
        parts = [firsts[rng.integers(len(firsts))]] if rng.random() < 0.98 else []
        if parts and rng.random() < 0.15:
            parts.append(["van", "de", "von"][rng.integers(3)])
        parts.append("".join(rng.choice(SYLLABLES, 3)).title() + ["", "son", "berg", "é"][rng.integers(4)])
        name = " ".join(parts)
        if name not in seen:
            seen.add(name)
            alias = f"{parts[0][0]}. {parts[-1]}" if len(parts) > 1 and rng.random() < 0.1 else ""
            rows.append((f"c{len(rows)}", name, alias))
    path.write_text("concept\tname\taliases\n" + "".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")
    return [name for _, name, _ in rows]


def make_captions(count: int, words: list[str], names: list[str], rng: np.random.Generator) -> list[str]:
    """Return captions of four to thirteen words, whose words occur in proportion to one over their rank."""
    chance = 1 / np.arange(1, len(words) + 1) ** 0.9
    lengths = rng.integers(4, 14, count)
    drawn = rng.choice(len(words), lengths.sum(), p=chance / chance.sum())
    ends = np.cumsum(lengths)
    who = np.where(rng.random(count) < 0.015, rng.zipf(1.3, count) % len(names), -1)
    form = rng.random(count)
    captions = []
    for start, end, name, f in zip((ends - lengths).tolist(), ends.tolist(), who.tolist(), form.tolist(), strict=True):
        parts = [words[i] for i in drawn[start:end].tolist()]
        if name >= 0:
            shown = names[name]
            shown = f"{shown}," if f < 0.2 else f"({shown})" if f < 0.3 else shown.upper() if f < 0.35 else shown
            parts.insert(int(f * len(parts)), shown)
        if f > 0.94:
            parts[-1] = parts[-1].replace("a", "á").replace("e", "é") + "’s"
        text = " ".join(parts)
        captions.append(text.capitalize() if name < 0 and f < 0.5 else text)
    return captions


def make_data(folder: Path, rows: int, most: int) -> None:
    """Write captions in FILES files or a row each, sheets of `most` names and of a hundredth, and a file as lines."""
    made = f"{rows} rows, {most} names, layout 4"  # another layout has files of other names
    if (folder / "done").exists() and (folder / "done").read_text() == made:
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    words = list(dict.fromkeys(make_words(rng, 30_000)))
    names = make_sheet(folder / "few.tsv", words, smaller(most), rng)
    make_sheet(folder / "most.tsv", words, most, rng)
    files = min(FILES, rows)
    for number in range(files):
        print(f"making captions {number + 1} of {files}", file=sys.stderr)
        captions = make_captions(rows * (number + 1) // files - rows * number // files, words, names, rng)
        hosts = rng.integers(1000, size=len(captions)).tolist()
        urls = [
            f"https://images.example-{h}.com/media/catalog/{i * 7919 % 1000003:07d}.jpg" for i, h in enumerate(hosts)
        ]
        table = pa.table({"URL": urls, "TEXT": captions})
        codec = "zstd" if number % 2 else "snappy"
        pq.write_table(table, folder / f"{number}.parquet", compression=codec, row_group_size=100_000)
        if not number:
            pq.write_table(table.slice(0, 2000), folder / "warm-up.parquet")
            (folder / "0.txt").write_text("\n".join(captions) + "\n", encoding="utf-8")
            for name, group in (("many", 500), ("one", len(captions))):
                pq.write_table(table, folder / f"groups-{name}.parquet", row_group_size=group)
    # Without Unicode, ripgrep takes no other names.
    ascii_names = [name for name in names if name.isascii()]
    (folder / "names.txt").write_text("\n".join(ascii_names) + "\n", encoding="utf-8")
    (folder / "done").write_text(made)


# --- what is measured, each in a process of its own -------------------------------------------------------------------


def decode(files: Sequence[str], columns: Sequence[str]) -> int:
    """Decode columns of caption files, and return how many rows there are."""
    from fit.captions.sources import open_captions

    return sum(len(batch) for file in files for batch in open_captions(file).batches(columns))


def counter(sheet: Path, max_matched_captions: int) -> Callable[[Sequence[str], int], int]:
    """Return what counts a sheet's concepts in files, in some threads, and returns how many rows there are."""
    from fit.captions.count import count_captions
    from fit.captions.scan import CountJob
    from fit.captions.settings import ReadingSettings, SamplingSettings
    from fit.captions.tables import CountFiles
    from fit.concepts.sheet import read_sheet

    concepts = read_sheet(sheet)
    sampling = SamplingSettings(caption_column="TEXT", url_column="URL", max_matched_captions=max_matched_captions)

    def run(files: Sequence[str], threads: int) -> int:
        with tempfile.TemporaryDirectory() as folder:
            outputs = CountFiles.in_folder(folder)
            count_captions(concepts, CountJob(files, sampling, ReadingSettings(), threads=threads), outputs)
            return pq.read_table(outputs.counts)["corpus_rows"][0].as_py()

    return run


def polars_contains(files: list[str], sheet: Path) -> int:
    """Search captions for names with polars, and return how many rows there are."""
    import polars as pl

    names = pl.read_csv(sheet, separator="\t")["name"].to_list()
    frame = pl.scan_parquet(files).filter(pl.col("TEXT").str.contains_any(names, ascii_case_insensitive=True))
    frame.select(pl.len()).collect()
    return pl.scan_parquet(files).select(pl.len()).collect().item()


def clocks() -> np.ndarray:
    """Return the time by the clock and the processor time of this process, in seconds."""
    return np.array([time.perf_counter(), time.process_time()])


def measure(method: str, files: list[str], folder: Path) -> None:
    """Run one method, and print its seconds, by the clock and of processors, rows and peak memory in MB as JSON."""
    columns = ["TEXT", "URL"] if "matched_captions" in method else ["TEXT"]
    once = np.zeros(2)
    small = [str(folder / "warm-up.parquet")]
    kind, _, rest = method.partition(" ")
    if kind == "floor":
        decode(small, columns)
        started = clocks()
        rows = decode(files, columns)
    elif kind == "count":
        names, sample, threads = rest.split()
        run = counter(folder / f"{names}.tsv", 100_000 if sample == "matched_captions" else 0)
        run(small, 1)
        # What a sheet costs once, however many captions there are, has a column of its own.
        started = clocks()
        run(small, 1)
        once = clocks() - started
        started = clocks()
        rows = run(files, int(threads))
    else:
        started = clocks()
        rows = polars_contains(files, folder / "few.tsv")
    seconds, processor_seconds = (clocks() - started - once).tolist()
    # Not ru_maxrss, which a process inherits from the one that started it.
    status = Path("/proc/self/status").read_text()
    peak = int(status.split("VmHWM:")[1].split()[0]) / 1024
    found = {"seconds": seconds, "processor_seconds": processor_seconds, "once": once[0], "rows": rows, "peak_mb": peak}
    print(json.dumps(found))


def in_process(method: str, files: Sequence[str], folder: Path) -> dict[str, float]:
    """Measure one method in a process of its own."""
    command = [sys.executable, __file__, "--measure", method, "--folder", str(folder), "--files", *files]
    one_thread = {"POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ | one_thread)
    return json.loads(done.stdout.splitlines()[-1])


def ripgrep(folder: Path) -> float | None:
    """Return ripgrep's seconds per line on the captions of one file, from a warm cache; None if it is not installed."""
    if not shutil.which("rg"):
        return None
    text = folder / "0.txt"
    text.read_bytes()
    command = ["rg", "--no-unicode", "-F", "-w", "-i", "-c", "-j1", "-f", str(folder / "names.txt"), str(text)]
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True)
    if done.returncode not in (0, 1):  # 1: no line has a name
        done.check_returncode()
    return (time.perf_counter() - started) / sum(1 for _ in text.open(encoding="utf-8"))


def methods_of(folder: Path, most: int) -> list[tuple[str, str, list[str]]]:
    """Return (label, method, files) of what is measured; the floors are the first and the fifth."""
    files = sorted(map(str, folder.glob("[0-9].parquet")))
    few = smaller(most)
    return [
        ("pyarrow decodes the captions (floor)", "floor", files),
        (f"{few:,} names, 1 thread", "count few none 1", files),
        (f"{few:,} names, 2 threads", "count few none 2", files),
        (f"{most:,} names, 1 thread", "count most none 1", files),
        ("pyarrow decodes captions and addresses (floor with matched captions)", "floor matched_captions", files),
        (f"{few:,} names and their matched captions, 1 thread", "count few matched_captions 1", files),
        (f"{few:,} names and their matched captions, 2 threads", "count few matched_captions 2", files),
        ("one file, row groups of 500", "count few matched_captions 1", [str(folder / "groups-many.parquet")]),
        (
            "one file, row groups of 500, 2 threads",
            "count few matched_captions 2",
            [str(folder / "groups-many.parquet")],
        ),
        ("one file, one row group", "count few matched_captions 1", [str(folder / "groups-one.parquet")]),
        ("polars `contains_any`, 1 thread (inexact; one file)", "polars", files[:1]),
    ]


def compare(folder: Path, rounds: int, most: int) -> None:
    """Print the tables of the docs."""
    methods = methods_of(folder, most)
    found: dict[str, list[dict[str, float]]] = {label: [] for label, _, _ in methods}
    grep = []
    for number in range(rounds):
        for label, method, of_files in methods:
            print(f"round {number + 1} of {rounds}: {label}", file=sys.stderr)
            found[label].append(in_process(method, of_files, folder))
        if (seconds := ripgrep(folder)) is not None:
            grep.append(seconds)

    def per_row(label: str, clock: str = "seconds") -> list[float]:
        return [run[clock] / run["rows"] for run in found[label]]

    def ratio(label: str, other: str, clock: str = "seconds") -> float:
        return statistics.median(a / b for a, b in zip(per_row(label, clock), per_row(other, clock), strict=True))

    floor, floor_matched = methods[0][0], methods[4][0]
    print("| method | ns per caption | times its floor | in processor time | once, s | peak MB |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for label, method, _ in methods:
        base = floor_matched if "matched_captions" in method else floor
        peak = max(run["peak_mb"] for run in found[label])
        times = f"{ratio(label, base):.2f} | {ratio(label, base, 'processor_seconds'):.2f}"
        once = statistics.median(run["once"] for run in found[label])
        print(f"| {label} | {statistics.median(per_row(label)) * 1e9:.0f} | {times} | {once:.1f} | {peak:.0f} |")
    if grep:
        of_floor = statistics.median(a / b for a, b in zip(grep, per_row(floor), strict=True))
        label = "ripgrep `--no-unicode -F -w -i`, 1 thread (plain text, ASCII names, lines only)"
        print(f"| {label} | {statistics.median(grep) * 1e9:.0f} | {of_floor:.2f} | | | |")
    else:
        print("| ripgrep | not measured: not installed | | | | |")
    for what, one, two in (
        ("counts", 1, 2),
        ("counts and matched captions", 5, 6),
        ("counts and matched captions, one file", 7, 8),
    ):
        speed_up = ratio(methods[one][0], methods[two][0])
        print(f"\nTwo threads are {speed_up:.2f} times as fast as one ({what}).")


# --- exactness --------------------------------------------------------------------------------------------------------


def compare_with_reference(captions: int) -> None:
    """Compare mentions with the reference in every mode and print how many pairs are missing and how many extra."""
    sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/unit")]
    from hostile_captions import MODES, hostile_caption, hostile_names, reference_tokens

    from fit.captions.matcher import Matcher
    from fit.captions.phrases import normal_forms
    from fit.concepts.analyzer import Analyzer
    from fit.concepts.sheet import Concept

    print("| tokens | accents | hostile captions | pairs | missing | extra |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for cut, folding in MODES:
        rng, analyzer = random.Random(f"benchmark {cut} {folding}"), Analyzer(cut, folding)
        pairs = missing = extra = 0
        for _ in range(captions // 1000):
            names = hostile_names(rng, analyzer)
            texts = [hostile_caption(names, rng) for _ in range(1000)]
            matcher = Matcher([Concept(str(i), name) for i, name in enumerate(names)], cut, folding)
            _, rows, of_rows, _ = matcher.mentions(pa.array(texts))
            concepts = matcher.phrases.concept_of[of_rows]
            phrases = [[reference_tokens(form, cut, folding) for form in normal_forms(name)] for name in names]
            expected: set[tuple[int, int]] = set()
            for row, text in enumerate(texts):
                inside = reference_tokens(text, cut, folding)
                for concept, forms in enumerate(phrases):
                    spans = range(len(inside))
                    if any(inside[at : at + len(phrase)] == phrase for phrase in forms for at in spans):
                        expected.add((row, concept))
            found = set(zip(rows.tolist(), concepts.tolist(), strict=True))
            pairs += len(expected)
            missing += len(expected - found)
            extra += len(found - expected)
        accents = "folded" if folding else "kept"
        print(f"| {cut} | {accents} | {captions:,} | {pairs:,} | {missing} | {extra} |", flush=True)


def main() -> None:
    """Parse the command line and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--names", type=int, default=200_000, help="of the larger sheet; the smaller has a hundredth")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--folder", type=Path, default=ROOT / "results/benchmark-captions", help="where captions are made"
    )
    parser.add_argument("--hostile", type=int, metavar="CAPTIONS", help="compare with the reference instead")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    parser.add_argument("--files", nargs="*", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        measure(args.measure, args.files, args.folder)
    elif args.hostile is not None:
        if args.hostile < 1000:
            parser.error("--hostile is 1000 or more: captions are compared by the thousand")
        compare_with_reference(args.hostile)
    else:
        if args.rows < 1 or args.names < 2 or args.rounds < 1:
            parser.error("--rows is 1 or more; --names is 2 or more, --rounds 1 or more")
        make_data(args.folder, args.rows, args.names)
        compare(args.folder, args.rounds, args.names)


if __name__ == "__main__":
    main()
