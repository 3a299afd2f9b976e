"""A study in files for tests of ratings, and its server."""

import asyncio
import csv
import json
import subprocess
import sys
import threading
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from io import BytesIO
from urllib.parse import quote, urlsplit

import pyarrow as pa
from aiohttp import web
from PIL import Image

from fit.images.table import GENERATED, REFERENCES
from fit.io.concept_tables import write_concepts
from fit.ratings import pairs, server
from fit.ratings.store import Answers

CONCEPTS = {"ann-orr": 0, "bo-ek": 3, "cy-lin": 40, "dan-fo": 900}


def png(side, shade):
    file = BytesIO()
    Image.new("RGB", (side, side), (shade % 256, shade // 256, 90)).save(file, "PNG")
    return file.getvalue()


def references_of(number):
    """References of a concept: nine, eight of them kept. Their ids are those of every concept."""
    kept = [n != 4 for n in range(9)]
    columns = {"image_id": [f"r{n}" for n in range(9)], "kept": kept}
    columns |= {"decision": ["kept" if k else "less alike" for k in kept]}
    return pa.table(columns | {"bytes": [png(8, 100 * number + n) for n in range(9)]})


def generated_of(number, concept, failed=0):
    """Six generated pictures of a concept by two prompts; the model failed at the first `failed`."""
    columns = {
        "image_id": [f"{concept}-{n}" for n in range(6)],
        "prompt": [f"a harbour,\nby {concept}" if n % 2 else f"a street by {concept}" for n in range(6)],
        "index": range(6),
        "seed": range(6),
        "status": ["nan" if n < failed else "ok" for n in range(6)],
    }
    return pa.table(columns | {"bytes": [png(8, 100 * number + 50 + n) for n in range(6)]})


def write_study(folder):
    """Write a table of scores, a sheet, one table of references, and generated pictures in a table of two concepts and
    one for each other concept."""
    rows = [f"{concept},{count},{0.1 + i / 5}" for i, (concept, count) in enumerate(CONCEPTS.items())]
    (folder / "scores.csv").write_text("\n".join(["concept,effective_count,score", *rows, "eve-ash,5,0.5"]))
    (folder / "sheet.tsv").write_text("concept\tname\nann-orr\tAnn Orr\nbo-ek\tBo Ek\n")
    references = [(concept, references_of(i)) for i, concept in enumerate(CONCEPTS)]
    write_concepts(references, folder / "references/0.parquet", REFERENCES, 64)
    generated = [(concept, generated_of(i, concept)) for i, concept in enumerate(CONCEPTS)]
    for name, tables in (("0", generated[:2]), ("1", generated[2:3]), ("2", generated[3:])):
        write_concepts(tables, folder / f"generated/{name}.parquet", GENERATED, 64)
    return folder


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
    folders = [files / "references"], [files / "generated"]
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
