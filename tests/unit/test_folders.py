"""Folders are read in one way by all: links are followed, once; what is not a user's picture is left out."""

import os
import subprocess
import sys
import tarfile

import pytest
from places import png, put

from fit.captions.sources import open_captions
from fit.cli.main import main
from fit.errors import CorpusError
from fit.generated import weights
from fit.io import parquet
from fit.io.folders import fingerprint, walk_folder

COMMANDS = {
    "generated": ["generated", "import", "--concepts", "van-gogh"],
    "training": ["images", "import", "--concepts", "van-gogh"],
    "photographs": ["images", "import-photographs"],
}
"""Kind of pictures -> the command that takes a folder of them."""


def imported(folder, kind="generated", place="images"):
    out = folder / "out.parquet"
    assert main([*COMMANDS[kind], "--place", str(folder / place), "--out", str(out)]) == 0
    return parquet.read(out).to_pylist()


@pytest.mark.slow
def test_links_to_folders_and_files_are_followed(tmp_path):
    put(tmp_path, "images/van-gogh/one prompt/0.png", "store/p1/0.png", "store/p2/0.png", "store/p2/1.png", data=png(0))
    for name in ("p1", "p2"):
        (tmp_path / "images/van-gogh" / name).symlink_to(tmp_path / "store" / name)
    (tmp_path / "images/van-gogh/one prompt/1.png").symlink_to(tmp_path / "store/p1/0.png")
    rows = imported(tmp_path)
    prompts = [row["prompt"] for row in rows]
    assert prompts == ["one prompt", "one prompt", "p1", "p2", "p2"]


def test_a_linked_folder_of_a_concept_is_followed(tmp_path):
    put(tmp_path, "store/0.png", data=png(0))
    (tmp_path / "images").mkdir()
    (tmp_path / "images/van-gogh").symlink_to(tmp_path / "store")
    assert len(imported(tmp_path)) == 1


def test_loops_are_cut_and_said_and_broken_links_are_said(tmp_path, capsys):
    put(tmp_path, "images/van-gogh/a/0.png", "images/turner/9.png", data=png(0))
    (tmp_path / "images/van-gogh/a/again").symlink_to(tmp_path / "images/van-gogh")
    (tmp_path / "images/van-gogh/all").symlink_to(tmp_path / "images")  # a folder that the concept's lies in
    (tmp_path / "images/van-gogh/itself").symlink_to("itself")
    (tmp_path / "images/van-gogh/gone.png").symlink_to(tmp_path / "nowhere.png")
    assert [row["image_id"] for row in imported(tmp_path)] == ["a/0.png"]
    said = capsys.readouterr().err
    assert "links that lead to nothing are left out: gone.png, itself" in said
    assert "links that lead back to a folder that they are in are left out: a/again, all" in said


def test_two_links_to_one_folder_are_two_folders(tmp_path):
    put(tmp_path, "store/0.png")
    for name in ("a", "b"):
        (tmp_path / "walked").mkdir(exist_ok=True)
        (tmp_path / "walked" / name).symlink_to(tmp_path / "store")
    assert walk_folder(tmp_path / "walked").names == ["a/0.png", "b/0.png"]


@pytest.mark.slow
def test_what_is_not_a_picture_is_left_out_without_a_word(tmp_path, capsys):
    put(tmp_path, "images/van-gogh/0.JPG", "images/van-gogh/1.jfif", "images/van-gogh/without-a-suffix", data=png(0))
    beside = ["0.txt", "0.json", "Thumbs.db", "desktop.ini", ".DS_Store", "__MACOSX/._0.jpg", ".hidden/9.png", "x.mp4"]
    put(tmp_path, *(f"images/van-gogh/{name}" for name in beside))
    for kind in ("generated", "training"):
        assert [row["image_id"] for row in imported(tmp_path, kind)] == ["0.JPG", "1.jfif", "without-a-suffix"]
    assert capsys.readouterr().err.count("fit:") == 0


def test_a_damaged_picture_is_still_told(tmp_path, capsys):
    put(tmp_path, "images/van-gogh/0.png", data=png(0))
    put(tmp_path, "images/van-gogh/1.png", data=png(0)[:40])
    assert len(imported(tmp_path)) == 1
    assert "van-gogh: 1 generated image can't be decoded" in capsys.readouterr().err


def test_a_folder_without_pictures_says_what_it_has(tmp_path, capsys):
    put(tmp_path, "images/van-gogh/0.heic", "images/van-gogh/1.mp4")
    for kind in ("generated", "training", "photographs"):
        command = [*COMMANDS[kind], "--place", str(tmp_path / "images")]
        assert main([*command, "--out", str(tmp_path / "van-gogh.parquet")]) == 1
        assert "it has files that end in .heic, .mp4" in capsys.readouterr().err


def test_photographs_are_found_however_deep_and_behind_links(tmp_path):
    put(tmp_path, "store/0.png", "images/deep/down/1.png", data=png(0))
    put(tmp_path, "images/deep/1.txt")
    (tmp_path / "images/linked").symlink_to(tmp_path / "store")
    assert [row["image_id"] for row in imported(tmp_path, "photographs")] == ["deep/down/1.png", "linked/0.png"]


def test_a_fingerprint_sees_what_changes_deep_and_not_that_a_folder_was_copied(tmp_path):
    put(tmp_path, "a/b/c.png")
    before = fingerprint(tmp_path)
    os.utime(tmp_path / "a/b/c.png", (1, 1))
    put(tmp_path, "a/.hidden")
    assert fingerprint(tmp_path) == before
    put(tmp_path, "a/b/d.png")
    after = fingerprint(tmp_path)
    assert after != before
    put(tmp_path, "a/b/d.png", data=b"longer")
    assert fingerprint(tmp_path) not in (before, after)
    assert fingerprint(tmp_path / "nowhere") == ""


def test_a_pipeline_is_told_from_others_through_links(tmp_path):
    put(tmp_path, "hub/unet.safetensors", "pipeline/model_index.json")
    (tmp_path / "pipeline/unet").symlink_to(tmp_path / "hub")
    before = weights.fingerprint(tmp_path / "pipeline")
    assert [name for name, _, _ in before] == ["model_index.json", "unet/unet.safetensors"]
    put(tmp_path, "hub/unet.safetensors", data=b"other")
    assert weights.fingerprint(tmp_path / "pipeline") != before


# --- names that are not UTF-8 -----------------------------------------------------------------------------------------

LATIN = os.fsdecode("café.png".encode("latin-1"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["training", "generated", "photographs"])
def test_names_that_are_not_utf_8_are_read_and_written_as_text(tmp_path, capfd, kind):
    folder = os.fsdecode("große".encode("latin-1"))
    put(tmp_path, f"images/van-gogh/{LATIN}", f"images/van-gogh/{folder}/{LATIN}", "images/van-gogh/é.png", data=png(0))
    (tmp_path / "images/van-gogh" / os.fsdecode(b"gone\xff.png")).symlink_to(os.fsdecode(b"nowhere\xff"))
    out = tmp_path / "out/van-gogh.parquet"
    place = tmp_path / "images" / ("van-gogh" if kind == "photographs" else "")
    assert main([*COMMANDS[kind], "--place", str(place), "--out", str(out)]) == 0
    assert "gone" in capfd.readouterr().err
    names = parquet.read(out).column("image_id").to_pylist()
    assert sorted(names) == sorted([r"caf\xe9.png", r"gro\xdfe/caf\xe9.png", "é.png"])
    if kind == "training":
        assert {row["url"].rpartition("/")[2] for row in parquet.read(out).to_pylist()} == {r"caf\xe9.png", "é.png"}
    assert main(["images", "show", str(out), "--unpack", str(tmp_path / "unpacked")]) == 0
    assert main(["reports", "show", str(out)]) == 0
    assert len(list((tmp_path / "unpacked").glob("*.png"))) == 3


def test_a_name_that_is_written_like_one_that_is_not_utf_8_is_told(tmp_path, capsys):
    put(tmp_path, f"images/van-gogh/{LATIN}", r"images/van-gogh/caf\xe9.png", data=png(0))
    command = [*COMMANDS["training"], "--place", str(tmp_path / "images")]
    assert main([*command, "--out", str(tmp_path / "van-gogh.parquet")]) == 1
    assert r"2 images have the id 'caf\\xe9.png'; give each a name of its own" in capsys.readouterr().err


@pytest.mark.slow
def test_a_place_that_is_not_utf_8_is_read_or_said(tmp_path, capfd):
    place = tmp_path / os.fsdecode(b"im\xe4ges")
    put(place, "van-gogh/0.png", data=png(0))
    assert len(imported(tmp_path, place=place.name)) == 1
    put(place, "captions/0.png", "captions/0.txt", data=png(0))
    (tmp_path / "s.tsv").write_text("concept\tname\nann\tAnn\n")
    count = ["captions", "count", "--concepts", str(tmp_path / "s.tsv"), "--counts", str(tmp_path / "o.parquet")]
    capfd.readouterr()
    assert main([*count, "--captions", str(place / "captions")]) == 1
    assert r"im\xe4ges/captions: its name is not UTF-8, so Arrow can't open it; rename it" in capfd.readouterr().err
    for command in (
        ["reports", "show", str(place / "nothing.parquet")],
        ["images", "show", str(place / "nothing.parquet")],
        [*COMMANDS["training"], "--place", str(place), "--out", str(place / "van-gogh.parquet")],
    ):
        assert main(command) in (0, 1)
        assert "Traceback" not in capfd.readouterr().err


def test_a_terminal_that_has_no_such_letters_gets_others(tmp_path):
    put(tmp_path, "ä.tsv", data="concept\tname\nann\tÄnn\n".encode())
    command = [sys.executable, "-m", "fit", "reports", "show", str(tmp_path / "ä.tsv")]
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    shown = subprocess.run(command, capture_output=True, env=environment, check=True)
    assert rb"\xc4nn" in shown.stdout


# --- links ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("ending", [".png", ".txt", ".json"])
def test_links_in_a_tar_are_never_followed(tmp_path, ending, hard):
    put(tmp_path, "secret.png", data=png(0))
    with tarfile.open(tmp_path / "crawl.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("a.jpg"))
        member = tarfile.TarInfo(f"a{ending}")
        member.type, member.linkname = (tarfile.LNKTYPE if hard else tarfile.SYMTYPE), str(tmp_path / "secret.png")
        archive.addfile(member)
    with pytest.raises(CorpusError, match=f"a{ending} is a link to .*secret.png, which can't be followed in a tar"):
        list(open_captions(str(tmp_path / "crawl.tar")).batches(["caption", "url", "image"]))


# --- pictures with captions -------------------------------------------------------------------------------------------


def rows_of(path):
    source = open_captions(str(path))
    rows = [row for batch in source.batches(["caption", "url"]) for row in batch.to_pylist()]
    with_images = [row for batch in source.batches(["caption", "url", "image"]) for row in batch.to_pylist()]
    assert [(row["caption"], row["url"]) for row in with_images] == [(row["caption"], row["url"]) for row in rows]
    assert all(row["image"] for row in with_images)
    return [(row["url"].rpartition("/")[2], row["caption"]) for row in rows]


def as_tar(folder, names=None):
    path = folder.with_suffix(".tar")
    with tarfile.open(path, "w") as archive:
        for name in names or sorted(entry.name for entry in folder.iterdir()):
            archive.add(folder / name, name)
    return path


@pytest.mark.parametrize("pack", [lambda folder: folder, as_tar], ids=["folder", "tar"])
@pytest.mark.parametrize(
    ("files", "found"),
    [
        (
            {f"J. M. W. Turner {i}{end}": f"Turner {i}" for i in range(3) for end in (".jpg", ".txt")},
            [(f"J. M. W. Turner {i}.jpg", f"Turner {i}") for i in range(3)],
        ),
        (
            {f"www.example.com_{i}{end}": str(i) for i in range(2) for end in (".jpg", ".txt")},
            [("www.example.com_0.jpg", "0"), ("www.example.com_1.jpg", "1")],
        ),
        # In webdataset's layout another picture of the same row; a picture of its own here, without a caption.
        (
            {"000.jpg": "", "000.seg.png": "", "000.txt": "a dog"},
            [("000.jpg", "a dog"), ("000.seg.png", None)],
        ),
        ({"a.jpg": "", "a.png": "", "a.txt": "both"}, [("a.jpg", "both"), ("a.png", "both")]),
        ({"A.JPG": "", "A.TXT": "upper"}, [("A.JPG", "upper")]),
        ({"a.jpg": "", "a.jpg.txt": "full name"}, [("a.jpg", "full name")]),
        ({"a.jpg": "", "a.json": '{"caption": "of json"}', "metadata.json": "[1]"}, [("a.jpg", "of json")]),
        ({"a.jpg": "", "._a.jpg": "", "Thumbs.db": "", "note.txt": "of nothing"}, [("a.jpg", None)]),
    ],
)
def test_dots_are_ordinary_and_no_picture_is_lost(tmp_path, pack, files, found):
    put(tmp_path / "crawl")
    for name, text in files.items():
        put(tmp_path / "crawl", name, data=text.encode() or b"bytes")
    assert rows_of(pack(tmp_path / "crawl")) == found


@pytest.mark.slow
@pytest.mark.parametrize("pack", [lambda folder: folder, as_tar], ids=["folder", "tar"])
def test_names_of_pictures_and_captions_may_be_of_any_bytes(tmp_path, pack):
    for name in (LATIN, "é.png"):
        put(tmp_path / "crawl", name)
        put(tmp_path / "crawl", f"{name.removesuffix('.png')}.txt", data="ein café von Ann".encode())
    packed = pack(tmp_path / "crawl")
    assert sorted(rows_of(packed)) == sorted([(r"caf\xe9.png", "ein café von Ann"), ("é.png", "ein café von Ann")])
    (tmp_path / "s.tsv").write_text("concept\tname\nann\tAnn\n")
    out, images = tmp_path / "o.parquet", tmp_path / "ann.parquet"
    count = ["captions", "count", "--concepts", str(tmp_path / "s.tsv"), "--counts", str(out)]
    assert main([*count, "--captions", str(packed)]) == 0
    matched_captions = tmp_path / "o.matched_captions.parquet"
    assert r"caf\xe9.png" in {
        url.rpartition("/")[2] for url in parquet.read(matched_captions).column("url").to_pylist()
    }
    collect = [
        "images",
        "collect",
        "--source",
        "embedded",
        "--matched-captions",
        str(matched_captions),
        "--corpus",
        str(packed),
        "--concepts",
        "ann",
    ]
    assert main([*collect, "--out", str(images)]) == 0
    assert len(parquet.read(images)) == 2


@pytest.mark.parametrize("pack", [lambda folder: folder, as_tar], ids=["folder", "tar"])
def test_a_broken_caption_of_such_a_name_is_skipped_and_said(tmp_path, pack, capfd):
    put(tmp_path / "crawl", LATIN, "b.png")
    put(tmp_path / "crawl", f"{LATIN.removesuffix('.png')}.json", data=b"{")
    (tmp_path / "s.tsv").write_text("concept\tname\nann\tAnn\n")
    count = ["captions", "count", "--concepts", str(tmp_path / "s.tsv"), "--counts", str(tmp_path / "o.parquet")]
    captions = ["--captions", str(pack(tmp_path / "crawl"))]
    assert main([*count, *captions]) == 1
    assert r"caf\xe9.json" in capfd.readouterr().err
    main([*count, *captions, "--on-bad-shard", "skip"])
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.slow
def test_captions_may_come_before_all_pictures_of_a_tar(tmp_path):
    for i in range(400):
        put(tmp_path / "crawl", f"{i:03d}.jpg")
        put(tmp_path / "crawl", f"{i:03d}.txt", data=str(i).encode())
    names = [f"{i:03d}{end}" for end in (".txt", ".jpg") for i in range(400)]
    assert rows_of(as_tar(tmp_path / "crawl", names)) == [(f"{i:03d}.jpg", str(i)) for i in range(400)]


@pytest.mark.slow
def test_a_caption_long_after_its_picture_is_an_error_not_a_lost_caption(tmp_path, capsys):
    for i in range(400):
        put(tmp_path / "crawl", f"{i:03d}.jpg", f"{i:03d}.txt")
    names = [f"{i:03d}{end}" for end in (".jpg", ".txt") for i in range(400)]
    (tmp_path / "s.tsv").write_text("concept\tname\nann\tAnn\n")
    command = ["captions", "count", "--concepts", str(tmp_path / "s.tsv"), "--counts", str(tmp_path / "o.parquet")]
    assert main([*command, "--captions", str(as_tar(tmp_path / "crawl", names))]) == 1
    assert "000.txt comes long after its picture; put them next to each other" in capsys.readouterr().err


def test_a_json_that_holds_no_text_is_named(tmp_path, capsys):
    put(tmp_path / "crawl", "a.jpg")
    put(tmp_path / "crawl", "a.json", data=b'{"caption": 7}')
    (tmp_path / "s.tsv").write_text("concept\tname\nann\tAnn\n")
    command = ["captions", "count", "--concepts", str(tmp_path / "s.tsv"), "--counts", str(tmp_path / "o.parquet")]
    assert main([*command, "--captions", str(tmp_path / "crawl")]) == 1
    assert "a.json: caption or url is not text" in capsys.readouterr().err


def test_a_folder_of_captions_follows_links(tmp_path):
    put(tmp_path, "store/a.jpg", "store/a.txt")
    (tmp_path / "crawl").mkdir()
    (tmp_path / "crawl/linked").symlink_to(tmp_path / "store")
    (tmp_path / "crawl/loop").symlink_to(tmp_path / "crawl")
    assert rows_of(tmp_path / "crawl") == [("a.jpg", "x")]


def test_a_link_in_a_tar_is_an_error_not_a_lost_picture(tmp_path, capsys):
    put(tmp_path / "crawl", "a.jpg", "a.txt")
    (tmp_path / "crawl/b.jpg").symlink_to("a.jpg")
    (tmp_path / "crawl/c.jpg").hardlink_to(tmp_path / "crawl/a.jpg")
    (tmp_path / "s.tsv").write_text("concept\tname\nann\tAnn\n")
    command = ["captions", "count", "--concepts", str(tmp_path / "s.tsv"), "--counts", str(tmp_path / "o.parquet")]
    for name in ("b.jpg", "c.jpg"):
        assert main([*command, "--captions", str(as_tar(tmp_path / "crawl", ["a.jpg", "a.txt", name]))]) == 1
        assert f"{name} is a link to a.jpg, which can't be followed in a tar" in capsys.readouterr().err


# --- links that lead to nothing, and links beside their targets -------------------------------------------------------


def sheet_of(folder):
    (folder / "s.tsv").write_text("concept\tname\nann\tAnn\n")
    return ["captions", "count", "--concepts", str(folder / "s.tsv"), "--counts", str(folder / "o.parquet")]


def captions_counted(folder):
    return parquet.read(folder / "o.parquet").to_pylist()[0]


@pytest.mark.parametrize("name", ["b.csv", "lang=fr"])
def test_a_file_of_captions_that_is_a_link_to_nothing_is_an_error_or_a_skipped_shard(tmp_path, capfd, name):
    put(tmp_path, "crawl/a.csv", data=b"caption,url\nAnn,u\n")
    (tmp_path / "crawl" / name).symlink_to(tmp_path / "blobs/gone")
    count = [*sheet_of(tmp_path), "--captions", str(tmp_path / "crawl")]
    assert main(count) == 1
    assert f"{name}: a link that leads to nothing; fetch what it leads to" in capfd.readouterr().err
    assert main([*count, "--on-bad-shard", "skip"]) == 0
    assert captions_counted(tmp_path)["captions"] == captions_counted(tmp_path)["skipped_shards"] == 1


@pytest.mark.parametrize("name", ["b.jpg", "a.txt"])
def test_a_lost_picture_or_caption_in_a_folder_of_both_is_an_error(tmp_path, capfd, name):
    put(tmp_path, "crawl/a.jpg", "crawl/a.json", data=b'{"caption": "Ann"}')
    (tmp_path / "crawl" / name).symlink_to("gone")
    assert main([*sheet_of(tmp_path), "--captions", str(tmp_path / "crawl")]) == 1
    assert f"crawl: links that lead to nothing: {name}, 1 in all; fetch what they lead to" in capfd.readouterr().err


@pytest.mark.slow
def test_lost_pictures_are_named_and_numbered(tmp_path, capsys):
    put(tmp_path, "images/van-gogh/0.png", data=png(0))
    for i in range(1, 6):
        (tmp_path / f"images/van-gogh/{i}.png").symlink_to("gone")
    assert len(imported(tmp_path)) == 1
    assert "left out: 1.png, 2.png, 3.png and 2 more, 5 in all; fetch" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["generated", "training", "photographs"])
def test_a_link_beside_its_picture_is_not_another_picture_and_one_from_elsewhere_is(tmp_path, capsys, kind):
    put(tmp_path, "images/van-gogh/a/0.png", "store/1.png", data=png(0))
    (tmp_path / "images/van-gogh/a/latest.png").symlink_to("0.png")
    (tmp_path / "images/van-gogh/b").mkdir()
    (tmp_path / "images/van-gogh/b/0.png").symlink_to("../a/0.png")
    for name in ("1.png", "2.png"):  # equal pictures are one file in a store
        (tmp_path / "images/van-gogh/b" / name).symlink_to(tmp_path / "store/1.png")
    rows = [row["image_id"] for row in imported(tmp_path, kind)]
    prefix = "van-gogh/" if kind == "photographs" else ""
    assert rows == [f"{prefix}{name}" for name in ("a/0.png", "b/0.png", "b/1.png", "b/2.png")]
    assert f"links to pictures beside them are not read again: {prefix}a/latest.png" in capsys.readouterr().err


def test_a_link_beside_its_picture_is_a_row_only_with_a_caption_of_its_own(tmp_path, capsys):
    put(tmp_path, "crawl/a.jpg", "crawl/a.txt", "crawl/c.txt")
    for link, target in (("b.jpg", "a.jpg"), ("b.txt", "a.txt"), ("c.jpg", "a.jpg")):
        (tmp_path / "crawl" / link).symlink_to(target)
    assert [name for name, _ in rows_of(tmp_path / "crawl")] == ["a.jpg", "c.jpg"]
    assert "without a caption of their own, are not read again: b.jpg" in capsys.readouterr().err


@pytest.mark.parametrize("captions", ["crawl", "crawl/*.csv"])
def test_a_file_of_captions_that_is_reached_twice_counts_once(tmp_path, capfd, captions):
    put(tmp_path, "crawl/part-0.csv", data=b"caption,url\nAnn,u\n")
    (tmp_path / "crawl/latest.csv").symlink_to("part-0.csv")
    assert main([*sheet_of(tmp_path), "--captions", str(tmp_path / captions)]) == 0
    assert captions_counted(tmp_path)["corpus_rows"] == 1
    said = capfd.readouterr().err
    assert "latest.csv: reached twice, by a link or a pattern; each file is read once" in said
    assert said.count("reached twice") == 1


# --- files of another form in a folder of captions --------------------------------------------------------------------


def test_what_lies_in_a_folder_of_captions_and_is_not_read_is_named(tmp_path, capfd):
    put(tmp_path, "crawl/a.csv", data=b"caption,url\nAnn,u\n")
    put(tmp_path, "crawl/b.json", "crawl/c.csv.xz", "crawl/deep/d.xlsx")
    quiet = ("_SUCCESS", "_metadata", "README", "README.txt", "card.md", "LICENSE.txt", ".a.csv.crc", "a.csv.crc")
    put(tmp_path, *(f"crawl/{name}" for name in quiet))
    assert main([*sheet_of(tmp_path), "--captions", str(tmp_path / "crawl")]) == 0
    said = capfd.readouterr().err
    assert "crawl: files that are not read as captions: b.json, c.csv.xz, deep/d.xlsx; captions are read from" in said
    assert not any(name in said for name in quiet)
    put(tmp_path, "crawl/_old/z.csv", "crawl/license_plates.csv", data=b"caption,url\nAnn,u\n")
    assert main([*sheet_of(tmp_path), "--captions", str(tmp_path / "crawl")]) == 0
    assert captions_counted(tmp_path)["captions"] == 2
    assert "captions: _old/z.csv, b.json, c.csv.xz and 1 more; captions are read from" in capfd.readouterr().err
    (tmp_path / "crawl/_old/z.csv").unlink()
    (tmp_path / "crawl/b.json").unlink()
    (tmp_path / "crawl/c.csv.xz").unlink()
    (tmp_path / "crawl/deep/d.xlsx").unlink()
    assert main([*sheet_of(tmp_path), "--captions", str(tmp_path / "crawl")]) == 0
    assert "not read" not in capfd.readouterr().err


def test_parquet_that_is_set_aside_is_named_and_not_called_nameless(tmp_path, capfd):
    put(tmp_path, "crawl/a.csv", data=b"caption,url\nAnn,u\n")
    put(tmp_path, "crawl/_temporary/0/part-0.parquet", "crawl/_metadata", data=b"PAR1")
    assert main([*sheet_of(tmp_path), "--captions", str(tmp_path / "crawl")]) == 0
    assert "not read as captions: _temporary/0/part-0.parquet; captions" in capfd.readouterr().err


def test_parquet_without_a_suffix_is_not_lost(tmp_path, capfd):
    put(tmp_path, "crawl/part-0001.parquet", "crawl/part-0000", data=b"PAR1 and more")
    assert main([*sheet_of(tmp_path), "--captions", str(tmp_path / "crawl")]) == 1
    assert "Parquet files whose names do not end in .parquet: part-0000; rename them" in capfd.readouterr().err


@pytest.mark.parametrize("captions", ["crawl", "crawl/*"])
def test_one_file_in_two_compressions_is_an_error(tmp_path, capfd, captions):
    put(tmp_path, "crawl/a.csv", "crawl/a.csv.gz", data=b"caption,url\nAnn,u\n")
    assert main([*sheet_of(tmp_path), "--captions", str(tmp_path / captions)]) == 1
    assert "a.csv.gz: it seems to be" in capfd.readouterr().err
