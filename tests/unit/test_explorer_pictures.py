"""Which pictures of a concept the explorer shows, and what each step left out."""

import io
from collections import Counter
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from concept_files import unit, write_rows, write_vectors
from PIL import Image

from fit.cli.main import main
from fit.errors import DataError, ImageTableError
from fit.explorer.contents import PICTURES
from fit.explorer.excluded import EXCLUDED, excluded_of, why, write_excluded
from fit.explorer.pictures import PicturePlaces, nearest_targets, select_pictures, shares, spread_over_prompts
from fit.explorer.settings import PictureSettings
from fit.images.picture import STATUSES
from fit.images.table import COLLECTED, GENERATED, REFERENCES, encode_png
from fit.io.concept_tables import ConceptTables
from fit.io.parquet import read
from fit.matches.match import MATCHES
from fit.scores.targets import RULES

SIZE, PROMPTS = 8, ("a picture of {}", "{} in oil", "{} at night")


class Places:
    """Tables of a few concepts with noise for vectors; the width of each picture says which it is."""

    def __init__(self, folder, matching=12, each=4, concepts=("ada", "ben")):
        """`matching`: training images that match; `each`: generated pictures of a prompt."""
        self.folder, self.rng, self.widths = folder, np.random.default_rng(5), iter(range(10, 1000))
        self.vectors, self.width_of = {}, {}
        references, generated, images, matches = {}, {}, {}, {}
        for concept in concepts:
            names = self.vectors_of("references", concept, 6)
            references[concept] = [
                {
                    "image_id": name,
                    "kept": at != 2,
                    "decision": "vetoed" if at == 2 else "kept",
                    "bytes": self.draw(name),
                }
                for at, name in enumerate(names)
            ]
            names = self.vectors_of("generated", concept, each * len(PROMPTS))
            generated[concept] = [
                {
                    "image_id": name,
                    "prompt": PROMPTS[at // each].format(concept),
                    "status": "ok",
                    "bytes": self.draw(name),
                }
                for at, name in enumerate(names)
            ]
            names = self.vectors_of("images", concept, matching + 5)
            images[concept] = [{"image_id": name, "status": "ok", "bytes": self.draw(name)} for name in names]
            images[concept].append({"image_id": f"{concept}-gone", "status": "http_404", "bytes": None})
            matches[concept] = [
                {"image_id": name, "similarity": 0.5, "match": at < matching} for at, name in enumerate(names)
            ]
        self.generated, self.matches = generated, matches
        for kind, rows, schema in (
            ("references", references, REFERENCES),
            ("generated", generated, GENERATED),
            ("image_tables", images, COLLECTED),
            ("matches", matches, MATCHES),
        ):
            (folder / kind).mkdir(parents=True)
            write_rows(folder / kind / "part.parquet", rows, schema)
        for kind, of_concepts in self.vectors.items():
            write_vectors(folder / f"of_{kind}" / "part.parquet", of_concepts, SIZE)

    def draw(self, name):
        self.width_of[name] = next(self.widths)
        return encode_png(Image.new("RGB", (self.width_of[name], 9), "green"))

    def vectors_of(self, kind, concept, number):
        names = [f"{concept}-{kind}-{at}" for at in range(number)]
        self.vectors.setdefault(kind, {})[concept] = names, unit(self.rng.normal(size=(number, SIZE)))
        return names

    def vector(self, kind, concept, name):
        names, vectors = self.vectors[kind][concept]
        return vectors[names.index(name)]

    def tables(self, kind):
        return ConceptTables([self.folder / kind])

    def places(self, with_training=True):
        training = {"image_tables": "image_tables", "images": "of_images", "matches": "matches"}
        return PicturePlaces(
            generated=self.tables("generated"),
            generated_embeddings=self.tables("of_generated"),
            references=self.tables("references"),
            reference_embeddings=self.tables("of_references"),
            **({name: self.tables(kind) for name, kind in training.items()} if with_training else {}),
        )

    def select(self, concept="ada", rule="matches_or_references", with_training=True, **settings):
        table = select_pictures(self.places(with_training), concept, rule, PictureSettings(**settings))
        found = {role: [] for role in ("reference", "generated", "target")}
        for row in table.to_pylist():
            found[row["role"]].append(row)
        return found


@pytest.fixture
def made(tmp_path):
    return Places(tmp_path)


def test_shares_add_up():
    for total in range(3, 200):
        share = shares(total)
        assert min(share.references, share.generated, share.targets_of_each) >= 1
        assert share.references + share.generated * (1 + share.targets_of_each) == total
    assert (shares(10).references, shares(10).generated, shares(10).targets_of_each) == (2, 4, 1)


def test_pictures_are_spread_over_prompts():
    prompts = ["a"] * 3 + ["b"] * 3 + ["c"]
    assert spread_over_prompts(prompts, 3) == [0, 3, 6]
    assert spread_over_prompts(prompts, 5) == [0, 1, 3, 4, 6]
    assert spread_over_prompts(prompts, 2) == [0, 6]
    assert spread_over_prompts(prompts, 100) == list(range(7))
    assert spread_over_prompts([], 3) == []


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("matching", [12, 3])
def test_targets_are_the_nearest_of_the_score(tmp_path, rule, matching):
    made = Places(tmp_path, matching)
    found = made.select(rule=rule, pictures_per_concept=20)
    names, vectors = made.vectors["images"]["ada"]
    candidates = dict(zip(names[:matching], vectors[:matching], strict=True))
    names, vectors = made.vectors["references"]["ada"]
    kept = {name: vector for at, (name, vector) in enumerate(zip(names, vectors, strict=True)) if at != 2}
    if rule == "matches_and_references":
        candidates |= kept
    elif matching == 3:
        candidates = kept
    assert len(found["target"]) == 2 * len(found["generated"])
    for picture in found["generated"]:
        vector = made.vector("generated", "ada", picture["image_id"])
        by_hand = sorted(((float(other @ vector), name) for name, other in candidates.items()), reverse=True)[:2]
        near = [row for row in found["target"] if row["near"] == picture["image_id"]]
        assert [row["image_id"] for row in near] == [name for _, name in by_hand]
        assert [row["cosine"] for row in near] == pytest.approx([cosine for cosine, _ in by_hand], abs=1e-6)


def test_each_picture_is_the_one_that_its_name_says(made):
    found = made.select(pictures_per_concept=20)
    for row in (row for rows in found.values() for row in rows):
        picture = Image.open(io.BytesIO(row["bytes"]))
        assert picture.format == "WEBP" and picture.size == (row["width"], row["height"])
        assert row["width"] == min(made.width_of[row["image_id"]], 112)
    for rows in found.values():
        assert [row["rank"] for row in rows] == list(range(len(rows)))
    prompts = [row["prompt"] for row in found["generated"]]
    assert {row["image_id"]: row["prompt"] for row in made.generated["ada"]}.items() >= {
        row["image_id"]: row["prompt"] for row in found["generated"]
    }.items()
    assert set(Counter(prompts).values()) <= {1, 2} and len(set(prompts)) == 3


def test_only_kept_references_are_shown(made):
    shown = [row["image_id"] for row in made.select(pictures_per_concept=100)["reference"]]
    assert shown == [f"ada-references-{at}" for at in (0, 1, 3, 4, 5)]


def test_without_training_images_references_are_the_targets(made):
    found = made.select(with_training=False)
    assert len(found["target"]) == 4
    assert {row["image_id"].split("-")[1] for row in found["target"]} == {"references"}


def test_a_thumbnail_is_as_small_as_the_settings_say(tmp_path):
    made = Places(tmp_path)
    small, large = (made.select(thumbnail_px=16, thumbnail_quality=q)["target"][0] for q in (1, 100))
    assert max(small["width"], small["height"]) == 16
    assert len(small["bytes"]) <= len(large["bytes"])


def test_an_image_of_several_faces_is_one_target():
    targets, picture = unit(np.eye(3) + 0.1), unit(np.ones(3) * (3, 2, 1))
    names = [("training", "group"), ("training", "group"), ("reference", "alone")]
    found = nearest_targets(picture, targets, names, 2)
    assert [row for row, _ in found] == [0, 2]
    assert all(one[1] >= two[1] for one, two in pairwise(found))


def test_pictures_that_cannot_be_scored_are_shown_only_where_there_are_no_others(tmp_path):
    made = Places(tmp_path)
    names, vectors = made.vectors["generated"]["ada"]
    # Two faces in the first picture of each prompt, none in the second.
    several = [name for at, name in enumerate(names) for _ in range({0: 2, 1: 0}.get(at % 4, 1))]
    rows = [vectors[names.index(name)] for name in several]
    of_ben = made.vectors["generated"]["ben"]
    path = tmp_path / "of_generated/part.parquet"
    write_vectors(path, {"ada": (several, rows), "ben": of_ben}, SIZE)
    shown = [row["image_id"] for row in made.select()["generated"]]
    assert all(int(name.rpartition("-")[2]) % 4 > 1 for name in shown) and len(shown) == 4
    excluded = excluded_of(made.places(), "ada").to_pylist()
    assert {"step": "generated pictures", "number": 6, "why": "they do not show exactly one face"} in excluded
    write_vectors(path, {"ada": ([], []), "ben": of_ben}, SIZE)
    found = made.select()
    assert len(found["generated"]) == 4 and found["target"] == []


def test_what_was_left_out_is_counted_by_reason(made):
    rows = [(row["step"], row["number"], row["why"]) for row in excluded_of(made.places(), "ada").to_pylist()]
    assert rows == [
        ("references", 1, "a person rejected them"),
        ("training images", 1, "the server answered with the code 404"),
        ("training images", 5, "they do not match: they are not like a reference"),
    ]
    assert excluded_of(made.places(with_training=False), "ada").num_rows == 1


def test_every_status_has_words():
    # Those of the fetcher have no list in the code; a new one is shown without underscores.
    for status in STATUSES[1:]:
        assert why(status) != status.replace("_", " "), status
    assert why("http_503") == "the server answered with the code 503" and why("new_status") == "new status"


def test_what_made_the_pictures_is_kept(made, tmp_path):
    path = tmp_path / "generated/part.parquet"
    table = read(path)
    table = table.replace_schema_metadata(table.schema.metadata | {b"provenance": b'{"seed": 1, "steps": 12}'})
    pa.parquet.write_table(table, path)
    write_excluded(made.places(), ["ada", "ben"], tmp_path / "excluded.parquet")
    assert read(tmp_path / "excluded.parquet").schema.metadata[b"generated"] == b'{"seed": 1, "steps": 12}'


def test_tables_of_other_runs_are_errors_that_name_them(made, tmp_path):
    with pytest.raises(DataError, match="no table of the concept 'zoe'"):
        made.select("zoe")
    write_rows(tmp_path / "matches/part.parquet", {c: rows[:-1] for c, rows in made.matches.items()}, MATCHES)
    with pytest.raises(ImageTableError, match="17 rows, where 16 were matched"):
        made.select()


def test_the_command_writes_both_tables(made, tmp_path, capsys):
    places = {
        **{"generated": "generated", "generated-embeddings": "of_generated", "references": "references"},
        **{"reference-embeddings": "of_references", "image-tables": "image_tables", "images": "of_images"},
        "matches": "matches",
    }
    flags = [word for name, kind in places.items() for word in (f"--{name}", str(tmp_path / kind))]
    outs = ["--excluded", str(tmp_path / "e.parquet"), "--out", str(tmp_path / "p.parquet")]
    command = ["explorer", "pictures", "--concepts", "ada", "ben", *flags, "--targets=matches_or_references", *outs]
    assert main(command) == 0
    pictures = read(tmp_path / "p.parquet")
    assert pictures.schema.remove_metadata().equals(PICTURES)
    assert Counter(pictures.column("concept").to_pylist()) == {"ada": 10, "ben": 10}
    assert read(tmp_path / "e.parquet").schema.remove_metadata().equals(EXCLUDED)
    assert list(ConceptTables([tmp_path / "e.parquet"])) == ["ada", "ben"]
    without = [word for word in command if word not in ("--image-tables", str(tmp_path / "image_tables"))]
    assert main(without) == 1
    assert "--image-tables and --images are of the same training images" in capsys.readouterr().err
