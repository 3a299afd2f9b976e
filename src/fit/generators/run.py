"""Generates the pictures of concepts, an image table each."""

import json
from hashlib import blake2b

import pyarrow as pa
from tqdm import tqdm

from fit.images.table import GENERATED, encode_png, write


def image_seed(study_seed, concept, prompt, index):
    """The seed of one picture, in 0..2^63-1: it depends on nothing but these four."""
    key = f"{study_seed}\0{concept}\0{prompt}\0{index}".encode()
    return int.from_bytes(blake2b(key, digest_size=8).digest(), "big") >> 1


def plan(concept, prompts, images_per_prompt, study_seed):
    """The pictures to make of a concept: a list of (prompt, index, seed), prompts filled in."""
    return [
        (prompt.format(name=concept.name), index, image_seed(study_seed, concept.concept, prompt, index))
        for prompt in prompts
        for index in range(images_per_prompt)
    ]


def generate_tables(generator, concepts, outputs, *, prompts, images_per_prompt, batch_size, study_seed):
    """Generate the pictures of `concepts` into the image tables `outputs`; the file's metadata says what made them.

    Args:
        generator: fit.generators.base.Generator.
        concepts: list of fit.concepts.Concept; outputs: a path each.
        prompts: templates with {name}.
        images_per_prompt, batch_size, study_seed: integers.
    """
    total = len(concepts) * len(prompts) * images_per_prompt
    with tqdm(total=total, desc="generating", unit="image", mininterval=2) as progress:
        for concept, target in zip(concepts, outputs, strict=True):
            planned = plan(concept, prompts, images_per_prompt, study_seed)
            pictures = []
            for start in range(0, len(planned), batch_size):
                batch = planned[start : start + batch_size]
                pictures += generator.generate([prompt for prompt, _, _ in batch], [seed for *_, seed in batch])
                progress.update(len(batch))
            rows = [
                {
                    "image_id": f"{concept.concept}-{i // images_per_prompt}-{index:04d}",
                    "prompt": prompt,
                    "index": index,
                    "seed": seed,
                    "bytes": encode_png(picture),
                }
                for i, ((prompt, index, seed), picture) in enumerate(zip(planned, pictures, strict=True))
            ]
            provenance = json.dumps(generator.provenance, sort_keys=True, default=str)
            write(pa.Table.from_pylist(rows, schema=GENERATED.with_metadata({"provenance": provenance})), target)
