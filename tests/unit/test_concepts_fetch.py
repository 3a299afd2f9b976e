"""Lists that are downloaded."""

import functools
import hashlib
import http.server
import re
import threading
from pathlib import Path

import pytest

from fit.cli.main import main
from fit.concepts.check import check
from fit.concepts.fetch import fetch
from fit.errors import SheetError

SHEETS = sorted(Path(__file__).parents[2].glob("concepts/*.tsv"))


LIST = "concept\tname\nann-lee\tAnn Lée\n".encode()
SHA256 = hashlib.sha256(LIST).hexdigest()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def places(tmp_path):
    """Addresses of a list: by file:// and from a web server in a thread."""
    (tmp_path / "list.tsv").write_bytes(LIST)
    handler = functools.partial(_Quiet, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield {"file": (tmp_path / "list.tsv").as_uri(), "http": f"http://127.0.0.1:{server.server_port}/list.tsv"}
        server.shutdown()
        thread.join()


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["file", "http"])
def test_a_list_with_the_right_checksum_comes_whole(places, tmp_path, scheme):
    assert fetch(places[scheme], SHA256.upper(), tmp_path / "new" / "out.tsv") == len(LIST)
    assert (tmp_path / "new" / "out.tsv").read_bytes() == LIST
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["out.tsv"]


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["file", "http"])
def test_another_checksum_is_named_and_leaves_what_was_there(places, tmp_path, scheme):
    (tmp_path / "new").mkdir()
    out = tmp_path / "new" / "out.tsv"
    out.write_text("before")
    with pytest.raises(SheetError) as error:
        fetch(places[scheme], "0" * 64, out)
    for words in (places[scheme], SHA256, "0" * 64, str(out)):
        assert words in str(error.value)
    assert out.read_text() == "before"
    assert [path.name for path in out.parent.iterdir()] == ["out.tsv"]


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["file", "http"])
def test_an_address_with_nothing_there(places, tmp_path, scheme):
    with pytest.raises(SheetError, match=r"gone\.tsv: can't be read"):
        fetch(places[scheme].replace("list", "gone"), SHA256, tmp_path / "out.tsv")
    assert not (tmp_path / "out.tsv").exists()


def test_a_server_that_is_gone(places, tmp_path):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Quiet) as server:
        port = server.server_port
    url = f"http://127.0.0.1:{port}/list.tsv"
    with pytest.raises(SheetError, match=r"can't be read \(.*[Cc]onnect") as error:
        fetch(url, SHA256, tmp_path / "out.tsv")
    assert str(error.value).count(url) == 1


@pytest.mark.parametrize(
    ("url", "sha256", "said"),
    [
        ("file:///list.tsv", "abc", "not a SHA-256"),
        ("file:///list.tsv", "g" * 64, "not a SHA-256"),
        ("list.tsv", SHA256, "begins with file://"),
        ("ftp://127.0.0.1/list.tsv", SHA256, "begins with file://"),
    ],
)
def test_what_can_not_be_asked_for(tmp_path, url, sha256, said):
    with pytest.raises(SheetError, match=said):
        fetch(url, sha256, tmp_path / "out.tsv")
    assert not (tmp_path / "out.tsv").exists()


def test_the_command_needs_a_checksum(places, tmp_path, capsys):
    out = tmp_path / "out.tsv"
    arguments = ["concepts", "fetch", places["http"], "--out", str(out)]
    assert main(arguments) == 1
    assert "give its checksum with --sha256" in capsys.readouterr().err
    assert not out.exists()
    assert main([*arguments, "--sha256", SHA256]) == 0
    assert f"{len(LIST)} bytes" in capsys.readouterr().out
    assert out.read_bytes() == LIST


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ("Vincent van Gogh\tV. van Gogh, Van Gogh", "has ',': .* if these are several names, separate them by |"),
        ("Vincent van Gogh\tV. van Gogh; Van Gogh", "has ';'"),
        ("Vincent van Gogh\tV. van Gogh｜Van Gogh", "has '｜'"),
        ("Ｖincent van Gogh\t", "full-width letters or ligatures, 'Ｖ', which do not match 'V'"),
        ("Emil Waldmann\tE. Waldﬂuss", "ligatures, 'ﬂ', which do not match 'fl'"),
        (
            "Georgia Oʼkeeffe\t",
            'has U\\+02BC for an apostrophe, and does not match "Georgia O\'keeffe"',
        ),
        ("Georgia O`Keeffe\t", r"has U\+0060 for an apostrophe"),
        ("Georgia O´Keeffe\t", r"has U\+00B4 for an apostrophe"),
        ("Vincent \u202evan Gogh\t", r"invisible character U\+202E"),
        ("Vincent \u2067van Gogh\t", r"invisible character U\+2067"),
        ("Gilbert &amp George\t", "HTML entity '&amp'; write '&'"),
        ("Rene Magritt&eacute\t", "HTML entity '&eacute'; write 'é'"),
    ],
)
def test_a_spelling_that_captions_do_not_have_is_named(tmp_path, names, said):
    (tmp_path / "s.tsv").write_text(f"concept\tname\taliases\none\t{names}\n")
    assert any(re.search(said, warning) for warning in check([tmp_path / "s.tsv"]).warnings)


@pytest.mark.parametrize("name", ["Sammy Davis, Jr.", "Gilbert & George", "R&D Smith", "Vincent van Gogh"])
def test_an_ordinary_spelling_is_not_named(tmp_path, name):
    (tmp_path / "s.tsv").write_text(f"concept\tname\taliases\none\t{name}\t{name} the Elder\n")
    assert check([tmp_path / "s.tsv"]).warnings == []


def test_a_slug_that_no_file_can_have_is_an_error(tmp_path):
    (tmp_path / "s.tsv").write_text(f"concept\tname\n{'a' * 200}\tOne Name\n{'b' * 201}\tTwo Names\n")
    assert re.search("line 3: concept 'b+'... has 201 characters", check([tmp_path / "s.tsv"]).errors[0])
