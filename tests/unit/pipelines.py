"""Small pipelines of random weights, in the layouts in which the families of models are published."""

import diffusers
import tokenizers
import torch
import transformers
from diffusers import AutoencoderKL, UNet2DConditionModel

from fit.atelier.generator import train_tokenizer

WORDS = ["a painting by Ada Morvek", "Bruno Morvek, harbour"]


def clip_tokenizer():
    return train_tokenizer(WORDS)


def t5_tokenizer():
    """A tokenizer of whole words, which pads and ends as T5's does."""
    words = sorted({word for line in WORDS for word in line.replace(",", " ,").split()})
    vocabulary = {word: number for number, word in enumerate(["<pad>", "</s>", "<unk>", *words])}
    model = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="<unk>"))
    model.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    end = [("</s>", 1)]
    model.post_processor = tokenizers.processors.TemplateProcessing(single="$A </s>", special_tokens=end)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=model, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=16
    )


def clip(tokenizer, projected=False, width=16):
    config = transformers.CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=tokenizer.model_max_length,
        projection_dim=width,
        **{name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")},
    )
    return (transformers.CLIPTextModelWithProjection if projected else transformers.CLIPTextModel)(config)


def t5(tokenizer, width=16):
    config = transformers.T5Config(
        vocab_size=len(tokenizer), d_model=width, d_kv=8, d_ff=32, num_layers=1, num_heads=2, pad_token_id=0
    )
    return transformers.T5EncoderModel(config)


def vae(latent_channels=4, **more):
    return AutoencoderKL(
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=latent_channels,
        norm_num_groups=4,
        **more,
    )


def unet(**more):
    options = {"cross_attention_dim": 16, "attention_head_dim": 2} | more
    return UNet2DConditionModel(
        sample_size=16,
        block_out_channels=(8, 16),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        norm_num_groups=4,
        **options,
    )


def _beta(kind, **more):
    return kind(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", **more)


def sd(time_cond_proj_dim=None):
    tokenizer = clip_tokenizer()
    return diffusers.StableDiffusionPipeline(
        vae=vae(),
        text_encoder=clip(tokenizer),
        tokenizer=tokenizer,
        unet=unet(time_cond_proj_dim=time_cond_proj_dim),
        scheduler=_beta(diffusers.DDIMScheduler, steps_offset=1, clip_sample=False),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def lcm():
    tokenizer = clip_tokenizer()
    return diffusers.LatentConsistencyModelPipeline(
        vae=vae(),
        text_encoder=clip(tokenizer),
        tokenizer=tokenizer,
        unet=unet(time_cond_proj_dim=32),
        scheduler=_beta(diffusers.LCMScheduler),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def sdxl():
    first, second = clip_tokenizer(), clip_tokenizer()
    return diffusers.StableDiffusionXLPipeline(
        vae=vae(),
        text_encoder=clip(first),
        text_encoder_2=clip(second, projected=True),
        tokenizer=first,
        tokenizer_2=second,
        unet=unet(
            cross_attention_dim=32,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=6 * 8 + 16,
        ),
        scheduler=_beta(diffusers.EulerDiscreteScheduler, steps_offset=1),
        add_watermarker=False,
    )


def sd3():
    first, second, third = clip_tokenizer(), clip_tokenizer(), t5_tokenizer()
    return diffusers.StableDiffusion3Pipeline(
        transformer=diffusers.SD3Transformer2DModel(
            sample_size=16,
            patch_size=1,
            in_channels=4,
            num_layers=1,
            attention_head_dim=8,
            num_attention_heads=4,
            caption_projection_dim=32,
            joint_attention_dim=32,
            pooled_projection_dim=32,
            out_channels=4,
        ),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(),
        vae=vae(shift_factor=0.0609, scaling_factor=1.5035),
        text_encoder=clip(first, projected=True),
        tokenizer=first,
        text_encoder_2=clip(second, projected=True),
        tokenizer_2=second,
        text_encoder_3=t5(third, width=32),
        tokenizer_3=third,
    )


def flux(guidance_embeds=True):
    first, second = clip_tokenizer(), t5_tokenizer()
    return diffusers.FluxPipeline(
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(),
        vae=vae(latent_channels=1, shift_factor=0.0609, scaling_factor=1.5035),
        text_encoder=clip(first),
        tokenizer=first,
        text_encoder_2=t5(second),
        tokenizer_2=second,
        transformer=diffusers.FluxTransformer2DModel(
            patch_size=1,
            in_channels=4,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=16,
            pooled_projection_dim=16,
            axes_dims_rope=(4, 4, 8),
            guidance_embeds=guidance_embeds,
        ),
    )


def pixart(kind="PixArtAlphaPipeline", sample_size=16):
    tokenizer = t5_tokenizer()
    return getattr(diffusers, kind)(
        tokenizer=tokenizer,
        text_encoder=t5(tokenizer),
        vae=vae(),
        transformer=diffusers.PixArtTransformer2DModel(
            sample_size=sample_size,
            num_layers=1,
            patch_size=2,
            attention_head_dim=8,
            num_attention_heads=2,
            caption_channels=16,
            cross_attention_dim=16,
            in_channels=4,
            out_channels=8,
            use_additional_conditions=False,
        ),
        scheduler=_beta(diffusers.DPMSolverMultistepScheduler),
    )


MAKERS = {
    "sd": sd,
    "sd-guided-inside": lambda: sd(time_cond_proj_dim=32),
    "lcm": lcm,
    "sdxl": sdxl,
    "sd3": sd3,
    "flux": flux,
    "flux-schnell": lambda: flux(guidance_embeds=False),
    "pixart-alpha": pixart,
    "pixart-alpha-32": lambda: pixart(sample_size=32),
    "pixart-sigma": lambda: pixart("PixArtSigmaPipeline"),
}
"""Name of a family -> a function that makes a pipeline of it."""


def save(name, folder, **options):
    """Save a pipeline of the family `name` into `folder`, with the same weights every time; options as save_pretrained
    takes them. Returns the folder."""
    torch.manual_seed(0)
    MAKERS[name]().save_pretrained(folder, **options)
    return folder


def saved_once(tmp_path_factory):
    """A function: name of a family -> a folder with a pipeline of it, which is saved when it is first asked for."""
    saved = {}

    def of(name):
        if name not in saved:
            saved[name] = str(save(name, tmp_path_factory.mktemp(name)))
        return saved[name]

    return of
