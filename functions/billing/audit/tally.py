"""Defines a tally: the sums of one account's rows.

It also defines the rules between the sums, for example that the ledger adds up
to the balance. An audit reports each rule that an account breaks.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Difference:
    """Says which rule one account breaks: the expected and the found number.

    The numbers are units, or counts of rows. ``rule`` is a sentence.
    """

    user_id: str
    rule: str
    expected: int
    found: int

    def as_answer(self) -> dict[str, Any]:
        """Return the members as a dictionary, by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(slots=True)
class Tally:
    """Holds the sums of one account's rows, to check that they agree.

    The sums are in units, except that members that end in ``_count`` count
    rows. A lot is the units of one purchase or grant.
    """

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
    """The units used by live API keys, and by revoked ones whose counter is
    still on the balance.
    """
    keys_not_booked: int = 0
    """Added to ``keys_used``, it gives the use of API keys that no ledger
    entry shows yet. It comes from the row ``uses``, and is usually negative.
    """
    keys_revoked: int = 0
    """The units used by revoked API keys, from the keys' own rows."""
    keys_booked_weighed: int = 0
    """The units in ledger entries and in the row ``uses``, each multiplied by
    its API key's weight.
    """
    keys_revoked_weighed: int = 0

    def steady(self) -> tuple[int, ...]:
        """Return those of the account's sums that debits do not change.

        If they are equal in two readings of an account, only debits came in
        between. Then the other sums are right too: a debit changes ``used``,
        ``remaining`` and a key's counter together, in one row.
        """
        moving = ("used", "remaining", "keys_used")
        return tuple(
            getattr(self, name) for name in self.__slots__ if name not in moving
        )

    def differences(self, user_id: str) -> Iterator[Difference]:
        """Yield a Difference for each rule that the account breaks."""
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
        """Return the rules on which an account's rows must agree.

        The rows are its ledger, open holds, balance, and lots (the units of
        one purchase or grant). The result maps each rule, a sentence, to the
        expected and the found units. The rule is kept if they are equal.
        """
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
        """Return the rules on which payments and ledger must agree.

        The result maps each rule, a sentence, to the expected and the found
        number, of units or rows. The rule is kept if they are equal.
        """
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
        """Return the rules on how many units the API keys have used.

        The result maps each rule, a sentence, to the expected and the found
        number. The account obeys a rule if they are equal. In the last rule,
        each key's units are multiplied by a number of its own, so that too
        much for one key does not hide too little for another.
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
        """Return the rules on figures of the balance, for example debt >= 0.

        The result maps each rule, a sentence, to the expected and the found
        number. The rule is kept if they are equal.
        """
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
