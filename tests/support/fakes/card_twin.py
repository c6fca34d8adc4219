"""A twin of Stripe's saved cards and off-session charges, in memory.

As strict as Stripe says it is: https://docs.stripe.com/api/idempotent_requests and
https://docs.stripe.com/payments/paymentintents/lifecycle.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from billing.errors import BillingError, StripeRefusedError
from billing.stripe_api.cards import CardDeclinedError
from billing.stripe_api.outcomes import StripeNotFoundError, StripeServerError
from support import builders
from support.fakes.stripe_twin import Stripe

KEY_SECONDS = 24 * 3600
CARD = {"brand": "visa", "exp_month": 12, "exp_year": 2034, "fingerprint": "print", "last4": "4242"}
DECLINES: Mapping[str, dict[str, str]] = {
    "insufficient_funds": {"code": "card_declined", "decline_code": "insufficient_funds"},
    "generic_decline": {"code": "card_declined", "decline_code": "generic_decline"},
    "lost_card": {"code": "card_declined", "decline_code": "lost_card"},
    "expired_card": {"code": "expired_card"},
    "never_again": {
        "code": "card_declined",
        "decline_code": "generic_decline",
        "advice_code": "do_not_try_again",
    },
    "authentication_required": {
        "code": "authentication_required",
        "decline_code": "authentication_required",
    },
}
UNDER_WAY = {"processing": "processing", "requires_action": "requires_action"}
CREATE = {
    "amount",
    "currency",
    "customer",
    "payment_method",
    "allowed_payment_method_types",
    "confirm",
    "off_session",
    "error_on_requires_action",
    "metadata",
}
CONFIRM = {"payment_method", "off_session", "error_on_requires_action"}
LOST_BEFORE, LOST_AFTER = "lost_before", "lost_after"
BROKEN_BEFORE, BROKEN_AFTER = "broken_before", "broken_after"
FAULTS = (LOST_BEFORE, LOST_AFTER, BROKEN_BEFORE, BROKEN_AFTER)


def _unavailable() -> BillingError:
    return BillingError("stripe_unavailable", "no answer in time")


class CardTwin(Stripe):
    """Charges cards as they are scripted, and loses answers as it is told."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        """One customer with one card, which pays."""
        super().__init__()
        self.clock = clock
        self.customers: dict[str, list[dict[str, Any]]] = {"cus_1": [{"id": "pm_1", "card": CARD}]}
        self.script: list[str] = []
        """What the next attempts become; after it they succeed."""
        self.faults: list[str] = []
        """What the next requests for money meet, "" for nothing."""
        self.keys: dict[str, tuple[datetime, Any, Any]] = {}
        self.attempts: list[tuple[str, datetime]] = []
        """Every attempt on a card that was made: the intent, and when."""
        self.succeeded: list[str] = []
        """Every charge of a card that took money, by its payment's id."""
        self.key_name = "sk_test_1"
        self.events: list[dict[str, Any]] = []
        """What Stripe tells, in order."""

    def is_of_mode(self, *, livemode: bool) -> bool:
        """By the key's own name."""
        return ("live" in self.key_name) is livemode

    def cards_of(self, customer: str) -> list[Mapping[str, Any]]:
        """All of them, newest first."""
        if self.is_down:
            raise _unavailable()
        if customer not in self.customers:
            raise StripeNotFoundError(customer)
        return list(self.customers[customer])

    def intent(self, intent: str) -> Mapping[str, Any]:
        """As it is now."""
        if self.is_down:
            raise _unavailable()
        return dict(self._need(intent))

    def intents_of(self, customer: str, since: int) -> Iterator[Mapping[str, Any]]:
        """Newest first."""
        if self.is_down:
            raise _unavailable()
        rows = [dict(row) for row in self.charged if row["created"] >= since]
        yield from (row for row in rows if row["customer"] == customer)

    def charge_card(self, params: Mapping[str, Any], idempotency_key: str) -> Mapping[str, Any]:
        """Create and confirm."""
        assert set(params) == CREATE, set(params) ^ CREATE
        assert params["confirm"] is params["off_session"] is True

        def act() -> Any:
            if params["customer"] not in self.customers:
                return _missing("customer")
            number = len(self.charged) + 1
            made = {
                "id": f"pi_{number}",
                "object": "payment_intent",
                "amount": params["amount"],
                "amount_received": 0,
                "created": int(self.clock().timestamp()),
                "currency": params["currency"],
                "customer": params["customer"],
                "last_payment_error": None,
                "livemode": False,
                "metadata": dict(params["metadata"]),
                "status": "requires_confirmation",
            }
            if not self._is_saved(params["customer"], params["payment_method"]):
                return _missing("payment_method")
            self.charged.insert(0, made)
            return self._attempt(made)

        return self._once(idempotency_key, ("create", dict(params)), act)

    def charge_card_again(
        self, intent: str, params: Mapping[str, Any], idempotency_key: str
    ) -> Mapping[str, Any]:
        """Confirm again."""
        assert set(params) == CONFIRM, set(params) ^ CONFIRM

        def act() -> Any:
            found = self._need(intent)
            if found["status"] not in ("requires_payment_method", "requires_confirmation"):
                return StripeRefusedError({"http_status": 400, "code": "unexpected_state"})
            if not self._is_saved(found["customer"], params["payment_method"]):
                return _missing("payment_method")
            return self._attempt(found)

        return self._once(idempotency_key, (intent, dict(params)), act)

    def end(self, payment_id: str, status: str) -> None:
        """End what is processing: ``succeeded``, ``canceled``, or a decline's name."""
        for row in self.charged:
            if row["metadata"]["payment_id"] == payment_id and row["status"] == "processing":
                self._become(row, status)

    def _once(self, key: str, asked: Any, act: Callable[[], Any]) -> Mapping[str, Any]:
        """Carry a request out once under its key, for a day. Then lose the answer, perhaps."""
        fault = self._fault()
        if fault == LOST_BEFORE or self.is_down:
            raise _unavailable()
        now = self.clock()
        kept = self.keys.get(key)
        if kept and (now - kept[0]).total_seconds() >= KEY_SECONDS:
            kept = None
        if kept is None:
            kept = (now, asked, StripeServerError("500"))
            if fault != BROKEN_BEFORE:
                done = act()
                if fault != BROKEN_AFTER:
                    kept = (now, asked, done)
            self.keys[key] = kept
        if kept[1] != asked:
            raise StripeServerError("idempotency_error 400")
        if fault == LOST_AFTER:
            raise _unavailable()
        if isinstance(kept[2], Exception):
            raise kept[2]
        return dict(kept[2])

    def _fault(self) -> str:
        return self.faults.pop(0) if self.faults else ""

    def _attempt(self, intent: dict[str, Any]) -> Any:
        self.attempts.append((intent["id"], self.clock()))
        return self._become(intent, self.script.pop(0) if self.script else "succeeded")

    def _become(self, intent: dict[str, Any], word: str) -> Any:
        if word in DECLINES:
            error = {"type": "card_error", **DECLINES[word]}
            intent |= {"status": "requires_payment_method", "last_payment_error": error}
            self._tell("payment_failed", intent)
            return CardDeclinedError({**error, "payment_intent": dict(intent)})
        if word == "succeeded":
            intent["amount_received"] = intent["amount"]
            self.succeeded.append(intent["metadata"]["payment_id"])
        intent["status"] = UNDER_WAY.get(word, word)
        if word != "requires_action":
            self._tell(word, intent)
        return dict(intent)

    def _tell(self, kind: str, intent: dict[str, Any]) -> None:
        created = int(self.clock().timestamp())
        event = builders.event(f"payment_intent.{kind}", dict(intent), created=created)
        self.events.append(event)

    def _is_saved(self, customer: str, card: str) -> bool:
        return card in {row["id"] for row in self.customers.get(customer, [])}

    def _need(self, intent: str) -> dict[str, Any]:
        for row in self.charged:
            if row["id"] == intent:
                return row
        raise StripeNotFoundError(intent)


def _missing(param: str) -> StripeRefusedError:
    return StripeRefusedError({"http_status": 400, "code": "resource_missing", "param": param})
