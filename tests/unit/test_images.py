import tarfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from threading import Barrier, BrokenBarrierError

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from misbehaving_server import MisbehavingServer

from fit.captions.count import Columns
from fit.cli.main import main
from fit.errors import ConfigError, DataError, ImageTableError
from fit.images import table
from fit.images.collect import Embedded, collect, retry
from fit.images.decode import Limits
from fit.images.fetch import FetchSettings
from fit.io import parquet
from fit.io.files import MARK, atomic_write


def png(shade, side=8):
    return table.encode_png(np.full((side, side, 3), shade, np.float32))


@pytest.fixture
def crawl(tmp_path):
    noisy = table.encode_png(np.random.default_rng(0).random((16, 16, 3)))
    images = [png(0.1), None, noisy[: len(noisy) // 2], b"<html>", png(0.3)]
    pq.write_table(pa.table({"image": pa.array(images, pa.binary())}), tmp_path / "s.parquet")
    rows = [("a", 4), ("a", 1), ("b", 0), ("b", 2), ("b", 3), ("b", 4)]
    matched_captions = [{"concept": c, "shard": "s.parquet", "row": r, "url": f"u{r}", "caption": ""} for c, r in rows]
    pq.write_table(
        pa.Table.from_pylist(matched_captions, schema=Columns().schema), tmp_path / "matched_captions.parquet"
    )
    return tmp_path


SETTINGS = {
    "settings": FetchSettings(allow_loopback=True, total_timeout_s=2, connect_timeout_s=1, retries=1, backoff_s=0.05),
    "limits": Limits(timeout_s=10, workers=1),
}


def collected(folder, concepts, kind="embedded", files=("s.parquet",), **changed):
    targets = {concept: folder / "images" / f"{concept}.parquet" for concept in concepts}
    paths = [folder / file for file in files]
    collect(kind, folder / "matched_captions.parquet", paths, targets, work=folder / "work", **(SETTINGS | changed))
    return {concept: parquet.read(path) for concept, path in targets.items()}


def test_every_hit_becomes_an_image_or_a_reason(crawl):
    tables = collected(crawl, ["a", "b", "c"])
    assert tables["a"].column("status").to_pylist() == ["ok", "gone"]
    assert tables["a"].column("image_id").to_pylist() == ["s-4", "s-1"]
    assert tables["a"].column("bytes").to_pylist() == [png(0.3), None]
    assert tables["b"].column("width").to_pylist() == [8, 16, None, 8]
    assert tables["b"].column("status").to_pylist() == ["ok", "truncated", "not_an_image", "ok"]
    assert tables["b"].column("sha256").to_pylist()[0] == sha256(png(0.1)).hexdigest()
    # One row may be a matched caption of several concepts.
    assert tables["b"].column("bytes")[3].as_py() == png(0.3)
    assert len(tables["c"]) == 0
    assert tables["c"].schema == table.COLLECTED
    assert [path.name for path in (crawl / "work").iterdir()] == [MARK]


def test_an_unknown_source_and_a_missing_shard(crawl):
    with pytest.raises(ConfigError, match="did you mean 'embedded'"):
        collected(crawl, ["a"], kind="embeded")
    with pytest.raises(DataError, match=r"s\.parquet.*count the captions anew"):
        collected(crawl, ["a"], files=())


def links_to(folder, urls):
    rows = [{"concept": "a", "shard": "s.parquet", "row": i, "url": url, "caption": ""} for i, url in enumerate(urls)]
    pq.write_table(pa.Table.from_pylist(rows, schema=Columns().schema), folder / "matched_captions.parquet")


def test_nothing_is_lost_and_nothing_comes_twice_from_a_server_that_misbehaves(tmp_path):
    with MisbehavingServer() as server:
        plan = {
            server.url("/image"): "ok",
            server.url("/status/404"): "http_404",
            server.url("/html"): "not_an_image",
            server.url("/endless"): "too_large",
            "http://127.0.0.1:1/x.png": "connection",
            "http://10.0.0.1/x.png": "blocked_address",
            "file:///etc/passwd": "bad_url",
        }
        urls = [url for url in plan for _ in range(40)] + [None]
        links_to(tmp_path, urls)
        few_bytes = replace(SETTINGS["settings"], max_bytes=200_000)
        found = collected(tmp_path, ["a"], "http", settings=few_bytes)["a"]
    assert found.column("image_id").to_pylist() == [f"s-{i}" for i in range(len(urls))]
    assert found.column("url").to_pylist() == urls
    assert found.column("status").to_pylist() == [plan.get(url, "bad_url") for url in urls]
    ok = [row for row in found.to_pylist() if row["status"] == "ok"]
    assert all(row["bytes"] and row["perceptual_hash"] and row["http_status"] == 200 for row in ok)
    assert (
        table.statistics(tmp_path / "images/a.parquet").splitlines()[-1] == "        281  in all; 1 different pictures"
    )


def test_a_killed_collection_goes_on_where_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr("fit.images.collect._PART_ROWS", 5)
    rows = 60
    pq.write_table(pa.table({"image": [png(i / 99) for i in range(rows)]}), tmp_path / "s.parquet")
    links_to(tmp_path, [f"u{i}" for i in range(rows)])
    whole_table = collected(tmp_path, ["a"])["a"]
    asked = []

    class Killed(Embedded):
        def bring(self, links, handle):
            asked.append(len(links))
            super().bring(links[:23] if len(asked) == 1 else links, handle)
            if len(asked) == 1:
                raise KeyboardInterrupt

    monkeypatch.setattr("fit.images.collect.Embedded", Killed)
    with pytest.raises(KeyboardInterrupt):
        collected(tmp_path, ["a"])
    again = collected(tmp_path, ["a"])["a"]
    # Of 23 that came, 20 were in whole parts.
    assert asked == [60, 40]
    assert again.equals(whole_table)
    # Under another limit, what came before is not taken.
    with pytest.raises(KeyboardInterrupt):
        asked.clear()
        collected(tmp_path, ["a"])
    assert (
        len(collected(tmp_path, ["a"], limits=Limits(min_side=9, workers=1))["a"].filter(pc.field("status") == "ok"))
        == 0
    )
    assert asked == [60, 60]


def test_a_stop_at_the_second_concept_of_a_job_loses_nothing_of_the_first(crawl, monkeypatch):
    asked = []

    class Stopped(Embedded):
        def bring(self, links, handle):
            asked.append(len(links))
            if len(asked) == 2:
                raise KeyboardInterrupt
            super().bring(links, handle)

    whole_tables = collected(crawl, ["a", "b"])
    monkeypatch.setattr("fit.images.collect.Embedded", Stopped)
    with pytest.raises(KeyboardInterrupt):
        collected(crawl, ["a", "b"])
    (crawl / "images/a.parquet").unlink()  # as Snakemake does, where a job did not end well
    assert collected(crawl, ["a", "b"]) == whole_tables
    assert asked == [2, 4, 4]


def test_two_that_collect_the_same_at_once_do_not_disturb_each_other(tmp_path, monkeypatch):
    # A job whose Snakemake was killed goes on, beside the run that resumes.
    monkeypatch.setattr("fit.images.collect._PART_ROWS", 5)
    rows = 60
    pq.write_table(pa.table({"image": [png(i / 99) for i in range(rows)]}), tmp_path / "s.parquet")
    links_to(tmp_path, [f"u{i}" for i in range(rows)])
    whole_table = collected(tmp_path, ["a"])["a"]
    both, orders = Barrier(2), iter([(0, 1, 2), (2, 1, 0)])

    class Shuffled(Embedded):
        def bring(self, links, handle):
            with suppress(BrokenBarrierError):  # one that waits for the other does not come
                both.wait(1)
            for first in next(orders):
                super().bring(links[first::3], handle)

    monkeypatch.setattr("fit.images.collect.Embedded", Shuffled)
    with ThreadPoolExecutor(2) as pool:
        found = [pool.submit(collected, tmp_path, ["a"]) for _ in range(2)]
    assert all(one.result()["a"].equals(whole_table) for one in found)


def test_failures_are_fetched_again(tmp_path, capsys):
    with MisbehavingServer() as server:
        links_to(tmp_path, [server.url("/image"), server.url("/status/404"), server.url("/image")])
        path = tmp_path / "images/a.parquet"
        before = collected(tmp_path, ["a"], "http")["a"].to_pylist()
        broken = [before[0], before[1], before[2] | {"status": "timeout", "bytes": None, "sha256": None}]
        parquet.write(pa.Table.from_pylist(broken, schema=table.COLLECTED), path)
        assert main(["images", "retry", str(path), "--allow-loopback", "yes"]) == 0
        assert "1 fetched again, 1 of them now images" in capsys.readouterr().out
        assert parquet.read(path).to_pylist() == before
        assert retry(path, {"timeout"}, **SETTINGS) == (0, 0)
    assert main(["images", "stats", str(path)]) == 0
    assert "        2  ok" in capsys.readouterr().out


@pytest.mark.parametrize("packed", [False, True])
def test_a_folder_or_tar_of_pictures_with_captions_is_a_corpus(tmp_path, packed):
    folder = tmp_path / "pictures"
    (folder / "deep").mkdir(parents=True)
    for i, name in enumerate(["deep/x", "y", "z"]):
        (folder / f"{name}.png").write_bytes(png(i / 9))
    (folder / "deep/x.txt").write_text("by Ann Lee\n")
    (folder / "y.json").write_text('{"caption": "Ann Lee again", "url": "http://y"}')
    source = folder
    if packed:
        source = tmp_path / "00000.tar"
        with tarfile.open(source, "w") as archive:
            for file in sorted(path for path in folder.rglob("*") if path.is_file()):
                archive.add(file, file.relative_to(folder).as_posix())
    (tmp_path / "c.tsv").write_text("concept\tname\na\tAnn Lee\n")
    command = ["captions", "count", "--concepts", tmp_path / "c.tsv", "--captions", source]
    command += ["--counts", tmp_path / "n.parquet", "--matched-captions", tmp_path / "matched_captions.parquet"]
    assert main([str(part) for part in command]) == 0
    matched_captions = parquet.read(tmp_path / "matched_captions.parquet").to_pylist()
    assert {matched_caption["url"]: matched_caption["caption"] for matched_caption in matched_captions} == {
        "deep/x.png": "by Ann Lee",
        "http://y": "Ann Lee again",
    }
    found = collected(tmp_path, ["a"], files=[source.name])["a"]
    pictures = dict(zip(found.column("url").to_pylist(), found.column("bytes").to_pylist(), strict=True))
    assert pictures == {"deep/x.png": png(0), "http://y": png(1 / 9)}


def test_an_image_table_streams_decoded_pictures(tmp_path):
    rows = [{"image_id": str(i), "bytes": png(i / 200) if i % 3 else None} for i in range(150)]
    parquet.write(pa.Table.from_pylist(rows), tmp_path / "t.parquet")
    batches = list(table.stream(tmp_path / "t.parquet", 40))
    assert [name for names, _ in batches for name in names] == [str(i) for i in range(150) if i % 3]
    assert all(picture.mode == "RGB" for _, pictures in batches for picture in pictures)
    assert pq.ParquetFile(tmp_path / "t.parquet").metadata.num_row_groups == 3
    assert table.unpack(tmp_path / "t.parquet", tmp_path / "out") == 100


def test_a_picture_that_does_not_decode_names_its_file(tmp_path):
    parquet.write(pa.table({"image_id": ["x"], "bytes": [b"nothing"]}), tmp_path / "t.parquet")
    with pytest.raises(ImageTableError, match=r"t\.parquet, image x"):
        list(table.stream(tmp_path / "t.parquet"))
    with pytest.raises(ImageTableError, match="no column 'status'"):
        parquet.read(tmp_path / "t.parquet", ["status"])
    with pytest.raises(ImageTableError, match="no such file"):
        parquet.read(tmp_path / "none.parquet")


def test_nothing_half_written_stays(tmp_path):
    with pytest.raises(RuntimeError), atomic_write(tmp_path / "x.txt") as part:
        part.write_text("half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    with atomic_write(tmp_path / "folder") as part:
        part.mkdir()
        (part / "a").write_text("1")
    with atomic_write(tmp_path / "folder") as part:
        part.mkdir()
        (part / "b").write_text("2")
    assert [p.name for p in (tmp_path / "folder").iterdir() if p.name != MARK] == ["b"]
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


def test_a_sheet_of_pictures_decodes_no_others_and_no_rejected_ones(tmp_path, monkeypatch):
    decoded = []
    decode = table.decode
    monkeypatch.setattr(table, "decode", lambda data, where: decoded.append(where) or decode(data, where))
    made = {"image_id": list("abcdefg"), "status": ["ok", "nan", *["ok"] * 5]}
    made["bytes"] = [None if status != "ok" else png(i / 8) for i, status in enumerate(made["status"])]
    parquet.write(pa.table(made), tmp_path / "made.parquet", row_group=2)
    assert table.rows_to_show(tmp_path / "made.parquet").tolist() == [0, 2, 3, 4, 5, 6]
    found = table.pictures_at(tmp_path / "made.parquet", [1, 3, 6])
    assert {row: picture and picture.getpixel((0, 0))[0] for row, picture in found.items()} == {1: None, 3: 96, 6: 191}
    assert [where[-1] for where in decoded] == ["d", "g"]
    references = {
        "image_id": ["a", "b"],
        "kept": [False, True],
        "decision": ["vetoed", "kept"],
        "bytes": [png(0.1)] * 2,
    }
    parquet.write(pa.table(references), tmp_path / "references.parquet")
    assert table.rows_to_show(tmp_path / "references.parquet").tolist() == [1]


def test_row_groups_end_before_their_pictures_are_too_many_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "GROUP_BYTES", 1000)
    sizes = [400, 400, 400, 5000, 10, 10]
    rows = {"image_id": [str(i) for i in range(6)], "bytes": [bytes(size) for size in sizes]}
    parquet.write(pa.table(rows), tmp_path / "a.parquet")
    file = pq.ParquetFile(tmp_path / "a.parquet")
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [2, 1, 1, 2]
    assert file.read().to_pydict() == rows
    parquet.write(pa.table(rows), tmp_path / "b.parquet", row_group=1)
    assert pq.ParquetFile(tmp_path / "b.parquet").num_row_groups == 6
