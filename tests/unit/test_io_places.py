"""Nothing that is not ours is replaced or removed, and nothing is written over what a command reads."""

import errno
import json
import subprocess
import sys
from pathlib import Path
from threading import Event, Thread

import pyarrow as pa
import pytest
from places import contents, fails, png, put

from fit.cli.main import main
from fit.errors import PlaceError
from fit.images import table
from fit.images.resumable import ResumableTable, work_folder
from fit.io import parquet
from fit.io.files import MARK, WorkFolder, atomic_write


@pytest.fixture
def crawl(tmp_path):
    """A sheet and captions to count; returns the folder."""
    (tmp_path / "s.tsv").write_text("concept\tname\nann\tAnn\n")
    (tmp_path / "c.csv").write_text("caption,url\nby Ann,u\n")
    return tmp_path


def counting(crawl, *more, sheet="s.tsv"):
    command = ["captions", "count", "--concepts", crawl / sheet, "--captions", crawl / "c.csv"]
    return [*command, "--counts", crawl / "out/o.parquet", *more]


# --- folders that are ours, and those that are not --------------------------------------------------------------------


def test_a_folder_to_reuse_that_holds_something_else_is_refused_before_anything_is_written(crawl, capsys):
    put(crawl, "mine/thesis/chapter.txt", "mine/thesis/counts.parquet")
    before = contents(crawl)
    said = fails(capsys, *counting(crawl, "--reuse", crawl / "mine"))
    assert "mine: this folder has files that FIT did not write (thesis/chapter.txt" in said and "--reuse" in said
    assert contents(crawl) == before


def test_what_was_counted_under_other_settings_goes_and_what_a_user_put_there_stays(crawl, capsys):
    assert main(list(map(str, counting(crawl, "--reuse", crawl / "kept")))) == 0
    (first,) = [path for path in (crawl / "kept").iterdir() if path.is_dir()]
    put(crawl, "kept/notes/mine.txt", f"kept/{first.name}/mine.txt")
    assert main(list(map(str, counting(crawl, "--reuse", crawl / "kept", "--max-matched-captions", "7")))) == 0
    assert set(contents(crawl / "kept")) >= {"notes/mine.txt", f"{first.name}/mine.txt"}
    assert not (first / "counts.parquet").exists()
    assert f"left there, as FIT did not write it: {first.name}/mine.txt" in capsys.readouterr().err


def test_counts_kept_by_an_earlier_version_are_taken_over(crawl, capsys):
    assert main(list(map(str, counting(crawl, "--reuse", crawl / "kept")))) == 0
    (crawl / "kept" / MARK).unlink()
    put(crawl, "kept/0123456789abcdef/counts.parquet", "kept/0123456789abcdef/matched_captions.parquet")
    capsys.readouterr()
    assert main(list(map(str, counting(crawl, "--reuse", crawl / "kept")))) == 0
    assert "every concept was counted before" in capsys.readouterr().out
    assert not (crawl / "kept/0123456789abcdef").exists()


@pytest.mark.parametrize("kind", ["counts", "names", "matched_captions", "shards"])
@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(b"half"), Path.unlink], ids=["half", "gone"])
def test_damaged_counts_are_counted_again(crawl, capsys, kind, damage):
    command = list(map(str, counting(crawl, "--reuse", crawl / "kept")))
    assert main(command) == 0
    (kept,) = (crawl / "kept").glob(f"*/{kind}.parquet")
    damage(kept)
    assert main(command) == 0
    assert parquet.read(crawl / "out/o.parquet").column("captions").to_pylist() == [1]


@pytest.mark.slow
def test_a_death_before_any_rename_costs_no_kept_counts(crawl):
    """In a process of its own that ends at once, as by -9, before the n-th rename, for every n; others were kept."""
    dying = (
        "import os, sys\nfrom pathlib import Path\nfrom fit.cli.main import main\n"
        "left, rename = int(sys.argv[1]), Path.replace\n"
        "def replace(*paths):\n    global left\n    left -= 1\n    os._exit(9) if left < 0 else None\n"
        "    return rename(*paths)\nPath.replace = replace\nsys.exit(main(sys.argv[2:]))\n"
    )
    kept = counting(crawl, "--reuse", crawl / "kept")
    assert main(list(map(str, kept))) == 0
    sheet = Path(kept[kept.index("--concepts") + 1])
    before = sheet.read_text()
    wanted = [1, 0]
    for renames in range(30):
        sheet.write_text(f"{before}x{renames}\tNobody {renames}\n")  # one more to count, so that all is written again
        done = subprocess.run([sys.executable, "-c", dying, str(renames), *map(str, kept)], capture_output=True)
        assert done.returncode in (0, 9), done.stderr.decode()
        assert main(list(map(str, kept))) == 0
        assert parquet.read(crawl / "out/o.parquet").column("captions").to_pylist() == wanted
        assert len([path for path in (crawl / "kept").iterdir() if path.is_dir()]) == 1
        if done.returncode == 0:
            break
    assert done.returncode == 0 and renames > 5


def test_a_file_that_is_merged_twice_is_an_error_that_names_both(crawl, capsys):
    for part in ("a", "b"):
        put(crawl, f"{part}/.keep")
        command = ["captions", "count", "--concepts", crawl / "s.tsv", "--captions", crawl / "c.csv"]
        outputs = [
            word
            for kind in ("counts", "names", "matched_captions", "shards")
            for word in (f"--{kind.replace('_', '-')}", f"{part}/{kind}")
        ]
        outputs = [crawl / f"{word}.parquet" if not word.startswith("--") else word for word in outputs]
        assert main(list(map(str, [*command, *outputs]))) == 0
    parts = [crawl / "a/counts.parquet", crawl / "b/counts.parquet"]
    said = fails(capsys, "captions", "merge", "--parts", *parts, "--counts", crawl / "m.parquet")
    assert "b/shards.parquet: c.csv is counted in" in said and "a/shards.parquet too" in said


def test_parts_of_an_earlier_version_are_gone_on_with(tmp_path):
    from fit.generated import parts

    for work in (work_folder(tmp_path / "images"), parts.work_folder(tmp_path / "generated")):
        suffix = "arrow" if work.path.name == "images" else "parquet"
        names = ["000000", ".000064.4711"]  # the second is what a kill left of a file
        put(work.path, *(f"ada/0123456789abcdef/{name}.{suffix}" for name in names))
        work.claim()
        work.remove("ada")
        assert list(contents(work.path)) == [MARK]


@pytest.mark.slow
def test_what_a_process_holds_another_waits_for_until_it_is_killed(tmp_path, capfd):
    script = (
        "import sys, time; from fit.io.files import WorkFolder\n"
        "with WorkFolder(sys.argv[1], 'x', 'x').held('ada', 'bo'): print('held', flush=True); time.sleep(99)"
    )
    held, work = Event(), WorkFolder(tmp_path / "work", "x", "x")

    def hold(name):
        with work.held(name):
            held.set()

    with subprocess.Popen([sys.executable, "-c", script, tmp_path / "work"], stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"held\n"
        hold("cy")  # nobody holds it
        held.clear()
        waiting = Thread(target=hold, args=["ada"])
        waiting.start()
        assert not held.wait(0.5)
        other.kill()
        waiting.join(30)
    assert held.is_set()
    assert ".ada.lock: another process does the same work" in capfd.readouterr().err
    assert sorted(path.name for path in (tmp_path / "work").iterdir()) == [".bo.lock", MARK]
    hold("bo")  # what a kill left holds nobody up
    assert [path.name for path in (tmp_path / "work").iterdir()] == [MARK]


@pytest.mark.slow
def test_who_waits_for_a_folder_that_is_removed_holds_a_new_one(tmp_path):
    work, order = WorkFolder(tmp_path / "work", "x", "x"), []

    def hold():
        with work.held("ada"):
            order.append((work.path / MARK).exists())

    with work.held("ada"):
        waiting = Thread(target=hold)
        waiting.start()
        waiting.join(0.3)
        assert order == []
        work.remove(".")
        assert not work.path.exists()
    waiting.join(30)
    assert order == [True]


def importing(folder, *more, group="images"):
    command = [group, "import", "--place", folder / "pics", "--concepts", "ada", "--out", folder / "out/ada.parquet"]
    return [*command, *more]


@pytest.mark.parametrize("work", ["pics", "pics/ada", "pics/ada/work", "other"])
def test_a_place_for_work_that_holds_or_lies_in_a_users_pictures_is_refused(tmp_path, capsys, work):
    put(tmp_path, "pics/ada/1.png", "pics/ada/sub/2.png", "other/ada/3.png", data=png(0))
    before = contents(tmp_path)
    assert "--work" in fails(capsys, *importing(tmp_path, "--work", tmp_path / work))
    assert contents(tmp_path) == before


@pytest.mark.slow
def test_work_leaves_nothing_but_its_mark_and_can_be_used_again(tmp_path):
    put(tmp_path, "pics/ada/1.png", data=png(0))
    for group in ("images", "generated"):
        assert main(list(map(str, importing(tmp_path, "--work", tmp_path / "work", group=group)))) == 0
        assert list(contents(tmp_path / "work")) == [MARK]


def test_generating_into_a_place_of_pictures_is_refused_before_the_model_is_loaded(tmp_path, capsys):
    from fit.concepts.sheet import Concept
    from fit.generated.run import generate_table
    from fit.generated.settings import GenerationSettings

    put(tmp_path, "mine/ada/1.png", data=png(0))
    options = {"prompts": ["{name}"], "study_seed": 0, "settings": GenerationSettings(images_per_prompt=1)}
    with pytest.raises(PlaceError, match=r"mine: this folder has files that FIT did not write \(ada/1.png\)"):
        generate_table(None, [Concept("ada", "Ada")], tmp_path / "ada.parquet", work=tmp_path / "mine", **options)
    assert contents(tmp_path) == {"mine/ada/1.png": png(0)}


def test_a_damaged_part_is_discarded_and_said_and_the_others_are_kept(tmp_path, capsys):
    work_folder(tmp_path / "work").claim()
    folder = tmp_path / "work/ada/0123456789abcdef"
    parts = ResumableTable(folder)
    for name in ("a", "b"):
        parts.add(dict.fromkeys(table.COLLECTED.names) | {"image_id": name, "bytes": b"x" * (9 << 20)})
    first, second = sorted(folder.iterdir())
    first.write_bytes(first.read_bytes()[:5000])
    again = ResumableTable(folder)
    assert set(again.place) == {"b"} and not first.exists() and second.exists()
    assert "000000.arrow: damaged" in capsys.readouterr().err
    again.add(dict.fromkeys(table.COLLECTED.names) | {"image_id": "a", "status": "gone"})
    again.finish()
    assert [row.to_pylist()[0]["image_id"] for row in again.in_order(["a", "b"])] == ["a", "b"]


def test_what_is_not_marked_is_not_removed(tmp_path):
    put(tmp_path, "mine/ada/0123456789abcdef/000000.arrow")
    with pytest.raises(PlaceError, match="FIT did not make this folder"):
        work_folder(tmp_path / "mine").remove("ada")
    place = WorkFolder(tmp_path / "linked", "a test", r".*/x")
    place.claim()
    (tmp_path / "linked/ada").symlink_to(tmp_path / "mine/ada")
    place.remove("ada")
    assert (tmp_path / "mine/ada/0123456789abcdef/000000.arrow").exists()


# --- outputs ----------------------------------------------------------------------------------------------------------


def test_a_folder_as_output_replaces_only_what_was_written_as_one(tmp_path):
    def write(name):
        with atomic_write(tmp_path / "model") as part:
            part.mkdir()
            put(part, name)

    put(tmp_path, "model/photo.png")
    with pytest.raises(PlaceError, match="FIT did not make it, so it is not replaced"):
        write("a")
    assert contents(tmp_path) == {"model/photo.png": b"x"}
    (tmp_path / "model/photo.png").unlink()
    write("a")
    write("b")
    assert set(contents(tmp_path / "model")) == {"b", MARK}
    put(tmp_path, "model/notes.txt")
    with pytest.raises(PlaceError, match=r"files that FIT did not write \(notes.txt\)"):
        write("c")
    assert set(contents(tmp_path / "model")) == {"b", MARK, "notes.txt"}
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_training_into_a_folder_of_pictures_is_refused_before_it_begins(tmp_path, capsys):
    put(tmp_path, "pictures/1.png")
    command = [
        "atelier",
        "train-style-encoder",
        "--encoder-steps",
        "100000",
        "--seed",
        "0",
        "--out",
        tmp_path / "pictures",
    ]
    assert "pictures: this folder exists already" in fails(capsys, *command)
    assert contents(tmp_path) == {"pictures/1.png": b"x"}


def test_unpacking_writes_over_no_picture_of_a_user_and_loses_none(tmp_path, capsys):
    names = ["a/b", "a_b", "a:b", "c"]
    parquet.write(pa.table({"image_id": names, "bytes": [png(i / 4) for i in range(4)]}), tmp_path / "t.parquet")
    put(tmp_path, "mine/c.png", data=b"my own")
    assert "--unpack" in fails(capsys, "images", "show", tmp_path / "t.parquet", "--unpack", tmp_path / "mine")
    assert contents(tmp_path / "mine") == {"c.png": b"my own"}
    for _ in range(2):
        assert main(["images", "show", str(tmp_path / "t.parquet"), "--unpack", str(tmp_path / "new")]) == 0
        assert len(list((tmp_path / "new").glob("*.png"))) == 4


@pytest.mark.parametrize(
    "command",
    [
        ["concepts", "sample", "--candidates", "s.tsv", "--counts", "c.csv", "--size", "1", "--out", "s.tsv"],
        ["counts", "import", "--table", "c.csv", "--sheet", "s.tsv", "--out", "./c.csv"],
        ["thresholds", "detect", "c.csv", "--out", "c.csv"],
        ["images", "show", "t.parquet", "--out", "t.parquet"],
        ["captions", "count", "--concepts", "s.tsv", "--captions", "*.csv", "--counts", "c.csv"],
        [
            "captions",
            "count",
            "--concepts",
            "s.tsv",
            "--captions",
            "c.csv",
            "--counts",
            "n.csv",
            "--matched-captions",
            "n.csv",
        ],
        ["audit", "--threshold", "3", "--counts", "c.csv", "--matched-captions", "t.parquet", "--plan", "c"],
        ["images", "import", "--place", "t.parquet", "--concepts", "ann", "--out", "t.parquet"],
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_no_command_writes_over_what_it_reads_or_writes_a_file_twice(crawl, capsys, monkeypatch, command):
    monkeypatch.chdir(crawl)
    parquet.write(pa.table({"concept": ["ann"], "image_id": ["a"], "bytes": [png(0)]}), crawl / "t.parquet")
    before = contents(crawl)
    said = fails(capsys, *command)
    assert "would be written" in said
    assert contents(crawl) == before


def test_two_counts_of_one_domain_are_an_error_that_names_both(tmp_path, capsys):
    command = ["reports", "write", "mine", "--out", tmp_path / "r", "--counts", tmp_path / "a/m/d.parquet"]
    assert "'m/d'" in fails(capsys, *command, tmp_path / "b/m/d.parquet")


# --- another attempt --------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_retry_that_finds_or_fixes_nothing_leaves_the_file_alone(tmp_path, capsys):
    row = dict.fromkeys(table.COLLECTED.names) | {"url": "http://127.0.0.1:1/x.png"}
    rows = [row | {"image_id": "a", "status": "connection"}, row | {"image_id": "b", "status": "ok", "bytes": png(0)}]
    path = tmp_path / "ann.parquet"
    parquet.write(pa.Table.from_pylist(rows, schema=table.COLLECTED), path)
    before = path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino
    for status in ("http_503", "connection"):
        command = ["images", "retry", str(path), "--allow-loopback", "--retries", "0", "--status", status]
        assert main(command) == 0
        said = capsys.readouterr()
        assert "the file is left as it is" in said.out
        assert ("no row has the status 'http_503'; it has connection, ok" in said.err) == (status == "http_503")
        assert (path.read_bytes(), path.stat().st_mtime_ns, path.stat().st_ino) == before
        assert [entry.name for entry in tmp_path.iterdir()] == ["ann.parquet"]


def test_work_in_progress_outlives_another_timeout(tmp_path):
    from fit.images.settings import FetchSettings, of_results

    patient = FetchSettings(total_timeout_s=5, connect_timeout_s=2, connections=9, connections_per_host=2, retries=9)
    assert of_results(patient) == of_results(FetchSettings())
    assert json.dumps(of_results(FetchSettings(honour_opt_out=False))) != json.dumps(of_results(FetchSettings()))


def test_a_report_is_not_written_among_other_files(tmp_path, capsys):
    (tmp_path / "report.md").write_text("my thesis")
    assert main(["reports", "write", "mine", "--out", str(tmp_path)]) == 1
    assert "this folder has files that FIT did not write (report.md)" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["report.md"]
    for _ in range(2):
        assert main(["reports", "write", "mine", "--out", str(tmp_path / "new")]) == 0


def test_a_picture_that_nobody_named_replaces_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    parquet.write(pa.table({"image_id": ["a"], "bytes": [png(0)]}), tmp_path / "tables" / "ada.parquet")
    (tmp_path / "ada.png").write_text("mine")
    assert main(["images", "show", "tables/ada.parquet"]) == 1
    assert "ada.png: there is such a file already; name the picture to write with --out" in capsys.readouterr().err
    assert (tmp_path / "ada.png").read_text() == "mine"
    assert main(["images", "show", "tables/ada.parquet", "--out", "ada.png"]) == 0


def test_only_results_are_said_to_be_removed(tmp_path, capsys):
    for folder in ("results", "mine"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.parquet").write_text("no Parquet")
        assert main(["images", "stats", str(tmp_path / folder / "x.parquet")]) == 1
        assert ("remove it" in capsys.readouterr().err) == (folder == "results")


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        pa.ArrowInvalid("IOError: [Errno 28] Error writing: No space left on device (os error 28)"),
        RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"),
    ],
)
def test_a_full_disk_is_said_whatever_library_found_it(tmp_path, monkeypatch, capsys, error):
    def full(*_, **__):
        raise error

    parquet.write(pa.table({"image_id": ["a"], "bytes": [png(0)]}), tmp_path / "ada.parquet")
    monkeypatch.setattr("fit.images.table.contact_sheet", full)
    assert main(["images", "show", str(tmp_path / "ada.parquet"), "--out", str(tmp_path / "s.png")]) == 1
    assert f"fit: {tmp_path / 's.png'}: no space left on this disk; free some and run again" in capsys.readouterr().err
    monkeypatch.setattr("fit.images.table.statistics", full)
    assert main(["images", "stats", str(tmp_path / "ada.parquet")]) == 1
    assert "no space left on this disk" in capsys.readouterr().err
