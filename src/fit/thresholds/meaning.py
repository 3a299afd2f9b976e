"""What a threshold means for its readers, and which uses it does not support: one text for all reports and pages."""

READERS: tuple[tuple[str, str], ...] = (
    (
        "Researchers who reproduce or extend it",
        "A measurement of one model that can be made again from the files that are named, and held against other "
        "models and domains by its interval. Whether images cause the rise is found by training on more and on fewer "
        "of them, as docs/truth.md does in a small world.",
    ),
    (
        "Teams that train models",
        "A hint at the concepts that a model may imitate, and at about how many images that begins: a reason to look "
        "at these concepts, or to train on fewer images of them, and then to measure again. It is not a line below "
        "which nothing has to be done.",
    ),
    (
        "People who hold rights, or whose face or style is at stake",
        "Evidence on one concept beside many others: how many images in the training set match it, how closely the "
        "model's pictures resemble it, and how sure both are. It does not say which picture came from which image, nor "
        "what follows from that.",
    ),
)
"""(who reads a result, what it means for them)."""

UNSUPPORTED: tuple[str, ...] = (
    "As a permission, or as a charge: no law that is known to this project has such a number in it.",
    "As evidence that a certain picture was made from certain images, or that it copies one (docs/copies.md searches "
    "for copies).",
    "As an identification of a person. A match is a cosine above a cut, and embedders err more on some groups of "
    "people than on others.",
    "As a sign that a model is safe, or that a defence holds: docs/attacks.md measures what brings a concept back.",
    "As the number of images that one has to collect in order to imitate somebody: fine-tuning needs far fewer.",
    "For a study of private persons, or of anybody to their harm.",
)
"""Uses that no result supports, in sentences."""

MORE = "Sources, and where to read about rights and consent, are in docs/limits.md."
