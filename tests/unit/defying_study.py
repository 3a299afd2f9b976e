"""A study in files of which four concepts defy the threshold, each made so that its cause is known."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from concept_files import unit, write_rows, write_vectors
from PIL import Image

from fit.counts.estimate import COUNTS, effective_count
from fit.images.table import GENERATED, REFERENCES, encode_png
from fit.io.concept_tables import ConceptTables, write_concepts
from fit.io.parquet import write
from fit.matches.match import MATCHES, find_matches
from fit.matches.threshold import concept_means, find_match_threshold, reference_vectors, say_means
from fit.scores.evidence import Evidence, EvidencePlaces, read_evidence
from fit.scores.imitation import OF_PROMPT, score_concept
from fit.scores.settings import ScoreSettings, TargetSettings
from fit.scores.tabulate import tabulate_scores
from fit.sensitivity.rescore import RESCORED, rescore_concept
from fit.thresholds.report import measure
from fit.thresholds.scores import read_table

SIZE = 24
STRANGE = {"early": 4, "plain": 6, "late": 300, "copied": 220}
TARGETS, SETTINGS = TargetSettings(targets="matches_or_references"), ScoreSettings()


class Study:
    """Concepts of which the model learns those with 50 images or more, but for four strange ones.

    early is drawn well after 4 images (its pictures were collected for c15, and it has one name), plain too (nothing
    says why), late is drawn as c15 though it has 300, copied is drawn badly, and has 220 images of 3 pictures.
    """

    def __init__(self, folder: Path):
        """Write all files of the study to `folder`; a kind's tables are of several concepts each."""
        self.folder = folder
        self.count_of = {f"c{i:02d}": (3 + i if i < 10 else 10 * i - 50) for i in range(20)} | STRANGE
        self._write_vectors_and_pictures()
        vectors = list(reference_vectors(self.tables("references"), self.tables("of_references")).values())
        self.match_threshold = say_means(
            find_match_threshold(*concept_means(vectors), "midpoint"), vectors, with_itself=False
        )
        (folder / "match threshold.json").write_text(json.dumps(self.match_threshold))
        self._write_matches_and_counts()
        (folder / "sheet.tsv").write_text(
            "concept\tname\n" + "".join(f"{concept}\t{concept} name\n" for concept in self.count_of)
        )
        self._write_by_part("scores", OF_PROMPT, lambda c: score_concept(self.evidence(c), TARGETS, SETTINGS))
        self._write_by_part(
            "rescored", RESCORED, lambda c: rescore_concept(self.evidence(c), TARGETS, SETTINGS, self.match_threshold)
        )
        scores, _ = tabulate_scores(folder / "counts.parquet", self.tables("scores"), folder / "sheet.tsv")
        write(scores, folder / "scores.parquet")
        self.table = read_table(folder / "scores.parquet")
        self.found = measure(self.table, penalty=0.9, resamples=100, seed=0)
        (folder / "threshold.json").write_text(json.dumps(self.found))

    def tables(self, kind: str) -> ConceptTables:
        """Return the tables of a kind."""
        return ConceptTables([self.folder / kind])

    def rescored(self, concept: str) -> pa.Table:
        """Return the rows of `fit sensitivity rescore` of a concept."""
        return self.tables("rescored").read(concept)

    def places(self, **instead: ConceptTables | None) -> EvidencePlaces:
        """Return where the evidence is; other tables may be given instead."""
        given: dict[str, Any] = {
            "generated": self.tables("generated"),
            "generated_embeddings": self.tables("of_generated"),
            "images": self.tables("images"),
            "matches": self.tables("matches"),
            "references": self.tables("references"),
            "reference_embeddings": self.tables("of_references"),
        }
        return EvidencePlaces(**given | instead)

    def evidence(self, concept: str, **instead: ConceptTables | None) -> Evidence:
        """Return the evidence on a concept; other tables may be given instead."""
        return read_evidence(self.places(**instead), concept)

    def matches(self, concept: str, match_threshold: float) -> pa.Table:
        """Return the matches of a concept at a match threshold."""
        tables = (self.tables(kind) for kind in ("images", "references", "of_references"))
        return find_matches(concept, *tables, match_threshold)

    def _parts(self) -> Iterable[tuple[str, list[str]]]:
        concepts = list(self.count_of)
        return (("0", concepts[:9]), ("1", concepts[9:10]), ("2", concepts[10:]))

    def _write_by_part(self, kind: str, schema: pa.Schema, make: Any) -> None:
        for part, concepts in self._parts():
            path = self.folder / kind / f"{part}.parquet"
            write_concepts([(concept, make(concept)) for concept in concepts], path, schema)

    def _write_vectors_and_pictures(self) -> None:
        rng = np.random.default_rng(11)
        direction = dict(zip(self.count_of, np.linalg.qr(rng.normal(size=(SIZE, SIZE)))[0], strict=True))
        png = encode_png(Image.new("RGB", (8, 8), "red"))
        kinds = ("of_references", "of_generated", "images", "references", "generated")
        found: dict[str, dict[str, Any]] = {kind: {} for kind in kinds}

        def near(concept: str, number: int, noise: float = 0.06) -> np.ndarray:
            return unit(direction[concept] + rng.normal(0, noise, (number, SIZE)))

        def store(kind: str, concept: str, vectors: np.ndarray) -> list[str]:
            names = [f"{concept}-{kind}-{i}" for i in range(len(vectors))]
            found[kind][concept] = names, vectors
            return names

        for concept, count in self.count_of.items():
            names = store("of_references", concept, near(concept, 12))
            found["references"][concept] = [
                {"image_id": name, "kept": True, "decision": "kept", "bytes": png} for name in names
            ]
            shown = {"late": "c15"}.get(concept, concept)
            learned = (count >= 50 or concept in ("early", "plain")) and concept != "copied"
            pictures = np.concatenate([near(shown, 6, 0.1 if learned else 1.5) for _ in range(2)])
            names = store("of_generated", concept, pictures)
            prompts = [f"a painting by {concept}"] * 6 + [f"{concept}, oil"] * 6
            found["generated"][concept] = [
                {"image_id": name, "prompt": prompt, "index": 0, "seed": 0, "status": "ok", "bytes": png}
                for name, prompt in zip(names, prompts, strict=True)
            ]
            strays = near("early", 60) if concept == "c15" else unit(rng.normal(size=(5, SIZE)))
            store("images", concept, np.concatenate([near(concept, count, 0.15), strays]))
        for part, concepts in self._parts():
            for kind in kinds:
                path, of_part = self.folder / kind / f"{part}.parquet", {c: found[kind][c] for c in concepts}
                self._write_part(kind, path, of_part)

    def _write_part(self, kind: str, path: Path, of_part: Mapping[str, Any]) -> None:
        schemas = {"references": REFERENCES, "generated": GENERATED}
        if kind in schemas:
            write_rows(path, of_part, schemas[kind])
        else:
            write_vectors(path, of_part, SIZE)

    def _write_matches_and_counts(self) -> None:
        threshold = self.match_threshold["match_threshold"]
        assert threshold is not None
        self._write_by_part("matches", MATCHES, lambda concept: self.matches(concept, threshold))
        rows = []
        for concept in self.count_of:
            match = self.tables("matches").read(concept, ["match"]).column("match").to_pylist()
            downloaded, matched = len(match), sum(match)
            captions = 2 * downloaded
            unique = 3 if concept == "copied" else downloaded
            estimate = effective_count(matched, captions, downloaded)
            row = (concept, captions, captions, downloaded, unique, matched, *estimate, *[None] * 3, 0, 0)
            rows.append(dict(zip(COUNTS.names, row, strict=True)))
        write(pa.Table.from_pylist(rows, schema=COUNTS), self.folder / "counts.parquet")
        names = [(c, name) for c in self.count_of for name in ("name", "alias") if (c, name) != ("early", "alias")]
        captions_by_name = [{"concept": concept, "name": name, "captions": 10} for concept, name in names]
        write(pa.Table.from_pylist(captions_by_name), self.folder / "names.parquet")
