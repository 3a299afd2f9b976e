"""Trains the atelier's text-to-image model: a small latent diffusion model, saved as any Stable Diffusion pipeline is.

Its parts are those of Stable Diffusion, shrunk: an autoencoder to a quarter of the positions, a byte-pair tokenizer
and a two-layer CLIP text encoder trained on the captions, and a U-Net with cross-attention, trained to predict the
velocity (v-prediction, arXiv 2202.00512) with captions dropped at random for classifier-free guidance.
"""

import copy
import json
import math
from collections.abc import Iterable, Sequence

import torch
from diffusers import AutoencoderTiny, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from tokenizers import Tokenizer, models, trainers
from tqdm import trange
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from fit.atelier.settings import GeneratorSettings

LATENT_CHANNELS = 8
TEXT_WIDTH = 64
TOKENS = 24
VOCABULARY = 540  # of captions in ASCII; each further character adds two
ASCII = [chr(code) for code in range(33, 127)]
CAPTION_DROPOUT = 0.1


def make_autoencoder() -> AutoencoderTiny:
    """Return an untrained AutoencoderTiny that quarters the side of pictures [N, 3, S, S]."""
    return AutoencoderTiny(
        latent_channels=LATENT_CHANNELS,
        encoder_block_out_channels=(16, 16, 16),
        decoder_block_out_channels=(16, 16, 16),
        num_encoder_blocks=(0, 1, 1),
        num_decoder_blocks=(1, 1, 0),
    ).to(memory_format=torch.channels_last)


def train_autoencoder(pictures: torch.Tensor, steps: int, batch_size: int = 8) -> AutoencoderTiny:
    """Return the autoencoder, trained on `pictures` [N, 3, S, S] in -1..1 for `steps`."""
    model = make_autoencoder()
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3, fused=True)
    schedule = _warm_then_cosine(optimizer, steps)
    for _ in trange(steps, desc="autoencoder", mininterval=2):
        batch = pictures[torch.randint(len(pictures), (batch_size,))].to(memory_format=torch.channels_last)
        latents = model.encode(batch).latents
        # Noise on the latents makes the decoder robust to the noise that the diffusion leaves.
        decoded = model.decode(latents + 0.02 * torch.randn_like(latents)).sample
        loss = (decoded - batch).abs().mean() + 1e-3 * latents.square().mean()
        _step(model, loss, optimizer, schedule)
    return model.eval()


@torch.inference_mode()
def encode_pictures(autoencoder: AutoencoderTiny, pictures: torch.Tensor, batch_size: int = 256) -> torch.Tensor:
    """Return latents [N, LATENT_CHANNELS, S/4, S/4] of `pictures` [N, 3, S, S] in -1..1."""
    return torch.cat([autoencoder.encode(batch).latents for batch in pictures.split(batch_size)])


def train_tokenizer(captions: Iterable[str]) -> CLIPTokenizer:
    """Return a CLIP tokenizer whose small byte-pair vocabulary is learned from `captions`: names share syllables."""
    start, end = "<|startoftext|>", "<|endoftext|>"
    template = CLIPTokenizer(vocab={start: 0, end: 1}, merges=[]).backend_tokenizer
    learner = Tokenizer(models.BPE(end_of_word_suffix="</w>", unk_token=end))
    learner.normalizer, learner.pre_tokenizer = template.normalizer, template.pre_tokenizer
    # A character that ends a word is a token of its own. The trainer would number these tokens in the order of a hash
    # table, which differs between runs, and the numbers decide ties between merges.
    alphabet = _alphabet(template, captions)
    ending = [character + "</w>" for character in alphabet]
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY + 2 * (len(alphabet) - len(ASCII)),
        end_of_word_suffix="</w>",
        special_tokens=[start, end, *ending],
        initial_alphabet=alphabet,
        show_progress=False,
    )
    learner.train_from_iterator(captions, trainer)
    learned = learner.get_vocab()
    merges = [tuple(merge) for merge in json.loads(learner.to_str())["model"]["merges"]]
    return CLIPTokenizer(vocab=learned, merges=merges, model_max_length=TOKENS)


def _alphabet(tokenizer: Tokenizer, captions: Iterable[str]) -> list[str]:
    """Return ASCII, then the other characters, sorted, that `tokenizer`, a byte-level one, makes of `captions`."""
    seen: set[str] = set()
    for caption in captions:
        words = tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str(caption))
        seen.update(character for word, _ in words for character in word)
    return ASCII + sorted(seen.difference(ASCII))


def _text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=TEXT_WIDTH,
            intermediate_size=2 * TEXT_WIDTH,
            projection_dim=TEXT_WIDTH,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=TOKENS,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def make_unet(sample_size: int, width: float = 1.0) -> UNet2DConditionModel:
    """Return the untrained U-Net, for latents of `sample_size` squared; `width` multiplies its channels."""
    return UNet2DConditionModel(
        sample_size=sample_size,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        block_out_channels=(8 * round(8 * width), 8 * round(12 * width)),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        cross_attention_dim=TEXT_WIDTH,
        attention_head_dim=2,
        norm_num_groups=8,
    ).to(memory_format=torch.channels_last)


def _step(
    model: torch.nn.Module,
    loss: torch.Tensor,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    schedule.step()


def _warm_then_cosine(
    optimizer: torch.optim.Optimizer, steps: int, warm_up: int = 50
) -> torch.optim.lr_scheduler.LambdaLR:
    def factor(step: int) -> float:
        return min(1.0, (step + 1) / warm_up) * 0.5 * (1 + math.cos(math.pi * step / steps))

    return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


class _TextToNoise(torch.nn.Module):
    """Text encoder and U-Net as one model, so that one optimizer and one average hold both."""

    def __init__(self, text_encoder: CLIPTextModel, unet: UNet2DConditionModel):
        super().__init__()
        self.text_encoder, self.unet = text_encoder, unet

    def forward(self, noisy: torch.Tensor, times: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        return self.unet(noisy, times, encoder_hidden_states=self.text_encoder(tokens)[0]).sample


def train_generator(
    pictures: torch.Tensor,
    captions: Sequence[str],
    settings: GeneratorSettings,
    *,
    learning_rate: float,
    averaging: float,
    seed: int,
) -> StableDiffusionPipeline:
    """Train a text-to-image pipeline on captioned pictures.

    Args:
        pictures: [N, 3, S, S] float32 in -1..1.
        captions: N strings.
        settings: how long it is trained.
        learning_rate: its peak; a cosine follows.
        averaging: decay per step of the exponential moving average that is saved.
        seed: of weights, batches and noise.

    Returns:
        StableDiffusionPipeline, on the CPU.
    """
    torch.manual_seed(seed)
    autoencoder = train_autoencoder(pictures, settings.autoencoder_steps)
    latents = encode_pictures(autoencoder, pictures)
    autoencoder.register_to_config(scaling_factor=1 / latents.std().item())
    latents = latents * autoencoder.config.scaling_factor

    tokenizer = train_tokenizer(captions)
    tokens = tokenizer([*captions, ""], padding="max_length", truncation=True, return_tensors="pt").input_ids
    scheduler = DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )
    model = _TextToNoise(_text_encoder(tokenizer), make_unet(latents.shape[-1], settings.generator_width))
    average = copy.deepcopy(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.01, fused=True)
    schedule = _warm_then_cosine(optimizer, settings.generator_steps)
    progress = trange(settings.generator_steps, desc="generator", mininterval=2)
    shown = None
    for step in progress:
        rows = torch.randint(len(latents), (settings.generator_batch,))
        clean = latents[rows].contiguous(memory_format=torch.channels_last)
        captioned = torch.where(torch.rand(settings.generator_batch) < CAPTION_DROPOUT, len(captions), rows)
        noise = torch.randn_like(clean)
        times = torch.randint(scheduler.config.num_train_timesteps, (settings.generator_batch,))
        velocity = model(scheduler.add_noise(clean, noise, times), times, tokens[captioned])
        loss = torch.nn.functional.mse_loss(velocity, scheduler.get_velocity(clean, noise, times))
        _step(model, loss, optimizer, schedule)
        with torch.no_grad():
            torch._foreach_lerp_(
                list(average.parameters()), list(model.parameters()), 1 - min(averaging, step / (step + 10))
            )
        shown = loss.item() if shown is None else 0.98 * shown + 0.02 * loss.item()
        progress.set_postfix(loss=f"{shown:.3f}", refresh=False)
    return StableDiffusionPipeline(
        vae=autoencoder,
        text_encoder=average.text_encoder.eval(),
        tokenizer=tokenizer,
        unet=average.unet.eval(),
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
