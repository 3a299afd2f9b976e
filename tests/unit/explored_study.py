"""A study in files as the workflow lays them below results/, for tests of what the explorer says of it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
from defying_study import SETTINGS, TARGETS, Study
from PIL import Image

from fit.explorer.excluded import write_excluded
from fit.explorer.part import PartOf
from fit.explorer.pictures import PicturePlaces, write_pictures
from fit.explorer.settings import PictureSettings
from fit.images.table import COLLECTED, encode_png
from fit.io.concept_tables import ConceptTables, write_concepts
from fit.io.parquet import write
from fit.scores.evidence import read_targets
from fit.scores.null import OF_NULL, Gathered, gather_pictures, null_scores
from fit.scores.settings import FixedTargetSettings, NullSettings
from fit.scores.tabulate import tabulate_scores
from fit.sensitivity import outliers
from fit.sensitivity.causes import Measurements
from fit.sensitivity.measure import measure as measure_sensitivity
from fit.thresholds.by_score import measure_by_score
from fit.thresholds.report import measure
from fit.thresholds.scores import read_table

MODEL, DOMAIN, CORPUS = "painter", "styles", "crawl"
MISSING = {"bad link": "http_404", "broken": "corrupt"}
"""Images of the concept c15 that were not collected -> their status."""
THRESHOLD: dict[str, Any] = {
    "penalty": 0.9,
    "resamples": 50,
    "seed": 0,
    "estimators": ["pelt", "one_change", "logistic"],
}


class ExploredStudy:
    """The study of defying_study, below `folder`/results, with all that the explorer reads."""

    def __init__(self, folder: Path):
        """Write all files."""
        self.study = Study(folder / "made")
        self.results = folder / "results"
        self._lay("scores/{}/{}.parquet", "scores.parquet")
        for kind, place in (("scores", "scores/{}/{}"), ("generated", "generated/{}/{}")):
            shutil.copytree(self.study.folder / kind, self.results / place.format(MODEL, DOMAIN))
        self._lay(f"counts/{CORPUS}/{DOMAIN}.parquet", "counts.parquet")
        self._lay(f"captions/{CORPUS}/{DOMAIN}/names.parquet", "names.parquet")
        self._lay(f"matches/{DOMAIN}.threshold.json", "match threshold.json")
        self._write_image_tables()
        self._write_nulls_and_threshold()
        self._write_sensitivity()

    def _lay(self, place: str, name: str) -> None:
        path = self.results / place.format(MODEL, DOMAIN)
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(self.study.folder / name, path)

    def _write_image_tables(self) -> None:
        """Image tables of the training images: each has a size of its own, so that it can be told in a page."""
        tables = []
        for concept in self.study.count_of:
            names = self.study.tables("images").read(concept, ["image_id"]).column("image_id").to_pylist()
            rows = [
                {
                    "image_id": name,
                    "status": "ok",
                    "bytes": encode_png(Image.new("RGB", (40, 20 + number % 20), "blue")),
                }
                for number, name in enumerate(names)
            ]
            if concept == "c15":
                rows += [{"image_id": name, "status": status} for name, status in MISSING.items()]
            tables.append((concept, pa.Table.from_pylist(rows, schema=COLLECTED.remove(0))))
        write_concepts(tables, self.study.folder / "image_tables" / "0.parquet", COLLECTED)

    def places(self, **instead: ConceptTables | None) -> PicturePlaces:
        """Return where the pictures are; other tables may be given instead."""
        kinds = {
            **{kind: kind for kind in ("generated", "references", "image_tables", "images", "matches")},
            "generated_embeddings": "of_generated",
            "reference_embeddings": "of_references",
        }
        given: dict[str, Any] = {name: self.study.tables(kind) for name, kind in kinds.items()}
        return PicturePlaces(**given | instead)

    def _write_nulls_and_threshold(self) -> None:
        study = self.study
        concepts = list(study.count_of)
        gathered = gather_pictures(
            concepts, study.tables("generated"), study.tables("of_generated"), study.folder / "counts.parquet"
        )
        write(gathered, study.folder / "gathered.parquet")
        pictures = Gathered(study.folder / "gathered.parquet")
        evidence = [study.tables(kind) for kind in ("references", "of_references", "images", "matches")]

        def of(concept: str) -> pa.Table:
            targets = read_targets(*evidence, TARGETS.targets, concept)
            fixed, null = FixedTargetSettings(fixed_targets=12), NullSettings(null_concepts=4)
            return null_scores(concept, targets, pictures, SETTINGS, fixed, null, 0)

        place = self.results / "scores/null" / MODEL / DOMAIN / "part_000.parquet"
        write_concepts([(concept, of(concept)) for concept in concepts], place, OF_NULL)
        nulls = ConceptTables([place])
        table, _ = tabulate_scores(
            study.folder / "counts.parquet", study.tables("scores"), study.folder / "sheet.tsv", nulls
        )
        path = self.results / "scores" / MODEL / f"{DOMAIN}.parquet"
        write(table, path)
        self.table = read_table(path)
        found = measure(self.table, **THRESHOLD)
        found["by_score"] = measure_by_score(path, self.table, found, **THRESHOLD)
        self.found = found
        self.write_threshold(found)

    def write_threshold(self, found: dict[str, Any]) -> None:
        """Write the JSON of the threshold."""
        path = self.results / "thresholds" / MODEL / f"{DOMAIN}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found))

    def _write_sensitivity(self) -> None:
        study = self.study
        folder = self.results / "sensitivity" / MODEL
        folder.mkdir(parents=True)
        found = measure_sensitivity(
            self.table,
            self.found,
            rescored=study.tables("rescored"),
            settings=SETTINGS,
            resamples=20,
            match_threshold=study.match_threshold,
            prompts=["a painting by {name}", "{name}, oil"],
        )
        (folder / f"{DOMAIN}.json").write_text(json.dumps(found))
        measurements = Measurements(
            counts=study.folder / "counts.parquet",
            references=study.tables("references"),
            reference_embeddings=study.tables("of_references"),
            generated=study.tables("generated"),
            generated_embeddings=study.tables("of_generated"),
            names=study.folder / "names.parquet",
            images=study.tables("images"),
            rescored=study.tables("rescored"),
        )
        explained, medians = outliers.explain(self.table, self.found, measurements)
        text = outliers.tabulate(self.table, explained, medians)
        (folder / f"{DOMAIN}.outliers.tsv").write_text(text)

    def write_pictures(self, settings: PictureSettings | None = None) -> None:
        """Write the thumbnails, and what was left out."""
        concepts = list(self.study.count_of)
        for kind in ("pictures", "excluded"):
            (self.results / "explorer" / kind / MODEL / DOMAIN).mkdir(parents=True, exist_ok=True)
        place = self.results / "explorer/pictures" / MODEL / DOMAIN / "part_000.parquet"
        write_pictures(self.places(), concepts, TARGETS.targets, settings or PictureSettings(), place)
        write_excluded(
            self.places(), concepts, self.results / "explorer/excluded" / MODEL / DOMAIN / "part_000.parquet"
        )

    def part(self, **instead: Any) -> PartOf:
        """Return which part it is; other facts may be given instead."""
        given: dict[str, Any] = {
            "model": MODEL,
            "domain": DOMAIN,
            "corpus": CORPUS,
            "matched": CORPUS,
            "sheet": str(self.study.folder / "sheet.tsv"),
            "embedder": "style",
            "is_of_people": False,
        }
        return PartOf(**given | instead)
