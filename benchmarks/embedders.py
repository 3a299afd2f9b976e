"""How fast image tables are embedded, beside the bare network, bare decoding, and what both would take together.

    python benchmarks/embedders.py [--device cuda]

The script makes an image table of photograph-like JPEGs, a ViT-B/32 of open_clip and a FaceNet, both with random
weights. Every number is measured in this run, in processes of their own, one after the other; medians over rounds.

Floor: the bare network on prepared pictures in memory takes 1/a seconds an image on all processors that are given, bare
decoding and preparing 1/b on all of them as well. The engine does both, so on a CPU their times add up: 1 / (1/a + 1/b)
images a second if nothing else took any. On a GPU they overlap, and the floor is the slower of the two.

Another table has what one picture takes from the command line, in processor time, and what of it is imports:
`--starts` makes that one alone.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

BATCH = 64
NETWORKS = {"openclip": "ViT-B-32", "facenet": "InceptionResnetV1"}
FACES_HERE = 30
"""Pictures that show the face of scikit-image's photograph, of a hundred."""


def photograph(seed):
    """JPEG bytes of about 512 x 512 pixels with shapes of all sizes, some of them with a face."""
    from skimage import data

    rng = np.random.default_rng(seed)
    width, height = rng.integers(440, 600, 2)
    picture = Image.new("RGB", (int(width), int(height)))
    for side in (4, 16, 64, 256):
        layer = Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8))
        picture = Image.blend(picture, layer.resize(picture.size, Image.Resampling.BICUBIC), 0.4)
    if seed % 100 < FACES_HERE:
        picture.paste(Image.fromarray(data.astronaut()).resize((420, 420)), (10, 10))
    buffer = BytesIO()
    picture.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def make_inputs(folder, images):
    """Write t.parquet, and a folder or file of weights per network, into `folder`."""
    import open_clip
    import pyarrow as pa
    import torch
    from facenet_pytorch import InceptionResnetV1

    from fit.io import parquet

    rows = [{"image_id": f"i{i}", "bytes": photograph(i)} for i in range(images)]
    parquet.write(pa.Table.from_pylist(rows), Path(folder, "t.parquet"))
    torch.manual_seed(0)
    torch.save(InceptionResnetV1().state_dict(), Path(folder, "facenet.pt"))
    name = NETWORKS["openclip"]
    model, _, preprocess = open_clip.create_model_and_transforms(name)
    target = Path(folder, "openclip")
    target.mkdir(exist_ok=True)
    normalised = {"mean": list(preprocess.transforms[-1].mean), "std": list(preprocess.transforms[-1].std)}
    settings = {"model_cfg": open_clip.get_model_config(name), "preprocess_cfg": normalised}
    (target / "open_clip_config.json").write_text(json.dumps(settings))
    torch.save(model.state_dict(), target / "open_clip_pytorch_model.bin")


def load(network, folder, device):
    """Return an embedder with the random weights, on `device`, and its settings."""
    import torch

    from fit import embeddings as embedders
    from fit.embeddings.settings import EmbedderSettings, FaceSettings

    if device == "cpu":
        torch.cuda.is_available = lambda: False
    model = f"local-dir:{folder}/openclip" if network == "openclip" else f"{folder}/facenet.pt"
    settings = EmbedderSettings(model=model)
    return embedders.load(network, settings, FaceSettings()), settings


def read(folder):
    """The encoded pictures of the table."""
    from fit.io import parquet

    return parquet.read(Path(folder, "t.parquet"), ["bytes"]).column("bytes").to_pylist()


def prepare_all(prepare, pictures):
    """Decode and prepare in this process."""
    import torch

    from fit.images.table import decode

    torch.set_num_threads(1)
    return [prepare(decode(data, "here")) for data in pictures]


def prepare_in_turn(prepare, share, begin, done):
    """What a process of bare decoding does: wait, prepare its share, say so."""
    begin.wait()
    prepare_all(prepare, share)
    done.put(True)


def bare_decoding(network, folder, device, processors):
    """Seconds for decoding and preparing all pictures, shared among as many processes as there are processors."""
    prepare = load(network, folder, device)[0].prepare
    pictures = read(folder)
    prepare_all(prepare, pictures[:4])
    begin, done = multiprocessing.Event(), multiprocessing.Queue()
    shares = [pictures[i::processors] for i in range(processors)]
    workers = [multiprocessing.Process(target=prepare_in_turn, args=(prepare, s, begin, done)) for s in shares]
    for worker in workers:
        worker.start()
    started = time.perf_counter()
    begin.set()
    for _ in workers:
        done.get()
    seconds = time.perf_counter() - started
    for worker in workers:
        worker.join()
    return {"seconds": seconds}


def bare_network(network, folder, device, processors):
    """Seconds for the network on all pictures, prepared beforehand."""
    import torch

    embedder, _ = load(network, folder, device)
    prepared = prepare_all(embedder.prepare, read(folder))
    torch.set_num_threads(processors)
    with torch.inference_mode():
        embedder.embed(prepared[:BATCH])
        started = time.perf_counter()
        for start in range(0, len(prepared), BATCH):
            embedder.embed(prepared[start : start + BATCH])
        return {"seconds": time.perf_counter() - started}


def engine(network, folder, device, processors):
    """Seconds from the image table to the file of vectors, the loading of the model aside; and how busy the GPU was."""
    import torch

    from fit import embeddings as embedders
    from fit.embeddings.run import embed_table
    from fit.embeddings.settings import FaceSettings

    loaded, settings = load(network, folder, device)
    embedders.load = lambda *_: loaded
    torch.set_num_threads(processors)
    with torch.inference_mode():
        loaded.embed(prepare_all(loaded.prepare, read(folder)[:BATCH]))
    torch.set_num_threads(processors)
    with Busy(device) as busy, tempfile.TemporaryDirectory() as out:
        started = time.perf_counter()
        embed_table(network, settings, FaceSettings(), [Path(folder, "t.parquet")], Path(out, "e.parquet"), BATCH)
        seconds = time.perf_counter() - started
    return {"seconds": seconds, "busy": busy.share}


class Busy:
    """How much of the time a GPU computed, as nvidia-smi's utilisation says; None on a CPU."""

    def __init__(self, device):
        self.share, self._device, self._seen = None, device, []
        self._over = threading.Event()

    def __enter__(self):
        if self._device == "cuda":
            self._thread = threading.Thread(target=self._watch)
            self._thread.start()
        return self

    def _watch(self):
        import torch

        while not self._over.wait(0.05):
            self._seen.append(torch.cuda.utilization())

    def __exit__(self, *_):
        if self._device == "cuda":
            self._over.set()
            self._thread.join()
            self.share = statistics.mean(self._seen) / 100 if self._seen else None


IMPORTS = ("torch", "torchvision", "facenet_pytorch", "open_clip")


def processor_seconds(command):
    """Processor seconds that a command took, with the processes that it started."""
    before = sum(os.times()[2:4])
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return sum(os.times()[2:4]) - before


def starts(folder, rounds):
    """Print what one picture takes from the command line, and what its imports take."""
    out, place = Path(folder, "one.parquet"), Path(folder, "t.parquet")
    commands = {f"Python, `import {name}`": [sys.executable, "-c", f"import {name}"] for name in IMPORTS}
    for backend, model in {"facenet": f"{folder}/facenet.pt", "openclip": f"local-dir:{folder}/openclip"}.items():
        options = ["--backend", backend, "--model", model, "--images", str(place), "--out", str(out)]
        command = [sys.executable, "-m", "fit", "embeddings", "images", *options, "--threads", "1"]
        module = f"import fit.embeddings.run, fit.embeddings.{backend}"
        commands[f"{backend}: imports"] = [sys.executable, "-c", module]
        commands[f"{backend}: `fit embeddings images`, 1 picture"] = command
    found: dict = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            found[name].append(processor_seconds(command))
    print("| from the command line | processor seconds |\n| --- | ---: |")
    for name, runs in found.items():
        print(f"| {name} | {statistics.median(runs):.1f} |")


METHODS = {"network": bare_network, "decoding": bare_decoding, "engine": engine}


def measure(method, network, folder, args):
    """One method in a process of its own: what it returns."""
    command = [sys.executable, __file__, "--measure", method, network, str(folder), "--device", args.device]
    done = subprocess.run(
        [*command, "--processors", str(args.processors)], check=True, stdout=subprocess.PIPE, text=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def main():
    """Parse the command line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=320)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--processors", type=int, default=2)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--starts", action="store_true", help="only what one picture takes from the command line")
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        method, network, folder = args.measure
        print(json.dumps(METHODS[method](network, folder, args.device, args.processors)))
        return
    with tempfile.TemporaryDirectory() as folder:
        make_inputs(folder, 1 if args.starts else args.images)
        if args.starts:
            starts(folder, args.rounds)
            return
        found: dict = {(network, method): [] for network in NETWORKS for method in METHODS}
        for _ in range(args.rounds):
            for network, method in found:  # side by side: a disturbance hits all of them
                found[network, method].append(measure(method, network, folder, args))
    print(f"{args.images} JPEGs of about 512 x 512, {args.device}, {args.processors} processors, ", end="")
    print(f"batches of {BATCH}, medians of {args.rounds} rounds, images/s:\n")
    print("| network | bare network | bare decoding | floor | engine | engine / floor | GPU busy |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for network, name in NETWORKS.items():
        rates = {
            method: args.images / statistics.median(run["seconds"] for run in found[network, method])
            for method in METHODS
        }
        a, b = rates["network"], rates["decoding"]
        floor = 1 / (1 / a + 1 / b) if args.device == "cpu" else min(a, b)
        shares = [run["busy"] for run in found[network, "engine"] if run["busy"] is not None]
        busy = f"{statistics.median(shares):.0%}" if shares else "-"
        print(
            f"| {network}, {name} | {a:.1f} | {b:.1f} | {floor:.1f} | {rates['engine']:.1f} "
            f"| {rates['engine'] / floor:.0%} | {busy} |"
        )


if __name__ == "__main__":
    main()
