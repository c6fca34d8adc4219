"""What the doctor finds, and what it looks at."""

from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from billing.books import Books
from billing.clock import epoch

from infra.cli.stripe.account import AccountAtStripe
from infra.cli.target import Place

Level = Literal["ok", "note", "wrong", "unknown"]
NEW_SECONDS: Final = 3 * 3600
"""By then everything that runs by the hour has run."""


@dataclass(frozen=True, slots=True)
class Finding:
    """``level``: ok; note (as it may be on a stand, or in a new stack); wrong (``mend`` says how); unknown (it could not be looked at)."""

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

    @property
    def is_new(self) -> bool:
        """The stack was made so lately that what comes with time cannot have come yet."""
        return epoch(self.books.clock()) - self.place.made_epoch < NEW_SECONDS
