"""Tables of prompts: what they ask for, and pictures by composed guidance, negative prompts and prefixes."""

import diffusers
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from generating import ADA, BRUNO, SAMPLING, Scripted, generate, load_generator
from pipelines import WORDS, saved_once
from safetensors.torch import save_file

from fit.errors import DataError, ModelError
from fit.generated.composition import compose
from fit.generated.conditioning import Conditioning, composition_text, read_composition, read_prompts
from fit.generated.run import image_seed
from fit.io import parquet

GUIDED = ["sd", "sdxl", "sd3", "pixart-sigma"]
"""Families with classifier-free guidance: U-Nets and transformers."""
SEEDS = [5, 2**63 - 1]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Name of a family -> a folder with a pipeline of it, saved once."""
    return saved_once(tmp_path_factory)


def load(folder, **options):
    return load_generator(folder, **SAMPLING | options)


def pixels(made):
    assert [one.status for one in made] == ["ok"] * len(made)
    return np.stack([one.pixels.astype(int) for one in made])


def composed(*terms, **more):
    return Conditioning(terms=tuple(terms), **more)


# --- composed guidance ------------------------------------------------------------------------------------------------


def test_composed_guidance_is_the_formula():
    rng = np.random.default_rng(1)
    empty, given, weights = rng.normal(size=(2, 3)), rng.normal(size=(4, 2, 3)), rng.normal(size=(4, 2))
    expected = empty.copy()
    for picture in range(2):
        for term in range(4):
            expected[picture] += weights[term, picture] * (given[term, picture] - empty[picture])
    found = compose(*(torch.from_numpy(one) for one in (empty, given, weights)))
    assert np.allclose(found.numpy(), expected)


@pytest.mark.slow
@pytest.mark.parametrize("family", GUIDED)
def test_one_prompt_at_the_weight_of_the_guidance_is_the_pipelines_own_picture(folders, family):
    generator = load(folders(family))
    own = pixels(generator.generate(WORDS, SEEDS))
    alone = pixels(generator.generate([composed((3.0, text)) for text in WORDS], SEEDS))
    in_two = pixels(generator.generate([composed((1.0, text), (2.0, text)) for text in WORDS], SEEDS))
    assert np.abs(own - alone).max() <= 1 and np.abs(own - in_two).max() <= 1
    # Another weight, or another prompt that is taken away, is another picture.
    less = pixels(generator.generate([composed((3.0, WORDS[0]), (-2.0, WORDS[1]))] * 2, SEEDS))
    assert np.abs(own[0] - less[0]).max() > 5


@pytest.mark.slow
@pytest.mark.parametrize("family", ["sd", "sd3"])
def test_pictures_by_composed_guidance_are_those_of_a_loop_by_hand(folders, family):
    """The loop: the pipeline's own parts, a call of the denoiser for each text, and the formula."""
    terms, seed, steps = ((4.0, WORDS[0]), (-1.5, WORDS[1]), (0.5, "Bruno")), 7, 3
    pipe = diffusers.DiffusionPipeline.from_pretrained(folders(family))
    noise = torch.Generator().manual_seed(seed)
    with torch.inference_mode():
        if family == "sd":
            pipe.scheduler.set_timesteps(steps)
            latents = torch.randn((1, 4, 16, 16), generator=noise) * pipe.scheduler.init_noise_sigma

            def predicted(text, latents, time):
                states = pipe.encode_prompt(text, "cpu", 1, False)[0]
                return pipe.unet(latents, time, encoder_hidden_states=states)[0]
        else:
            pipe.scheduler.set_timesteps(steps)
            latents = torch.randn((1, 4, 16, 16), generator=noise)

            def predicted(text, latents, time):
                states, _, pooled, _ = pipe.encode_prompt(text, None, None, do_classifier_free_guidance=False)
                return pipe.transformer(
                    latents, timestep=time[None], encoder_hidden_states=states, pooled_projections=pooled
                )[0]

        for time in pipe.scheduler.timesteps:
            seen = latents if family == "sd3" else pipe.scheduler.scale_model_input(latents, time)
            empty = predicted("", seen, time)
            eps = empty + sum(weight * (predicted(text, seen, time) - empty) for weight, text in terms)
            latents = pipe.scheduler.step(eps, time, latents)[0]
        shift = getattr(pipe.vae.config, "shift_factor", None) or 0
        image = pipe.vae.decode(latents / pipe.vae.config.scaling_factor + shift)[0]
        expected = (pipe.image_processor.postprocess(image, output_type="np")[0] * 255).round().astype(int)
    made = pixels(load(folders(family), steps=steps).generate([composed(*terms)], [seed]))
    assert np.abs(made[0] - expected).max() <= 1


@pytest.mark.slow
def test_a_picture_does_not_depend_on_its_batch_however_different_the_others_are(folders):
    generator = load(folders("sd"))
    asked = [
        composed((2.0, WORDS[0]), (1.0, WORDS[1])),
        WORDS[0],
        Conditioning(WORDS[0], "harbour"),
        composed((4.0, WORDS[1]), (-1.0, WORDS[0])),
        composed((4.0, WORDS[1]), (-1.0, WORDS[0]), (2.0, "")),
        Conditioning(WORDS[1]),
    ]
    together = pixels(generator.generate(asked, [1, 2, 2, 3, 3, 4]))
    alone = [pixels(generator.generate([one], [seed]))[0] for one, seed in zip(asked, [1, 2, 2, 3, 3, 4], strict=True)]
    assert np.abs(together - np.stack(alone)).max() <= 1
    assert np.abs(together[1] - together[2]).max() > 2  # the same seed, and a negative prompt
    assert np.abs(together[3] - together[4]).max() <= 1  # the empty prompt adds nothing


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "options", "why"),
    [
        ("lcm", {}, "it is given 2 pictures and not 4"),
        ("flux", {"height": 32, "width": 32}, "it is given 2 pictures and not 4"),
        ("sd-guided-inside", {}, "it is given 2 pictures and not 4"),
        ("sd", {"guidance": 1.0}, "`guidance` is 1"),
    ],
)
def test_a_pipeline_without_classifier_free_guidance_is_refused_with_the_remedy(folders, family, options, why):
    generator = load(folders(family), **options)
    with pytest.raises(ModelError) as error:
        generator.generate([composed((3.0, WORDS[0]), (1.0, WORDS[1]))], [1])
    assert why in str(error.value) and "leave rows with a composition out" in str(error.value)
    with pytest.raises(ModelError, match="leave such rows out, or name another `pipeline`"):
        generator.generate([Conditioning(WORDS[0], "harbour")], [1])


# --- negative prompts and prefixes ------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("family", ["sd", "sdxl", "pixart-sigma"])
def test_a_negative_prompt_of_a_row_is_that_of_the_model(folders, family):
    of_model = pixels(load(folders(family), negative_prompt="harbour").generate([WORDS[0]] * 2, SEEDS))
    generator = load(folders(family))
    of_row = pixels(generator.generate([Conditioning(WORDS[0], "harbour")] * 2, SEEDS))
    assert np.abs(of_model - of_row).max() <= 1
    assert np.abs(of_model - pixels(generator.generate([WORDS[0]] * 2, SEEDS))).max() > 2


@pytest.mark.slow
def test_a_prefix_of_the_embeddings_of_words_is_these_words(folders, tmp_path):
    generator = load(folders("sd"))
    pipe = generator._pipe
    words = "Bruno Morvek"
    ids = pipe.tokenizer(words, add_special_tokens=False).input_ids
    vectors = pipe.text_encoder.get_input_embeddings().weight[ids].detach().clone()
    save_file({"prefix": vectors}, tmp_path / "bruno.safetensors")
    asked = Conditioning("harbour", prefix=str(tmp_path / "bruno.safetensors"), digest="0123456789abcdef")
    written = pixels(generator.generate([f"{words} harbour"], [3]))
    assert np.abs(written - pixels(generator.generate([asked], [3]))).max() <= 1
    assert np.abs(written - pixels(generator.generate(["harbour"], [3]))).max() > 2
    # What the pipeline learnt changes no other prompt.
    assert np.array_equal(written, pixels(generator.generate([f"{words} harbour"], [3])))
    save_file({"prefix": torch.zeros(3, 7)}, tmp_path / "narrow.safetensors")
    with pytest.raises(ModelError, match=r"narrow\.safetensors: not a prefix for"):
        generator.generate([Conditioning("harbour", prefix=str(tmp_path / "narrow.safetensors"), digest="1")], [3])
    with pytest.raises(ModelError, match="a prefix needs a Stable Diffusion pipeline"):
        load(folders("sdxl")).generate([asked], [3])


# --- tables -----------------------------------------------------------------------------------------------------------


def test_a_composition_is_read_back_as_it_is_written():
    terms = ((5.0, "a harbour by Ada"), (-2.5, "a boat, 3 * 4 m"), (1e-05, ""))
    assert read_composition(composition_text(terms)) == terms
    assert read_composition("+.5*a harbour|-2 * b") == ((0.5, "a harbour"), (-2.0, "b"))
    for wrong in ("a harbour", "5 a harbour", "", "5 * a | b", "nan * a", "1e999 * a"):
        with pytest.raises(ValueError, match="is not WEIGHT"):
            read_composition(wrong)


def table(tmp_path, *lines, header="concept\tprompt\tnegative_prompt\tcomposition\tprefix\tattack"):
    path = tmp_path / "prompts.tsv"
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def test_a_table_has_prompts_of_each_concept(tmp_path):
    path = table(
        tmp_path,
        "ada-morvek\therons, nets\t\t\t\tindirect",
        "bruno-morvek\ta tower",
        "ada-morvek\therons, nets\tAda Morvek\t\t\tindirect",
        "ada-morvek\t\t\t5 * herons | -1 * nets",
        "someone\t\t\tnot looked at",
    )
    found = read_prompts(path, ["ada-morvek", "bruno-morvek"])
    assert found["ada-morvek"] == [
        Conditioning("herons, nets"),
        Conditioning("herons, nets", "Ada Morvek"),
        composed((5.0, "herons"), (-1.0, "nets")),
    ]
    assert [one.label for one in found["ada-morvek"]] == [
        "herons, nets",
        "herons, nets [without: Ada Morvek]",
        "5 * herons | -1 * nets",
    ]
    assert found["bruno-morvek"] == [Conditioning("a tower")]
    rows = [{"concept": "bruno-morvek", "prompt": "a tower", "negative_prompt": None}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "prompts.parquet")
    assert read_prompts(tmp_path / "prompts.parquet", ["bruno-morvek"])["bruno-morvek"] == [Conditioning("a tower")]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("bruno-morvek\tx", "no row of ada-morvek; add one"),
        ("ada-morvek\t", "line 2: neither a prompt nor a composition"),
        ("ada-morvek\tx\t\t5 * y", "line 2: both a prompt and a composition"),
        ("ada-morvek\t\t\tfive * y", "line 2: composition: 'five \\* y' is not WEIGHT"),
        ("ada-morvek\tx\nada-morvek\tx", "line 3: the same prompt of ada-morvek as in line 2"),
        ("ada-morvek\tx\t\t\tnowhere.safetensors", "line 2: prefix: there is no file nowhere.safetensors; make it"),
    ],
)
def test_errors_in_a_table_name_the_line_and_the_remedy(tmp_path, line, said):
    with pytest.raises(DataError, match=said):
        read_prompts(table(tmp_path, line), ["ada-morvek"])


def test_each_concept_gets_its_own_prompts_and_pairs_of_them_the_same_noise(tmp_path):
    path = table(
        tmp_path,
        "ada-morvek\therons\t",
        "bruno-morvek\ta tower",
        "bruno-morvek\ta harbour",
        header="concept\tprompt\tnegative_prompt",
    )
    prompts = read_prompts(path, ["ada-morvek", "bruno-morvek"])
    out, _ = generate(Scripted(), tmp_path, (ADA, BRUNO), prompts=prompts, images_per_prompt=2)
    rows = parquet.read(out, ["concept", "prompt", "seed", "index"]).to_pylist()
    assert [(row["concept"], row["prompt"]) for row in rows] == [
        *[("ada-morvek", "herons")] * 2,
        *[("bruno-morvek", "a tower")] * 2,
        *[("bruno-morvek", "a harbour")] * 2,
    ]
    assert [row["seed"] for row in rows] == [image_seed(1, row["concept"], row["prompt"], row["index"]) for row in rows]
    # What differs in a negative prompt, a weight or a prefix alone begins with the same noise.
    plain = Conditioning("herons").seeded_by
    assert Conditioning("herons", "nets").seeded_by == plain
    assert Conditioning("herons", prefix="x", digest="1").seeded_by == plain
    assert composed((1.0, "a"), (2.0, "b")).seeded_by == composed((-5.0, "a"), (0.0, "b")).seeded_by != "a"


def test_a_generator_that_takes_prompts_alone_is_named_with_the_remedy(tmp_path):
    asked = {"ada-morvek": [Conditioning("herons"), Conditioning("herons", "nets")]}
    generator = Scripted()
    with pytest.raises(ModelError, match=r"Scripted takes prompts alone, and .*'herons \[without: nets\]'; leave out"):
        generate(generator, tmp_path, prompts=asked)
    assert generator.loads == 0


@pytest.mark.slow
def test_pictures_of_a_table_go_on_after_a_stop(folders, tmp_path):
    asked = {"ada-morvek": [Conditioning(WORDS[0], "harbour"), composed((3.0, WORDS[0]), (-1.0, WORDS[1]))]}
    generator = load(folders("sd"))
    whole, statuses = generate(generator, tmp_path / "whole", prompts=asked)
    assert statuses["ada-morvek"] == {"ok": 6}
    made, make = [], generator.generate

    def stopping(prompts, seeds):
        if made:
            raise KeyboardInterrupt
        made.append(prompts)
        return make(prompts, seeds)

    generator.generate = stopping
    with pytest.raises(KeyboardInterrupt):
        generate(generator, tmp_path / "again", prompts=asked, batch_size=3)
    generator.generate = make
    again, _ = generate(generator, tmp_path / "again", prompts=asked, batch_size=3)
    columns = ["concept", "prompt", "seed", "status"]
    assert parquet.read(again, columns).equals(parquet.read(whole, columns))
