"""One hold as its holder sees it, how it is closed, and the tally of what became of units."""

from dataclasses import dataclass, replace

from topup_client.errors import TopupError
from topup_client.meter import Meter


@dataclass(slots=True, eq=False)
class Tranche:
    """One hold as its holder sees it."""

    hold_id: str
    units: int
    usable_until: float
    used: int = 0
    try_at: float = 0
    """When closing it may be tried again."""

    @property
    def left(self) -> int:
        """Units not spent yet."""
        return self.units - self.used


@dataclass(slots=True)
class Tally:
    """Units by what became of them."""

    spent: int = 0
    captured: int = 0
    released: int = 0
    lost: int = 0
    """Spent, but the hold was past its time when it was to be captured: the customer has them back,
    and the seller bears them."""

    def copy(self) -> "Tally":
        """The figures as they are now."""
        return replace(self)


def close_hold(meter: Meter, tranche: Tranche) -> TopupError | None:
    """Capture what was used, and give the rest back. Return why it could not be done."""
    try:
        if tranche.used:
            meter.capture(tranche.hold_id, tranche.used)
        else:
            meter.release(tranche.hold_id)
    except TopupError as error:
        return error
    return None
