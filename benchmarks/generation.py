"""How fast pictures are generated, beside a plain loop over the pipeline, and how much they depend on the batch.

    python benchmarks/generation.py          # on a processor: a pipeline of random weights, as small as the atelier's
    python benchmarks/generation.py --gpu    # on a GPU: one of random weights, as large as Stable Diffusion 1.5

Nothing is downloaded: weights are random, the tokenizer is learned from a few captions. Loops take turns, and each
figure is the median of its rounds.
"""

import argparse
import contextlib
import io
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from functools import partial
from pathlib import Path

import diffusers
import numpy as np
import torch
import transformers
from transformers import CLIPTextConfig, CLIPTextModel

from fit import generated
from fit.atelier.generator import TEXT_WIDTH, TOKENS, make_autoencoder, make_unet, train_tokenizer
from fit.concepts.sheet import Concept
from fit.generated.run import generate_table, plan
from fit.generated.settings import GenerationSettings, PipelineSettings
from fit.images import table

CONCEPTS = [Concept(name.lower().replace(" ", "-"), name) for name in ("Ada Morvek", "Bruno Kaldani", "Celia Tanlund")]
PROMPTS = ["a painting by {name}", "a harbour by {name}", "{name}, orchard, oil on canvas"]
NOT_MEASURED = "not measured"


def text_encoder(tokenizer, width, layers, heads):
    """A CLIP text encoder of random weights for `tokenizer`."""
    ids = {name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=width,
            intermediate_size=(2 if layers == 2 else 4) * width,
            projection_dim=width,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            max_position_embeddings=tokenizer.model_max_length,
            **ids,
        )
    )


def save_pipeline(folder, size):
    """Save a StableDiffusionPipeline of random weights: "small" as the atelier's, "sd" as Stable Diffusion 1.5."""
    torch.manual_seed(0)
    tokenizer = train_tokenizer([prompt.format(name=concept.name) for prompt in PROMPTS for concept in CONCEPTS])
    tokenizer.model_max_length = TOKENS if size == "small" else 77
    betas = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
    if size == "small":
        text = text_encoder(tokenizer, TEXT_WIDTH, 2, 4)
        unet, vae = make_unet(sample_size=8), make_autoencoder()
        scheduler = diffusers.DDIMScheduler(**betas, prediction_type="v_prediction", clip_sample=False)
    else:
        text = text_encoder(tokenizer, 768, 12, 12)
        unet = diffusers.UNet2DConditionModel(sample_size=64, cross_attention_dim=768, attention_head_dim=8)
        vae = diffusers.AutoencoderKL(
            block_out_channels=(128, 256, 512, 512),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            layers_per_block=2,
            sample_size=512,
        )
        scheduler = diffusers.PNDMScheduler(**betas, skip_prk_steps=True, set_alpha_to_one=False)
    parts = {"vae": vae, "text_encoder": text, "tokenizer": tokenizer, "unet": unet, "scheduler": scheduler}
    diffusers.StableDiffusionPipeline(
        **parts, safety_checker=None, feature_extractor=None, requires_safety_checker=False
    ).save_pretrained(folder)


class Busy:
    """The share of time in which the GPU computes, as nvidia-smi samples it; a context manager."""

    def __enter__(self):
        self._samples, self._done = [], threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self):
        query = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "--id=0"]
        while not self._done.wait(0.2):
            self._samples.append(float(subprocess.run(query, capture_output=True, text=True, check=True).stdout))

    def __exit__(self, *_):
        self._done.set()
        self._thread.join()
        self.share = statistics.mean(self._samples) if self._samples else float("nan")


def plain_pipeline(folder, dtype, device):
    pipe = diffusers.StableDiffusionPipeline.from_pretrained(folder, dtype=dtype, safety_checker=None).to(device)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def plain_loop(pipe, rows, batch_size, sampling, save=None):
    """Do what one would write in five lines. Return the pictures; with `save`, a folder, save them there too."""
    pictures = []
    for start in range(0, len(rows), batch_size):
        batch = rows[start : start + batch_size]
        noise = [torch.Generator().manual_seed(row["seed"]) for row in batch]
        pictures += pipe([row["prompt"] for row in batch], generator=noise, **sampling).images
        if save:
            for row, picture in zip(batch, pictures[start:], strict=True):
                picture.save(save / f"{row['image_id']}.png")
    return pictures


def load(folder, **settings):
    return generated.load(PipelineSettings(pipeline=str(folder), **settings))


def ours(generator, batch_size, images_per_prompt, folder):
    """Do what `fit generated make` does after it has started: generate, encode, write the table. Return its path."""
    out = folder / "pictures.parquet"
    settings = GenerationSettings(images_per_prompt=images_per_prompt, batch_size=batch_size)
    with contextlib.redirect_stderr(io.StringIO()):
        generate_table(generator, CONCEPTS, out, settings=settings, prompts=PROMPTS, study_seed=1)
    return out


def pixels(path):
    """[N, H, W, 3] of a table, in order."""
    return np.stack([np.asarray(picture, np.int16) for _, batch in table.stream(path) for picture in batch])


def timed(work, *arguments):
    started = time.perf_counter()
    result = work(*arguments)
    return time.perf_counter() - started, result


def differences(one, other):
    """How far two arrays of pictures are apart, in levels of 255, as text."""
    apart = np.abs(one - other)
    return f"{apart.max()} at most, {apart.mean():.3f} on average"


def on_processor(args, folder):
    """The table of the processor, and that of batch sizes."""
    device = {"device": "cpu"}
    sampling = {"num_inference_steps": args.steps, "guidance_scale": 5.0}
    settings = {"scheduler": "DPMSolverMultistepScheduler", "steps": args.steps, "guidance": 5.0, **device}
    pipe = plain_pipeline(folder, torch.float32, "cpu")
    pipe.scheduler = diffusers.DPMSolverMultistepScheduler.from_config(pipe.scheduler.config)
    generator = load(folder, **settings)
    rows = [row for concept in CONCEPTS for row in plan(concept, PROMPTS, args.images_per_prompt, 1)]
    of_concept = len(rows) // len(CONCEPTS)

    def bare():
        starts = range(0, len(rows), of_concept)
        return [p for i in starts for p in plain_loop(pipe, rows[i : i + of_concept], args.batch_size, sampling)]

    seconds = {"plain": [], "fit": []}
    for number in range(args.rounds + 1):
        print(f"round {number} of {args.rounds}", file=sys.stderr)
        turns = [("plain", bare), ("fit", lambda: ours(generator, args.batch_size, args.images_per_prompt, folder))]
        for name, work in turns if number % 2 else turns[::-1]:
            took, result = timed(work)
            if name == "plain":
                expected = np.stack([np.asarray(picture, np.int16) for picture in result])
            else:
                made = pixels(result)
            if number:  # the first round warms up
                seconds[name].append(took)
    rates = {name: len(rows) / statistics.median(of) for name, of in seconds.items()}
    ratio = statistics.median(ours / plain for ours, plain in zip(seconds["fit"], seconds["plain"], strict=True))
    print(
        f"{len(rows)} pictures of {made.shape[1]} x {made.shape[2]}, {args.steps} steps, ",
        f"batches of {args.batch_size}, ",
        sep="",
        end="",
    )
    print(f"{torch.get_num_threads()} thread(s).\n")
    print("| on a processor | pictures per second | time |\n| --- | ---: | ---: |")
    print(f"| the pipeline called in a loop, nothing saved | {rates['plain']:.2f} | 1 |")
    print(f"| `fit generated make`, tables written | {rates['fit']:.2f} | {ratio:.3f} |")
    print(f"\nTheir pictures are {differences(made, expected)}, levels of 255 apart.\n")
    print("| the same seeds in batches of | beside batches of 1 |\n| --- | --- |")
    for dtype in ("float32", "bfloat16"):
        generator = load(folder, dtype=dtype, **settings)
        alone = pixels(ours(generator, 1, args.compared, folder))
        for size in (4, 12):
            print(f"| {size}, {dtype} | {differences(pixels(ours(generator, size, args.compared, folder)), alone)} |")


def on_gpu(args, folder):
    """The table of the GPU."""
    print("| on a GPU | pictures per second | times the plain loop | GPU busy |\n| --- | ---: | ---: | ---: |")
    names = (
        "plain loop: fp32, saving in the loop",
        "`fit generated make`: fp16",
        "`fit generated make`: fp16, `compile: true`",
    )
    if not torch.cuda.is_available():
        for name in names:
            print(f"| {name} | {NOT_MEASURED} | {NOT_MEASURED} | {NOT_MEASURED} |")
        return
    sampling = {"num_inference_steps": args.steps, "guidance_scale": 7.5}
    rows = [row for concept in CONCEPTS for row in plan(concept, PROMPTS, args.images_per_prompt, 1)]
    pictures, found = {}, {}
    for name, compiled in zip(names, (None, False, True), strict=True):
        if compiled is None:
            pipe = plain_pipeline(folder, torch.float32, "cuda")
            work = partial(plain_loop, pipe, rows, args.batch_size, sampling, folder)
        else:
            settings = {"dtype": "float16", "steps": args.steps, "guidance": 7.5, "compile": compiled}
            generator = load(folder, device="cuda", **settings)
            work = partial(ours, generator, args.batch_size, args.images_per_prompt, folder)
        work()
        with Busy() as busy:
            runs = [timed(work) for _ in range(args.rounds)]
        found[name] = (len(rows) / statistics.median(took for took, _ in runs), busy.share)
        result = runs[-1][1]
        pictures[name] = pixels(result) if compiled is not None else np.stack([np.asarray(p, int) for p in result])
        pipe = generator = work = None
        torch.cuda.empty_cache()
        print(json.dumps({name: found[name]}), file=sys.stderr)
    for name, (rate, share) in found.items():
        print(f"| {name} | {rate:.2f} | {rate / found[names[0]][0]:.2f} | {share:.0f} % |")
    half = plain_pipeline(folder, torch.float16, "cuda")
    few = rows[: args.batch_size]
    plain = np.stack([np.asarray(p, int) for p in plain_loop(half, few, args.batch_size, sampling)])
    made = pictures[names[1]][: len(few)]
    print(f"\n{torch.cuda.get_device_name()}; {len(rows)} pictures of 512 x 512, batches of {args.batch_size}.")
    print(f"Pictures of `fit generated make` beside those of a plain fp16 pipeline: {differences(made, plain)};")
    print(f"a plain fp16 pipeline beside the fp32 one: {differences(plain, pictures[names[0]][: len(few)])}.")


def main():
    """Parse the command line and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gpu", action="store_true")
    parser.add_argument("--batch-size", type=int, default=20)
    parser.add_argument("--images-per-prompt", type=int, default=20)
    parser.add_argument("--steps", type=int, help="12 on a processor, 50 on a GPU where it is not given")
    parser.add_argument("--compared", type=int, default=4, help="images per prompt with which batches are compared")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    args.steps = args.steps or (50 if args.gpu else 12)
    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.disable_progress_bar()
    with tempfile.TemporaryDirectory() as folder:
        pipeline = Path(folder, "pipeline")
        if not args.gpu or torch.cuda.is_available():
            save_pipeline(pipeline, "sd" if args.gpu else "small")
        (on_gpu if args.gpu else on_processor)(args, pipeline)


if __name__ == "__main__":
    main()
