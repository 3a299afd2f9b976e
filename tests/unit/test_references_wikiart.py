"""An artist's works at wikiart.org, at a stand-in on this machine."""

import pytest
from searching import PICASSO, always, work

from fit.concepts.sheet import Concept, read_sheet
from fit.references.search.wikiart import wikiart_slug

pytest_plugins = ("searching_fixtures",)


def test_the_works_of_an_artist(service, wikiart):
    service.answer = always(
        [
            work("https://uploads6.wikiart.org/images/pablo-picasso/picador-1900.jpg!Large.jpg"),
            work("https://uploads6.wikiart.org/00129/images/pablo-picasso/b(1).JPG!PinterestSmall.JPG"),
            work("https://uploads6.wikiart.org/images/pablo-picasso/picador-1900.jpg"),
            work(None),
            work("https://uploads.wikiart.org/Content/images/FRAME-600x480.jpg"),
            work("https://uploads6.wikiart.org/images/pablo-picasso/what!a-day.png!Large.png"),
            work("https://uploads6.wikiart.org/images/pablo-picasso/oh!no.jpg"),
            work("https://uploads6.wikiart.org/images/pablo-picasso/one-too-many.jpg!Large.jpg"),
        ]
    )
    assert wikiart(images=4).links(PICASSO) == [
        "https://uploads6.wikiart.org/images/pablo-picasso/picador-1900.jpg",
        "https://uploads6.wikiart.org/00129/images/pablo-picasso/b(1).JPG",
        "https://uploads6.wikiart.org/images/pablo-picasso/what!a-day.png",
        "https://uploads6.wikiart.org/images/pablo-picasso/oh!no.jpg",
    ]
    assert service.requests == [("/en/App/Painting/PaintingsByArtist", {"artistUrl": "pablo-picasso", "json": "2"})]


@pytest.mark.parametrize("answer", [(404, b"<html>no such artist</html>"), [], None])
def test_an_unknown_artist_has_no_links(service, wikiart, answer):
    service.answer = always(answer)
    assert wikiart().links(PICASSO) == []
    assert wikiart().links(PICASSO) == []
    assert len(service.requests) == 1


def test_works_that_are_shown_elsewhere_only_are_no_links(service, wikiart, caplog):
    service.answer = always([work("https://uploads.wikiart.org/Content/images/FRAME-600x480.jpg")] * 3)
    assert wikiart().links(PICASSO) == []
    assert "pablo-picasso" in caplog.text


def test_needs_no_key(service, wikiart, monkeypatch):
    monkeypatch.delenv("SERPAPI_API_KEY")
    service.answer = always([work("https://a/1.jpg!Large.jpg")])
    assert wikiart().links(PICASSO) == ["https://a/1.jpg"]


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Georgia O'Keeffe", "georgia-o-keeffe"),
        ("Georgia O\u2019Keeffe", "georgia-o-keeffe"),
        ("M. C. Escher", "m-c-escher"),
        ("Édouard Manet", "edouard-manet"),
        ("E\u0301douard Manet", "edouard-manet"),
        ("Jean-Honoré Fragonard", "jean-honore-fragonard"),
        ("Vilhelm Hammershøi", "vilhelm-hammershoi"),
        ("Władysław Strzemiński", "wladyslaw-strzeminski"),
        ("../../x", "x"),
        ('"; rm -rf ~', "rm-rf"),
        ("\u202eManet\u202c", "manet"),
        ("🎨", ""),
        ("齐白石", ""),
        ("/", ""),
    ],
)
def test_slugs(name, slug):
    assert wikiart_slug(name) == slug


@pytest.mark.parametrize("sheet", ["classical_artists", "modern_artists"])
def test_slugs_of_the_sheets(request, sheet):
    """The sheets' slugs are made by the same rule, by hand."""
    for concept in read_sheet(request.config.rootpath / "concepts" / f"{sheet}.tsv"):
        assert wikiart_slug(concept.name) == concept.slug


def test_a_name_without_latin_letters_is_not_asked_for(service, wikiart):
    assert wikiart().links(Concept("qi-baishi", "齐白石")) == []
    assert not service.requests
