"""What a threshold does not show, with what was measured of each limit."""

from fit.io.shown import number_of
from fit.measured import MeasuredErrors, measured_errors


def limits(measured: MeasuredErrors | None = None) -> tuple[str, ...]:
    """Return the limits of every result, in sentences.

    Args:
        measured: what is known of the method's error; None: what the truth experiment found (docs/truth.md).
    """
    of = measured or measured_errors()
    low, high = of.told_over_true_interval
    where = f"In {number_of(of.models, 'small model')} of which the truth is known (docs/truth.md)"
    again = (
        f" A model that was trained again on the same images had another threshold: it moved by a factor of "
        f"{of.another_training:.1f} (one standard deviation, {number_of(of.pairs, 'pair')} of small models). No "
        "interval of one model contains that."
        if of.another_training is not None
        else " How much a threshold moves when a model is trained again on the same images was not measured."
    )
    return (
        "It is an association. No model was trained with more or fewer images of a concept, so it is not shown that "
        "the number of images caused the score.",
        f"The number can be off. {where}, the threshold that was told was on average {of.told_over_true:.2f} times the "
        f"true one (95 %: {low:.2f} to {high:.2f}), and within a factor of 2 of it in {of.within_a_factor_of_2} of "
        f"{of.answers}. Whether large models are like them is not known.",
        f"An interval of 95 % can be too narrow. In these models it held the truth in {of.held} of {of.intervals}.",
        "It is a statement about many concepts of one domain. A single concept may be imitated below the threshold, "
        f"and may not be imitated above it. {where}, the true thresholds of single concepts differed by a factor of "
        f"{of.concepts_apart:.1f} from the 10th to the 90th percentile, and the score of one concept rose from 10 to "
        f"90 % over a factor of {of.rise:.0f} in images.",
        "It holds for this model, this training set, these prompts and this embedder. It is not shown for another "
        f"model, not even one that was trained on the same images.{again}",
        "The score measures resemblance as an embedder sees it. It does not show that a picture copies a certain "
        "image, and not that people would take it for the concept.",
        "A concept without imitation in this study may be imitated with other prompts, other settings, more attempts, "
        "or after further training.",
        "Counts are estimates. Images whose captions do not name a concept, images that could not be collected, and "
        "errors of the embedder are in them only as far as the assumptions say.",
        "Concepts are taken to be exchangeable but for their counts. If frequent concepts are also easier to draw for "
        "another reason, such as fame, this study alone does not tell the two apart.",
        "It says nothing about rights: not whether a use is allowed, not whether a work is protected, and not whether "
        "harm was done.",
    )
