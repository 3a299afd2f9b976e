"""The built-in world's corpus: what differs between two crawls of one world, and what does not."""

import io
import re
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from PIL import Image

from fit.atelier import build
from fit.atelier.changes import WORLDS, difficulty, with_kin
from fit.atelier.corpus import (
    BLOCK,
    MOTIFS,
    STREAMS,
    Noise,
    Painter,
    age_crawl,
    counts_on_ladder,
    deal_counts,
    deal_nearby,
    make_crawl,
    motifs_of,
    stream,
)
from fit.atelier.painting import SIDE, SUBJECTS, draw_styles
from fit.atelier.settings import WorldSettings
from fit.errors import ConfigError

NAMES = ["Ada Morvek", "Bruno Morvek", "Celia Kaldani", "Dario Vesmara", "Elin Vestisch", "Fausto Tanlund"]
PAINTERS = [Painter(name.lower().replace(" ", "-"), name, (f"{name[0]}. M.",)) for name in NAMES]
COUNTS = np.array([0, 2, 5, 10, 20, 40])
TWO = [200, 200, 0, 0, 0, 0]
FEW = Noise(anonymous=30, namesakes=4)
NONE = Noise(photographs=0, after=0, stray=0, alias=0, dead=0, broken=0, namesakes=0, anonymous=0)
SEED = 11


def crawl_of(counts, noise=FEW, seed=SEED):
    return make_crawl(PAINTERS, draw_styles(len(PAINTERS), stream(seed, "styles")), np.array(counts), noise, seed)


def changed(name, noise=NONE):
    """The noise of a world of WORLDS, and no other noise."""
    return replace(noise, **WORLDS[name].noise)


def works(crawl, slug):
    return crawl.filter((pl.col("painter") == slug) & pl.col("kind").is_in(["work", "nameless"]))


@pytest.fixture(scope="module")
def crawl():
    return crawl_of(COUNTS)


def test_the_crawl_has_each_painters_works_and_the_noise_of_a_crawl(crawl):
    found = crawl.filter(pl.col("kind") == "work").group_by("painter").len()
    assert dict(found.iter_rows()) == {p.slug: n for p, n in zip(PAINTERS, COUNTS.tolist(), strict=True) if n}
    assert crawl.filter(pl.col("kind") != "work")["painter"].null_count() == len(crawl) - COUNTS.sum()
    assert {"work", "photograph", "anonymous", "street"} < set(crawl["kind"])
    assert crawl.filter(pl.col("kind") == "anonymous").height == crawl.filter(pl.col("kind") == "street").height == 30
    assert crawl.filter(pl.col("kind").str.starts_with("namesake")).height > 0
    assert crawl.filter(pl.col("caption").str.contains("F. M.", literal=True)).height > 0
    assert all(Image.open(io.BytesIO(data)).size == (SIDE, SIDE) for data in crawl["image"][:5])


def test_no_namesake_is_a_painter_of_the_sheet(crawl):
    for kind, caption in crawl.filter(pl.col("kind").str.starts_with("namesake")).select("kind", "caption").iter_rows():
        assert not any(name in caption for name in NAMES), (kind, caption)


def test_no_row_occurs_twice(crawl):
    assert crawl["url"].n_unique() == len(crawl)
    assert crawl["image"].n_unique() == len(crawl)


@pytest.mark.parametrize(
    "name", ["usual", "copies", "pseudonyms", "lies", "joint", "dead-links"], ids=lambda name: f"world {name}"
)
def test_two_crawls_of_one_world_differ_only_in_how_many_works_a_painter_has(name):
    noise = changed(name, replace(FEW, nameless=0.2))
    # On both sides of a block's end, and far over it.
    one, other = crawl_of([0, 3, BLOCK - 1, BLOCK, 70, 5], noise), crawl_of([40, 2, BLOCK, BLOCK + 1, 0, 5], noise)
    seen = set(one["url"]) & set(other["url"])
    shared = [crawl.filter(pl.col("url").is_in(seen)) for crawl in (one, other)]
    # The same rows (url, caption, image, painter, kind and fate) in the same order.
    assert shared[0].equals(shared[1])
    for number, painter in enumerate(PAINTERS):
        both = [len(works(crawl, painter.slug)) for crawl in (one, other)]
        assert len(works(shared[0], painter.slug)) == min(both), number
    for crawl in (one, other):
        # What only one of them has are works, and wrong captions, of painters who have more works there.
        alone = crawl.filter(~pl.col("url").is_in(seen))
        assert set(alone["kind"]) <= {"work", "nameless", "photograph", "after"}
        assert set(alone.drop_nulls("painter")["painter"]) == {
            painter.slug
            for painter in PAINTERS
            if len(works(crawl, painter.slug)) > len(works(shared[0], painter.slug))
        }


def test_more_works_bring_more_wrong_captions_and_change_none():
    noise = Noise(anonymous=0, namesakes=0, photographs=0.3, after=0.3)
    wrong = [
        set(crawl.filter(pl.col("painter").is_null()).select("url", "caption", "image", "kind").iter_rows())
        for crawl in (crawl_of([n] * 6, noise) for n in (0, 1, 10, 50))
    ]
    assert wrong[0] < wrong[2] < wrong[3]
    assert wrong[0] <= wrong[1] <= wrong[2]
    assert 90 < len(wrong[3]) - len(wrong[0]) < 300  # 180 are expected


def test_another_seed_is_another_world(crawl):
    assert not set(crawl["image"]) & set(crawl_of(COUNTS, seed=SEED + 1)["image"])


def test_no_two_kinds_of_random_numbers_are_the_same():
    drawn = {stream(3, name, *of).integers(2**63) for name in STREAMS for of in ((), (0,), (1,), (0, 0), (0, 1))}
    assert len(drawn) == 5 * len(STREAMS)


def test_links_die_as_the_crawl_says():
    crawl = crawl_of(TWO, replace(FEW, dead=0.5, broken=0.1))
    found = age_crawl(crawl)
    assert found.columns == ["url", "caption", "image"]
    assert found.select("url", "caption").equals(crawl.select("url", "caption"))
    assert 0.42 < found["image"].null_count() / len(found) < 0.58
    for fate, before, after in zip(crawl["fate"], crawl["image"], found["image"], strict=True):
        if fate == "broken":
            assert before.startswith(after) and len(after) < len(before)
        else:
            assert after == (None if fate == "dead" else before)
    assert 0.05 < (crawl["fate"] == "broken").mean() < 0.15


def test_counts_are_log_uniform_with_zeros():
    counts = counts_on_ladder(100, 8, 1, 1000)
    assert (counts == 0).sum() == 8
    assert (counts[0], counts[8], counts[-1]) == (0, 1, 1000)
    assert (np.diff(counts) >= 0).all()
    assert abs(((counts > 0) & (counts < 32)).sum() - 46) <= 2
    assert counts_on_ladder(5, 1, 4, 400).tolist() == [0, 4, 19, 86, 400]


@pytest.mark.parametrize(("painters", "deals"), [(48, 8), (48, 1), (48, 48), (17, 3), (12, 5)])
def test_each_painter_has_a_rung_of_each_part_of_the_ladder(painters, deals):
    ladder = np.arange(painters)  # the count is the rung
    order = np.random.default_rng(5).permutation(painters)
    dealt = np.array([deal_counts(ladder, order, deal, deals) for deal in range(deals)])
    assert dealt[0].tolist() == order.tolist()
    for deal in dealt:
        assert sorted(deal.tolist()) == ladder.tolist()  # each rung once
    for rungs in dealt.T:
        steps = np.diff([*sorted(rungs.tolist()), min(rungs) + painters])
        # Spread around the ladder, as evenly as whole rungs allow.
        assert set(steps.tolist()) <= {painters // deals, -(-painters // deals)}
    assert len({tuple(rungs) for rungs in dealt.T}) == painters


@pytest.fixture(scope="module")
def sheet(tmp_path_factory):
    path = tmp_path_factory.mktemp("sheet") / "painters.tsv"
    path.write_text("concept\tname\taliases\n" + "".join(f"{p.slug}\t{p.name}\t{p.aliases[0]}\n" for p in PAINTERS))
    return path


SETTINGS = WorldSettings(
    painters_without_pictures=1,
    smallest_count=2,
    largest_count=30,
    references_per_painter=3,
    photographs=4,
    anonymous=10,
)


def painted(sheet, folder, settings=SETTINGS, seed=SEED, **more):
    folder.mkdir()
    names = {name: folder / f"{name}.parquet" for name in ("training_set", "truth", "references", "photographs")}
    files = build.WorldFiles(shards=[folder / "corpus.parquet"], **names)
    build.paint_world(sheet, settings, seed, files, **more)
    return {path.stem: pl.read_parquet(path) for path in folder.iterdir()}


def counts_in(world):
    found = dict(world["truth"].drop_nulls("painter").group_by("painter").len().iter_rows())
    return [found.get(painter.slug, 0) for painter in PAINTERS]


def test_references_and_photographs_do_not_depend_on_the_deal(sheet, tmp_path):
    deals = [painted(sheet, tmp_path / str(deal), deal=deal, deals=3) for deal in range(3)]
    alone = painted(sheet, tmp_path / "alone")
    for world in (*deals[1:], alone):
        assert world["references"].equals(deals[0]["references"])
        assert world["photographs"].equals(deals[0]["photographs"])
    assert alone["training_set"].equals(deals[0]["training_set"])  # the first deal is the world of no deals
    ladder = counts_on_ladder(len(PAINTERS), 1, 2, 30).tolist()
    counts = [counts_in(world) for world in deals]
    assert all(sorted(of_deal) == ladder for of_deal in counts)
    assert all(len(set(of_painter)) == 3 for of_painter in zip(*counts, strict=True))
    every = [world["truth"].filter(~pl.col("kind").is_in(["work", "photograph", "after"])) for world in deals]
    assert every[0].equals(every[1]) and every[0].equals(every[2])


def test_the_files_of_a_world_are_row_by_row_of_the_same_crawl(sheet, tmp_path):
    world = painted(sheet, tmp_path / "world")
    assert world["corpus"].select("url", "caption").equals(world["training_set"].select("url", "caption"))
    assert world["truth"]["url"].equals(world["corpus"]["url"])
    assert world["truth"].columns == ["url", "painter", "kind"]
    assert world["corpus"]["image"].null_count() > 0
    assert world["training_set"]["image"].null_count() == 0
    assert world["references"]["concept"].to_list() == [p.slug for p in PAINTERS for _ in range(3)]


def test_half_of_the_images_are_copies():
    crawl = crawl_of(TWO, changed("copies"))
    for painter in PAINTERS[:2]:
        images = works(crawl, painter.slug)
        assert len(images) == 200
        assert 0.4 < images["image"].n_unique() / 200 < 0.62
        # Copies have captions of their own, which name the painter and the same subject.
        assert images["caption"].n_unique() > 20
        for _, of_one in images.group_by("image"):
            assert len({subject for subject in SUBJECTS for caption in of_one["caption"] if subject in caption}) == 1
    assert crawl_of(TWO, NONE)["image"].n_unique() == 400


def test_a_third_of_the_captions_use_a_name_that_the_sheet_lacks():
    crawl = crawl_of(TWO, changed("pseudonyms"))
    for painter in PAINTERS[:2]:
        captions = works(crawl, painter.slug)["caption"]
        named = captions.str.contains(painter.name, literal=True)
        assert 0.57 < named.mean() < 0.76
        others = captions.filter(~named)
        assert not any(name in caption for caption in others for name in [*NAMES, *(p.aliases[0] for p in PAINTERS)])
        # All under one other name.
        pseudonym = " ".join(word[::-1].capitalize() for word in painter.name.split())
        assert others.str.contains(pseudonym, literal=True).all()
    # The pictures are those of the usual world.
    assert set(crawl["image"]) == set(crawl_of(TWO, NONE)["image"])


def test_a_lie_for_each_picture():
    crawl = crawl_of(TWO, changed("lies"))
    for painter in PAINTERS[:2]:
        named = crawl.filter(pl.col("caption").str.contains(painter.name, literal=True))
        lies = named.filter(pl.col("painter").is_null())
        assert set(lies["kind"]) == {"after"}
        assert 150 < len(lies) < 250
    assert not set(crawl.filter(pl.col("kind") == "after")["image"]) & set(
        crawl.filter(pl.col("kind") == "work")["image"]
    )


def test_a_third_of_the_pictures_are_by_two_painters_whom_the_caption_names():
    usual, crawl = crawl_of(TWO, NONE), crawl_of(TWO, changed("joint"))
    for painter in PAINTERS[:2]:
        both = works(usual, painter.slug).join(works(crawl, painter.slug), on="url", suffix="_changed")
        assert len(both) == 200
        joint = both["caption_changed"].str.contains(f"{painter.name} and ", literal=True)
        assert 0.24 < joint.mean() < 0.44
        assert not any(" and " in caption for caption in both["caption"])
        for row in both.filter(joint).head(5).iter_rows(named=True):
            one, other = (np.asarray(Image.open(io.BytesIO(row[name])), int) for name in ("image", "image_changed"))
            assert (one[:, : SIDE // 2] == other[:, : SIDE // 2]).all()
            assert (one[:, SIDE // 2 :] != other[:, SIDE // 2 :]).any()
            assert any(f"{painter.name} and {name}" in row["caption_changed"] for name in NAMES)
        # The others differ in nothing.
        same = both.filter(~joint)
        assert same["caption"].equals(same["caption_changed"])


def test_the_share_of_dead_links_depends_on_the_painter():
    names = [f"Name{i} Surname{i}" for i in range(12)]
    painters = [Painter(name.lower().replace(" ", "-"), name, ()) for name in names]
    crawl = make_crawl(painters, draw_styles(12, stream(SEED, "styles")), np.full(12, 64), changed("dead-links"), SEED)
    shares = crawl.group_by("painter").agg((pl.col("fate") == "dead").mean())["fate"].to_numpy()
    assert shares.min() < 0.2 and 0.6 < shares.max() < 0.95
    usual = crawl_of(TWO, replace(NONE, dead=0.4))
    shares = usual.group_by("painter").agg((pl.col("fate") == "dead").mean())["fate"]
    assert shares.min() > 0.3 and shares.max() < 0.5


def nearest(styles):
    """How far each style is from the nearest other one [N], in the properties that a texture has."""
    parts = [np.log(styles.frequency), styles.crossing, np.log(styles.aspect), styles.bend, styles.cover]
    points = np.stack([(part - part.mean()) / part.std() for part in parts], axis=1)
    apart = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    return apart.min(axis=1), apart.argmin(axis=1)


def test_each_two_painters_paint_nearly_alike():
    styles = draw_styles(48, stream(SEED, "styles"))
    kin = with_kin(styles, WORLDS["kin"].kin, stream(SEED, "kin"))
    far, near = nearest(styles)[0], nearest(kin)[0]
    assert np.median(near) < np.median(far) / 3
    mates = nearest(kin)[1]
    assert (mates[mates] == np.arange(48)).mean() > 0.9  # pairs
    assert (kin.palette[mates] == kin.palette).mean() > 0.9
    # In each pair one painter's style is what it was.
    assert (kin.angle == styles.angle).sum() == 24


def test_a_share_of_kin_leaves_the_others_as_they_are():
    styles = draw_styles(48, stream(SEED, "styles"))
    assert np.array_equal(with_kin(styles, 0.0, stream(SEED, "kin")).angle, styles.angle)
    assert (with_kin(styles, 0.25, stream(SEED, "kin")).angle != styles.angle).sum() == 6


@pytest.mark.parametrize(("name", "direction"), [("simple-fame", -1), ("difficult-fame", 1)])
def test_fame_goes_with_difficulty(name, direction):
    styles = draw_styles(48, stream(SEED, "styles"))
    rungs = WORLDS[name].order(styles, stream(SEED, "counts"))
    assert sorted(rungs.tolist()) == list(range(48))
    assert (direction * np.diff(rungs[np.argsort(difficulty(styles))]) > 0).all()
    usual = WORLDS["usual"].order(styles, stream(SEED, "counts"))
    assert sorted(usual.tolist()) == list(range(48))
    assert abs(np.corrcoef(usual, difficulty(styles))[0, 1]) < 0.5


@pytest.mark.parametrize(("painters", "deal"), [*((17, deal) for deal in range(4)), *((48, deal) for deal in range(8))])
def test_in_each_deal_the_famous_stay_famous(painters, deal):
    order = np.random.default_rng(5).permutation(painters)
    dealt = [deal_nearby(np.arange(painters), order, number) for number in range(8)]
    assert dealt[0].tolist() == order.tolist()
    assert sorted(dealt[deal].tolist()) == list(range(painters))  # each rung once
    assert np.corrcoef(dealt[deal], order)[0, 1] > (0.9 if painters == 48 else 0.5)
    assert np.abs(dealt[deal] - order).max() <= deal
    assert len({tuple(of_deal) for of_deal in dealt}) == 8


@pytest.mark.parametrize(("name", "direction"), [("simple-fame", -1), ("difficult-fame", 1)])
def test_another_deal_of_a_world_keeps_fame_with_difficulty(sheet, tmp_path, name, direction):
    styles = draw_styles(len(PAINTERS), stream(SEED, "styles"))
    for deal in range(2):
        world = painted(sheet, tmp_path / str(deal), deal=deal, deals=3, changes=WORLDS[name])
        ranks = np.argsort(np.argsort(counts_in(world)))
        assert direction * np.corrcoef(ranks, np.argsort(np.argsort(difficulty(styles))))[0, 1] > 0.8


def test_more_detail_is_more_difficult():
    styles = draw_styles(48, stream(SEED, "styles"))
    of = difficulty(styles)
    for name in ("frequency", "crossing", "bend"):
        values = getattr(styles, name).copy()
        values[0] = values.max() * 2
        assert difficulty(replace(styles, **{name: values}))[0] > of[0], name


def test_each_world_says_what_it_breaks():
    assert WORLDS["usual"].breaks == ""
    assert all(changes.breaks for name, changes in WORLDS.items() if name != "usual")
    assert len({changes.breaks for changes in WORLDS.values()}) == len(WORLDS)


def test_more_absent_painters_than_painters_is_an_error(sheet, tmp_path):
    with pytest.raises(ConfigError, match=r"_without_pictures` is 6, but .*painters\.tsv has 6 painters; lower it"):
        painted(sheet, tmp_path / "w", replace(SETTINGS, painters_without_pictures=6))
    assert list((tmp_path / "w").iterdir()) == []


def test_a_smallest_count_above_the_largest_is_an_error(sheet, tmp_path):
    with pytest.raises(ConfigError, match="`smallest_count` is 31, above `largest_count`, 30; lower it"):
        painted(sheet, tmp_path / "w", replace(SETTINGS, smallest_count=31))


@pytest.mark.parametrize(("deal", "deals"), [(3, 3), (-1, 3), (0, 7), (0, 0)])
def test_a_deal_that_there_is_not_is_an_error(sheet, tmp_path, deal, deals):
    with pytest.raises(ConfigError, match=f"--deal {deal} of --deals {deals}: .*as many as painters at most, 6"):
        painted(sheet, tmp_path / "w", deal=deal, deals=deals)


def test_without_motifs_nothing_is_drawn_for_them_and_with_them_only_captions_differ():
    without, with_motifs = crawl_of(COUNTS), crawl_of(COUNTS, replace(FEW, motif=2 / 3))
    others = [name for name in without.columns if name != "caption"]
    assert without.select(others).equals(with_motifs.select(others))
    plain, named = without["caption"].to_list(), with_motifs["caption"].to_list()
    added = [two for one, two in zip(plain, named, strict=True) if one != two]
    assert not any(f" with {motif}" in one for one in plain for motif in MOTIFS)
    assert all(sum(f" with {motif}" in two for motif in MOTIFS) == 1 for two in added)
    # Each caption is the plain one, but for what it names beside the subject.
    assert [re.sub(r" with (?:" + "|".join(MOTIFS) + r")\b", "", two) for two in named] == plain


def test_two_thirds_of_the_captions_name_a_motif_which_is_mostly_the_painters():
    crawl = works(crawl_of(TWO, changed("motifs")), "ada-morvek")["caption"]
    named = [motif for caption in crawl for motif in MOTIFS if f" with {motif}" in caption]
    assert 0.55 < len(named) / len(crawl) < 0.78
    own = motifs_of(SEED, 0)
    assert 0.75 < np.mean([motif in own for motif in named]) < 0.97
    assert len(set(own)) == 3 and motifs_of(SEED, 1) != own != motifs_of(SEED + 1, 0)


def test_words_that_go_with_a_painter_are_the_painters_motifs(sheet, tmp_path):
    """What the attack of indirect prompts looks for: PMI finds the motifs in the corpus, counted as a user would."""
    from fit.atelier.build import USUAL, WorldFiles, paint_world
    from fit.attacks.settings import AssociationSettings
    from fit.attacks.words import rank_words, read_words
    from fit.captions.count import count_captions
    from fit.captions.scan import CountJob
    from fit.captions.settings import ReadingSettings, SamplingSettings
    from fit.captions.tables import CountFiles
    from fit.concepts.sheet import read_sheet

    names = ("training_set", "truth", "references", "photographs")
    files = WorldFiles(**{n: tmp_path / f"{n}.parquet" for n in names}, shards=[tmp_path / "corpus.parquet"])
    settings = WorldSettings(
        painters_without_pictures=0,
        smallest_count=60,
        largest_count=120,
        references_per_painter=2,
        photographs=2,
        anonymous=200,
        motifs=2 / 3,
    )
    paint_world(sheet, settings, SEED, files, changes=USUAL)
    concepts, corpus = read_sheet(sheet), [str(tmp_path / "corpus.parquet")]
    counted = CountFiles.in_folder(tmp_path)
    count_captions(concepts, CountJob(corpus, SamplingSettings(), ReadingSettings()), counted)
    options = AssociationSettings(sampled_captions=0), SamplingSettings(), ReadingSettings()
    rank_words(counted.counts, counted.matched_captions, concepts, corpus, *options, 1, tmp_path / "words.parquet")
    for number, concept in enumerate(concepts):
        assert set(read_words(tmp_path / "words.parquet", concept.slug)[:3]) == set(motifs_of(SEED, number))
