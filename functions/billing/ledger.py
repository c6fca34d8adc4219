"""The ledger: immutable lines, each keyed by what caused it. The quota is their cache; nothing here is ever changed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from billing.writes import Write, creates

EntryType = Literal["funded", "clawed_back", "reinstated", "consumed", "adjusted"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One line. ``units`` is signed. ``entry_id`` names the cause, so that one cause can be booked once only, for ever."""

    user_id: str
    entry_id: str
    type: EntryType
    units: int
    reference_type: str
    reference_id: str
    booked_at: str
    note: str = ""

    def write(self) -> Write:
        """The write that books it; refused when this cause was booked before."""
        values = {
            "type": self.type,
            "units": self.units,
            "reference_type": self.reference_type,
            "reference_id": self.reference_id,
            "booked_at": self.booked_at,
        }
        return creates("ledger", (self.user_id, self.entry_id), {**values, **({"note": self.note} if self.note else {})})


def as_answer(item: Mapping[str, Any], balance_after: int) -> dict[str, Any]:
    """A stored entry as ``GET /quota/ledger`` shows it."""
    shown = {name: item[name] for name in ("type", "units", "reference_type", "reference_id", "booked_at")}
    return {"id": item["entry_id"], "balance_after": balance_after, **shown}
