"""Which weights of a pipeline are loaded, and hashed: variants and shards."""

import json
import shutil

import huggingface_hub
import numpy as np
import pytest
from diffusers import DiffusionPipeline
from generating import SAMPLING, load_generator
from pipelines import WORDS, save

from fit.errors import ModelError
from fit.generated import weights

pytestmark = pytest.mark.slow

UNET, VAE, TEXT = "unet/diffusion_pytorch_model", "vae/diffusion_pytorch_model", "text_encoder/model"


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder with a Stable Diffusion pipeline in each layout: plain, fp16, sharded, sharded-fp16."""
    place = tmp_path_factory.mktemp("saved")
    for name, options in {
        "plain": {},
        "fp16": {"variant": "fp16"},
        "sharded": {"max_shard_size": "20KB"},
        "sharded-fp16": {"max_shard_size": "20KB", "variant": "fp16"},
    }.items():
        save("sd", place / name, **options)
    return place


@pytest.fixture
def copied(saved, tmp_path):
    """A function that copies one of them."""
    return lambda name: shutil.copytree(saved / name, tmp_path / name)


def load(folder, **options):
    return load_generator(str(folder), **SAMPLING | options)


def pixels(generator):
    return np.stack([one.pixels.astype(int) for one in generator.generate(WORDS, [1, 2])])


def assert_loaded_is_hashed(folder, **options):
    """Every hashed file is needed; damage in every other file of weights goes unnoticed."""
    hashed = set(load(folder, **options).provenance["weights"])
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*.safetensors*")}
    assert hashed <= set(files)
    for name in set(files) - hashed:
        files[name].write_bytes(b"damaged")
    assert set(load(folder, **options).provenance["weights"]) == hashed
    for name in sorted(hashed):
        kept = files[name].read_bytes()
        files[name].write_bytes(b"damaged")
        with pytest.raises(ModelError) as error:
            load(folder, **options)
        assert "\n" not in str(error.value)
        files[name].write_bytes(kept)
    return hashed


# --- variants ---------------------------------------------------------------------------------------------------------


def test_a_folder_that_has_only_one_variant_is_loaded_from_it_with_a_message(saved, copied, capsys):
    folder = copied("fp16")
    generator = load(folder)
    assert "its only weights are those of `variant: fp16`, which are loaded" in capsys.readouterr().err
    assert generator.provenance["variant"] == "fp16"
    assert np.array_equal(pixels(generator), pixels(load(saved / "plain")))
    # Named, it is the same model: what was finished is found, and nothing needs to be said.
    capsys.readouterr()
    named = load(folder, variant="fp16")
    assert named.identity == generator.identity
    assert "variant" not in capsys.readouterr().err
    assert assert_loaded_is_hashed(folder) == {f"{name}.fp16.safetensors" for name in (UNET, VAE, TEXT)}


def test_a_pipeline_without_variants_is_identified_as_before(saved, capsys):
    generator = load(saved / "plain")
    assert "variant" not in generator.identity
    assert generator.provenance["variant"] == ""
    assert "variant" not in capsys.readouterr().err


def test_of_several_the_one_without_a_name_is_loaded_unless_a_variant_is_named(saved, copied):
    folder = copied("plain")
    shutil.copytree(saved / "fp16", folder, dirs_exist_ok=True)
    plain, named = load(folder), load(folder, variant="fp16")
    assert plain.identity != named.identity
    assert (plain.provenance["variant"], named.provenance["variant"]) == ("", "fp16")
    assert set(named.provenance["weights"]) == {f"{name}.fp16.safetensors" for name in (UNET, VAE, TEXT)}
    assert assert_loaded_is_hashed(folder) == {f"{name}.safetensors" for name in (UNET, VAE, TEXT)}


@pytest.mark.parametrize("variant", [None, "fp16"])
def test_components_with_a_variant_and_without_one_are_loaded_together(saved, copied, variant):
    folder = copied("plain")
    (folder / f"{UNET}.safetensors").rename(folder / f"{UNET}.fp16.safetensors")
    hashed = assert_loaded_is_hashed(folder, variant=variant)
    assert hashed == {f"{UNET}.fp16.safetensors", f"{VAE}.safetensors", f"{TEXT}.safetensors"}


def test_several_variants_are_listed_and_the_key_is_named(copied):
    folder = copied("fp16")
    for name in (UNET, VAE, TEXT):
        shutil.copy(folder / f"{name}.fp16.safetensors", folder / f"{name}.non_ema.safetensors")
    with pytest.raises(ModelError, match=r"several variants.*unet: fp16, non_ema.*`variant`: fp16 or non_ema"):
        load(folder)
    assert load(folder, variant="non_ema").provenance["variant"] == "non_ema"


def test_components_of_different_variants_are_listed(copied):
    folder = copied("fp16")
    (folder / f"{VAE}.fp16.safetensors").rename(folder / f"{VAE}.bf16.safetensors")
    with pytest.raises(ModelError, match=r"not every component has weights of one variant.*vae: bf16"):
        load(folder)
    with pytest.raises(ModelError, match=r"not every component has weights of the variant `fp16`.*vae: bf16"):
        load(folder, variant="fp16")


def test_a_variant_that_is_not_there_is_an_error_that_names_those_that_are(saved):
    with pytest.raises(ModelError, match=r"no weights of the variant `fp32`; it has `fp16`: fix the model's `variant`"):
        load(saved / "fp16", variant="fp32")
    with pytest.raises(ModelError, match=r"no weights of the variant `fp16`; it has only weights without one"):
        load(saved / "plain", variant="fp16")


def test_a_name_without_a_dot_beside_a_variant_is_named(copied):
    folder = copied("fp16")
    (folder / "unet" / "LICENSE").write_text("free")
    with pytest.raises(ModelError, match=r"unet/LICENSE: .*no dot; move it elsewhere"):
        load(folder)


# --- shards -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("layout", "dotted"), [("sharded", ""), ("sharded-fp16", ".fp16")])
def test_shards_and_their_index_are_loaded_and_hashed(saved, copied, layout, dotted):
    folder = copied(layout)
    assert np.array_equal(pixels(load(folder)), pixels(load(saved / "plain")))
    hashed = assert_loaded_is_hashed(folder)
    assert f"{UNET}.safetensors.index{dotted}.json" in hashed
    assert any(name.startswith(f"{UNET}{dotted}-00001-of-") for name in hashed)
    assert len(hashed) > 10


@pytest.mark.parametrize("name", [UNET, TEXT])
def test_what_is_loaded_where_shards_and_a_whole_file_are_there(saved, copied, name):
    folder = copied("sharded")
    shutil.copy(saved / "plain" / f"{name}.safetensors", folder / f"{name}.safetensors")
    hashed = assert_loaded_is_hashed(folder)
    assert (f"{name}.safetensors" in hashed) != (f"{name}.safetensors.index.json" in hashed)


def test_shards_in_the_older_order_of_words_are_loaded(saved, copied):
    folder = copied("sharded-fp16")
    index = folder / f"{UNET}.safetensors.index.fp16.json"
    data = json.loads(index.read_text())
    names = {
        name: name.replace(".fp16-", "-").replace(".safetensors", ".fp16.safetensors")
        for name in set(data["weight_map"].values())
    }
    for name, older in names.items():
        (index.parent / name).rename(index.parent / older)
    data["weight_map"] = {key: names[name] for key, name in data["weight_map"].items()}
    index.write_text(json.dumps(data))
    assert set(load(folder).provenance["weights"]) >= {f"unet/{older}" for older in names.values()}
    older = index.with_name("diffusion_pytorch_model.safetensors.fp16.index.json")
    index.rename(older)
    assert f"unet/{older.name}" in load(folder).provenance["weights"]
    dotted = folder.rename(folder.with_name("xl-1.0"))
    with pytest.raises(ModelError, match=r"rename the file to diffusion_pytorch_model\.safetensors\.index\.fp16\.json"):
        load(dotted)


@pytest.mark.parametrize("part", ["unet", "text_encoder"])
@pytest.mark.parametrize("layout", ["sharded", "sharded-fp16"])
def test_a_missing_shard_is_named(copied, layout, part):
    folder = copied(layout)
    shard = sorted((folder / part).glob("*00002-of*.safetensors"))[0]
    shard.unlink()
    with pytest.raises(ModelError, match=rf"{part}: {shard.name} of \d+ shards that .*index.*json names is missing"):
        load(folder)


def test_a_missing_index_is_named(copied):
    folder = copied("sharded-fp16")
    (folder / f"{UNET}.safetensors.index.fp16.json").unlink()
    with pytest.raises(
        ModelError, match=r"shards are there without diffusion_pytorch_model\.safetensors\.index\.fp16\.json"
    ):
        load(folder)


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"weight_map": []}'])
def test_an_index_that_cannot_be_read_is_named(copied, content):
    folder = copied("sharded")
    (folder / f"{UNET}.safetensors.index.json").write_text(content)
    with pytest.raises(ModelError, match=r"safetensors\.index\.json: can't be read.*get the file again"):
        load(folder)


def test_weights_that_are_not_there_are_an_error(copied):
    folder = copied("plain")
    (folder / f"{TEXT}.safetensors").unlink()
    with pytest.raises(ModelError, match=r"text_encoder: no weights in it"):
        load(folder)


@pytest.mark.parametrize("content", ["", "[]", "{"])
def test_a_model_index_that_cannot_be_read_is_named(copied, content):
    folder = copied("plain")
    (folder / "model_index.json").write_text(content)
    with pytest.raises(ModelError, match=r"model_index\.json: .*get the pipeline's folder again"):
        load(folder)


# --- the hub ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def hub(copied, tmp_path, monkeypatch):
    """A hub and its cache, which hold owner/model as fp16 only; what was asked for is returned."""
    commit = "c0ffee" + "0" * 34
    folder = tmp_path / "hub" / "snapshots" / commit
    folder.parent.mkdir(parents=True)
    copied("fp16").rename(folder)
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    asked = []

    def download(cls, name, *, local_files_only, variant=None, **_):
        asked.append(("cache" if local_files_only else "network", variant))
        if local_files_only and "empty" in name:
            raise OSError("not in the cache")
        if variant != "fp16":
            raise OSError(f"Could not find the necessary `safetensors` weights in {names} (variant={variant})")
        return str(folder)

    monkeypatch.setattr(DiffusionPipeline, "download", classmethod(download))
    module = "fit.generated.diffusers"
    monkeypatch.setattr(f"{module}.hf_hub_download", lambda **_: str(folder / "model_index.json"))
    monkeypatch.setattr(f"{module}.list_repo_files", lambda **_: names)
    listed = [huggingface_hub.hf_api.RepoFile(path=name, size=1, oid="") for name in names]
    monkeypatch.setattr(f"{module}.get_cached_repo_tree", lambda **_: listed)
    return asked


def test_the_only_variant_of_a_hub_id_is_found_in_the_cache(hub, capsys):
    generator = load("owner/model")
    assert generator.provenance["variant"] == "fp16"
    assert hub == [("cache", None), ("cache", "fp16")]
    assert "owner/model: its only weights are those of `variant: fp16`" in capsys.readouterr().err


def test_the_only_variant_of_a_hub_id_is_found_before_it_is_fetched(hub):
    assert load("owner/empty", download=True).provenance["variant"] == "fp16"
    assert hub == [("cache", None), ("network", None), ("network", "fp16")]


def test_a_variant_that_is_named_is_asked_for(hub):
    assert load("owner/model", variant="fp16").identity["variant"] == "fp16"
    assert hub == [("cache", "fp16")]


def test_a_pipeline_whose_components_have_no_weights_has_no_weight_files(tmp_path):
    (tmp_path / "model_index.json").write_text(json.dumps({"scheduler": ["diffusers", "S"]}))
    (tmp_path / "scheduler").mkdir()
    assert weights.weight_files(tmp_path) == []
