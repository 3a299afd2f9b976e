"""What is said of targets that no rule makes."""

import pytest

from fit.check.targets import unknown_target
from fit.config.read import check

CONFIG = check(
    {
        "default_study": "mine",
        "studies": {name: {"models": ["my-model"], "domains": ["people"]} for name in ("mine", "small")},
        "domains": {
            "people": {
                "concepts": "concepts.tsv",
                "embedder": "facenet",
                "references": {"folder": "references"},
                "match_threshold": "midpoint",
                "targets": "matches_and_references",
                "prompts": ["{name}"],
            }
        },
        "corpora": {"crawl": {"provided_counts": "counts.csv"}},
        "models": {"my-model": {"corpus": "crawl", "provided_images": "generated"}},
    }
)
MADE = "results/thresholds/my-model/people.json"


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("count", "count: not a milestone; did you mean counts? There are: counts, scores; a file is named with its"),
        ("nosuch", "nosuch: not a milestone; there are: counts, scores;"),
        ("a\nb", "'a\\nb': not a milestone"),
        ("mine", "mine: a study, and a run makes the default study, which is mine; leave the word out"),
        ("small", "the default study, which is mine; write `default_study: small` into config.yaml"),
        ("results/thresholds/my_model/people.json", f"did you mean {MADE}? config.yaml has the models my-model;"),
        (
            "results/threshold/my-model/people.json",
            "people.json: a file that no rule makes; config.yaml has the models",
        ),
    ],
)
def test_a_target_is_named_with_those_that_there_are(target, said):
    assert said in unknown_target(target, CONFIG, ["counts", "scores"], lambda path: path == MADE)
