"""Every interleaving of two acts on one account with lots, with every fault at every outside call.

The first request after their time expires the lots that are due.
"""

import itertools
import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

import pytest
from billing.account import lot_listing
from billing.audit.tallies import Tallies
from billing.clock import epoch
from billing.errors import BillingError
from billing.expiry import upkeep
from billing.grants import api, welcome
from billing.grants.grant import Grant
from billing.holds import closing, placing
from billing.payments.payment import Payment
from billing.payments.plan import Plan, Welcome
from billing.settlement import settlement
from billing.spending import debits
from billing.spending.meter import Meter
from billing.storage.writes import Table
from support import builders, laws
from support.builders import START, fact, pending
from support.schedules import FAULTS, Handlers, ScheduledStore, explore, fresh_books

Record = Callable[[str, dict[str, int]], None]
DATED: Final = Plan("dated", "D", "D", 1000, "usd", 100, 1)
FREE: Final = Welcome(3, needs_verified_email=False, daily_max=1, expires_after_days=1)
HOUR: Final = 3600
NOW: Final = epoch(START)
ACTS: Final = (
    "a purchase that expires",
    "a purchase",
    "a refund",
    "a grant",
    "a void",
    "a welcome",
    "an expiry",
    "a read",
    "a debit",
    "a keyed debit",
    "a hold",
    "a release",
    "a capture",
    "a dispute",
)
ONCE: Final = frozenset(ACTS) - {"a debit", "a hold"}
"""What is asked for again after a crash or a lost answer: it must be done once."""
PAIRS: Final = [*itertools.combinations_with_replacement(ACTS, 2)]
TABLES: Final[tuple[Table, ...]] = ("ledger", "payments", "quotas")
WHOLE: Final = "TOPUP_CHAOS_SECONDS" in os.environ
"""In ``make chaos``, every fault at every call. All pairs with something due take some twenty
minutes of a processor, so ``make test`` plays every order of each and a share of the faults."""


class Scene:
    """Alice has bought 100 units for a day and used 10, was given 20 for an hour, and holds 5."""

    def __init__(self, store: ScheduledStore, *, is_due: bool) -> None:
        """Before anything happens at the same time. ``is_due``: the grant's time is over."""
        self.store = store
        self.books = fresh_books(store)
        self.meter = Meter(self.books, "")
        self.bought, self.dated, self.plain, self.held = store.before(self._begun)
        if is_due:
            self.books.clock.now += timedelta(seconds=HOUR)  # type: ignore[attr-defined]

    def _begun(self) -> tuple[Payment, Payment, Payment, str]:
        bought = pending(self.books, payment_id="pay_1", session_id="cs_1", sold=DATED)
        settlement.apply(self.books, fact(builders.completed(bought)))
        debits.debit(self.meter, "alice", 10)
        api.give(self.books, self.grant("grant_1", 20, HOUR))
        hold_id = placing.place(self.meter, "alice", 5, 80_000).hold_id
        dated = pending(self.books, payment_id="pay_2", session_id="cs_2", sold=DATED)
        plain = pending(self.books, payment_id="pay_3", session_id="cs_3")
        return bought, dated, plain, hold_id

    @staticmethod
    def grant(grant_id: str, units: int, seconds: int) -> Grant:
        """To alice."""
        return Grant(grant_id, "alice", units, "why", NOW + seconds)

    def does(self, name: str) -> None:
        """One act. A refusal is an answer."""
        acts: dict[str, Callable[[], Any]] = {
            "a purchase that expires": lambda: self._hears(builders.completed(self.dated, "evt_2")),
            "a purchase": lambda: self._hears(builders.completed(self.plain, "evt_3")),
            "a refund": lambda: self._hears(builders.refunded(self.bought, 1000)),
            "a grant": lambda: api.give(self.books, self.grant("grant_2", 7, 2 * HOUR)),
            "a void": lambda: api.void(self.books, "grant_1"),
            "a welcome": lambda: welcome.claim(self.books, "alice", FREE, {}),
            "an expiry": lambda: upkeep.bring_up_to_date(self.books, "alice"),
            "a read": self.read,
            "a debit": lambda: debits.debit(self.meter, "alice", 60),
            "a keyed debit": lambda: debits.debit_once(self.meter, "alice", 60, "b", "k"),
            "a hold": lambda: placing.place(self.meter, "alice", 60, 70_000),
            "a capture": lambda: closing.capture(self.meter, self.held, 3),
            "a dispute": lambda: self._hears(self.disputed()),
            "a release": lambda: closing.release(self.meter, self.held),
        }
        try:
            acts[name]()
        except BillingError as refused:
            if refused.code not in ("quota_exhausted", "hold_closed"):
                raise

    def disputed(self) -> dict[str, Any]:
        """The bank took the whole purchase back."""
        return builders.dispute(self.bought, "created", "needs_response", -1000)

    def _hears(self, event: dict[str, Any]) -> None:
        settlement.apply(self.books, fact(event))

    def read(self) -> None:
        """No read shows a unit whose time is over; lots and quota are of one moment."""
        shown = lot_listing.read_quota(self.books, "alice")
        assert min(shown.remaining, shown.used, shown.held, shown.debt) >= 0
        page = lot_listing.lots(self.books, "alice", 100, "")
        assert all(lot.left > 0 for lot in page["lots"])

    def ends(self) -> None:
        """What holds at last, however it came about."""
        upkeep.bring_up_to_date(self.books, "alice")
        laws.check(self.store.memory)
        tallies = Tallies()
        for table in TABLES:
            for row in self.store.memory.tables[table].values():
                tallies.add(table, row)
        assert not list(tallies["alice"].differences("alice"))
        shown = lot_listing.read_quota(self.books, "alice")
        page = lot_listing.lots(self.books, "alice", 100, "")
        assert sum(lot.left for lot in page["lots"]) == shown.remaining + shown.held


def _both(first: str, second: str, *, is_due: bool) -> Callable[[ScheduledStore], Handlers]:
    def build(store: ScheduledStore) -> Handlers:
        scene = Scene(store, is_due=is_due)

        def check(ends: list[str]) -> None:
            for end, name in zip(ends, (first, second), strict=True):
                if end != "done" and name in ONCE:
                    scene.does(name)
            scene.ends()
            entries = {
                row["entry_id"]: row["units"] for row in store.memory.tables["ledger"].values()
            }
            done = {first, second}
            assert entries.get("funded:cs_2", 0) == 100 * ("a purchase that expires" in done)
            assert entries.get("funded:cs_3", 0) == 100 * ("a purchase" in done)
            assert entries.get("grant:grant_2", 0) == 7 * ("a grant" in done)
            assert entries.get("welcome", 0) == 3 * ("a welcome" in done)
            gone = entries.get("expired:grant:grant_1", 0) + entries.get("voided:grant_1", 0)
            assert -20 <= gone <= 0

        return [lambda: scene.does(first), lambda: scene.does(second)], check

    return build


def _share(number: int) -> tuple[str, ...]:
    """The faults of a pair in ``make test``: one fault for every third pair, all faults in turn."""
    turn, rest = divmod(number, 3)
    return () if rest else (FAULTS[turn % len(FAULTS)],)


@pytest.mark.parametrize(("first", "second"), PAIRS)
@pytest.mark.parametrize("moment", ["early", "due"])
def test_two_concurrent_acts_on_an_account_with_lots_are_each_done_once(
    first: str, second: str, moment: str, record_figures: Record
) -> None:
    """Units come in once, expire once, and are taken back once."""
    faults: tuple[str, ...] = FAULTS
    if moment == "due" and not WHOLE:
        faults = _share(PAIRS.index((first, second)))
    done = explore(_both(first, second, is_due=moment == "due"), faults)
    record_figures(f"{first} and {second} on lots, {moment}", done)
