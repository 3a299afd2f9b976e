"""Losses, the adversarial prefix and the projection of the methods that erase, against computations of their own."""

import copy

import pytest
import torch
from pipelines import WORDS, sd

from fit.atelier.erasing import COMPONENTS, REGISTRY, load
from fit.atelier.erasing.advunlearn import encode_with_prefix
from fit.atelier.erasing.base import Erasable, erased_target
from fit.atelier.erasing.domain_correction import without_conflict
from fit.atelier.settings import ErasingSettings
from fit.errors import ModelError
from fit.generated.changes import Source, check_component
from fit.generated.weights import read_index

pytestmark = pytest.mark.slow

TEMPLATES = ["a painting by {name}", "{name}, harbour"]


@pytest.fixture(scope="module")
def pipe():
    torch.manual_seed(0)
    return sd()


@pytest.fixture
def model(pipe):
    torch.manual_seed(1)
    return Erasable(copy.deepcopy(pipe), ["Ada Morvek"], ["Bruno Morvek"], TEMPLATES)


def method(model, name, **settings):
    chosen = {"erasing_batch": 3, "attack_steps": 4, "attack_batch": 2} | settings
    return load(name)(model, ErasingSettings(method=name, **chosen))


def plain_noise(pipe, prompts, latents, unet=None):
    ids = pipe.tokenizer(prompts, padding="max_length", truncation=True, return_tensors="pt").input_ids
    with torch.no_grad():
        states = pipe.text_encoder(ids)[0]
        return (unet or pipe.unet)(latents.noisy, latents.times, encoder_hidden_states=states).sample


def test_latents_are_of_the_prompts_that_they_name_and_end_in_pictures(model):
    assert len(model.erased.noisy) == len(model.erased.times) == len(model.erased.prompts)
    assert set(model.erased.times.tolist()) == set(model.scheduler.timesteps.tolist())
    assert set(model.erased.prompts.tolist()) <= {0, 1}
    assert (model.swapped_ids == model.erased_ids).all()  # one name each: the same templates in the same order


def test_a_velocity_is_the_noise_that_it_says(model):
    model.scheduler.register_to_config(prediction_type="v_prediction")
    latents = model.erased.draw(3)
    velocity = model.teacher_unet(
        latents.noisy, latents.times, encoder_hidden_states=model.empty.expand(3, -1, -1)
    ).sample
    # x = sqrt(a) x0 + sqrt(1 - a) e and v = sqrt(a) e - sqrt(1 - a) x0, solved for e.
    for row, time in enumerate(latents.times):
        a = model.scheduler.alphas_cumprod[time]
        matrix = torch.tensor([[a.sqrt(), (1 - a).sqrt()], [-(1 - a).sqrt(), a.sqrt()]])
        both = torch.stack([latents.noisy[row].flatten(), velocity[row].flatten()])
        noise = torch.linalg.solve(matrix, both)[1]
        assert torch.allclose(noise, model.teach_empty(latents)[row].flatten(), atol=1e-4)


def test_the_target_leads_away_from_the_concept():
    empty, wanted = torch.tensor([1.0, 2.0]), torch.tensor([3.0, -2.0])
    assert erased_target(wanted, empty, 1.0).tolist() == [-1.0, 6.0]
    assert erased_target(wanted, empty, 0.0).tolist() == empty.tolist()


def test_the_loss_of_erased_stable_diffusion(pipe, model, monkeypatch):
    latents = model.erased.draw(3)
    monkeypatch.setattr(type(model.erased), "draw", lambda self, number: latents)
    prompts = [TEMPLATES[number].format(name="Ada Morvek") for number in latents.prompts]
    wanted, empty = plain_noise(pipe, prompts, latents), plain_noise(pipe, [""] * 3, latents)
    target = empty - 0.7 * (wanted - empty)
    with torch.no_grad():
        next(weight for name, weight in model.unet.named_parameters() if "attn2" in name).add_(0.1)
    found = plain_noise(pipe, prompts, latents, model.unet)
    assert method(model, "esd", strength=0.7).loss().item() == pytest.approx(
        (found - target).pow(2).mean().item(), rel=1e-4
    )


def test_the_unchanged_prediction_as_a_target_trains_nothing(model):
    """Why the controls have noise as their target: the gradient of the plain retaining term is 0 at the start."""
    learned = method(model, "advunlearn")
    gradients = torch.autograd.grad(learned.retaining_term(model.others.draw(3)), learned.parameters)
    assert max(gradient.abs().max().item() for gradient in gradients) < 1e-6


def test_a_prefix_of_a_known_token_is_that_token(model):
    ids = model.erased_ids[:1]
    token = 7
    prefix = model.teacher_text.get_input_embeddings().weight[[token]].detach()
    by_hand = torch.cat([ids[:, :1], torch.tensor([[token]]), ids[:, 1:-1]], dim=1)
    by_hand[:, -1] = ids[:, -1]
    assert torch.allclose(
        encode_with_prefix(model.teacher_text, ids, prefix), model.teacher_text(by_hand)[0], atol=1e-6
    )
    assert torch.equal(model.teacher_text(ids)[0], model.teacher_text(ids)[0])  # no hook is left


def test_the_adversary_takes_the_steps_of_adam_towards_the_unchanged_prediction(pipe, model):
    with torch.no_grad():  # a text encoder that has forgotten something
        for weight in model.text_encoder.parameters():
            weight.add_(0.05 * torch.randn_like(weight))
    learned, latents = method(model, "advunlearn", attack_rate=0.05), model.erased.draw(2)
    torch.manual_seed(3)
    found = learned.attack(latents)
    torch.manual_seed(3)
    known = model.text_encoder.get_input_embeddings().weight.detach()
    prefix = known[torch.randint(len(known), (1,))].clone()
    prompts = [TEMPLATES[number].format(name="Ada Morvek") for number in latents.prompts]
    wanted = plain_noise(pipe, prompts, latents)
    mean, square = torch.zeros_like(prefix), torch.zeros_like(prefix)
    for step in range(1, 5):
        prefix = prefix.detach().requires_grad_(True)
        states = encode_with_prefix(model.text_encoder, model.erased_ids[latents.prompts], prefix)
        noise = model.teacher_unet(latents.noisy, latents.times, encoder_hidden_states=states).sample
        (gradient,) = torch.autograd.grad((noise - wanted).pow(2).mean(), [prefix])
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
        prefix = prefix - 0.05 * (mean / (1 - 0.9**step)) / ((square / (1 - 0.999**step)).sqrt() + 1e-8)
    assert torch.allclose(found, prefix, atol=1e-4)


def test_advunlearn_s_loss_is_the_erasing_term_and_the_weighted_retaining_term(pipe, model, monkeypatch):
    of_erased, of_others = model.erased.draw(3), model.others.draw(3)
    draws = {id(model.erased): of_erased, id(model.others): of_others}
    monkeypatch.setattr(type(model.erased), "draw", lambda self, number: draws[id(self)])
    learned = method(model, "advunlearn", retain_weight=0.3)
    prefix = torch.randn(1, 16)
    monkeypatch.setattr(learned, "attack", lambda latents: prefix)
    with torch.no_grad():
        for weight in model.text_encoder.parameters():
            weight.add_(0.05 * torch.randn_like(weight))

    def predicted(states, latents):
        return pipe.unet(latents.noisy, latents.times, encoder_hidden_states=states).sample

    with torch.no_grad():
        named = [
            [TEMPLATES[n].format(name=name) for n in one.prompts]
            for name, one in (("Ada Morvek", of_erased), ("Bruno Morvek", of_others))
        ]
        empty = plain_noise(pipe, [""] * 3, of_erased)
        target = 2 * empty - plain_noise(pipe, named[0], of_erased)
        under_prefix = encode_with_prefix(model.text_encoder, model.erased_ids[of_erased.prompts], prefix)
        erasing = (predicted(under_prefix, of_erased) - target).pow(2).mean()
        plain = model.text_encoder(model.other_ids[of_others.prompts])[0]
        retaining = (predicted(plain, of_others) - plain_noise(pipe, named[1], of_others)).pow(2).mean()
    assert learned.loss().item() == pytest.approx((erasing + 0.3 * retaining).item(), rel=1e-4)


def test_only_a_conflicting_part_is_projected_out():
    torch.manual_seed(0)
    for sign in (1, -1):
        unlearning = [torch.randn(3), torch.randn(2, 2)]
        retaining = [sign * unlearning[0] + 0.1 * torch.randn(3), sign * unlearning[1]]
        u, r = (torch.cat([one.flatten() for one in parts]) for parts in (unlearning, retaining))
        found = torch.cat([one.flatten() for one in without_conflict(unlearning, retaining)])
        if sign > 0:
            assert torch.equal(found, u)
        else:
            assert torch.allclose(found, u - u @ r / (r @ r) * r, atol=1e-6) and abs(found @ r) < 1e-4


def test_the_step_of_domain_correction_never_leads_against_what_is_retained(model, monkeypatch):
    learned = method(model, "domain_correction", retain_weight=0.0)
    with torch.no_grad():
        for weight in learned.parameters:
            weight.add_(0.1 * torch.randn_like(weight))
    latents = model.others.draw(3)
    monkeypatch.setattr(type(model.others), "draw", lambda self, number: latents)
    gradients = learned.gradients()
    retaining = torch.autograd.grad(learned.retaining_loss(), learned.parameters)
    assert sum((g * r).sum() for g, r in zip(gradients, retaining, strict=True)) > -1e-6


def test_the_discriminator_s_losses(model):
    learned = method(model, "domain_correction")
    target, anchor = torch.randn(2, 4, 16, 16), torch.randn(2, 4, 16, 16)
    real, false = learned.discriminator(anchor).sigmoid(), learned.discriminator(target).sigmoid()
    assert real.shape[-1] > 1  # a patch each
    expected = -(real.log().mean() + (1 - false).log().mean())
    assert learned.discriminator_loss(target, anchor).item() == pytest.approx(expected.item(), rel=1e-4)


@pytest.mark.parametrize("name", REGISTRY)
def test_a_method_trains_its_component_alone_and_what_it_makes_fits_into_the_base(pipe, tmp_path, name):
    from fit.atelier.erasing.run import erase

    pipe.save_pretrained(tmp_path / "base")
    settings = ErasingSettings(method=name, erasing_steps=2, erasing_batch=2, attack_steps=1, attack_batch=1)
    options = {"erased": ["Ada Morvek"], "others": ["Bruno Morvek"], "templates": TEMPLATES}
    made = erase(tmp_path / "base", **options, settings=settings, seed=1)
    before = getattr(pipe, COMPONENTS[name]).state_dict()
    changed = {key for key, value in made.state_dict().items() if not torch.equal(value, before[key])}
    assert changed
    assert COMPONENTS[name] == "text_encoder" or all("attn2" in key for key in changed)
    made.save_pretrained(tmp_path / "made")
    index = read_index(tmp_path / "base")
    check_component(Source("unet", str(tmp_path / "made")), COMPONENTS[name], tmp_path / "base", index)
    again = erase(tmp_path / "base", **options, settings=settings, seed=1).state_dict()
    assert all(torch.equal(value, again[key]) for key, value in made.state_dict().items())


def test_a_folder_that_is_no_such_pipeline_is_named(tmp_path):
    from fit.atelier.erasing.run import erase

    with pytest.raises(ModelError, match="name another `base`"):
        erase(tmp_path, ["Ada"], ["Bruno"], WORDS, ErasingSettings(method="esd"), seed=0)
