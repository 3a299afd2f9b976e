"""The imitation score against plain computations of the same, and the evidence that it is computed from."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from concept_files import unit, write_rows, write_vectors
from hypothesis import given, settings
from hypothesis import strategies as st

from fit.cli.main import main
from fit.errors import DataError, ImageTableError
from fit.images.table import GENERATED, REFERENCES
from fit.io.concept_tables import ConceptTables, concepts_in
from fit.matches.match import MATCHES
from fit.scores.evidence import Evidence, EvidencePlaces, TrainingImages, read_evidence
from fit.scores.imitation import imitation_score, score_concept
from fit.scores.settings import ScoreSettings, TargetSettings
from fit.scores.targets import choose_targets


def test_targets_of_styles_and_faces():
    matched, references = np.ones((11, 2)), np.zeros((5, 2))
    assert choose_targets(matched, references, "matches_or_references") is matched
    assert choose_targets(matched[:10], references, "matches_or_references") is references
    assert len(choose_targets(matched, references, "matches_and_references")) == 16
    assert len(choose_targets(np.zeros((0, 0)), references, "matches_and_references")) == 5


def test_imitation_score_is_the_mean_over_the_most_similar_targets():
    rng = np.random.default_rng(4)
    generated, targets = unit(rng.normal(size=(6, 8))), unit(rng.normal(size=(30, 8)))
    cosines = targets @ generated.T
    best = np.argsort(cosines.mean(axis=1))[::-1][:10]
    assert imitation_score(generated, targets, 10) == pytest.approx(cosines[best].mean(), abs=1e-6)
    assert imitation_score(generated, targets[:3], 10) == pytest.approx(cosines[:3].mean(), abs=1e-6)
    with pytest.raises(DataError):
        imitation_score(generated[:0], targets, 10)
