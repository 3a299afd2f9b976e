"""Writes the tables that scripts print into the pages of the docs."""


def reading(said):
    """A count that a score corresponds to, as a cell: "38 images; 95 %: 18 to 68" becomes "38 (18 to 68)"."""
    what, _, ends = said.partition("; 95 %: ")
    for word in (" count", " images", " image"):
        what = what.replace(word, "")
    return f"{what} ({ends})" if ends else said


def write_between(path, mark, lines):
    """Put `lines` between the comments <!-- mark --> and <!-- /mark --> of the file at `path`."""
    start, end = f"<!-- {mark} -->", f"<!-- /{mark} -->"
    head, rest = path.read_text(encoding="utf-8").split(start)
    tail = rest.split(end)[1]
    path.write_text(f"{head}{start}\n\n" + "\n".join(lines) + f"\n\n{end}{tail}", encoding="utf-8")
