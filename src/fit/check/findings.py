"""What was found: one line each, with what to do about it."""

from dataclasses import dataclass

WRONG, ABSENT, REMARK = "wrong", "absent", "remark"
"""Of what is there and can't be used; of what is not there yet; of what a study goes on with."""
SHOWN = 12
"""Lines of a screen, at most."""


@dataclass(frozen=True)
class Finding:
    """One line."""

    kind: str
    """WRONG, ABSENT or REMARK."""
    key: str
    """The key of the configuration that it is about, such as domains.people.references.folder."""
    text: str

    @property
    def stops(self):
        """Whether a study can't be carried out with it."""
        return self.kind != REMARK

    def __str__(self):
        return f"{'missing: ' if self.kind == ABSENT else 'note: ' if self.kind == REMARK else 'wrong: '}{self.text}"


class Findings:
    """A list of findings, each once."""

    def __init__(self, only=None):
        """`only`: first parts of keys to take; None for all."""
        self._only, self._found = only, {}

    def add(self, kind, key, text):
        """Add a finding; of one text, the first stays."""
        if self._only is None or key.partition(".")[0] in self._only:
            self._found.setdefault(text.replace("\n", " "), Finding(kind, key, text.replace("\n", " ")))

    def error(self, key, error):
        """Add the message of an error, as it would stop a stage."""
        self.add(WRONG, key, str(error))

    def has(self, key):
        """Whether there is a finding of `key` that stops a study."""
        return any(finding.key == key and finding.stops for finding in self._found.values())

    def sorted(self):
        """All of them: what is wrong, what is missing, remarks."""
        order = (WRONG, ABSENT, REMARK)
        return sorted(self._found.values(), key=lambda finding: order.index(finding.kind))


def screen(findings, study, shown=SHOWN):
    """Findings as text that fits a screen; `fit check` lists the rest."""
    lines = [f"  {finding}" for finding in findings[:shown]]
    rest = len(findings) - shown
    if rest > 0:
        lines.append(f"  and {rest} more; `fit check {study}` lists all")
    return "\n".join(lines)


def some(names, most=5):
    """Some of a list of names, and how many more there are."""
    names = list(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
