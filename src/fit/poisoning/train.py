"""Trains small CLIPs on poisoned pairs, cleans them, and measures how often the attack works.

On one thread, a training is the same whenever it is repeated.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from tqdm import tqdm

from fit.errors import DataError
from fit.io.shown import number_of
from fit.poisoning.losses import cleaning, contrastive
from fit.poisoning.measure import AFTER, BEFORE
from fit.poisoning.settings import OBJECTIVES, PoisoningSettings
from fit.poisoning.towers import Clip
from fit.poisoning.world import (
    TARGET,
    Pairs,
    Words,
    all_captions,
    change_captions,
    change_pictures,
    draw_pairs,
    others_in_turn,
    poison,
    put_patches,
    stream,
    styles_of,
)


def as_tensor(pictures: np.ndarray) -> torch.Tensor:
    """Return pictures [N, H, W, 3] in 0..1 as a model takes them, [N, 3, H, W]."""
    tensor = torch.from_numpy((pictures - 0.5) / 0.25).permute(0, 3, 1, 2)
    return tensor.contiguous(memory_format=torch.channels_last)


def fit_model(
    model: Clip,
    pairs: Pairs,
    words: Words,
    *,
    is_self_supervised: bool,
    steps: int,
    rate: float,
    batch: int,
    rng: np.random.Generator,
    name: str = "training",
) -> None:
    """Train `model` in place on `pairs`, in epochs of their own order, for `steps` steps.

    Args:
        model: the model.
        pairs: pictures with captions.
        words: the vocabulary.
        is_self_supervised: whether the loss has terms within pictures and within captions.
        steps: of the optimiser.
        rate: highest learning rate, of a schedule with one rise and fall.
        batch: pairs of a step.
        rng: of the order, and of changed copies.
        name: of the progress bar.
    """
    pictures, tokens = as_tensor(pairs.pictures), words.encode(pairs.captions)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=max(steps, 2))
    model.train()
    order = np.zeros(0, int)
    for _ in tqdm(range(steps), desc=name, leave=False, mininterval=2):
        if len(order) < batch:
            order = np.concatenate([order, rng.permutation(len(pairs))])
        rows, order = order[:batch], order[batch:]
        seen, read = pictures[rows], torch.from_numpy(tokens[rows])
        images, texts = model.embed_pictures(seen), model.embed_captions(read)
        scale = model.scale
        if is_self_supervised:
            changed = model.embed_pictures(change_pictures(seen, rng))
            reread = torch.from_numpy(change_captions(tokens[rows], rng))
            loss = cleaning(images, changed, texts, model.embed_captions(reread), scale)
        else:
            loss = contrastive(images, texts, scale)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
    model.eval()


@torch.inference_mode()
def class_texts(model: Clip, words: Words, names: Sequence[str]) -> torch.Tensor:
    """Return the text of each class [C, D], a mean over its captions, for zero-shot classification."""
    return torch.stack(
        [
            F.normalize(model.embed_captions(torch.from_numpy(words.encode(texts))).mean(0), dim=0)
            for texts in all_captions(names)
        ]
    )


@torch.inference_mode()
def classify(model: Clip, texts: torch.Tensor, pictures: np.ndarray) -> np.ndarray:
    """Return the class [N] whose text is nearest to each picture."""
    found = [model.embed_pictures(part) @ texts.T for part in as_tensor(pictures).split(256)]
    return torch.cat(found).argmax(dim=1).numpy()


def measure_model(
    model: Clip, words: Words, names: Sequence[str], held_out: Pairs, patched: np.ndarray
) -> dict[str, float]:
    """Return how well a model classifies, and how often the attack works.

    Args:
        model: the model.
        words: its vocabulary.
        names: of the classes.
        held_out: clean pictures.
        patched: pictures of other classes than the target, with the patch.

    Returns:
        accuracy: share of clean pictures that are given their class; attack_success: share of the patched ones that are
        taken for the target.
    """
    texts = class_texts(model, words, names)
    return {
        "accuracy": float((classify(model, texts, held_out.pictures) == held_out.classes).mean()),
        "attack_success": float((classify(model, texts, patched) == TARGET).mean()),
    }


def _check(names: Sequence[str], settings: PoisoningSettings, objective: str) -> None:
    if objective not in OBJECTIVES:
        raise DataError(f"there is no objective {objective!r}; there are {', '.join(OBJECTIVES)}")
    if not settings.poisoned_pairs:
        raise DataError("--poisoned-pairs: name one number or more, such as 0 30 300")
    if len(names) < settings.classes:
        raise DataError(
            f"the sheet has {number_of(len(names), 'painter')}, fewer than `poisoning.classes`, {settings.classes}; "
            "lower it, or name a longer sheet"
        )


def train_and_clean(
    names: Sequence[str], settings: PoisoningSettings, objective: str, seed: int
) -> Iterator[dict[str, Any]]:
    """Train a model for each number of poisoned pairs, clean it, and measure both.

    Args:
        names: of painters, as many as `settings.classes` or more.
        settings: what is trained.
        objective: one of OBJECTIVES.
        seed: of the world, the weights and the order of pairs.

    Yields:
        Rows: objective, seed, poisoned_pairs, stage (BEFORE or AFTER cleaning), accuracy, attack_success.

    Raises:
        DataError: there are too few painters, no number of pairs, or the objective is not known.
    """
    _check(names, settings, objective)
    names, count = list(names[: settings.classes]), settings.classes
    styles, rng = styles_of(count, seed), stream(seed, "held out")
    held_out = draw_pairs(styles, names, np.arange(settings.held_out) % count, rng)
    others = draw_pairs(styles, names, others_in_turn(settings.held_out, count), rng)
    patched = put_patches(others.pictures, settings.patch_pixels, rng)
    for number, stage, model, words in trained_models(names, settings, objective, seed):
        told = {"objective": objective, "seed": seed, "poisoned_pairs": number, "stage": stage}
        yield told | measure_model(model, words, names, held_out, patched)


def trained_models(
    names: Sequence[str], settings: PoisoningSettings, objective: str, seed: int
) -> Iterator[tuple[int, str, Clip, Words]]:
    """Yield (poisoned pairs, stage, model, its vocabulary): each model as trained, and then cleaned, in place.

    Args and errors are those of train_and_clean.
    """
    _check(names, settings, objective)
    names, count = list(names[: settings.classes]), settings.classes
    styles = styles_of(count, seed)
    words = Words([text for texts in all_captions(names) for text in texts])
    clean = draw_pairs(styles, names, np.arange(settings.pairs) % count, stream(seed, "pairs"))
    most = max(settings.poisoned_pairs)
    poisoned = poison(styles, names, count, most, settings.patch_pixels, stream(seed, "poison"))
    for_cleaning = draw_pairs(styles, names, np.arange(settings.cleaning_pairs) % count, stream(seed, "cleaning"))
    for number in settings.poisoned_pairs:
        torch.manual_seed(seed)
        model = Clip(words.size).to(memory_format=torch.channels_last)
        fit_model(
            model,
            clean.joined(poisoned.first(number)),
            words,
            is_self_supervised=objective == "self-supervised",
            steps=settings.training_steps,
            rate=settings.training_rate,
            batch=settings.pairs_per_step,
            rng=stream(seed, "batches"),
            name=number_of(number, "poisoned pair"),
        )
        yield number, BEFORE, model, words
        fit_model(
            model,
            for_cleaning,
            words,
            is_self_supervised=True,
            steps=settings.cleaning_steps,
            rate=settings.cleaning_rate,
            batch=settings.pairs_per_step,
            rng=stream(seed, "cleaning batches"),
            name="cleaning",
        )
        yield number, AFTER, model, words
