import asyncio
import csv
import json
import re
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from io import BytesIO
from itertools import product
from pathlib import Path
from urllib.parse import quote, urlsplit

import aiohttp
import aiohttp.abc
import numpy as np
import pyarrow as pa
import pytest
from aiohttp import web
from PIL import Image
from scipy.stats import kendalltau, spearmanr

from fit.cli.main import main
from fit.errors import DataError
from fit.io import parquet
from fit.ratings import pairs, report, server, store
from fit.ratings.agreement import krippendorff_alpha
from fit.ratings.store import COLUMNS, Answers, Rating, import_ratings, read_ratings

# --- which pictures ---------------------------------------------------------------------------------------------------


def images_of(concepts, of_each=20, prompts=2):
    return {
        concept: [(f"{concept}-{p}-{i}", f"prompt {p}") for p in range(prompts) for i in range(of_each // prompts)]
        for concept in concepts
    }


def test_pictures_are_drawn_evenly_over_the_logarithm_of_the_count():
    # Nine tenths of the concepts are rare: drawn evenly over concepts, they would take nine tenths of the pictures.
    counts = {f"c{i:03d}": 2 if i < 90 else 1000 for i in range(100)}
    drawn = pairs.draw(counts, images_of(counts), 100, 0)
    assert sum(counts[concept] == 2 for concept, _, _ in drawn) == 50
    assert len({image_id for _, image_id, _ in drawn}) == len(drawn) == 100


def test_concepts_and_prompts_take_turns():
    counts = dict.fromkeys("abcd", 7)
    drawn = pairs.draw(counts, images_of(counts), 16, 0)
    turns = Counter((concept, prompt) for concept, _, prompt in drawn)
    assert turns == dict.fromkeys(product(counts, ("prompt 0", "prompt 1")), 2)


def test_a_small_part_of_the_range_gives_what_it_has_and_others_the_rest():
    counts = {"a": 0, "b": 1000}
    images = {"a": images_of("a", 4)["a"], "b": images_of("b", 40)["b"]}
    drawn = pairs.draw(counts, images, 30, 0)
    assert [sum(row[0] == concept for row in drawn) for concept in "ab"] == [4, 26]
    assert len(pairs.draw(counts, images, 100, 0)) == 44


def test_the_seed_decides_what_is_drawn():
    counts = {f"c{i}": 3**i for i in range(7)}
    first = pairs.draw(counts, images_of(counts), 40, 1)
    assert first == pairs.draw(dict(reversed(counts.items())), images_of(reversed(counts)), 40, 1)
    assert sorted(first) != sorted(pairs.draw(counts, images_of(counts), 40, 2))


# --- a study in files, and its server ---------------------------------------------------------------------------------

CONCEPTS = {"ann-orr": 0, "bo-ek": 3, "cy-lin": 40, "dan-fo": 900}


def png(side, shade):
    file = BytesIO()
    Image.new("RGB", (side, side), (shade % 256, shade // 256, 90)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Tables of four concepts with nine references, eight of them kept, and six generated pictures each."""
    folder = tmp_path_factory.mktemp("study")
    rows = [f"{concept},{count},{0.1 + i / 5}" for i, (concept, count) in enumerate(CONCEPTS.items())]
    (folder / "scores.csv").write_text("\n".join(["concept,effective_count,score", *rows, "eve-ash,5,0.5"]))
    (folder / "sheet.tsv").write_text("concept\tname\nann-orr\tAnn Orr\nbo-ek\tBo Ek\n")
    for i, concept in enumerate(CONCEPTS):
        kept = [n != 4 for n in range(9)]
        names = [f"{concept}-r{n}" for n in range(9)]
        shades = [png(8, 100 * i + n) for n in range(9)]
        columns = {
            "image_id": names,
            "kept": kept,
            "decision": ["kept" if k else "less alike" for k in kept],
            "bytes": shades,
        }
        parquet.write(pa.table(columns), folder / "references" / f"{concept}.parquet")
        made = {
            "image_id": [f"{concept}-{n}" for n in range(6)],
            "prompt": [f"a harbour,\nby {concept}" if n % 2 else f"a street by {concept}" for n in range(6)],
            "bytes": [png(8, 100 * i + 50 + n) for n in range(6)],
        }
        parquet.write(pa.table(made), folder / "generated" / f"{concept}.parquet")
    return folder


def test_pictures_that_the_model_failed_at_are_not_asked_about(files, tmp_path):
    for concept in CONCEPTS:
        made = parquet.read(files / "generated" / f"{concept}.parquet")
        status = pa.array(["nan" if i < 4 else "ok" for i in range(len(made))])
        parquet.write(made.append_column("status", status), tmp_path / f"{concept}.parquet")
    drawn, _ = pairs.sample_pairs(files / "scores.csv", files / "references", tmp_path, 100, 0)
    assert {pair.generated.image_id for pair in drawn} == {f"{concept}-{n}" for concept in CONCEPTS for n in (4, 5)}


@contextmanager
def process(files, out, *options):
    """The command in a process of its own: (process, URL). It takes seconds to start."""
    command = [sys.executable, "-m", "fit.cli.main", "ratings", "serve", "--out", str(out), "--port", "0", *options]
    for name in ("references", "generated"):
        command += [f"--{name}", str(files / name)]
    command += ["--table", str(files / "scores.csv")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as started:
        try:
            first = started.stdout.readline()
            assert "http://" in first, started.stderr.read()
            assert str(out) in started.stdout.readline()
            yield started, first.split()[-1]
        finally:
            started.kill()


@contextmanager
def serving(files, out, *, wanted=200, names=None, question="How alike?", hosts=None):
    """The application in a thread of this process: its URL."""
    folders = files / "references", files / "generated"
    drawn, _ = pairs.sample_pairs(files / "scores.csv", *folders, wanted, 0)
    loop = asyncio.new_event_loop()

    def wait_for(coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(60)

    async def start(app):
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return runner

    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        with Answers(out) as answers:
            study = server.Study(drawn, answers, seed=0, question=question, names=names or {})
            runner = wait_for(start(server.make_app(study, hosts=hosts or server.hosts_of("127.0.0.1"))))
            try:
                yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
            finally:
                wait_for(runner.cleanup())
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(60)
        loop.close()


def ask(url, path, said=None, **headers):
    """(status, headers, body) of a request, its path sent as it is; `said` is posted as JSON."""
    address = urlsplit(url)
    connection = HTTPConnection(address.hostname, address.port, timeout=60)
    body = None
    if said is not None:
        body = said if isinstance(said, bytes) else json.dumps(said).encode()
        headers = {"Content-Type": "application/json"} | headers
    with closing(connection):
        connection.request("GET" if body is None else "POST", path, body, headers)
        response = connection.getresponse()
        return response.status, response.headers, response.read()


def session(url, rater):
    status, _, body = ask(url, f"/session?rater={quote(rater)}")
    assert status == 200, body
    return json.loads(body)


def rate(url, rater, picture, answer):
    status, _, body = ask(url, "/answers", {"rater": rater, "picture": picture, "answer": answer})
    assert status == 200, body


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_two_raters_from_start_to_end(files, tmp_path):
    out = tmp_path / "ratings.csv"
    options = ["--pairs", "12", "--seed", "5", "--names", str(files / "sheet.tsv")]
    with process(files, out, *options) as (started, url):
        orders = {}
        for rater in ("Ann", "Bö"):
            asked = session(url, rater)["pairs"]
            orders[rater] = [pair["picture"] for pair in asked]
            assert [pair["answer"] for pair in asked] == [None] * 12
            assert {pair["name"] for pair in asked} == {"Ann Orr", "Bo Ek", ""}
        assert sorted(orders["Ann"]) == sorted(orders["Bö"])
        assert orders["Ann"] != orders["Bö"]
        for turn in range(12):
            for rater, order in orders.items():
                rate(url, rater, order[turn], 1 + turn % 5)
        assert [pair["answer"] for pair in session(url, "Ann")["pairs"]] == [1 + turn % 5 for turn in range(12)]
        started.send_signal(signal.SIGINT)
        said, errors = started.communicate(timeout=60)
        assert started.returncode == 0
        assert f"24 answers more in {out}, 24 in all" in said
        assert "Traceback" not in errors
        assert "eve-ash: not shown, as there is no " in errors
    rows = rows_of(out)
    assert tuple(rows[0]) == COLUMNS
    assert [row["rater"] for row in rows] == ["Ann", "Bö"] * 12
    assert {row["seed"] for row in rows} == {"5"}
    assert {row["prompt"].partition(" by")[0].rstrip(",") for row in rows} == {"a harbour", "a street"}
    assert all(row["time"].endswith("+00:00") for row in rows)
    assert {row["image_id"].rpartition("-")[0] for row in rows} == {row["concept"] for row in rows} == set(CONCEPTS)
    assert len({(row["rater"], row["image_id"]) for row in rows}) == 24


def test_pictures_are_the_generated_one_and_kept_references_of_its_concept(files, tmp_path):
    shades = {}
    for kind, concept in product(("references", "generated"), CONCEPTS):
        for row in parquet.read(files / kind / f"{concept}.parquet").to_pylist():
            shades[row["bytes"]] = (kind, concept, row.get("kept"))
    with serving(files, tmp_path / "r.csv", wanted=8) as url:
        for pair in session(url, "Ann")["pairs"]:
            status, headers, body = ask(url, f"/pictures/{pair['picture']}")
            assert (status, headers["Content-Type"]) == (200, "image/png")
            kind, concept, _ = shades[body]
            assert kind == "generated"
            shown = [ask(url, f"/pictures/{key}")[2] for key in pair["references"]]
            assert [shades[picture] for picture in shown] == [("references", concept, True)] * pairs.SHOWN
            assert len(set(shown)) == pairs.SHOWN


def test_raters_go_on_after_a_restart_and_change_their_minds(files, tmp_path):
    out = tmp_path / "ratings.csv"
    with process(files, out) as (started, url):
        order = [pair["picture"] for pair in session(url, "Ann")["pairs"]]
        rate(url, "Ann", order[0], 2)
        rate(url, "Ann", order[1], "skip")
        rate(url, "Ann", order[2], 3)
        rate(url, "Ann", order[0], 5)
        # An answer is on disk before its rater hears of it.
        started.kill()
        started.wait(60)
    assert [row["rating"] for row in rows_of(out)] == ["2", "", "3", "5"]
    with serving(files, out) as url:
        asked = session(url, "  Ann ")["pairs"]
        assert [pair["picture"] for pair in asked] == order
        assert [pair["answer"] for pair in asked[:4]] == [5, "skip", 3, None]
        assert {pair["answer"] for pair in session(url, "Bo")["pairs"]} == {None}
        rate(url, "Ann", order[1], 1)
    assert [row["rating"] for row in rows_of(out)] == ["2", "", "3", "5", "1"]
    assert sorted(rating.rating for rating in store.latest(read_ratings(out))) == [1, 3, 5]


def test_raters_are_blind(files, tmp_path):
    with serving(files, tmp_path / "r.csv") as url:
        shown = json.dumps(session(url, "Rater"))
        for page in ("/", "/page.js", "/page.css"):
            status, headers, body = ask(url, page)
            assert status == 200
            assert "default-src 'none'" in headers["Content-Security-Policy"]
            assert b"://" not in body, "nothing from elsewhere"
            shown += body.decode()
        for concept in CONCEPTS:
            for part in concept.split("-"):
                assert f"{part}-" not in shown
                assert f" {part} " not in shown
        assert "score" not in shown
        keys = set(session(url, "Rater")["pairs"][0])
        assert keys == {"picture", "references", "answer", "name"}
        assert {pair["name"] for pair in session(url, "Rater")["pairs"]} == {""}
    names = {"ann-orr": "Ann Orr", "bo-ek": "Bo Ek"}
    with serving(files, tmp_path / "r.csv", names=names, question="Hers?") as url:
        asked = session(url, "Rater")
        assert {pair["name"] for pair in asked["pairs"]} == {"Ann Orr", "Bo Ek", ""}
        assert asked["question"] == "Hers?"


@pytest.fixture(scope="module")
def served(files, tmp_path_factory):
    out = tmp_path_factory.mktemp("served") / "ratings.csv"
    with serving(files, out) as url:
        yield url, out


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rater": ""}, "a rater's name is"),
        ({"rater": "=1+2"}, "a rater's name is"),
        ({"rater": "a\u0007"}, "a rater's name is"),
        ({"rater": "a" * 61}, "a rater's name is"),
        ({"rater": ["Ann"]}, "a rater's name is"),
        ({"picture": "0" * 20}, "not asked about"),
        ({"picture": 3}, "not asked about"),
        ({"picture": ["x"]}, "not asked about"),
        ({"answer": 0}, "answer is one of"),
        ({"answer": 6}, "answer is one of"),
        ({"answer": 2.5}, "answer is one of"),
        ({"answer": 4.0}, "answer is one of"),
        ({"answer": True}, "answer is one of"),
        ({"answer": "4"}, "answer is one of"),
        ({"answer": None}, "answer is one of"),
    ],
)
def test_an_answer_that_is_none_is_refused_and_not_stored(served, change, said):
    url, out = served
    good = {"rater": "Ann", "picture": session(url, "Ann")["pairs"][0]["picture"], "answer": 3}
    before = out.read_bytes()
    status, _, body = ask(url, "/answers", good | change)
    assert (status, out.read_bytes()) == (400, before)
    assert said in json.loads(body)["error"]


def test_a_reference_is_not_asked_about(served):
    url, _ = served
    key = session(url, "Ann")["pairs"][0]["references"][0]
    assert ask(url, "/answers", {"rater": "Ann", "picture": key, "answer": 3})[0] == 400


@pytest.mark.parametrize(
    ("body", "status"), [(b"", 400), (b"{", 400), (b"[1]", 400), (b"[" * 4000, 400), (b"\xff", 400), (b"1" * 9000, 413)]
)
def test_bodies_that_are_no_answer_are_refused(served, body, status):
    assert ask(served[0], "/answers", body)[0] == status


def test_other_sites_can_neither_read_nor_answer(served):
    url, out = served
    good = {"rater": "Ann", "picture": session(url, "Ann")["pairs"][0]["picture"], "answer": 3}
    before = out.read_bytes()
    assert ask(url, "/answers", good, **{"Content-Type": "text/plain"})[0] == 415
    assert ask(url, "/answers", good, Host="evil.example")[0] == 403
    assert ask(url, "/session?rater=Ann", Host="evil.example:80")[0] == 403
    assert ask(url, "/session?rater=Ann", Host="localhost:80:80")[0] == 403
    assert out.read_bytes() == before
    assert ask(url, "/session?rater=Ann", Host="localhost")[0] == 200


def asked_as(url, names, path="/session?rater=Ann", **options):
    """Status of a request of aiohttp's client to the server at `url`, which is called by each of `names`."""
    port = urlsplit(url).port

    class LeadsHere(aiohttp.abc.AbstractResolver):
        """A DNS server of somebody else's, by whose word every name is this machine."""

        async def resolve(self, host, port=0, family=socket.AF_INET):
            here = {"hostname": host, "host": "127.0.0.1", "port": port, "family": socket.AF_INET}
            return [here | {"proto": 0, "flags": 0}]

        async def close(self):
            pass

    async def all_of_them():
        connector = aiohttp.TCPConnector(resolver=LeadsHere())
        async with aiohttp.ClientSession(connector=connector) as client:
            found = {}
            for name in names:
                async with client.request("GET", f"http://{name}:{port}{path}", **options) as response:
                    found[name] = response.status
            return found

    return asyncio.run(all_of_them())


FOREIGN = ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "a" * 63 + ".example", "localhost-"]


def test_a_name_that_is_made_to_lead_here_gets_nothing(served):
    url, _ = served
    assert set(asked_as(url, FOREIGN).values()) == {403}
    assert set(asked_as(url, FOREIGN, "/").values()) == {403}
    assert asked_as(url, ["localhost", "LOCALHOST", "127.0.0.1"]) == dict.fromkeys(
        ["localhost", "LOCALHOST", "127.0.0.1"], 200
    )
    assert ask(url, "/", Host="0.0.0.0")[0] == ask(url, "/", Host="192.0.2.7")[0] == 403
    assert ask(url, "/", Host="[::1]:80")[0] == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7"])
def test_a_server_for_others_answers_to_addresses_and_names_of_its_own(files, tmp_path, host):
    hosts = server.hosts_of(host, ["ratings.example"])
    with serving(files, tmp_path / "r.csv", hosts=hosts) as url:
        assert set(asked_as(url, FOREIGN).values()) == {403}
        own = ["localhost", "127.0.0.1", "Ratings.Example", "ratings.example."]
        assert set(asked_as(url, own).values()) == {200}
        for address in ("192.0.2.7:80", "[2001:db8::1]:80", socket.gethostname()):
            assert ask(url, "/session?rater=Ann", Host=address)[0] == 200
        for other in ("", "evil.example:80", "ratings.example:80:80", "ratings.example@evil.example", "0x7f000001"):
            assert ask(url, "/session?rater=Ann", Host=other)[0] == 403, other


@pytest.mark.parametrize("name", ["http://a.example", "a.example:8000", "a.example/", "", "*", "a b"])
def test_a_hostname_that_is_none_is_refused(files, tmp_path, capsys, name):
    folders = [
        "--references",
        files / "references",
        "--generated",
        files / "generated",
        "--table",
        files / "scores.csv",
    ]
    command = ["ratings", "serve", *map(str, folders), "--out", str(tmp_path / "r.csv"), "--hostname", name]
    assert main(command) == 1
    assert f"--hostname {name!r}: this is not the name of a host" in capsys.readouterr().err


def test_listening_for_others_says_what_it_means(files, tmp_path):
    with process(files, tmp_path / "r.csv", "--host", "0.0.0.0", "--hostname", "ratings.example") as (started, url):
        assert urlsplit(url).hostname == socket.gethostname().lower()
        here = f"http://127.0.0.1:{urlsplit(url).port}/"
        assert ask(here, "/", Host="evil.example")[0] == 403
        assert ask(here, "/", Host="ratings.example")[0] == 200
        started.send_signal(signal.SIGINT)
        said = started.communicate(timeout=60)[1]
    assert "--host 0.0.0.0: whoever reaches this machine there can see these pictures and answer under any name" in said
    assert "nothing is encrypted" in said
    assert "ratings.example" in said and "or any IP address of it" in said


def test_a_name_with_a_script_in_it_is_text(files, tmp_path):
    name = "<script>window.pwned=1</script><img src=x onerror=window.pwned=1>"
    with serving(files, tmp_path / "r.csv", names=dict.fromkeys(CONCEPTS, name), question=name) as url:
        status, headers, body = ask(url, "/session?rater=Ann")
        assert status == 200 and headers.get_content_type() == "application/json"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert json.loads(body)["pairs"][0]["name"] == name
        for path in ("/", "/page.js", "/page.css", "/session?rater=<script>"):
            _, headers, body = ask(url, path.replace("<", "%3C").replace(">", "%3E"))
            policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
            assert policy["default-src"] == "'none'" and policy["script-src"] == policy["style-src"] == "'self'"
            assert policy["base-uri"] == policy["form-action"] == policy["frame-ancestors"] == "'none'"
            assert b"pwned" not in body
    # What the page shows of a study is made text by the browser, in no place is it HTML.
    page = Path(server.__file__).with_name("page")
    script = (page / "page.js").read_text(encoding="utf-8")
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacent|document\.write|createContextualFragment|DOMParser", script
    )
    assert not re.search(
        r"\beval\b|\bFunction\b|setTimeout|setInterval|setAttribute\(\s*[\"']on|\.on\w+\s*=|\.href", script
    )
    html = (page / "index.html").read_text(encoding="utf-8")
    assert re.findall(r"<script[^>]*>", html) == ['<script src="page.js" defer>']
    assert not re.search(r"\son\w+=|javascript:|style=|<style", html)


@pytest.mark.parametrize(
    "path",
    [
        "/../scores.csv",
        "/pictures/../../scores.csv",
        "/pictures/..%2f..%2fscores.csv",
        "/pictures/%2e%2e/%2e%2e/etc/passwd",
        "/pictures//etc/passwd",
        "/pictures/ann-orr-0",
        "/pictures/" + "0" * 20,
        "/pictures/",
        "/page.js/../../server.py",
        "/server.py",
        "/index.html/..",
        "//etc/passwd",
    ],
)
def test_nothing_but_the_page_and_its_pictures_is_served(served, path):
    assert ask(served[0], path)[0] in (400, 404)


def test_a_picture_that_was_not_drawn_is_not_served(files, tmp_path):
    drawn = pairs.sample_pairs(files / "scores.csv", files / "references", files / "generated", 4, 0)[0]
    kept = {picture for pair in drawn for picture in (pair.generated, *pair.references)}
    other = pairs.Picture(files / "generated" / "ann-orr.parquet", "ann-orr-0")
    others = [pairs.Picture(other.table, f"ann-orr-{n}") for n in range(6)]
    with serving(files, tmp_path / "r.csv", wanted=4) as url:
        found = {picture: ask(url, f"/pictures/{server._key(picture)}")[0] for picture in {*kept, *others}}
    assert {picture for picture, status in found.items() if status == 200} == kept
    assert set(found.values()) == {200, 404}


def test_one_process_at_a_time_adds_answers(served, files, capsys):
    url, out = served
    arguments = ["--references", "references", "--generated", "generated", "--table", "scores.csv"]
    arguments = [part if part.startswith("--") else str(files / part) for part in arguments]
    assert main(["ratings", "serve", *arguments, "--out", str(out), "--port", "0"]) == 1
    assert "another process adds ratings" in capsys.readouterr().err
    port = str(urlsplit(url).port)
    assert main(["ratings", "serve", *arguments, "--out", str(out.with_name("other.csv")), "--port", port]) == 1
    assert f"can't listen at 127.0.0.1, port {port}" in capsys.readouterr().err


def test_a_study_without_pictures_says_why(files, tmp_path):
    with pytest.raises(DataError, match=r"no concept with both .*there is no .*ann-orr\.parquet"):
        pairs.sample_pairs(files / "scores.csv", tmp_path, files / "generated", 4, 0)
    (tmp_path / "bad.csv").write_text("concept,effective_count,score\nann-orr,-1,0.5\n")
    with pytest.raises(DataError, match="concept 'ann-orr': effective_count is '-1'"):
        pairs.sample_pairs(tmp_path / "bad.csv", files / "references", files / "generated", 4, 0)


def test_large_and_rare_kinds_of_pictures_reach_the_browser():
    for kind, side, sent in (("PNG", 40, "PNG"), ("JPEG", 40, "JPEG"), ("TIFF", 40, "PNG"), ("JPEG", 3000, "PNG")):
        file = BytesIO()
        Image.new("RGB", (side, side // 2), "teal").save(file, kind)
        data, media_type = server.for_browser(file.getvalue(), "x")
        shown = Image.open(BytesIO(data))
        assert (shown.format, media_type) == (sent, f"image/{sent.lower()}")
        assert shown.size == (min(side, server.LARGEST_SIDE), min(side, server.LARGEST_SIDE) // 2)


# --- the file ---------------------------------------------------------------------------------------------------------


def some(count, rater="Ann"):
    return [Rating(rater, "ann-orr", "a harbour, by night", f"i{n}", 1 + n % 5, "t", "0") for n in range(count)]


def test_a_row_cut_short_by_a_crash_costs_only_itself(tmp_path):
    path = tmp_path / "r.csv"
    with Answers(path) as answers:
        answers.add(some(3, "Bö"))
    whole = path.read_bytes()
    for cut in range(1, len(whole) + 1):
        path.write_bytes(whole[:-cut])
        left = read_ratings(path) if b"\n" in whole[:-cut] else []
        # What stands behind the rating may be cut: it says nothing of what was thought.
        expected = [(one.about, one.rating) for one in some(3, "Bö")]
        assert [(one.about, one.rating) for one in left] == expected[: len(left)]
        assert len(left) >= 3 - len(whole[-cut:].splitlines())
        with Answers(path) as answers:
            assert answers.ratings == left
            answers.add(some(1, "Cy"))
        assert read_ratings(path) == [*left, *some(1, "Cy")]


def test_a_last_line_without_an_end_is_kept(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text(f"{','.join(COLUMNS)}\nAnn,a,,x,4,,")
    with Answers(path) as answers:
        answers.add(some(1))
    assert [rating.rating for rating in read_ratings(path)] == [4, 1]


def test_a_full_disk_leaves_whole_rows(tmp_path, monkeypatch):
    path = tmp_path / "r.csv"
    with Answers(path) as answers:
        answers.add(some(1))
        whole, write = path.read_bytes(), store.os.write
        monkeypatch.setattr(store.os, "write", lambda file, data: write(file, data[:9]))
        with pytest.raises(DataError, match="disk is full"):
            answers.add(some(2))
        assert path.read_bytes() == whole
        monkeypatch.undo()
        answers.add(some(2))
    assert len(read_ratings(path)) == 3


def test_a_file_of_something_else_is_not_added_to(tmp_path):
    path = tmp_path / "r.csv"
    path.write_text("rater,concept,rating\nAnn,ann-orr,3\n")
    with pytest.raises(DataError, match="`fit ratings import`"):
        Answers(path)
    assert path.read_text() == "rater,concept,rating\nAnn,ann-orr,3\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file is empty"),
        ("rater|concept|rating\nAnn|a|3\n", r"line 1: no column 'rater'.*separated by commas"),
        ("rater,concept\nAnn,a\n", "no column 'rating'"),
        ("rater,concept,rating\nAnn,a,3\nAnn,b,6\n", "line 3: rating is '6'"),
        ("rater,concept,rating\nAnn,a,0\n", "line 2: rating is '0'"),
        ("rater,concept,rating\nAnn,a,3.5\n", "line 2: rating is '3.5'"),
        ("rater,concept,rating\nAnn,a,nan\n", "line 2: rating is 'nan'"),
        ("rater,concept,rating\nAnn,a,good\n", "line 2: rating is 'good'"),
        ("rater,concept,rating\nAnn,,3\n", "line 2: concept is empty"),
        ("rater,concept,rating\n ,a,3\n", "line 2: rater is empty"),
        ("rater,concept,rating\nAnn,a,3,4\n", "line 2: 4 cells.*more cells"),
        ("rater,concept,rating\nAnn,a,3\nBo,a,3\nAnn,a,4\n", "line 4: 'Ann' rates concept 'a'.* in line 2 too"),
        ('rater,concept,image_id,rating\nAnn,a,"x\ny",3\n', "line 2: image_id is .*line break"),
    ],
)
def test_ratings_from_elsewhere_are_checked(tmp_path, text, said):
    (tmp_path / "in.csv").write_text(text)
    with pytest.raises(DataError, match=said):
        import_ratings(tmp_path / "in.csv", tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()


def test_bytes_that_are_no_text_are_named(tmp_path):
    (tmp_path / "in.csv").write_bytes(b"rater,concept,rating\nB\xf6,a,3\n")
    with pytest.raises(DataError, match="byte 22 is not UTF-8"):
        import_ratings(tmp_path / "in.csv", tmp_path / "out.csv")
    with pytest.raises(DataError, match="no such file"):
        import_ratings(tmp_path / "nowhere.csv", tmp_path / "out.csv")


def test_ratings_from_elsewhere_join_those_that_are_there(tmp_path, capsys):
    with Answers(tmp_path / "out.csv") as answers:
        answers.add(some(1))
    (tmp_path / "in.csv").write_text("\ufeffconcept,mood,rater,rating\r\na,fine,Bo,4.0\r\nb,,Bo,\r\n")
    for added in (2, 0):
        assert main(["ratings", "import", str(tmp_path / "in.csv"), "--out", str(tmp_path / "out.csv")]) == 0
        assert f"{added} of 2 ratings added" in capsys.readouterr().out
    assert read_ratings(tmp_path / "out.csv") == [
        *some(1),
        Rating("Bo", "a", "", "", 4),
        Rating("Bo", "b", "", "", None),
    ]


# --- agreement --------------------------------------------------------------------------------------------------------

NONE = np.nan
PUBLISHED = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, NONE, NONE, NONE],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NONE, 3],
    [NONE, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NONE],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NONE],
]
"""Four observers and twelve units, in Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), section C."""


@pytest.mark.parametrize(("metric", "alpha"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_alpha_of_the_published_example(metric, alpha):
    assert krippendorff_alpha(PUBLISHED, metric) == pytest.approx(alpha, abs=5e-4)


def test_alpha_by_its_definition():
    """1 - observed / expected disagreement, summed over pairs of ratings one by one."""
    rng = np.random.default_rng(0)
    ratings = rng.integers(1, 6, (5, 30)).astype(float)
    ratings[rng.random(ratings.shape) < 0.4] = NONE
    units = [unit[~np.isnan(unit)] for unit in ratings.T]
    units = [unit for unit in units if len(unit) >= 2]
    every = np.concatenate(units)
    observed = sum(((unit[:, None] - unit) ** 2).sum() / (len(unit) - 1) for unit in units) / len(every)
    expected = ((every[:, None] - every) ** 2).sum() / (len(every) * (len(every) - 1))
    assert krippendorff_alpha(ratings, "interval") == pytest.approx(1 - observed / expected)


@pytest.mark.parametrize("metric", ["nominal", "ordinal", "interval"])
def test_alpha_at_its_ends(metric):
    assert krippendorff_alpha([[1, 2, 5], [1, 2, 5]], metric) == 1
    assert krippendorff_alpha([[1, 5, 1, 5], [5, 1, 5, 1]], metric) < 0
    assert krippendorff_alpha([[1, 2, 5]], metric) is None
    assert krippendorff_alpha([[1, 2, NONE], [NONE, NONE, 4]], metric) is None
    assert krippendorff_alpha([[3, 3, 3], [3, 3, 3]], metric) is None
    assert krippendorff_alpha(np.empty((0, 0)), metric) is None


def test_alpha_looks_only_at_units_with_two_ratings():
    ratings = np.array([[1, 2, 4, 4], [1, 3, 5, 4]], float)
    alone = np.array([[5, 5, 1], [NONE] * 3])
    for metric in ("nominal", "ordinal", "interval"):
        assert krippendorff_alpha(np.hstack([ratings, alone]), metric) == krippendorff_alpha(ratings, metric)


# --- the report -------------------------------------------------------------------------------------------------------


def test_spearman_equals_scipy():
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 6, (2, 4, 25)).astype(float)
    expected = [spearmanr(*pair).statistic for pair in zip(x, y, strict=True)]
    assert report.spearman(x, y) == pytest.approx(expected)
    found = report.correlate(x[0], y[0], resamples=100, seed=0)
    assert found["spearman"] == pytest.approx(expected[0])
    assert found["kendall"] == pytest.approx(kendalltau(x[0], y[0]).statistic)
    low, high = found["interval"]
    assert -1 <= low < expected[0] < high <= 1


def simulate(folder, *, noise, lenient=0, concepts=60, at=30, seed=0):
    """A table in which the score steps up at `at` images, and two raters who see that, more or less."""
    rng = np.random.default_rng(seed)
    counts = np.unique(np.round(10 ** np.linspace(0, 3, concepts)).astype(int))
    scores = np.where(counts >= at, 0.6, 0.1) + rng.normal(0, 0.08, len(counts))
    lines = [f"c{i:02d},{count},{score}" for i, (count, score) in enumerate(zip(counts, scores, strict=True))]
    (folder / "scores.csv").write_text("\n".join(["concept,effective_count,score", *lines]))
    ratings = []
    for rater, bias in (("Ann", 0), ("Bo", lenient)):
        for i, score in enumerate(scores):
            for n in range(4):
                rating = int(np.clip(np.round(1 + 5 * score + bias + rng.normal(0, noise)), 1, 5))
                ratings.append(Rating(rater, f"c{i:02d}", "", f"c{i:02d}-{n}", rating))
    with Answers(folder / "ratings.csv") as answers:
        answers.add(ratings)
    return min(count for count in counts if count >= at)


def reported(folder, *options):
    arguments = ["--ratings", str(folder / "ratings.csv"), "--table", str(folder / "scores.csv")]
    assert main(["ratings", "report", *arguments, "--out", str(folder / "report.json"), *options]) == 0
    return json.loads((folder / "report.json").read_text())


def test_raters_who_see_what_the_score_says(tmp_path, capsys):
    true = simulate(tmp_path, noise=0.3)
    found = reported(tmp_path)
    assert found["ratings"] == 8 * found["concepts"] == 2 * found["pictures"]
    assert found["correlation"]["spearman"] > 0.7
    low, high = found["correlation"]["interval"]
    assert 0.5 < low < found["correlation"]["spearman"] < high <= 1
    assert found["agreement"]["alpha_ordinal"] > 0.8
    assert found["agreement"]["pictures_with_two_or_more"] == found["pictures"]
    for kind in ("ratings", "scores"):
        assert found["threshold"][kind]["threshold"] == found["threshold"][kind]["one_change"]["threshold"] == true
    on_ratings = found["threshold"]["ratings"]
    assert 0 < on_ratings["mean_below"] < 0.3 < 0.6 < on_ratings["mean_above"] < 1
    said = capsys.readouterr().out
    assert f"threshold on ratings (0 to 1, penalty 0.9): {true} images" in said
    assert f"Spearman {found['correlation']['spearman']:.2f}" in said


def test_raters_who_see_nothing(tmp_path, capsys):
    simulate(tmp_path, noise=50)
    found = reported(tmp_path)
    low, high = found["correlation"]["interval"]
    assert low < 0 < high
    assert abs(found["agreement"]["alpha_ordinal"]) < 0.2
    assert found["threshold"]["scores"]["threshold"] is not None
    assert found["threshold"]["ratings"]["one_change"]["squared_error_removed"] < 0.3
    reported(tmp_path, "--penalty", "1000")
    assert "threshold on ratings (0 to 1, penalty 1000.0): no change point" in capsys.readouterr().out


def test_a_lenient_rater_costs_agreement_and_not_correlation(tmp_path):
    (tmp_path / "same").mkdir()
    (tmp_path / "lenient").mkdir()
    simulate(tmp_path / "same", noise=0.3)
    simulate(tmp_path / "lenient", noise=0.3, lenient=1.5)
    same, lenient = reported(tmp_path / "same"), reported(tmp_path / "lenient")
    assert lenient["by_rater"]["Bo"]["mean"] > lenient["by_rater"]["Ann"]["mean"] + 0.8
    assert lenient["agreement"]["alpha_interval"] < same["agreement"]["alpha_interval"] - 0.2
    assert lenient["correlation"]["spearman"] > 0.7


def write(folder, ratings, concepts=("a", "b", "c")):
    lines = [f"{concept},{10 * i},{i / 10}" for i, concept in enumerate(concepts)]
    (folder / "scores.csv").write_text("\n".join(["concept,effective_count,score", *lines]))
    lines = [",".join(map(str, row)) for row in ratings]
    (folder / "ratings.csv").write_text("\n".join(["rater,concept,image_id,rating", *lines, ""]))


def test_the_latest_answer_counts_and_a_late_skip_takes_one_back(tmp_path):
    write(tmp_path, [("Ann", "a", "x", 1), ("Ann", "b", "y", 2), ("Ann", "a", "x", 5), ("Ann", "b", "y", "")])
    found = reported(tmp_path)
    assert (found["ratings"], found["skipped"], found["mean_rating"]) == (1, 1, 5)


def test_every_picture_weighs_the_same(tmp_path):
    raters = [(rater, "a", "x", 5) for rater in ("Ann", "Bo", "Cy")]
    write(tmp_path, [*raters, ("Ann", "a", "y", 1)])
    assert reported(tmp_path)["by_concept"][0]["mean_rating"] == 3


def test_one_rater_has_nobody_to_agree_with(tmp_path, capsys):
    write(tmp_path, [("Ann", "a", "x", 1), ("Ann", "b", "y", 4), ("Ann", "c", "z", 5)])
    found = reported(tmp_path)
    assert found["agreement"]["alpha_ordinal"] is None
    assert found["correlation"]["spearman"] == pytest.approx(1)
    assert "0 pictures have two ratings or more; nothing to compare" in capsys.readouterr().out


def test_all_the_same_has_no_correlation_agreement_or_threshold(tmp_path, capsys):
    write(tmp_path, [(rater, concept, "x", 3) for rater, concept in product(("Ann", "Bo"), "abc")])
    found = reported(tmp_path)
    assert found["correlation"]["spearman"] is found["correlation"]["interval"] is None
    assert found["agreement"]["alpha_interval"] is found["threshold"]["ratings"]["threshold"] is None
    said = capsys.readouterr().out
    assert "no correlation" in said
    assert "3 pictures have two ratings or more; all of them rated alike" in said


def test_concepts_that_the_table_lacks_are_left_out_and_named(tmp_path, capsys):
    write(tmp_path, [("Ann", "a", "x", 1), ("Ann", "zoe", "y", 4)])
    found = reported(tmp_path)
    assert found["unknown_concepts"] == ["zoe"]
    assert found["ratings"] == 1
    assert "zoe" in capsys.readouterr().err
    write(tmp_path, [("Ann", "zoe", "y", 4)])
    with pytest.raises(DataError, match=r"no rating of a concept that .*rated: zoe"):
        report.make_report([tmp_path / "ratings.csv"], tmp_path / "scores.csv", penalty=0.9, resamples=9, seed=0)
