"""What a count of captions says, for a reader and for a program."""

from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from fit.captions.remarks import losses, remarks, unmentioned
from fit.captions.tables import CountFiles
from fit.io.parquet import read
from fit.io.shown import number_of


@dataclass(frozen=True)
class CountReport:
    """The tables of a count, but its matched captions."""

    counts: pa.Table
    """Of the schema COUNTS."""
    names: pa.Table
    """Of the schema NAMES."""
    shards: pa.Table
    """Of the schema SHARDS."""

    @classmethod
    def of_files(cls, files: CountFiles) -> "CountReport":
        """Read what `fit captions count` wrote."""
        return cls(read(files.counts), read(files.names), read(files.shards))

    @property
    def rows(self) -> int:
        """Return how many captions were read."""
        return int(self.counts.column("corpus_rows")[0].as_py())

    @property
    def mentions(self) -> int:
        """Return the sum of the counts: a caption counts once for each concept that it mentions."""
        return sum(self.counts.column("captions").to_pylist())

    @property
    def sentence(self) -> str:
        """Say what was counted, without a full stop."""
        return (
            f"{number_of(len(self.counts), 'concept', 'is')} mentioned {number_of(self.mentions, 'time')} in "
            f"{number_of(self.rows, 'caption')}"
        )

    @property
    def remarks(self) -> list[str]:
        """Return what is doubtful about the counts, a sentence each."""
        return [*losses(self.shards), *unmentioned(self.counts), *remarks(self.names)]

    @property
    def skipped(self) -> list[dict[str, Any]]:
        """Return the rows of `shards` that could not be read."""
        return [row for row in self.shards.to_pylist() if row["status"] != "ok"]

    def to_dict(self, files: CountFiles | None = None) -> dict[str, Any]:
        """Return all of it in builtins; with the paths of `files`, if given."""
        counts = self.counts.select(["concept", "captions"]).to_pylist()
        names = self.names.select(["concept", "name", "captions"]).to_pylist()
        found = {"corpus_rows": self.rows, "mentions": self.mentions, "counts": counts, "names": names}
        found |= {"remarks": self.remarks, "skipped": self.skipped}
        return found | ({} if files is None else {"files": {key: str(path) for key, path in asdict(files).items()}})
