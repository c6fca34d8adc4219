"""Audits the books: recomputes every account from its ledger, its payments and its open holds.

A scan reads a table during concurrent writes, so its figures of one account may be inconsistent. A
difference found by a scan is a suspicion. ``settled_tally`` reads the account until two readings
agree, and confirms it. Nothing is repaired here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from billing.errors import Item
from billing.lots.lot import LAST, PREFIX
from billing.payments.payment import Payment, Phase
from billing.quota.balance import Balance
from billing.quota.key_bookmarks import USES, Uses, uses_from
from billing.quota.key_totals import NAMES, user_of
from billing.quota.key_use import name_of, weight
from billing.storage.dynamodb import Store
from billing.storage.keys import REFERENCE, reference_key, user_key
from billing.storage.writes import Table

TABLES: Final[tuple[Table, ...]] = ("ledger", "payments", "quotas", "keys")
"""The tables that an account has rows in."""
COPIED: Final = (
    "total",
    "used",
    "held",
    "remaining",
    "debt",
    "itemised",
    "lots_left",
    "lots_held",
    "lots_used",
    "lots_exact",
)
READINGS_MAX: Final = 20
"""The first two readings agree, unless the account buys or places holds concurrently."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One rule that an account breaks. ``expected`` and ``found`` are in units."""

    user_id: str
    rule: str
    expected: int
    found: int

    def as_answer(self) -> dict[str, Any]:
        """Return the difference as plain data."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(slots=True)
class Tally:
    """The sums of one account's rows, in units. Members that end in ``_count`` count rows."""

    # from the ledger
    booked: int = 0
    funded: int = 0
    funded_count: int = 0
    taken_back: int = 0
    adjusted_for_payments: int = 0
    # from the payments
    paid: int = 0
    paid_count: int = 0
    intents_count: int = 0
    referred_count: int = 0
    clawed_back: int = 0
    written_off: int = 0
    # from the open holds
    in_holds: int = 0
    # from the lots
    in_lots: int = 0
    held_of_lots: int = 0
    # from the balance
    balance_count: int = 0
    total: int = 0
    used: int = 0
    held: int = 0
    remaining: int = 0
    debt: int = 0
    itemised: int = 0
    placed_count: int = 0
    lots_left: int = 0
    lots_held: int = 0
    lots_used: int = 0
    lots_exact: int = 0
    # from the counters of API keys
    keys_used: int = 0
    """By live keys, and by revoked ones that still stand on the balance."""
    keys_not_booked: int = 0
    """What ``uses`` adds to ``keys_used`` to make it the use that no entry shows. Negative."""
    keys_revoked: int = 0
    """By revoked keys, in their own rows."""
    keys_booked_weighed: int = 0
    """In entries and in ``uses``, each key's units times its weight."""
    keys_revoked_weighed: int = 0

    def steady(self) -> tuple[int, ...]:
        """Return the figures that debits do not change.

        A debit changes ``used`` and ``remaining`` together, in one row that is always consistent.
        """
        moving = ("used", "remaining", "keys_used")
        return tuple(
            getattr(self, name) for name in self.__slots__ if name not in moving
        )

    def differences(self, user_id: str) -> Iterator[Difference]:
        """Return every rule that the account breaks."""
        rules = {
            **self._sums(),
            **self._of_payments(),
            **self._bounds(),
            **self._of_keys(),
        }
        for rule, (expected, found) in rules.items():
            if expected != found:
                yield Difference(user_id, rule, expected, found)

    def _sums(self) -> dict[str, tuple[int, int]]:
        """What ledger, holds, lots and balance must agree on: expected and found, by rule."""
        in_ledger = self.total - self.itemised
        unused, rest = (
            self.total - self.used,
            self.remaining + self.held - self.debt,
        )
        return {
            "the ledger's entries sum up to total less what is itemised": (
                self.booked,
                in_ledger,
            ),
            "remaining + held - debt is total - used": (unused, rest),
            "held is what the open holds hold": (self.in_holds, self.held),
            "the lots' rows add up to what the balance says they have": (
                self.in_lots,
                self.lots_left,
            ),
            "the lots' rows add up to what the balance says holds have of them": (
                self.held_of_lots,
                self.lots_held,
            ),
        }

    def _of_payments(self) -> dict[str, tuple[int, int]]:
        """What payments and ledger must agree on: expected and found, by rule."""
        return {
            "every paid payment is funded once": (
                self.paid_count,
                self.funded_count,
            ),
            "every payment intent leads to its payment": (
                self.intents_count,
                self.referred_count,
            ),
            "paid payments are funded with the units they bought": (
                self.paid,
                self.funded,
            ),
            "payments and ledger agree on what was clawed back": (
                self.clawed_back,
                self.taken_back,
            ),
            "payments and ledger agree on what was written off": (
                self.written_off,
                self.adjusted_for_payments,
            ),
        }

    def _of_keys(self) -> dict[str, tuple[int, int]]:
        """What ledger, counters and revoked keys must agree on: expected and found, by rule.

        Weighed, so that too much for one key does not make up for too little for another.
        """
        by_keys = self.keys_used + self.keys_revoked
        since = self.keys_used + self.keys_not_booked
        most = self.used - self.itemised
        return {
            "keys used no more than the account": (
                min(by_keys, self.used),
                by_keys,
            ),
            "keys used no more than the account since the last entry": (
                max(0, min(since, most)),
                since,
            ),
            "what each key used is what the ledger and its counters show": (
                self.keys_revoked_weighed,
                self.keys_booked_weighed,
            ),
        }

    def _bounds(self) -> dict[str, tuple[int, int]]:
        """What the balance must be by itself: expected and found, by rule."""
        debt_beside_units = (
            min(self.debt, self.remaining) if self.remaining > 0 else 0
        )
        missing = 0
        if self.lots_exact:
            unburned = self.used - self.lots_used
            unspent = self.remaining + self.held
            missing = max(0, self.lots_left - unburned - unspent)
        return {
            "lots have no more than remains and is held": (0, missing),
            "remaining is not below zero": (
                max(0, self.remaining),
                self.remaining,
            ),
            "debt is not below zero": (max(0, self.debt), self.debt),
            "itemised is not more than used": (
                min(self.used, self.itemised),
                self.itemised,
            ),
            "there is no debt while units remain": (0, debt_beside_units),
            "an account has one balance": (1, self.balance_count),
        }


class Tallies(dict[str, Tally]):
    """The tallies of many accounts, by user id."""

    def add(self, table: Table, item: Mapping[str, Any]) -> None:
        """Add one row to its account's tally. Rows that move no units are ignored."""
        if table == "ledger":
            _add_entry(self._of(item["user_id"]), item)
        elif table == "payments" and item.get("phase") == int(Phase.PAID):
            _add_payment(self._of(item["user_id"]), item)
        elif (
            table == "payments"
            and item["owner"].startswith(reference_key("pi_"))
            and "payment_id" in item
        ):
            self._of(item["user_id"]).referred_count += 1
        elif table == "quotas" and item["item"] == "quota":
            _add_balance(self._of(item["user_id"]), Balance.from_item(item))
        elif table == "quotas" and item["item"].startswith("hold#"):
            self._of(item["user_id"]).in_holds += item["units"]
        elif table == "quotas" and item["item"].startswith(PREFIX):
            self._of(item["user_id"]).in_lots += item["free"] + item["held"]
            self._of(item["user_id"]).held_of_lots += item["held"]
        elif table == "quotas" and item["item"] == USES:
            _add_uses(self._of(item["user_id"]), uses_from(dict(item)))
        elif (
            table == "keys"
            and item.get("used")
            and str(item["id"]).startswith(NAMES)
        ):
            _add_revoked(self._of(user_of(item["owner"])), item)

    def _of(self, user_id: str) -> Tally:
        return self.setdefault(user_id, Tally())


def settled_tally(store: Store, user_id: str) -> Tally | None:
    """Return the account's tally once two readings agree, apart from debits.

    Returns None if the account kept changing. The caller can try again later.
    """
    before: Tally | None = None
    for _ in range(READINGS_MAX):
        tally = _reading(store, user_id)
        if before is not None and before.steady() == tally.steady():
            return tally
        before = tally
    return None


def disagreeing_payments(store: Store, user_id: str) -> Iterator[str]:
    """Yield the ids of the payments on which an account's ledger and payments disagree.

    Yields payment ids, or the id of what was paid where there is no payment.
    """
    funded: dict[str, int] = {}
    for item in store.pages("ledger", user_id):
        if item["type"] in ("funded", "clawed_back", "reinstated"):
            funded[item["reference_id"]] = (
                funded.get(item["reference_id"], 0) + item["units"]
            )
    for item in store.pages("payments", user_key(user_id), "pay_"):
        is_paid = item.get("phase") == int(Phase.PAID)
        kept = item["quota"] - _taken_back(item) if is_paid else 0
        if funded.pop(Payment.from_item(item).funding_id, 0) != kept:
            yield item["payment_id"]
    yield from (funding_id for funding_id, units in funded.items() if units)


def _reading(store: Store, user_id: str) -> Tally:
    """Read an account once. Each half has a deadline of its own, for large accounts."""
    tallies = Tallies()
    store.deadline.begin()
    for item in store.pages("payments", user_key(user_id), "pay_"):
        tallies.add("payments", item)
        if referred := reference(store, item):
            tallies.add("payments", referred)
    for item in _holds_and_lots(store, user_id):
        tallies.add("quotas", item)
    for item in store.pages("ledger", user_id):
        tallies.add("ledger", item)
    store.deadline.begin()
    for item in store.pages("keys", user_key(user_id), NAMES):
        tallies.add("keys", item)
    if uses := store.get("quotas", (user_id, USES)):
        tallies.add("quotas", uses)
    if balance := store.get("quotas", (user_id, "quota")):
        tallies.add("quotas", balance)
    return tallies.get(user_id, Tally(balance_count=1))


def _holds_and_lots(store: Store, user_id: str) -> Iterator[Item]:
    """Yield an account's open holds and its lots, whose keys are neighbours."""
    after: Item | None = None
    while True:
        page = store.query(
            "quotas", user_id, prefix="hold#", up_to=LAST, after=after
        )
        yield from page.items
        after = page.after
        if after is None:
            return


def reference(
    store: Store, payment: Mapping[str, Any]
) -> Mapping[str, Any] | None:
    """Return the row that leads from a stored payment's intent to it, or None.

    A payment of nothing has no intent.
    """
    intent = (
        payment.get("payment_intent")
        if payment.get("phase") == int(Phase.PAID)
        else None
    )
    row = (
        store.get("payments", (reference_key(intent), REFERENCE))
        if intent
        else None
    )
    return (
        row if row and row.get("payment_id") == payment["payment_id"] else None
    )


def _add_entry(tally: Tally, item: Mapping[str, Any]) -> None:
    tally.booked += item["units"]
    for key_id, units in item.get("by_key", {}).items():
        tally.keys_booked_weighed += units * weight(name_of(key_id))
    if item["type"] == "funded":
        tally.funded += item["units"]
        tally.funded_count += 1
    elif item["type"] in ("clawed_back", "reinstated"):
        tally.taken_back -= item["units"]
    elif item["type"] == "adjusted" and item["reference_type"] == "payment":
        tally.adjusted_for_payments += item["units"]


def _add_payment(tally: Tally, item: Mapping[str, Any]) -> None:
    tally.paid += item["quota"]
    tally.paid_count += 1
    tally.intents_count += bool(item.get("payment_intent"))
    tally.clawed_back += _taken_back(item)
    tally.written_off += item.get("units_written_off", 0)


def _taken_back(payment: Mapping[str, Any]) -> int:
    """The units that clawbacks moved: without those that had expired, which moved before."""
    taken: int = payment["units_clawed_back"]
    expired: int = payment.get("units_expired", 0)
    return taken - expired


def _add_balance(tally: Tally, balance: Balance) -> None:
    tally.balance_count += 1
    tally.placed_count += balance.holds_placed
    for name in COPIED:
        setattr(tally, name, getattr(tally, name) + getattr(balance, name))
    tally.keys_used += sum(
        units for name, units in balance.keys.items() if name[0] in "ux"
    )


def _add_uses(tally: Tally, uses: Uses) -> None:
    """Count what no entry shows yet, less the counters: those stand on the balance."""
    for marks in (uses.live, uses.revoked):
        for name, mark in marks.items():
            units = mark.more - mark.day
            tally.keys_not_booked += units
            tally.keys_booked_weighed += units * weight(name)


def _add_revoked(tally: Tally, item: Mapping[str, Any]) -> None:
    units, name = item["used"], item["id"].removeprefix(NAMES)
    tally.keys_revoked += units
    tally.keys_revoked_weighed += units * weight(name)
