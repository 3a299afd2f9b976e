"""The prefix with which a model predicts the noise on pictures of a concept best."""

import diffusers
import numpy as np
import pyarrow as pa
import pytest
import torch
from generating import SAMPLING, load_generator
from PIL import Image
from pipelines import WORDS, save, sd
from safetensors import safe_open

from fit.attacks.prefix import KEY, _Texts, encode_pictures, find_prefix
from fit.attacks.prefix_files import read_pictures, write_prefix
from fit.attacks.settings import PrefixSettings
from fit.errors import DataError, ModelError
from fit.images.table import GENERATED, REFERENCES, encode_png
from fit.io.concept_tables import write_concepts

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load_generator(save("sd", tmp_path_factory.mktemp("sd")), **SAMPLING)


def pictures(count=3, side=20):
    rng = np.random.default_rng(1)
    return [Image.fromarray(rng.integers(0, 255, (side, side, 3), np.uint8)) for _ in range(count)]


def test_a_prompt_after_a_prefix_is_encoded_as_the_pipeline_encodes_it(model, tmp_path):
    prefix = torch.randn(3, 16, generator=torch.Generator().manual_seed(2))
    pipe = diffusers.DiffusionPipeline.from_pretrained(model.place)
    pipe.load_textual_inversion({"<p>": prefix}, token="<p>")
    with torch.no_grad():
        expected = torch.cat([pipe.encode_prompt(f"<p> {text}", "cpu", 1, False)[0] for text in WORDS])
        found = _Texts(model.pipe, WORDS, 3).encode(prefix, torch.arange(len(WORDS)))
    assert torch.allclose(found, expected, atol=1e-5)
    with torch.no_grad():
        plain = model.pipe.encode_prompt(WORDS[0], "cpu", 1, False)[0]
    assert not torch.allclose(found[:1], plain, atol=1e-2)


def test_latents_are_those_of_the_pipelines_autoencoder(model):
    (picture,) = pictures(1, side=32)
    tensor = torch.from_numpy(np.asarray(picture, np.float32) / 127.5 - 1).movedim(-1, 0)[None]
    with torch.no_grad():
        expected = model.pipe.vae.encode(tensor).latent_dist.mean * model.pipe.vae.config.scaling_factor
        assert torch.allclose(encode_pictures(model.pipe, [picture]), expected, atol=1e-5)


def test_the_first_step_is_that_of_the_loss_by_hand(model):
    """Adam's first step is the learning rate against the gradient over its size, computed here again."""
    settings = PrefixSettings(prefix_steps=1, prefix_batch=2, prefix_learning_rate=0.05)
    found, losses = find_prefix(model, pictures(), WORDS, settings, 4)
    pipe, random = model.pipe, torch.Generator().manual_seed(4)
    vocabulary = pipe.text_encoder.get_input_embeddings().weight
    first = torch.randint(len(vocabulary), (3,), generator=random)
    prefix = vocabulary[first].detach().clone().requires_grad_()
    with torch.no_grad():
        latents = encode_pictures(pipe, pictures())
    which, prompt = torch.randint(3, (2,), generator=random), torch.randint(len(WORDS), (2,), generator=random)
    times = torch.randint(1000, (2,), generator=random)
    clean = latents[which]
    noise = torch.randn(clean.shape, generator=random)
    kept = pipe.scheduler.alphas_cumprod[times][:, None, None, None]
    states = _Texts(pipe, WORDS, 3).encode(prefix, prompt)
    predicted = pipe.unet(kept.sqrt() * clean + (1 - kept).sqrt() * noise, times, encoder_hidden_states=states)[0]
    loss = ((predicted - noise) ** 2).mean()
    (slope,) = torch.autograd.grad(loss, prefix)
    assert losses == pytest.approx([loss.item()], rel=1e-4)
    step = 0.05 * slope / (slope.abs() + 1e-8)
    assert step.abs().max() > 0.01
    assert torch.allclose(found, prefix.detach() - step, atol=1e-3)


def test_a_prefix_follows_from_the_seed_and_the_model_stays_as_it_was(model):
    before = {name: one.clone() for name, one in model.pipe.unet.named_parameters()}
    settings = PrefixSettings(prefix_steps=12, prefix_batch=4, prefix_learning_rate=0.1)
    found, losses = find_prefix(model, pictures(), WORDS, settings, 1)
    assert found.shape == (3, 16) and len(losses) == 12
    again, _ = find_prefix(model, pictures(), WORDS, settings, 1)
    assert torch.equal(found, again)
    for name, one in model.pipe.unet.named_parameters():
        assert torch.equal(one, before[name]) and one.requires_grad and one.grad is None


# --- whether a prefix brings back what a name no longer leads to ------------------------------------------------------

COLOURS = {"a painting by Ada": "red", "a painting by Bruno": "lime", "harbour": "blue"}
ADA, BRUNO, _ = COLOURS
PLAIN = {colour: Image.new("RGB", (16, 16), colour) for colour in COLOURS.values()}


@torch.no_grad()
def loss_of(pipe, prompt, colour):
    """Return the mean squared error of the noise that a pipeline predicts on a colour when it is asked for `prompt`.

    It is computed by the pipeline's own encoding of texts, on noise that no prefix is found with.
    """
    times, random = torch.linspace(0, 999, 96).long(), torch.Generator().manual_seed(99)
    clean = encode_pictures(pipe, [PLAIN[colour]])
    noise = torch.randn((len(times), *clean.shape[1:]), generator=random)
    kept = pipe.scheduler.alphas_cumprod[times][:, None, None, None]
    states = pipe.encode_prompt(prompt, "cpu", 1, False)[0].expand(len(times), -1, -1)
    predicted = pipe.unet(kept.sqrt() * clean + (1 - kept).sqrt() * noise, times, encoder_hidden_states=states)[0]
    return ((predicted - noise) ** 2).mean().item()


def teach(pipe, steps):
    """Fit a pipeline to COLOURS: each text leads to its colour."""
    random = torch.Generator().manual_seed(1)
    with torch.no_grad():
        # A random autoencoder's latents nearly vanish, and the noise is to hide them as it hides real ones.
        latents, own = encode_pictures(pipe, list(PLAIN.values())), pipe.vae.config.scaling_factor
        pipe.vae.register_to_config(scaling_factor=own / latents.std().item(), shift_factor=latents.mean().item() / own)
        latents = encode_pictures(pipe, list(PLAIN.values())).repeat(8, 1, 1, 1)
    ids = pipe.tokenizer(list(COLOURS) * 8, padding="max_length", return_tensors="pt").input_ids
    optimizer = torch.optim.Adam([*pipe.unet.parameters(), *pipe.text_encoder.parameters()], lr=5e-3)
    for _ in range(steps):
        times = torch.randint(1000, (len(ids),), generator=random)
        noise = torch.randn(latents.shape, generator=random)
        noisy = pipe.scheduler.add_noise(latents, noise, times)
        predicted = pipe.unet(noisy, times, encoder_hidden_states=pipe.text_encoder(ids)[0])[0]
        optimizer.zero_grad()
        ((predicted - noise) ** 2).mean().backward()
        optimizer.step()


@pytest.fixture(scope="module")
def forgetful(tmp_path_factory):
    """A model that was taught COLOURS, and in which the name Ada was then made a word that says nothing."""
    folder = tmp_path_factory.mktemp("forgetful")
    torch.manual_seed(1)
    pipe = sd()
    pipe.unet = diffusers.UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(16,),
        down_block_types=("CrossAttnDownBlock2D",),
        mid_block_type=None,
        up_block_types=("UpBlock2D",),
        layers_per_block=1,
        norm_num_groups=4,
        cross_attention_dim=16,
        attention_head_dim=4,
    )
    teach(pipe, 200)
    taught = loss_of(pipe, ADA, "red")
    assert taught < 0.9 * loss_of(pipe, BRUNO, "red")
    name, nothing = (pipe.tokenizer(word, add_special_tokens=False).input_ids for word in ("Ada", "a"))
    with torch.no_grad():
        vectors = pipe.text_encoder.get_input_embeddings().weight
        vectors[name] = vectors[nothing].clone()
    assert taught < 0.95 * loss_of(pipe, ADA, "red")
    pipe.save_pretrained(folder)
    return load_generator(folder, **SAMPLING)


def test_a_prefix_of_a_picture_brings_it_back_where_another_or_none_does_not(forgetful):
    """With the settings that are the default; the first embeddings are those of no step."""

    def found(colour, **settings):
        return find_prefix(forgetful, [PLAIN[colour]], [ADA], PrefixSettings(**settings), 0)[0]

    prefixes = {"own": found("red"), "other": found("lime"), "first": found("red", prefix_steps=0)}
    # A pipeline of its own: what it learns to read would be among the first embeddings of the next prefix.
    pipe = diffusers.DiffusionPipeline.from_pretrained(forgetful.place)
    for name, vectors in prefixes.items():
        pipe.load_textual_inversion({f"<{name}>": vectors}, token=f"<{name}>")
    red, lime = ({name: loss_of(pipe, f"<{name}> {ADA}", colour) for name in prefixes} for colour in ("red", "lime"))
    assert red["own"] < 0.9 * min(red["first"], red["other"])
    assert red["own"] < 0.95 * loss_of(pipe, ADA, "red")
    # It brings back this picture, and does not only help with every picture.
    assert lime["other"] < 0.9 * lime["own"]


def test_what_a_prefix_can_not_be_found_with_is_told(tmp_path, model):
    with pytest.raises(DataError, match="no picture of the concept to find a prefix with"):
        find_prefix(model, [], WORDS, PrefixSettings(), 1)
    other = load_generator(save("sdxl", tmp_path / "sdxl"), **SAMPLING)
    with pytest.raises(ModelError, match=r"this is a StableDiffusionXLPipeline; take `prefix` off"):
        find_prefix(other, pictures(), WORDS, PrefixSettings(), 1)


def test_a_file_says_what_it_is_of(tmp_path):
    write_prefix(torch.ones(3, 16), {"concept": "ada"}, tmp_path / "ada.safetensors")
    with safe_open(tmp_path / "ada.safetensors", "pt") as file:
        assert file.metadata() == {"concept": "ada"} and file.get_tensor(KEY).shape == (3, 16)


def test_kept_references_and_generated_pictures_are_read(tmp_path):
    data = [encode_png(picture) for picture in pictures()]

    def write(schema, **columns):
        rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        table = pa.Table.from_pylist(rows, schema=schema.remove(0))
        write_concepts([("ada", table)], tmp_path / "images.parquet", schema)

    write(REFERENCES, kept=[True, False, True], bytes=data)
    assert len(read_pictures([tmp_path / "images.parquet"], "ada")) == 2
    write(GENERATED, status=["ok", "black", "ok"], bytes=[data[0], None, data[2]])
    assert [one.size for one in read_pictures([tmp_path / "images.parquet"], "ada")] == [(20, 20)] * 2
    write(GENERATED, status=["black"], bytes=[None])
    with pytest.raises(DataError, match="no picture of ada can be used; name a table"):
        read_pictures([tmp_path / "images.parquet"], "ada")
