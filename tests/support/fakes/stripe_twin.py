"""A twin of Stripe's API for reconciliation, in memory.

Like tests/memory_store: it answers, it does not check.
"""

from collections.abc import Iterable
from typing import Any

from billing.payments.payment import Payment
from billing.stripe_api.objects import intent_of
from billing.stripe_api.outcomes import StripeNotFoundError, StripeServerError
from support import builders


class Stripe:
    """A twin of what Stripe's API lists, as the gateway hands it on, newest first and few to a
    page.
    """

    def __init__(self) -> None:
        """Nothing was sold."""
        self.sold: list[dict[str, Any]] = []
        self.returned: list[dict[str, Any]] = []
        self.disputed: list[dict[str, Any]] = []
        self.charged: list[dict[str, Any]] = []
        """Automatic charges' intents."""
        self.is_down = False
        self.lists_lag = False
        """No list shows a session yet."""
        self.intents: dict[str, dict[str, Any]] = {}
        """Metadata of payment intents that no session here has."""
        self.rows_a_page = 1
        self.asked_for: list[str] = []

    def sell(self, payment: Payment, at: int, **members: Any) -> None:
        """A session that was paid."""
        self.sold.insert(0, builders.session(payment, created=at, **members))

    def refund(
        self, payment: Payment, refund_id: str, amount: int, status: str = "succeeded"
    ) -> None:
        """A refund."""
        subject = builders.refund(payment, refund_id, amount, status)["data"]["object"]
        self.returned.insert(0, {**subject, "created": 1767323046})

    def dispute(self, event: dict[str, Any]) -> None:
        """A dispute as its latest event shows it."""
        subject = {**event["data"]["object"], "created": 1767323047}
        self.disputed = [subject, *(row for row in self.disputed if row["id"] != subject["id"])]

    def sessions(self, since: int, after: str = "") -> dict[str, Any]:
        """One page."""
        return self._page([row for row in self.sold if row["created"] >= since], after)

    def payment_intents(self, since: int, after: str = "") -> dict[str, Any]:
        """One page of the automatic charges' intents."""
        return self._page([row for row in self.charged if row["created"] >= since], after)

    def purchase(self, funding_id: str) -> dict[str, Any]:
        """A session, or an automatic charge's intent."""
        if not funding_id.startswith("pi_"):
            return self.session(funding_id)
        self.asked_for.append(funding_id)
        for row in self.charged:
            if row["id"] == funding_id:
                return row
        raise StripeNotFoundError(funding_id)

    def refunds(self, since: int, after: str = "") -> dict[str, Any]:
        """One page."""
        return self._expanded([row for row in self.returned if row["created"] >= since], after)

    def disputes(self, since: int, after: str = "") -> dict[str, Any]:
        """One page."""
        return self._expanded(
            [row for row in self.disputed if row.get("created", since) >= since], after
        )

    def refunds_of(self, payment_intent: str) -> Iterable[dict[str, Any]]:
        """All of them."""
        self.asked_for.append(payment_intent)
        return [row for row in self.returned if row["payment_intent"] == payment_intent]

    def disputes_of(self, payment_intent: str) -> list[dict[str, Any]]:
        """All of them."""
        return [row for row in self.disputed if row["payment_intent"] == payment_intent]

    def session(self, session_id: str) -> dict[str, Any]:
        """One by its id."""
        self.asked_for.append(session_id)
        for row in self.sold:
            if row["id"] == session_id:
                return row
        raise StripeNotFoundError(session_id)

    def session_of_intent(self, payment_intent: str) -> dict[str, Any] | None:
        """The one that it paid."""
        if self.is_down:
            raise StripeServerError("500")
        return next(
            (row for row in self.sold if intent_of(row) == payment_intent and not self.lists_lag),
            None,
        )

    def payment_intent(self, payment_intent: str) -> dict[str, Any]:
        """With its session's metadata: checkout puts it there.

        Of one that no session here has, with that in ``intents``, or none.
        """
        if self.is_down:
            raise StripeServerError("500")
        for row in self.charged:
            if row["id"] == payment_intent:
                return row
        sold: dict[str, Any] = next(
            (row["metadata"] for row in self.sold if intent_of(row) == payment_intent), {}
        )
        return {
            "id": payment_intent,
            "object": "payment_intent",
            "metadata": self.intents.get(payment_intent, sold),
        }

    def charge(self, charge: str) -> dict[str, Any]:
        """Its payment intent."""
        return {"payment_intent": "pi_" + charge.removeprefix("ch_")}

    def _expanded(self, rows: list[dict[str, Any]], after: str) -> dict[str, Any]:
        """Payment intents carry their session's metadata: checkout puts it there."""
        page = self._page(rows, after)
        metadata = {intent_of(row): row["metadata"] for row in (*self.sold, *self.charged)}
        intents = [
            {
                "id": row["payment_intent"],
                "metadata": (metadata | self.intents).get(row["payment_intent"], {}),
            }
            for row in page["data"]
        ]
        return {
            **page,
            "data": [
                {**row, "payment_intent": intent}
                for row, intent in zip(page["data"], intents, strict=True)
            ],
        }

    def _page(self, rows: list[dict[str, Any]], after: str) -> dict[str, Any]:
        ids = [row["id"] for row in rows]
        start = ids.index(after) + 1 if after else 0
        end = start + self.rows_a_page
        return {"data": rows[start:end], "has_more": len(rows) > end}
