"""Words that go with a concept: ranked by pointwise mutual information with the concept's captions.

The matched captions of a concept are already on disk. So only the corpus as a whole has to be read once more, and of
its captions a uniform sample is cut into words: what a user waits for is the decoding of one column.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from tqdm import tqdm

from fit.attacks.settings import AssociationSettings
from fit.captions.matched_captions import concept_base, sampling_keys
from fit.captions.matcher import as_text, carried
from fit.captions.settings import ReadingSettings, SamplingSettings
from fit.captions.sources import usable_captions
from fit.captions.tables import COUNTS, MATCHED
from fit.concepts.analyzer import Analyzer, fold
from fit.concepts.sheet import Concept
from fit.errors import CorpusError, DataError
from fit.io.concept_tables import CONCEPT, ConceptTables, concepts_in, write_concepts
from fit.io.parquet import open_parquet, read
from fit.io.shown import number_of, plain

WORDS = pa.schema(
    [
        CONCEPT,
        ("rank", pa.int32()),
        ("word", pa.string()),
        ("pmi", pa.float64()),
        ("captions_with", pa.int64()),
        ("captions", pa.int64()),
        ("corpus_with", pa.int64()),
        ("corpus", pa.int64()),
    ]
)
"""rank: from 1; pmi: bits; captions_with of the concept's captions, and corpus_with of those of the corpus that were
looked at, have the word."""
_BACKGROUND = "all captions"
_WORDS = Analyzer("words")
_LONG = 4
"""Letters from which on a part of a name betrays it inside of another word, as in "vangogh"."""


@dataclass(frozen=True)
class Seen:
    """Of how many captions something is known, and how many of these were looked at."""

    captions: int
    """All captions of a concept, or of the corpus."""
    looked_at: int
    """How many of them were cut into words: all, or a uniform sample."""

    @property
    def each(self) -> float:
        """How many captions one that was looked at stands for."""
        return self.captions / self.looked_at if self.looked_at else 0.0


def pmi(
    with_word: np.ndarray, concept: Seen, corpus_with_word: np.ndarray, corpus: Seen, smoothing: float
) -> np.ndarray:
    """Return the pointwise mutual information of words and a concept, in bits.

    It is log2 of P(word, concept) / (P(word) P(concept)) (Church and Hanks 1990, "Word association norms, mutual
    information, and lexicography"), from the table of captions with and without the word, of the concept and of no
    such concept. To each of the four counts k captions are added (add-k smoothing), before counts of a sample are
    multiplied by what a caption of it stands for.

    Args:
        with_word: [W] captions of the concept, of those looked at, that have each word.
        concept: captions of the concept.
        corpus_with_word: [W] captions of the corpus, of those looked at, that have each word.
        corpus: captions of the corpus.
        smoothing: k.

    Returns:
        [W] float64.
    """
    own = np.asarray(with_word, float) * concept.each
    others = np.maximum(np.asarray(corpus_with_word, float) * corpus.each - own, 0)
    own, others = own + smoothing * concept.each, others + smoothing * corpus.each
    captions = concept.captions + 2 * smoothing * concept.each
    total = captions + corpus.captions - concept.captions + 2 * smoothing * corpus.each
    return np.log2(own * total / ((own + others) * captions))


class Telltale:
    """Tells which words betray a concept's name."""

    def __init__(self, names: Iterable[str]):
        """Take the name and aliases of a concept."""
        self._names = [[fold(part) for part in _WORDS.tokens(name)] for name in names]
        # An initial is also a word, "a".
        self._parts = {part for name in self._names for part in name if len(part) > 1}
        self._long = sorted(part for part in self._parts if len(part) >= _LONG)

    def betrays(self, word: str) -> bool:
        """Return whether a word has a part of a name in it: as it is, with other accents or a possessive, or joined."""
        parts = [fold(part) for part in _WORDS.tokens(word)]
        return any(part in self._parts or any(own in part for own in self._long) for part in parts)

    def names_in(self, text: str) -> list[str]:
        """Return what names the concept in a text of many words: long parts of a name, and whole names.

        Short parts alone, such as "the" of "Belsova the Elder", do not.
        """
        tokens = [fold(part) for part in _WORDS.tokens(text)]
        found = [token for token in tokens if any(own in token for own in self._long)]
        for name in self._names:
            if any(tokens[start : start + len(name)] == name for start in range(len(tokens))):
                found.append(" ".join(name))
        return list(dict.fromkeys(found))


def _is_word(token: str) -> bool:
    """Whether a token says something in a prompt: two letters or more."""
    return sum(character.isalpha() for character in token) >= 2


def _words_of(captions: Iterable[str | None], analyzer: Analyzer) -> Iterator[set[str]]:
    for caption in captions:
        if caption is not None:
            yield set(analyzer.tokens(caption))


def count_matched(
    matched: ConceptTables, concepts: Sequence[Concept], analyzer: Analyzer, least: int
) -> dict[str, tuple[int, Counter[str]]]:
    """Count in how many of each concept's matched captions each word is.

    Args:
        matched: tables of matched captions.
        concepts: whose captions are looked at.
        analyzer: cuts captions into words.
        least: words in fewer captions are left out.

    Returns:
        Slug -> (captions, word -> captions that have it), without words that betray the concept's name.

    Raises:
        DataError: a table lacks a concept.
    """
    found = {}
    for concept in concepts:
        captions = matched.read(concept.slug, ["caption"], schema=MATCHED).column("caption").to_pylist()
        counted, total, telltale = Counter[str](), 0, Telltale(concept.names)
        for words in _words_of(captions, analyzer):
            total += 1
            counted.update(words)
        kept = {w: n for w, n in counted.items() if n >= least and _is_word(w) and not telltale.betrays(w)}
        found[concept.slug] = total, Counter(kept)
    return found


class _Sample:
    """Keeps the captions of the smallest keys, at most twice as many as asked for at a time."""

    def __init__(self, size: int):
        self._size, self._keys, self._captions = size, np.zeros(0, np.uint64), np.zeros(0, object)
        self.cutoff = np.uint64(2**64 - 1)

    def add(self, keys: np.ndarray, captions: np.ndarray) -> None:
        self._keys = np.concatenate([self._keys, keys])
        self._captions = np.concatenate([self._captions, captions])
        if len(self._keys) > 2 * self._size:
            self._cut()

    def _cut(self) -> None:
        if len(self._keys) > self._size:
            kept = np.argsort(self._keys, kind="stable")[: self._size]
            self._keys, self._captions = self._keys[kept], self._captions[kept]
            self.cutoff = self._keys[-1]

    def captions(self) -> np.ndarray:
        self._cut()
        return self._captions


def _blocks(
    files: Sequence[str], size: int, sampling: SamplingSettings, reading: ReadingSettings, seed: int
) -> Iterator[tuple[int, Sequence[str | None]]]:
    """Yield (captions that were read, captions of them to look at) of a corpus, block by block.

    Looked at are all, or a uniform sample of `size`, which is the same in any order of files, at the end.
    """
    base, columns, sample = concept_base(seed, _BACKGROUND), [sampling.caption_column], _Sample(size)
    with tqdm(desc="captions", unit="row", unit_scale=True, mininterval=2) as progress:
        for shard in usable_captions(files, columns, columns, reading):
            rows = 0
            for batch in shard.batches(columns):
                text = as_text(batch.column(0))
                assert text is not None  # shard.check found a column of text
                progress.update(len(batch))
                yield len(batch) - text.null_count, carried(text).to_pylist() if not size else ()
                if not size:
                    continue
                keys = sampling_keys(
                    np.full(len(batch), base, np.uint64), shard.name, np.arange(rows, rows + len(batch))
                )
                rows += len(batch)
                # Captions whose key is too large are not made into text.
                here = np.flatnonzero((keys <= sample.cutoff) & text.is_valid().to_numpy(zero_copy_only=False))
                captions = np.empty(len(here), object)
                captions[:] = carried(text.take(pa.array(here))).to_pylist()
                sample.add(keys[here], captions)
    if size:
        yield 0, sample.captions().tolist()


def count_corpus(
    files: Sequence[str],
    words: Iterable[str],
    size: int,
    sampling: SamplingSettings,
    reading: ReadingSettings,
    seed: int,
) -> tuple[Seen, Counter[str]]:
    """Count in how many captions of a corpus each word is, in one pass over its files.

    Memory holds the words that are asked for, and the sample or a block of captions; it does not grow with the corpus.

    Args:
        files: as fit.captions.sources.open_captions takes them.
        words: the words to count.
        size: captions of the sample; 0: all captions are looked at.
        sampling: which column has the captions, and how they are cut into words.
        reading: how files are read; one that cannot be read is left out if they say so, and that is said.
        seed: of the sample.

    Returns:
        (captions of the corpus, word -> captions that have it, of those looked at). A row without a caption is none.

    Raises:
        CorpusError: a file is not usable, or there is no caption.
    """
    analyzer, wanted, counted = Analyzer(sampling.tokens, sampling.fold_accents), set(words), Counter[str]()
    captions = looked_at = 0
    for count, block in _blocks(files, size, sampling, reading, seed):
        captions += count
        for found in _words_of(block, analyzer):
            looked_at += 1
            counted.update(found & wanted)
    if not looked_at:
        others = f" and {number_of(len(files) - 1, 'other file')}" if len(files) > 1 else ""
        named = f"{files[0]}{others}" if files else "no file of captions"
        raise CorpusError(
            f"{named}: an empty corpus: no caption was read; check `captions.files` of the corpus in config.yaml"
        )
    return Seen(captions, looked_at), counted


@dataclass(frozen=True)
class Ranked:
    """A word that goes with a concept."""

    word: str
    pmi: float
    with_word: int
    corpus_with_word: int


def rank(
    concept: Seen, with_word: Mapping[str, int], corpus: Seen, corpus_with_word: Mapping[str, int], smoothing: float
) -> list[Ranked]:
    """Rank words by PMI; of words of the same PMI the one in more captions is first, then by letter.

    Args: as of `pmi`, by word.
    """
    names = list(with_word)
    own, all_ = ([of.get(word, 0) for word in names] for of in (with_word, corpus_with_word))
    values = pmi(np.array(own), concept, np.array(all_), corpus, smoothing)
    found = [Ranked(*one) for one in zip(names, values.tolist(), own, all_, strict=True)]
    return sorted(found, key=lambda one: (-one.pmi, -one.with_word, one.word))


def rank_words(
    counts: str | Path,
    matched_captions: str | Path,
    concepts: Sequence[Concept],
    files: Sequence[str],
    settings: AssociationSettings,
    sampling: SamplingSettings,
    reading: ReadingSettings,
    seed: int,
    out: str | Path,
) -> dict[str, int]:
    """Write the table WORDS of concepts.

    Args:
        counts: how many captions each concept has, of `fit captions count` or `fit captions merge`.
        matched_captions: of the same command.
        concepts: whose words are ranked.
        files: captions of the corpus.
        settings: how words are ranked.
        sampling: as the captions were counted: the column, and what a word is.
        reading: how files are read.
        seed: of the sample of captions.
        out: table to write.

    Returns:
        Slug -> how many words were found.

    Raises:
        DataError: the matched captions are not those of the concepts.
        CorpusError: a file is not usable, or there is no caption.
    """
    matched = ConceptTables([matched_captions])
    known = concepts_in(matched_captions)
    totals = read(counts, ["concept", "captions"], schema=COUNTS).to_pydict()
    counted_captions = dict(zip(totals["concept"], totals["captions"], strict=True))
    if lacking := [c.slug for c in concepts if c.slug not in known or c.slug not in counted_captions]:
        raise DataError(
            f"{matched_captions}: no captions of {plain(lacking, 5)} were counted; name concepts of the sheet that was "
            "counted, or count again (`fit captions count`)"
        )
    if not open_parquet(matched_captions).metadata.num_rows:
        raise DataError(
            f"{matched_captions}: no matched caption of any concept, so that no word goes with one; count with "
            "`max_matched_captions` above 0, and check that the corpus is not empty"
        )
    analyzer = Analyzer(sampling.tokens, sampling.fold_accents)
    of_concepts = count_matched(matched, concepts, analyzer, settings.least_captions)
    candidates = {word for _, counted in of_concepts.values() for word in counted}
    corpus, corpus_with = count_corpus(files, candidates, settings.sampled_captions, sampling, reading, seed)
    tables, found = [], {}
    for slug, (captions, counted) in of_concepts.items():
        concept = Seen(counted_captions[slug], captions)
        ranked = rank(concept, counted, corpus, corpus_with, settings.smoothing)[: settings.words_per_concept]
        rows = [
            {
                "rank": place,
                "word": one.word,
                "pmi": one.pmi,
                "captions_with": one.with_word,
                "captions": captions,
                "corpus_with": one.corpus_with_word,
                "corpus": corpus.looked_at,
            }
            for place, one in enumerate(ranked, 1)
        ]
        tables.append((slug, pa.Table.from_pylist(rows, schema=WORDS.remove(0))))
        found[slug] = len(rows)
    write_concepts(tables, out, WORDS)
    return found


def read_words(path: str | Path, concept: str) -> list[str]:
    """Return the words that go with a concept, the most associated first; none if none was found.

    Raises:
        DataError: the table lacks the concept.
    """
    table = ConceptTables([path]).read(concept, ["rank", "word"], schema=WORDS)
    words: list[str] = table.sort_by("rank").column("word").to_pylist()
    return words
