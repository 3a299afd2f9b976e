"""Collecting: every matched caption becomes an image or a reason, whatever stops it."""

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
from printed import agree

from fit.cli.main import main
from fit.errors import ConfigError, DataError
from fit.images import table
from fit.images.collect import collect, retry
from fit.images.settings import DecodeSettings, FetchSettings
from fit.images.sources import Embedded
from fit.io import parquet
from fit.io.concept_tables import concepts_in
from fit.io.files import MARK


def png(shade, side=8):
    return table.encode_png(np.full((side, side, 3), shade, np.float32))


@pytest.fixture
def crawl(tmp_path):
    noisy = table.encode_png(np.random.default_rng(0).random((16, 16, 3)))
    images = [png(0.1), None, noisy[: len(noisy) // 2], b"<html>", png(0.3)]
    pq.write_table(pa.table({"image": pa.array(images, pa.binary())}), tmp_path / "s.parquet")
    rows = [("a", 4), ("a", 1), ("b", 0), ("b", 2), ("b", 3), ("b", 4)]
    matched_captions = [{"concept": c, "shard": "s.parquet", "row": r, "url": f"u{r}", "caption": ""} for c, r in rows]
    pq.write_table(pa.Table.from_pylist(matched_captions), tmp_path / "matched_captions.parquet")
    return tmp_path


SETTINGS = {
    "fetching": FetchSettings(allow_loopback=True, total_timeout_s=2, connect_timeout_s=1, retries=0),
    "decoding": DecodeSettings(decode_timeout_s=10),
    "decoders": 1,
}


def collected(folder, concepts, kind="embedded", files=("s.parquet",), **changed):
    out, paths = folder / "images.parquet", [folder / file for file in files]
    work = folder / "work"
    collect(kind, folder / "matched_captions.parquet", paths, concepts, out, work=work, **(SETTINGS | changed))
    return {concept: parquet.read(out, only={"concept": [concept]}) for concept in concepts}


@pytest.mark.slow
def test_every_matched_caption_becomes_an_image_or_a_reason(crawl):
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
    assert concepts_in(crawl / "images.parquet") == ["a", "b", "c"]
    # A row group is of one concept.
    file = pq.ParquetFile(crawl / "images.parquet")
    assert [set(file.read_row_group(i, ["concept"])["concept"].to_pylist()) for i in range(2)] == [{"a"}, {"b"}]
    assert [path.name for path in (crawl / "work").iterdir()] == [MARK]


def test_an_unknown_source_and_a_missing_shard(crawl):
    with pytest.raises(ConfigError, match="did you mean 'embedded'"):
        collected(crawl, ["a"], kind="embeded")
    with pytest.raises(DataError, match=r"s\.parquet.*count the captions again"):
        collected(crawl, ["a"], files=())


def links_to(folder, urls):
    rows = [{"concept": "a", "shard": "s.parquet", "row": i, "url": url, "caption": ""} for i, url in enumerate(urls)]
    pq.write_table(pa.Table.from_pylist(rows), folder / "matched_captions.parquet")


@pytest.mark.slow
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
        few_bytes = replace(SETTINGS["fetching"], max_bytes=200_000)
        found = collected(tmp_path, ["a"], "http", fetching=few_bytes)["a"]
    assert found.column("image_id").to_pylist() == [f"s-{i}" for i in range(len(urls))]
    assert found.column("url").to_pylist() == urls
    assert found.column("status").to_pylist() == [plan.get(url, "bad_url") for url in urls]
    ok = [row for row in found.to_pylist() if row["status"] == "ok"]
    assert all(row["bytes"] and row["perceptual_hash"] and row["http_status"] == 200 for row in ok)
    said = table.statistics(tmp_path / "images.parquet").splitlines()
    assert said[-1] == "        281  in all; 1 different picture"


@pytest.mark.slow
def test_a_killed_collection_goes_on_where_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr("fit.images.resumable._PART_ROWS", 5)
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

    monkeypatch.setattr("fit.images.sources.Embedded", Killed)
    with pytest.raises(KeyboardInterrupt):
        collected(tmp_path, ["a"])
    again = collected(tmp_path, ["a"])["a"]
    # Of 23 that came, 20 were in whole parts.
    assert asked == [60, 40]
    assert again.equals(whole_table)
    # By another version of the stage, or under another limit, what came before is not taken.
    with pytest.raises(KeyboardInterrupt):
        asked.clear()
        collected(tmp_path, ["a"])
    with monkeypatch.context() as another:
        another.setattr("fit.images.collect._OF_PARTS", (table.COLLECTED.names, 0))
        assert collected(tmp_path, ["a"])["a"].equals(whole_table)
    assert asked == [60, 60]
    with pytest.raises(KeyboardInterrupt):
        asked.clear()
        collected(tmp_path, ["a"])
    none = collected(tmp_path, ["a"], decoding=DecodeSettings(min_side=9))["a"]
    assert len(none.filter(pc.field("status") == "ok")) == 0
    assert asked == [60, 60]


@pytest.mark.slow
def test_a_stop_at_the_second_concept_of_a_job_loses_nothing_of_the_first(crawl, monkeypatch):
    asked = []

    class Stopped(Embedded):
        def bring(self, links, handle):
            asked.append(len(links))
            if len(asked) == 2:
                raise KeyboardInterrupt
            super().bring(links, handle)

    whole_tables = collected(crawl, ["a", "b"])
    monkeypatch.setattr("fit.images.sources.Embedded", Stopped)
    with pytest.raises(KeyboardInterrupt):
        collected(crawl, ["a", "b"])
    (crawl / "images.parquet").unlink()  # as Snakemake does, where a job did not end well
    assert collected(crawl, ["a", "b"]) == whole_tables
    assert asked == [2, 4, 4]


@pytest.mark.slow
def test_two_that_collect_the_same_at_once_do_not_disturb_each_other(tmp_path, monkeypatch):
    # A job whose Snakemake was killed goes on, beside the run that resumes.
    monkeypatch.setattr("fit.images.resumable._PART_ROWS", 5)
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

    monkeypatch.setattr("fit.images.sources.Embedded", Shuffled)
    with ThreadPoolExecutor(2) as pool:
        found = [pool.submit(collected, tmp_path, ["a"]) for _ in range(2)]
    assert all(one.result()["a"].equals(whole_table) for one in found)


@pytest.mark.slow
def test_failures_are_fetched_again(tmp_path, capsys):
    with MisbehavingServer() as server:
        links_to(tmp_path, [server.url("/image"), server.url("/status/404"), server.url("/image")])
        path = tmp_path / "images.parquet"
        before = collected(tmp_path, ["a"], "http")["a"].to_pylist()
        broken = [before[0], before[1], before[2] | {"status": "timeout", "bytes": None, "sha256": None}]
        parquet.write(pa.Table.from_pylist(broken, schema=table.COLLECTED), path)
        assert main(["images", "retry", str(path), "--allow-loopback"]) == 0
        assert "1 fetched again, 1 of them now images" in capsys.readouterr().out
        assert parquet.read(path).to_pylist() == before
        assert retry(path, {"timeout"}, **SETTINGS) == (0, 0)
        parquet.write(pa.Table.from_pylist(before, schema=table.COLLECTED), path)
        _, found = agree(capsys, "images", "retry", path, "--allow-loopback", "--status", "http_404")
        assert found == [{"file": str(path), "fetched_again": 1, "now_images": 0}]
    assert main(["images", "stats", str(path)]) == 0
    assert "        2  ok" in capsys.readouterr().out


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_retry_of_a_table_of_several_concepts_changes_only_what_failed(tmp_path):
    with MisbehavingServer() as server:
        # One row may be a matched caption of two concepts: both have the same id.
        rows = [
            {"concept": c, "shard": "s", "row": i, "url": server.url("/image"), "caption": ""}
            for i in (0, 1)
            for c in "ab"
        ]
        rows.sort(key=lambda row: row["concept"])
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / "matched_captions.parquet")
        collected(tmp_path, ["a", "b"], "http")
        path = tmp_path / "images.parquet"
        before = pq.read_table(path)
        broken = before.to_pylist()
        broken[2] |= {"status": "timeout", "bytes": None, "sha256": None}
        schema = table.COLLECTED.with_metadata(pq.ParquetFile(path).schema_arrow.metadata)
        parquet.write(pa.Table.from_pylist(broken, schema=schema), path)
        assert retry(path, {"timeout"}, **SETTINGS) == (1, 1)
    assert pq.read_table(path).equals(before)
    assert concepts_in(path) == ["a", "b"]
    file = pq.ParquetFile(path)
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [2, 2]
    assert table.statistics(path).splitlines()[-1] == "          4  in all, 2 concepts; 2 different pictures"
