"""Words that go with a concept: their PMI, and that none betrays the concept's name."""

import math
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fit.attacks.settings import AssociationSettings
from fit.attacks.words import WORDS, Seen, Telltale, count_corpus, pmi, rank, rank_words, read_words
from fit.captions.settings import ReadingSettings, SamplingSettings
from fit.captions.tables import COUNTS, matched_schema
from fit.concepts.sheet import Concept
from fit.errors import CorpusError, DataError

ADA = Concept("ada-morvek", "Ada Morvek", ("A. Morvek",))
BO = Concept("bo-lund", "Bo Lund")
ZOE = Concept("zoe-none", "Zoe None")
OF_ADA = [
    "harbour with herons by Ada Morvek",
    "herons, Ada Morvek's harbour",
    "a heron, herons by ADA MORVEK",
    "meadow",
]
OF_BO = ["harbour by Bo Lund", "meadow with lanterns by Bo Lund", "lanterns by Bo Lund", "lanterns of Bo-Lund"]
OTHERS = ["a harbour", "a harbour at night", "a meadow", None, "herons"] * 4


@pytest.fixture
def corpus(tmp_path):
    """Two files of captions, and the matched captions of Ada, Bo and Zoe, who has none."""
    captions = [*OF_ADA, *OF_BO, *OTHERS]
    for number, part in enumerate((captions[:10], captions[10:])):
        urls = [f"https://x.test/{number}/{i}" for i in range(len(part))]
        pq.write_table(pa.table({"caption": part, "url": urls}), tmp_path / f"{number}.parquet")
    rows = [("ada-morvek", text) for text in OF_ADA] + [("bo-lund", text) for text in OF_BO]
    table = pa.table(
        {
            "concept": [concept for concept, _ in rows],
            "shard": ["0.parquet"] * len(rows),
            "row": list(range(len(rows))),
            "url": ["u"] * len(rows),
            "caption": [text for _, text in rows],
        }
    )
    schema = matched_schema(concepts=["ada-morvek", "bo-lund", "zoe-none"])
    pq.write_table(
        table.cast(schema.remove_metadata()).replace_schema_metadata(schema.metadata), tmp_path / "matched.parquet"
    )
    return tmp_path


def ranked(corpus, concepts=(ADA, BO), **settings):
    settings = {"least_captions": 1, "sampled_captions": 0} | settings
    out = corpus / "words.parquet"
    files = [str(corpus / f"{number}.parquet") for number in range(2)]
    options = AssociationSettings(**settings), SamplingSettings(), ReadingSettings()
    of = {"concept": ["ada-morvek", "bo-lund", "zoe-none"], "captions": [4, 4, 0]}
    zeros = {name: [0] * 3 for name in COUNTS.names[2:]}
    pq.write_table(pa.table(of | zeros, schema=COUNTS), corpus / "counts.parquet")
    found = rank_words(corpus / "counts.parquet", corpus / "matched.parquet", list(concepts), files, *options, 1, out)
    return found, pq.read_table(out)


def by_hand(own, captions, everywhere, rows, k):
    """PMI from the four counts of captions, to each of which k is added."""
    table = np.array([[own, everywhere - own], [captions - own, rows - captions - everywhere + own]]) + k
    return math.log2(table[0, 0] * table.sum() / (table[0].sum() * table[:, 0].sum()))


def test_pmi_is_that_of_the_four_counts():
    for own, everywhere in ((3, 10), (4, 4), (1, 60)):
        for k in (0, 1, 2.5):
            found = pmi(np.array([own]), Seen(4, 4), np.array([everywhere]), Seen(100, 100), k)
            assert found == pytest.approx([by_hand(own, 4, everywhere, 100, k)])
    # Without smoothing it is log2 of P(word | concept) / P(word).
    found = pmi(np.array([3]), Seen(4, 4), np.array([10]), Seen(100, 100), 0.0)
    assert found == pytest.approx([math.log2((3 / 4) / (10 / 100))])


def test_samples_stand_for_what_they_are_of():
    # Half of the concept's 400 captions and a tenth of the corpus's 10,000 were looked at.
    found = pmi(np.array([50]), Seen(400, 200), np.array([30]), Seen(10_000, 1000), 0.0)
    assert found == pytest.approx([by_hand(100, 400, 300, 10_000, 0)])
    # A word that the sample lacks is not taken for one that only the concept's captions have.
    lacking, there = pmi(np.array([5, 5]), Seen(10, 10), np.array([0, 20]), Seen(10_000, 1000), 1.0)
    assert there < lacking < pmi(np.array([5]), Seen(10, 10), np.array([5]), Seen(10_000, 10_000), 1.0)[0]


def test_smoothing_keeps_a_word_of_one_caption_below_one_of_many():
    own, everywhere = {"rare": 1, "common": 40}, {"rare": 1, "common": 60}

    def order(k):
        return [one.word for one in rank(Seen(100, 100), own, Seen(10_000, 10_000), everywhere, k)]

    assert order(0) == ["rare", "common"] and order(3) == ["common", "rare"]


def test_words_that_go_with_a_concept_come_first_and_none_betrays_its_name(corpus):
    found, table = ranked(corpus)
    assert table.schema.remove_metadata().equals(WORDS)
    words = read_words(corpus / "words.parquet", "ada-morvek")
    assert words[0] == "heron"  # once, and nowhere else: the least of the settings is 1 here
    assert words.index("herons") < words.index("harbour")
    assert not {"ada", "morvek", "morvek's"} & set(words)
    assert "a" not in words  # one letter says nothing
    assert read_words(corpus / "words.parquet", "bo-lund")[0] == "lanterns"
    assert found == {"ada-morvek": len(words), "bo-lund": 6}
    # By hand from the captions.
    row = next(row for row in table.to_pylist() if row["concept"] == "ada-morvek" and row["word"] == "herons")
    everything = [text for text in [*OF_ADA, *OF_BO, *OTHERS] if text is not None]
    inside = sum("herons" in text for text in everything)
    assert row["pmi"] == pytest.approx(by_hand(3, 4, inside, len(everything), 1))
    assert (row["captions_with"], row["captions"], row["corpus_with"], row["corpus"]) == (3, 4, inside, len(everything))


def test_a_word_needs_the_least_number_of_captions(corpus):
    ranked(corpus, least_captions=2)
    assert read_words(corpus / "words.parquet", "ada-morvek") == ["herons", "by", "harbour"]
    ranked(corpus, words_per_concept=1)
    assert read_words(corpus / "words.parquet", "bo-lund") == ["lanterns"]


def test_a_concept_without_captions_has_no_words(corpus):
    found, _ = ranked(corpus, (ADA, ZOE))
    assert found["zoe-none"] == 0 and read_words(corpus / "words.parquet", "zoe-none") == []


@pytest.mark.parametrize(
    ("word", "is_betrayed"),
    [
        ("gogh", True),
        ("Gogh's", True),
        ("gógh", True),
        ("vangogh", True),
        ("van_gogh", True),
        ("van", True),
        ("caravan", False),  # "van" is short, and in many words
        ("sunflowers", False),
        ("goghic", True),
    ],
)
def test_a_name_is_betrayed_by_its_parts_however_they_are_written(word, is_betrayed):
    assert Telltale(["Vincent van Gogh"]).betrays(word) is is_betrayed


def test_a_text_of_many_words_is_betrayed_by_long_parts_and_whole_names():
    elder, bo = Telltale(["Tilda Belsova", "T. Belsova", "Belsova the Elder"]), Telltale(["Bo Lu"])
    assert elder.names_in("t is a letter in the text") == []
    assert elder.names_in("as BELSOVA's, in the style") == ["belsova"]
    assert bo.names_in("a bo tree") == [] and bo.names_in("by Bo-Lu, lu") == ["bo lu"]


def test_a_sample_of_all_captions_is_the_same_in_any_order_of_files(tmp_path):
    texts = [f"word{i % 50} common" for i in range(4000)]
    for number in range(2):
        rows = texts[2000 * number : 2000 * (number + 1)]
        pq.write_table(pa.table({"caption": rows}), tmp_path / f"{number}.parquet", row_group_size=300)
    files = [str(tmp_path / f"{number}.parquet") for number in range(2)]

    def counted(files, size, seed=1):
        words = {"common", *(f"word{i}" for i in range(50))}
        return count_corpus(files, words, size, SamplingSettings(), ReadingSettings(), seed)

    total, found = counted(files, 500)
    assert (total, found["common"]) == (Seen(4000, 500), 500)
    assert counted(files[::-1], 500) == (total, found)
    assert counted(files, 500, seed=2)[1] != found
    # It is uniform: of 50 words each is in about 10 captions.
    assert min(found[f"word{i}"] for i in range(50)) >= 1 and max(found[f"word{i}"] for i in range(50)) <= 25
    everything = Counter({"common": 4000} | {f"word{i}": 80 for i in range(50)})
    assert counted(files, 0) == counted(files, 10_000) == (Seen(4000, 4000), everything)


def test_an_empty_corpus_is_named_with_the_remedy(corpus):
    pq.write_table(pa.table({"caption": pa.array([], pa.string())}), corpus / "empty.parquet")
    with pytest.raises(CorpusError, match=r"empty\.parquet: an empty corpus: no caption was read; check"):
        count_corpus([str(corpus / "empty.parquet")], ["a"], 0, SamplingSettings(), ReadingSettings(), 1)
    with pytest.raises(DataError, match=r"no captions of else were counted; name concepts"):
        ranked(corpus, [Concept("else", "Someone Else")])
    schema = matched_schema(concepts=["ada-morvek", "bo-lund"])
    pq.write_table(schema.empty_table(), corpus / "matched.parquet")
    with pytest.raises(DataError, match="no matched caption of any concept"):
        ranked(corpus)
