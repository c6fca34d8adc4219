"""Shows whole transactions as text, clause by clause, to compare them with what they must be."""

from collections.abc import Iterable, Iterator, Mapping
from textwrap import fill
from typing import Any

from billing.payments.plan import Plan
from billing.settlement import settlement
from billing.storage.writes import Must, Write
from support import builders
from support.builders import Still, books_on, fact, pending
from support.fakes.recording_store import Recorder


def transcript(writes: Iterable[Write], **names: str) -> str:
    """Return the writes in their order, each with its key and its clauses by name.

    ``names`` stand for texts that are random: ``PAY=payment_id``.
    """
    lines = (line for write in writes for line in _lines(write))
    return "\n".join(_wrapped(line, names) for line in lines) + "\n"


def _wrapped(line: str, names: Mapping[str, str]) -> str:
    for name, text in names.items():
        line = line.replace(text, name)
    return fill(line, width=96, subsequent_indent="    ", break_long_words=False)


def _lines(write: Write) -> Iterator[str]:
    yield f"{write.table} {write.key[0]} / {write.key[1]}"
    clauses = {
        "set": _members(write.set, "="),
        "add": _members(write.add, "+"),
        "remove": ", ".join(sorted(write.remove)),
        "copy": _members(write.copy, "="),
        "subtract": _members(write.subtract, "="),
        "delete": "the row" if write.delete else "",
        "must": ", ".join(sorted(map(_clause, write.must))),
    }
    for name, text in clauses.items():
        if text:
            yield f"  {name} {text}"


def _members(values: Mapping[str, Any], sign: str) -> str:
    return ", ".join(f"{name} {sign} {_value(values[name])}" for name in sorted(values))


def _clause(must: Must) -> str:
    if must.operator in ("exists", "absent"):
        return f"{must.name} {must.operator}"
    otherwise = " or absent" if must.or_absent else ""
    return f"{must.name} {must.operator} {_value(must.value)}{otherwise}"


def _value(value: object) -> str:
    return repr(sorted(value) if isinstance(value, frozenset) else value)


class Story:
    """One purchase, and what each event about it writes."""

    def __init__(self, sold: Plan | None = None, policy: str = "debt") -> None:
        """It is recorded, with a session. ``sold``: a plan that is not in the catalogue."""
        builders.renumber()
        self.store, self.clock = Recorder(), Still()
        self.books = books_on(self.store, policy, self.clock)
        self.payment = pending(self.books, payment_id="pay_1", session_id="cs_1", sold=sold)

    @property
    def last(self) -> str:
        """The transcript of the last transaction."""
        return transcript(self.store.sent[-1])

    def settle(self, event: dict[str, Any]) -> str:
        """Return the transcript of the transaction that settles it."""
        self.store.deadline.begin()
        settlement.apply(self.books, fact(event))
        return self.last
