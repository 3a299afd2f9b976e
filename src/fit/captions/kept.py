"""Keeps what was counted (--reuse), so that one more concept, or one more alias, does not count the others again."""

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict, fields
from hashlib import blake2b
from pathlib import Path

import pyarrow as pa

from fit.captions import VERSIONS
from fit.captions.merge import unite_concepts
from fit.captions.phrases import Phrases
from fit.captions.scan import CountJob, scan
from fit.captions.tables import COUNTS, NAMES, SHARDS, CountFiles
from fit.concepts.analyzer import Analyzer
from fit.concepts.sheet import Concept
from fit.errors import DataError, ImageTableError
from fit.io.files import WorkFolder, temporary_folder
from fit.io.parquet import open_parquet, read
from fit.io.shown import number_of

_NEW = ".new-"
"""How the name of a folder begins whose counts are not kept yet."""
_KEY = re.compile(r"\.?[0-9a-f]{16}(\.[0-9a-f]{12})?")
_TABLES = [field.name for field in fields(CountFiles)]
_KEPT = (
    rf"({_KEY.pattern}/)?(\.new-[^/]+/)?(\.(matched|hits)-[^/]+/)?"
    rf"(({'|'.join([*_TABLES, 'hits'])})|[0-9]+(-[0-9]+-[0-9]+)?)\.parquet"
)
"""What is in a folder of counts that are kept. Earlier versions called the matched captions hits: they are removed."""


def _key(job: CountJob, fingerprints: list[str]) -> str:
    """Return the name of the folder for counts of these files and settings, by this version.

    Whatever changes a number or the form of the tables is in it, so that nothing of another form is ever read.
    """
    about = {
        "version": VERSIONS["count_captions"],
        "tables": _TABLES,
        "sampling": asdict(job.sampling),
        "reading": asdict(job.reading),
        "seed": job.seed,
        "files": fingerprints,
    }
    return blake2b(json.dumps(about, sort_keys=True).encode(), digest_size=8).hexdigest()


def names_by_concept(concepts: Sequence[str], names: Sequence[str]) -> dict[str, list[str]]:
    """Return concept -> its names, from two columns of the same length."""
    found: dict[str, list[str]] = {}
    for concept, name in zip(concepts, names, strict=True):
        found.setdefault(concept, []).append(name)
    return found


class KeptCounts:
    """A folder of counts that are kept: those of one set of files and settings."""

    def __init__(self, folder: str | Path):
        """Claim the folder.

        Raises:
            PlaceError: it holds files that FIT did not write.
        """
        self._place = WorkFolder(folder, "counts that are kept (--reuse)", _KEPT, "--reuse")
        self._place.claim()

    def count(
        self,
        concepts: Sequence[Concept],
        job: CountJob,
        outputs: CountFiles,
        rows: Sequence[int],
        fingerprints: list[str],
    ) -> None:
        """Count the concepts that were not counted before, keep their counts, and write those of all to `outputs`.

        Args:
            concepts: of the sheet.
            job: its files have been checked.
            outputs: the files to write; their folders exist.
            rows: of each file, as CountJob.check says.
            fingerprints: as CountJob.check says; counts of files with other ones are not used.

        Raises:
            CorpusError: a file is broken, or there is no row.
            SheetError: a name has no token.
        """
        key = _key(job, fingerprints)
        kept = CountFiles.in_folder(Path(self._place.path, key))
        phrases = Phrases.of(concepts, Analyzer(job.sampling.tokens, job.sampling.fold_accents))
        asked = names_by_concept([phrases.concepts[index] for index in phrases.concept_of], phrases.names)
        with self._place.held("counts"):
            known = _known(kept)
            new = [concept for concept in concepts if known.get(concept.slug) != asked[concept.slug]]
            if new:
                if known:
                    print(
                        f"{number_of(len(concepts) - len(new), 'concept', 'was')} counted before; "
                        f"counting {len(new)} more"
                    )
                self._count_new(new, set(known), job, kept, key, rows)
            else:
                print(f"every concept was counted before; their counts are kept in {kept.counts.parent}")
            self._remove_others(key)
            unite_concepts([(kept, set(phrases.concepts))], outputs, job.sampling, job.seed, phrases)

    def _count_new(
        self, new: list[Concept], known: set[str], job: CountJob, kept: CountFiles, key: str, rows: Sequence[int]
    ) -> None:
        with temporary_folder(self._place.path, _NEW) as folder:
            fresh = CountFiles.in_folder(folder)
            scan(new, job, fresh, rows)
            others = known - {concept.slug for concept in new}
            parts: list[tuple[CountFiles, set[str] | None]] = [(fresh, None)]
            if others:
                parts.append((kept, others))
            with self._place.atomic_write(key) as unfinished:
                unite_concepts(parts, CountFiles.in_folder(unfinished), job.sampling, job.seed)

    def _remove_others(self, key: str) -> None:
        """Remove counts of other files, settings and versions, and what a stop left."""
        for other in list(self._place.path.iterdir()):
            if other.is_dir() and other.name != key and (_KEY.fullmatch(other.name) or other.name.startswith(_NEW)):
                self._place.remove(other.name)


def _known(kept: CountFiles) -> dict[str, list[str]]:
    """Return concept -> its names, of counts that were kept; nothing where there are none, or they are damaged."""
    if not kept.names.exists():
        return {}
    try:
        names: pa.Table = read(kept.names, NAMES.names, schema=NAMES)
        counts = read(kept.counts, COUNTS.names, schema=COUNTS)
        open_parquet(kept.matched_captions)
        read(kept.shards, SHARDS.names, schema=SHARDS)
        if set(names.column("concept").to_pylist()) != set(counts.column("concept").to_pylist()):
            raise DataError(f"{kept.counts}: its concepts are not those of {kept.names}")
    except (ImageTableError, DataError) as error:
        print(f"fit: what was counted before is damaged, so it is counted again ({error})", file=sys.stderr)
        return {}
    return names_by_concept(names.column("concept").to_pylist(), names.column("name").to_pylist())
