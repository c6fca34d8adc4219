"""Every interleaving of two checkouts under one key, with every fault at every call of DynamoDB's
and of Stripe's.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from billing.books import Books
from billing.buying import checkout
from billing.errors import BillingError, OutcomeUnknownError
from billing.payments.payment import Payment
from billing.payments.plans import catalogue
from billing.settlement import settlement
from billing.stripe_api.outcomes import StripeServerError
from support import builders
from support.builders import SHOP, fact
from support.schedules import FAULTS, Crash, Handlers, ScheduledStore, explore, fresh_books


class Stripe:
    """A session a key.

    Each call is a point of the schedule; the faults are Stripe's own of the same kind.
    """

    def __init__(self, store: ScheduledStore) -> None:
        """``store`` keeps the schedule."""
        self.store = store
        self.made: dict[str, dict[str, Any]] = {}
        self.closed: set[str] = set()
        self.dies_next = False

    def create_session(self, params: Mapping[str, Any], idempotency_key: str) -> dict[str, Any]:
        """See the gateway. ``throttle``: the edge's 503, before anything is
        looked at and not kept.
        """
        del params
        fault = self._meet_fault()
        if fault == "throttle":
            raise StripeServerError("503")
        if fault == "conflict":
            raise BillingError("stripe_unavailable", "turned away until the time was up")
        number = len(self.made) + 1
        made = self.made.setdefault(
            idempotency_key,
            {"id": f"cs_{number}", "url": f"https://pay/{number}", "expires_at": 1767409445},
        )
        self.store.remember(made)
        self._lose("crash_after" if self.dies_next else fault)
        return made

    def expire_session(self, session_id: str) -> None:
        """See the gateway."""
        fault = self._meet_fault()
        if fault in ("throttle", "conflict"):
            raise StripeServerError("503")
        self.closed.add(session_id)
        self._lose(fault)

    def _meet_fault(self) -> str:
        fault = self.store.meet_fault()
        self.store.remember(fault)
        if fault == "crash_before":
            raise Crash
        return fault

    def _lose(self, fault: str) -> None:
        self.dies_next = False
        if fault == "crash_after":
            raise Crash
        if fault == "lost":
            raise BillingError("stripe_unavailable", "the answer was lost")


@pytest.mark.parametrize(
    ("callers", "faults", "before"),
    [(2, FAULTS, 0), (3, (), 0), (2, ("crash_after", "throttle", "lost"), 1)],
)
def test_concurrent_requests_under_one_key_get_one_session_and_its_buyer_is_credited(
    callers: int,
    faults: tuple[str, ...],
    before: int,
    record_figures: Callable[[str, dict[str, int]], None],
) -> None:
    """Whatever order, whatever fault: who heard nothing asks again, and hears what the others
    heard.

    ``before``: so many payments of the same key expired before anybody had heard of them.
    """

    def build(store: ScheduledStore) -> Handlers:
        books, stripe = fresh_books(store), Stripe(store)
        answers: list[dict[str, Any]] = []

        def ask() -> None:
            try:
                answers.append(
                    checkout.create(
                        books,
                        stripe,  # type: ignore[arg-type]
                        SHOP,
                        "alice",
                        catalogue()["starter"],
                        key="k",
                    )
                )
            except BillingError as refused:  # "may retry, also under the same key"
                raise OutcomeUnknownError(refused.code) from refused

        def check(ends: list[str]) -> None:
            for end in [*ends, "asked once more"]:
                if end != "done":
                    ask()
            assert all(
                answer == answers[0] and answer["url"] and answer["expires_at"]
                for answer in answers
            )
            assert answers[0]["session_id"] not in stripe.closed
            _is_credited(books, answers[0], before)

        for _ in range(before):
            _expires_unheard(books, stripe, ask)
        return [ask] * callers, check

    record_figures(
        f"{callers} checkouts under one key{' that expired unheard' * before}",
        explore(build, faults),
    )


def _expires_unheard(books: Books, stripe: Stripe, ask: Callable[[], None]) -> None:
    """The session was made, and its maker died; a day later its event came."""
    stripe.dies_next = True
    with pytest.raises(Crash):
        ask()
    (payment,) = _payments(books)
    settlement.apply(books, fact(builders.expired(replace(payment, session_id="cs_1"))))


def _is_credited(books: Books, answer: dict[str, Any], before: int) -> None:
    """There is one payment that can be paid, it is the one that was told, and so is its session."""
    *expired, payment = _payments(books)
    assert len(expired) == before
    assert (payment.payment_id, payment.session_id, payment.url) == (
        answer["payment_id"],
        answer["session_id"],
        answer["url"],
    )
    assert settlement.apply(books, fact(builders.completed(payment))).status == "settled"


def _payments(books: Books) -> list[Payment]:
    """Oldest first."""
    rows = books.store.memory.tables["payments"].values()  # type: ignore[attr-defined]
    return sorted(
        (Payment.from_item(row) for row in rows if "phase" in row),
        key=lambda payment: payment.payment_id,
    )
