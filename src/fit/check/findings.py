"""Findings: one line each, which says what to do about it."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

WRONG, ABSENT, REMARK = "wrong", "absent", "remark"
"""An input can't be used; an input does not exist yet; a study can run, but a person should know."""
SHOWN = 12
"""Lines of a screen, at most."""


@dataclass(frozen=True)
class Finding:
    """A line about an input."""

    kind: str
    """WRONG, ABSENT or REMARK."""
    key: str
    """The key of the configuration that it is about, such as domains.people.references.folder."""
    text: str

    @property
    def stops(self) -> bool:
        """Whether a study can't run because of it."""
        return self.kind != REMARK

    def __str__(self) -> str:
        return f"{'missing: ' if self.kind == ABSENT else 'note: ' if self.kind == REMARK else 'wrong: '}{self.text}"


class Findings:
    """A list of findings, each once."""

    def __init__(self, only: Collection[str] | None = None):
        """`only`: first parts of the keys whose findings are kept; None: all."""
        self._only = only
        self._found: dict[str, Finding] = {}

    def add(self, kind: str, key: str, text: str) -> None:
        """Add a finding; of several with one text, the first stays."""
        if self._only is None or key.partition(".")[0] in self._only:
            self._found.setdefault(text.replace("\n", " "), Finding(kind, key, text.replace("\n", " ")))

    def error(self, key: str, error: object) -> None:
        """Add the message of an error that would stop a stage."""
        self.add(WRONG, key, str(error))

    def has(self, key: str) -> bool:
        """Whether a finding of `key` stops a study."""
        return any(finding.key == key and finding.stops for finding in self._found.values())

    def sorted(self) -> list[Finding]:
        """Return all of them: first what is wrong, then what is missing, then remarks."""
        order = (WRONG, ABSENT, REMARK)
        return sorted(self._found.values(), key=lambda finding: order.index(finding.kind))


def screen(findings: Sequence[Finding], typed: str, shown: int = SHOWN) -> str:
    """Return findings as text that fits a screen; `fit check` lists the rest, with the study as it is `typed`."""
    lines = [f"  {finding}" for finding in findings[:shown]]
    rest = len(findings) - shown
    if rest > 0:
        lines.append(f"  and {rest} more; `fit check {typed}` lists all")
    return "\n".join(lines)


def some(names: Iterable[str], most: int = 5) -> str:
    """Return some of a list of names, and how many more there are."""
    names = list(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
