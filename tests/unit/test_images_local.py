"""Local pictures, of folders and tables, in place of those that the workflow would make."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fit.cli.main import main
from fit.errors import DataError
from fit.images import table
from fit.images.local import import_generated, import_images
from fit.images.settings import DecodeSettings
from fit.io import parquet
from fit.io.concept_tables import concepts_in
from fit.io.user_tables import read_counts

PLACES = {"decoding": DecodeSettings(), "decoders": 1}


def png(shade):
    return table.encode_png(np.full((8, 8, 3), shade, np.float32))


@pytest.fixture
def pictures(tmp_path):
    for name in ("ann/1.png", "ann/a harbour/2.png", "bo/x.png"):
        (tmp_path / "pictures" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "pictures" / name).write_bytes(png(len(name) / 99))
    (tmp_path / "pictures/bo/broken.jpg").write_bytes(png(0.5)[:50])
    return tmp_path


def rows_of(path, concept):
    """The rows of a concept in a table, a list of dicts."""
    return parquet.read(path, only={"concept": [concept]}).to_pylist()


def test_local_training_images(pictures):
    out = pictures / "out.parquet"
    import_images(pictures / "pictures", ["ann", "bo"], out, what="training images", work=pictures / "work", **PLACES)
    rows = rows_of(out, "bo")
    assert [(row["image_id"], row["status"]) for row in rows] == [("broken.jpg", "truncated"), ("x.png", "ok")]
    assert parquet.read(out).schema == table.COLLECTED
    assert concepts_in(out) == ["ann", "bo"]


def test_local_generated_images_have_their_folder_as_prompt(pictures):
    out = pictures / "out.parquet"
    assert import_generated(pictures / "pictures", ["ann", "bo"], out, work=pictures / "work", **PLACES) == {"bo": 1}
    rows = rows_of(out, "ann")
    assert [(row["image_id"], row["prompt"]) for row in rows] == [("1.png", ""), ("a harbour/2.png", "a harbour")]
    assert [row["index"] for row in rows] == [0, 1]
    assert [row["index"] for row in rows_of(out, "bo")] == [0]
    assert parquet.read(out).schema == table.GENERATED


def test_images_from_a_table(tmp_path):
    pq.write_table(pa.table({"concept": ["ann", "bo"], "bytes": [png(0), png(1)]}), tmp_path / "p.parquet")
    out = tmp_path / "out.parquet"
    import_images(tmp_path / "p.parquet", ["bo"], out, what="training images", work=tmp_path / "work", **PLACES)
    assert parquet.read(out).column("bytes").to_pylist() == [png(1)]


def test_what_is_missing_is_named(pictures):
    with pytest.raises(DataError, match=r"no such folder of generated images"):
        import_generated(pictures / "nowhere", ["ann"], pictures / "out.parquet", work=pictures / "work", **PLACES)
    (pictures / "pictures/cy").mkdir()
    for concept in ("cy", "dan"):
        with pytest.raises(DataError, match=rf"no training images of '{concept}'; put \.jpg.* into .*/{concept}"):
            place = {"what": "training images", "work": pictures / "work"}
            import_images(pictures / "pictures", [concept], pictures / "out.parquet", **place, **PLACES)


def test_an_empty_folder_says_that_a_concept_has_no_training_images(pictures):
    (pictures / "pictures/cy").mkdir()
    out = pictures / "out.parquet"
    places = {"what": "training images", "work": pictures / "work", "none_too": True, **PLACES}
    import_images(pictures / "pictures", ["ann", "cy"], out, **places)
    assert rows_of(out, "ann")
    assert rows_of(out, "cy") == []
    assert concepts_in(out) == ["ann", "cy"]
    with pytest.raises(DataError, match=r"no training images of 'dan'; .*leave the folder empty if there are none"):
        import_images(pictures / "pictures", ["dan"], out, **places)


def test_counts_of_a_user(tmp_path, capsys):
    (tmp_path / "c.csv").write_text("effective_count,concept\n12,ann\n3.0,bo\n7,cy\n")
    (tmp_path / "s.tsv").write_text("concept\tname\nbo\tBo\nann\tAnn\n")
    command = ["counts", "import", "--table", str(tmp_path / "c.csv"), "--sheet", str(tmp_path / "s.tsv")]
    assert main([*command, "--out", str(tmp_path / "n.parquet")]) == 0
    assert parquet.read(tmp_path / "n.parquet").to_pydict() == {"concept": ["bo", "ann"], "effective_count": [3, 12]}
    assert "counts of concepts that the sheet does not have: 1 (cy)" in capsys.readouterr().err


def test_a_folder_or_a_count_that_is_named_otherwise_is_pointed_out(pictures):
    (pictures / "pictures/Van_Gogh").mkdir()
    (pictures / "pictures/Van_Gogh/a.jpg").write_bytes(b"x")
    with pytest.raises(
        DataError, match=r"no training images of 'van-gogh' \(is .*/Van_Gogh of it\? name it van-gogh\)"
    ):
        place = {"what": "training images", "work": pictures / "work"}
        import_images(pictures / "pictures", ["van-gogh"], pictures / "out.parquet", **place, **PLACES)
    (pictures / "c.csv").write_text("concept,effective_count\nVan Gogh,12\n")
    with pytest.raises(DataError, match=r"no count of van-gogh \(it has Van Gogh for van-gogh\)"):
        read_counts(pictures / "c.csv", ["van-gogh"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("concept,count\nann,1\n", r"line 1: no column 'effective_count'.*found: concept, count"),
        ("concept,effective_count\nann,many\n", "concept 'ann': effective_count is 'many', not a number"),
        ("concept,effective_count\nann,-1\n", "effective_count is '-1', not a count"),
        ("concept,effective_count\nann,\n", "effective_count is empty, not a count"),
        ("concept,effective_count\nbo,1\n", "no count of ann"),
    ],
)
def test_counts_that_are_not_valid(tmp_path, text, said):
    (tmp_path / "c.csv").write_text(text)
    with pytest.raises(DataError, match=said):
        read_counts(tmp_path / "c.csv", ["ann"])


# --- pictures in a table ----------------------------------------------------------------------------------------------


def table_of(tmp_path, **columns):
    pq.write_table(pa.table(columns), tmp_path / "p.parquet")
    return tmp_path / "p.parquet"


def imported(tmp_path, place, *concepts, **options):
    out = tmp_path / "out.parquet"
    import_images(place, concepts, out, what="training images", work=tmp_path / "work", **options, **PLACES)
    return {concept: [row["image_id"] for row in rows_of(out, concept)] for concept in concepts}


@pytest.mark.slow
def test_rows_of_a_table_that_are_of_no_concept_are_named_and_spaces_are_none(tmp_path, capsys):
    owners = ["ada ", "ada", "Ada", None, "eve", " ", "Ada"]
    place = table_of(tmp_path, concept=owners, bytes=[png(shade / 9) for shade in range(7)])
    assert imported(tmp_path, place, "ada") == {"ada": ["ada-0000", "ada-0001"]}
    said = capsys.readouterr().err
    assert "2 rows without a concept (the first is row 4)" in said
    assert "3 rows of what is not a concept given here" in said
    assert "'Ada' (2 rows; did you mean ada?), 'eve' (1 row)" in said
    # One job of a study names what is of no concept of the sheet, and none what is of another job.
    for sheet, named in ((["ada", "eve"], True), (["eve", "ada"], False)):
        imported(tmp_path, place, "ada", sheet=sheet)
        said = capsys.readouterr().err
        assert ("'Ada' (2 rows; did you mean ada?)" in said) == named
        assert "'eve'" not in said


@pytest.mark.slow
def test_the_command_names_them_by_the_sheet(tmp_path, capsys):
    place = table_of(tmp_path, concept=["ada", "eve", "bo"], bytes=[png(0), png(1), png(1)])
    (tmp_path / "s.tsv").write_text("concept\tname\nada\tAda\neve\tEve\n")
    command = ["images", "import", "--place", str(place), "--concepts", "ada", "--out", str(tmp_path / "ada.parquet")]
    assert main([*command, "--sheet", str(tmp_path / "s.tsv"), "--work", str(tmp_path / "work")]) == 0
    assert "1 row of what is not a concept of the sheet, so that their pictures are left out: 'bo' (1 row)" in (
        capsys.readouterr().err
    )


def test_a_concept_that_a_table_lacks_is_named_with_what_it_has(tmp_path):
    place = table_of(tmp_path, concept=["Van Gogh", "ada"], bytes=[png(0), png(1)])
    with pytest.raises(DataError, match=r"no training images of 'van-gogh' \(is 'Van Gogh' of it\? write 'van-gogh'"):
        imported(tmp_path, place, "ada", "van-gogh")


@pytest.mark.slow
@pytest.mark.parametrize("kind", [pa.string_view(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_text_of_any_type_names_concepts(tmp_path, kind):
    concepts = pa.array(["ada", "bo", "ada"]).cast(kind)
    place = table_of(tmp_path, concept=concepts, bytes=[png(0), png(0.5), png(1)])
    assert imported(tmp_path, place, "bo", "ada") == {"bo": ["bo-0000"], "ada": ["ada-0000", "ada-0001"]}
    found = parquet.read(place, ["bytes"], only={"concept": ["ada"]})
    assert found.to_pydict() == {"bytes": [png(0), png(1)]}
    assert parquet.read(place, ["bytes"], only={"concept": ["cy"]}).num_rows == 0


@pytest.mark.slow
def test_pictures_of_any_type_of_bytes_in_several_row_groups(tmp_path):
    shades = [png(shade / 9) for shade in range(9)]
    for kind in (pa.binary_view(), pa.large_binary()):
        rows = pa.table({"concept": ["ada", "bo", "bo"] * 3, "image": pa.array(shades).cast(kind)})
        pq.write_table(rows, tmp_path / "p.parquet", row_group_size=4)
        assert len(imported(tmp_path, tmp_path / "p.parquet", "ada")["ada"]) == 3
        assert parquet.read(tmp_path / "out.parquet").column("bytes").to_pylist() == shades[::3]


@pytest.mark.slow
def test_generated_pictures_of_a_table_have_its_prompts_and_ids(tmp_path):
    place = table_of(
        tmp_path,
        concept=["ada", "bo", "ada", "ada"],
        bytes=[png(0), png(0.3), png(0.6), png(1)],
        prompt=["a photo of Ada", "a photo of Bo", "Ada in Rome", None],
        image_id=["x", "x", "y", "z"],
    )
    out = tmp_path / "out.parquet"
    assert import_generated(place, ["ada", "bo"], out, work=tmp_path / "work", **PLACES) == {}
    found = [(row["image_id"], row["prompt"]) for row in rows_of(out, "ada")]
    assert found == [("x", "a photo of Ada"), ("y", "Ada in Rome"), ("z", "")]
    assert [row["prompt"] for row in rows_of(out, "bo")] == ["a photo of Bo"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"image_id": ["x", "x"]}, "its column 'image_id' is not used, as rows 1 and 2 of ada both have 'x'"),
        ({"image_id": ["x", None]}, "its column 'image_id' is not used, as row 2 has none"),
        ({"image_id": [1, 2]}, "its column 'image_id' is not read, as it holds int64, not text"),
        ({"prompt": [1, 2]}, "its column 'prompt' is not read, as it holds int64, not text"),
        ({"Prompt": ["a", "b"]}, "its column 'Prompt' is not read; name it 'prompt' if it is that"),
    ],
)
def test_ids_and_prompts_that_do_not_serve_are_said(tmp_path, capsys, columns, said):
    place = table_of(tmp_path, concept=["ada", "ada"], bytes=[png(0), png(1)], **columns)
    out = tmp_path / "out.parquet"
    import_generated(place, ["ada"], out, work=tmp_path / "work", **PLACES)
    assert f"{place}: {said}\n" in capsys.readouterr().err
    found = parquet.read(out)
    assert found.column("image_id").to_pylist() == ["ada-0000", "ada-0001"]
    assert found.column("prompt").to_pylist() == ["", ""]
