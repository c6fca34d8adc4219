"""One automatic charge as a state machine: what to do next, and what an answer makes of it.

Pure: no clock, no outside call::

                     ┌── soft decline, 1, 6, 24 hours later ──┐
                     ▼                                        │
    opened ──► waiting ──── begin: the key is fixed ──► asked ┴─► closed: succeeded, or paused
                                                        │  ▲  │
                                   unknown: same key ───┘  │  └─► processing ──► closed
                                   asked of Stripe ────────┘

One attempt has one idempotency key. A new attempt begins only after the last is known to have
failed. Stripe's word on money is the payment's own row, which settlement writes: this machine only
decides when Stripe is asked.
"""

from dataclasses import dataclass, replace
from typing import Final, Literal, assert_never

from billing.top_up.declines import Verdict

State = Literal["waiting", "asked", "processing"]
Reason = Literal[
    "authentication_required",
    "card_declined",
    "declined_too_often",
    "card_gone",
    "too_many_attempts",
    "refused",
    "record_lost",
    "price_changed",
    "plan_removed",
    "disputed",
    "refunded",
]
"""Why no charge is made until the customer agrees again."""
HOUR: Final = 3600
ATTEMPTS_MAX: Final = 4
PAUSES: Final = (1 * HOUR, 6 * HOUR, 24 * HOUR)
"""After a soft decline, from the try before."""
KEY_SECONDS: Final = 23 * HOUR
"""For so long a request is repeated under its key. Stripe keeps a key for at least 24 hours; one
less, for the difference of the clocks: https://docs.stripe.com/api/idempotent_requests."""
CARD_ATTEMPTS_MAX: Final = 15
CARD_SECONDS: Final = 30 * 24 * HOUR
"""Attempts on one card in thirty days. Visa charges for more, and Stripe may block them:
https://support.stripe.com/questions/payment-blocked-due-to-excessive-retries."""
ASK_AGAIN_FIRST: Final = 60
ASK_AGAIN_LAST: Final = 1 * HOUR
"""An unknown outcome is asked for again after as long as it is unknown, within these bounds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """The open charge of an account. Times are epoch seconds."""

    payment_id: str
    state: State = "waiting"
    attempt: int = 0
    asked_at: int = 0
    """When this attempt's request was first sent, or about to be."""
    due: int = 0
    intent: str = ""
    """Its payment intent, once Stripe has named it. An intent succeeds at most once."""
    card: str = ""
    customer: str = ""
    """The payment method of this attempt, and whose it is: one key goes with one request."""

    @property
    def key(self) -> str:
        """Return the idempotency key of this attempt."""
        return f"{self.payment_id}-{self.attempt}"


@dataclass(frozen=True, slots=True)
class Begin:
    """The next step: store the attempt in the books, then send its request."""


@dataclass(frozen=True, slots=True)
class Send:
    """The next step: send the attempt's request again, under its key."""


@dataclass(frozen=True, slots=True)
class Look:
    """The next step: ask Stripe for the outcome, because Stripe may have forgotten the key."""


@dataclass(frozen=True, slots=True)
class Wait:
    """The next step: do nothing before ``due``."""


Step = Begin | Send | Look | Wait


@dataclass(frozen=True, slots=True)
class Succeeded:
    """Stripe's answer: the charge has succeeded."""

    intent: str


@dataclass(frozen=True, slots=True)
class Processing:
    """Stripe's answer: the charge is processing."""

    intent: str


@dataclass(frozen=True, slots=True)
class Declined:
    """Stripe's answer: the attempt failed, and nothing was charged."""

    verdict: Verdict
    intent: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """Stripe's answer: the request is invalid. Nothing was charged, and a repeat has no use."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Unknown:
    """The outcome of the attempt is unknown. The card may have been charged."""


@dataclass(frozen=True, slots=True)
class NotMade:
    """Stripe has no charge of this attempt. It is a failure only after the key's lifetime."""

    intent: str = ""


Answer = Succeeded | Processing | Declined | Refused | Unknown | NotMade


@dataclass(frozen=True, slots=True)
class Closed:
    """The charge is over. ``reason`` is "" when it succeeded."""

    reason: Reason | Literal[""] = ""


def next_step(charge: Charge, now: int) -> Step:
    """Return the next step of a charge at this time."""
    if now < charge.due:
        return Wait()
    match charge.state:
        case "waiting":
            return Begin()
        case "asked":
            return Send() if now - charge.asked_at < KEY_SECONDS else Look()
        case "processing":
            return Look()
        case _:
            assert_never(charge.state)


def begin(charge: Charge, card: str, customer: str, now: int) -> Charge:
    """Return the charge with its attempt fixed. Its request may be sent from then on."""
    return replace(
        charge,
        state="asked",
        asked_at=now,
        due=now + ASK_AGAIN_FIRST,
        card=card,
        customer=customer,
    )


def put_off(charge: Charge, now: int) -> Charge:
    """Return the charge to store before Stripe is asked again.

    A concurrent container then leaves the charge alone. If this container dies, another continues.
    """
    known_for = now - charge.asked_at
    pause = min(max(known_for, ASK_AGAIN_FIRST), ASK_AGAIN_LAST)
    return replace(charge, due=now + pause)


def after(charge: Charge, answer: Answer, now: int) -> Charge | Closed:
    """Return the charge after an answer of Stripe's."""
    match answer:
        case Succeeded():
            return Closed()
        case Processing():
            return replace(
                charge,
                state="processing",
                intent=answer.intent,
                due=now + ASK_AGAIN_LAST,
            )
        case Declined():
            return _after_decline(charge, answer, now)
        case Refused():
            return Closed(answer.reason)
        case NotMade() if now - charge.asked_at >= KEY_SECONDS:
            return _after_soft(charge, answer.intent, now)
        case Unknown() | NotMade():
            return charge
        case _:
            assert_never(answer)


def _after_decline(
    charge: Charge, declined: Declined, now: int
) -> Charge | Closed:
    match declined.verdict:
        case "soft":
            return _after_soft(charge, declined.intent, now)
        case "hard":
            return Closed("card_declined")
        case "authentication":
            return Closed("authentication_required")
        case _:
            assert_never(declined.verdict)


def _after_soft(charge: Charge, intent: str, now: int) -> Charge | Closed:
    attempt = charge.attempt + 1
    if attempt == ATTEMPTS_MAX:
        return Closed("declined_too_often")
    return Charge(
        payment_id=charge.payment_id,
        attempt=attempt,
        due=now + PAUSES[charge.attempt],
        intent=intent or charge.intent,
    )
