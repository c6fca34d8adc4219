"""What the doctor finds, and what it looks at."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from billing.books import Books

from infra.ops.account_at_stripe import AccountAtStripe
from infra.ops.place import Place

Level = Literal["ok", "note", "wrong", "unknown"]


@dataclass(frozen=True, slots=True)
class Finding:
    """``level``: ok; note (as it may be on a stand); wrong (``mend`` says how); unknown (it could not be looked at)."""

    check: str
    level: Level
    what: str
    mend: str = ""

    def as_answer(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Patient:
    """One stack with all that it depends on."""

    place: Place
    books: Books
    account: AccountAtStripe

    @property
    def is_local(self) -> bool:
        """A stand lacks on purpose what only AWS has."""
        return self.place.settings.stage == "local"

    def unless_local(self, level: Level) -> Level:
        """What is wrong in AWS is a note on a stand."""
        return "note" if self.is_local else level
