"""Says what is doubtful about counts of captions."""

import pyarrow as pa

from fit.io.shown import number_of

COMMON_SHARE, COMMON_LEAST = 0.2, 20
"""A name looks like a common word from this share of captions that write it without capitals, of so many at least."""
NULL_SHARE = 0.1
"""Share of null captions from which on it is said."""


def remarks(names: pa.Table) -> list[str]:
    """Return what is doubtful about the names of a table NAMES, a sentence each."""
    found = []
    for row in names.to_pylist():
        said = f"{row['concept']}: {row['name']!r}"
        share = row["in_lower_case"] / max(1, row["capitalising"])
        if row["capitalising"] >= COMMON_LEAST and share >= COMMON_SHARE:
            found.append(f"{said} looks like a common word: {share:.0%} of the captions with capitals write it without")
        if row["same_as"]:
            found.append(f"{said} is also a name of {', '.join(row['same_as'])}; its captions count for each")
        if row["contains"]:
            found.append(f"{said} contains a name of {', '.join(row['contains'])}; its captions count for them too")
    return found


def losses(shards: pa.Table) -> list[str]:
    """Return which captions of a table SHARDS could not be used, a sentence each; the worst files are named."""
    rows = [row for row in shards.to_pylist() if row["status"] == "ok"]
    total = sum(row["rows"] or 0 for row in rows)
    said = []
    for key, what, least, remedy in (
        (
            "malformed_captions",
            "are not text in UTF-8, or not in the encoding that was given, so names in them may be missed",
            0.0,
            "save them as UTF-8, or say what they are with `captions.encoding` in config.yaml or --encoding "
            "(windows-1252 is usual)",
        ),
        ("null_captions", "are empty (null)", NULL_SHARE, "check that the caption column is the right one"),
    ):
        bad = sorted((row for row in rows if row[key]), key=lambda row: (-row[key], row["shard"]))
        lost = sum(row[key] for row in bad)
        if lost and lost >= least * total:
            most = ", ".join(f"{row['shard']} ({row[key]:,} of {row['rows']:,})" for row in bad[:3])
            more = f" and {number_of(len(bad) - 3, 'more file')}" if len(bad) > 3 else ""
            said.append(
                f"{lost:,} of {number_of(total, 'caption')} ({lost / total:.1%}) {what}: {most}{more}; {remedy}"
            )
    if rows and not total:
        said.append("no caption was read: this part of the corpus has no row")
    return said


def unmentioned(counts: pa.Table) -> list[str]:
    """Return which concepts of a table COUNTS no caption mentions: one sentence, or none."""
    none = [row["concept"] for row in counts.to_pylist() if not row["captions"]]
    if not none:
        return []
    some = ", ".join(none[:5]) + (" ..." if len(none) > 5 else "")
    return [f"concepts that no caption mentions: {len(none)} ({some}); `fit captions explain NAME CAPTION` says why"]
