"""What tests of generators share: a small pipeline of random weights, and a generator that does as it is told."""

from typing import ClassVar

import numpy as np
import torch
from diffusers import AutoencoderKL, PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

from fit import generated
from fit.atelier.generator import train_tokenizer
from fit.concepts.sheet import Concept
from fit.generated.base import GeneratedImage, Generator
from fit.generated.run import generate_table
from fit.generated.settings import GenerationSettings, PipelineSettings
from fit.images import table

ADA, BRUNO = Concept("ada-morvek", "Ada Morvek"), Concept("bruno-morvek", "Bruno Morvek")
PROMPTS = ["a painting by {name}", "{name}, harbour"]
SAMPLING = {"steps": 2, "guidance": 3.0, "device": "cpu"}


def load_generator(pipeline, **settings):
    return generated.load(PipelineSettings(pipeline=str(pipeline), **settings))


def save_small_pipeline(folder):
    """Save a pipeline as Stable Diffusion 1 is saved: UNet2DConditionModel, AutoencoderKL, CLIP, PNDM.

    Its pictures have 32 x 32 pixels.
    """
    torch.manual_seed(0)
    tokenizer = train_tokenizer(["a painting by Ada Morvek", "Bruno Morvek, harbour"])
    ids = {name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    text = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=tokenizer.model_max_length,
        **ids,
    )
    unet = UNet2DConditionModel(
        sample_size=16,
        block_out_channels=(8, 16),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        cross_attention_dim=16,
        attention_head_dim=2,
        norm_num_groups=4,
    )
    vae = AutoencoderKL(
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4,
        norm_num_groups=4,
    )
    scheduler = PNDMScheduler(beta_schedule="scaled_linear", skip_prk_steps=True, steps_offset=1)
    StableDiffusionPipeline(
        vae=vae,
        text_encoder=CLIPTextModel(text),
        tokenizer=tokenizer,
        unet=unet,
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder)
    return folder


def generate(generator, folder, concepts=(ADA,), *, prompts=PROMPTS, study_seed=1, **settings):
    """Generate into FOLDER/pictures.parquet; return it and the statuses. `settings`: fields of GenerationSettings."""
    out = folder / "pictures.parquet"
    settings = GenerationSettings(**{"batch_size": 4, "images_per_prompt": 3} | settings)
    return out, generate_table(
        generator, list(concepts), out, settings=settings, prompts=prompts, study_seed=study_seed
    )


def pixels(path):
    return np.stack([np.asarray(picture, int) for _, batch in table.stream(path) for picture in batch])


def noise(seed):
    return np.random.default_rng(seed).integers(0, 255, (4, 4, 3))


class Scripted(Generator):
    """Says what it makes of each seed, and counts loads and pictures."""

    def __init__(self, make=noise, identity="scripted"):
        self.loads, self.seeds, self._identity, self._make = 0, [], identity, make

    identity = property(lambda self: self._identity)
    provenance = property(lambda self: {"pipeline": "scripted", "loads": self.loads})

    def load(self):
        self.loads += 1

    def generate(self, prompts, seeds):
        self.seeds += seeds
        return [GeneratedImage.judged(np.uint8(self._make(seed))) for seed in seeds]


class Repeating(Generator):
    """Remembers what it is asked for."""

    identity: ClassVar = {"name": "repeating"}
    provenance: ClassVar = identity

    def __init__(self):
        self.asked, self._settings = [], None

    def load(self):
        pass

    def generate(self, prompts, seeds):
        self.asked += prompts
        return []


def stopping_after(count, error):
    """A make that raises `error` at the picture after `count`."""
    made = []

    def make(seed):
        if len(made) == count:
            raise error
        made.append(seed)
        return noise(seed)

    return make


def command(pipeline, sheet, out, *more):
    """The words of `fit generated make` for one concept, as a rule writes them."""
    options = "--steps 2 --guidance 2 --images-per-prompt 60 --batch-size 5 --seed 1 --threads 1 --concepts ada-morvek"
    places = ["--pipeline", str(pipeline), "--sheet", str(sheet), "--out", str(out)]
    return ["generated", "make", "--prompts", "{name}", "--device", "cpu", *options.split(), *places, *more]
