"""The page on which people rate pictures: what it shows, stores and refuses."""

import asyncio
import json
import re
import signal
import socket
from io import BytesIO
from itertools import product
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import aiohttp.abc
import pytest
from PIL import Image
from rated_study import CONCEPTS, ask, process, rate, rows_of, serving, session, write_study

from fit.cli.main import main
from fit.io.concept_tables import ConceptTables
from fit.ratings import pairs, server, store
from fit.ratings.store import COLUMNS, read_ratings


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return write_study(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def served(files, tmp_path_factory):
    out = tmp_path_factory.mktemp("served") / "ratings.csv"
    with serving(files, out) as url:
        yield url, out


@pytest.mark.slow
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
        for row in ConceptTables([files / kind]).read(concept).to_pylist():
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


@pytest.mark.slow
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


@pytest.mark.slow
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
    drawn = pairs.sample_pairs(files / "scores.csv", [files / "references"], [files / "generated"], 4, 0)[0]
    kept = {picture for pair in drawn for picture in (pair.generated, *pair.references)}
    other = pairs.Picture(files / "generated/0.parquet", "ann-orr", "ann-orr-0")
    others = [pairs.Picture(other.table, "ann-orr", f"ann-orr-{n}") for n in range(6)]
    with serving(files, tmp_path / "r.csv", wanted=4) as url:
        found = {picture: ask(url, f"/pictures/{server._key(picture)}")[0] for picture in {*kept, *others}}
    assert {picture for picture, status in found.items() if status == 200} == kept
    assert set(found.values()) == {200, 404}


def test_one_process_at_a_time_adds_answers(served, files, capsys):
    url, out = served
    arguments = ["--references", "references", "--generated", "generated", "--table", "scores.csv"]
    arguments = [part if part.startswith("--") else str(files / part) for part in arguments]
    assert main(["ratings", "serve", *arguments, "--out", str(out), "--port", "0"]) == 1
    assert "another process adds to it" in capsys.readouterr().err
    port = str(urlsplit(url).port)
    assert main(["ratings", "serve", *arguments, "--out", str(out.with_name("other.csv")), "--port", port]) == 1
    assert f"can't listen at 127.0.0.1, port {port}" in capsys.readouterr().err


def test_large_and_rare_kinds_of_pictures_reach_the_browser():
    for kind, side, sent in (("PNG", 40, "PNG"), ("JPEG", 40, "JPEG"), ("TIFF", 40, "PNG"), ("JPEG", 3000, "PNG")):
        file = BytesIO()
        Image.new("RGB", (side, side // 2), "teal").save(file, kind)
        data, media_type = server.for_browser(file.getvalue(), "x")
        shown = Image.open(BytesIO(data))
        assert (shown.format, media_type) == (sent, f"image/{sent.lower()}")
        assert shown.size == (min(side, server.LARGEST_SIDE), min(side, server.LARGEST_SIDE) // 2)
