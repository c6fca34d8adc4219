"""One automatic charge as a state machine: the next step, and each answer.

These functions read no clock and make no outside call::

               ┌ soft decline: 1, 6, 24 h later ┐
               ▼                                │
    opened ─► waiting ── begin: stored ─► asked ┴─► closed: succeeded
                                          │  ▲  │   or paused
    unknown: same request sent again, or ─┘  │  └─► processing ─► closed
                 outcome asked of Stripe ────┘

Each attempt has one idempotency key. A new attempt starts only after the last
one has certainly failed. Whether money was paid is stored in the payment's
row, which settlement writes: this state machine only decides when to ask
Stripe.
"""

from dataclasses import dataclass, replace
from typing import Final, Literal, assert_never

from billing.charging.answers import (
    Answer,
    Declined,
    NotMade,
    Processing,
    Refused,
    Succeeded,
    Unknown,
)
from billing.charging.charge import Charge, Reason

HOUR: Final = 3600
ATTEMPTS_MAX: Final = 4
PAUSES: Final = (1 * HOUR, 6 * HOUR, 24 * HOUR)
"""The pause before each new attempt after a soft decline."""
KEY_SECONDS: Final = 23 * HOUR
"""How long a request is repeated with its idempotency key. Stripe keeps the
key for at least 24 hours; this is one hour less, for the difference of the
clocks: https://docs.stripe.com/api/idempotent_requests
"""
ASK_AGAIN_FIRST: Final = 60
ASK_AGAIN_LAST: Final = 1 * HOUR
"""The longest pause before Stripe is asked again for an unknown outcome;
ASK_AGAIN_FIRST is the shortest. In between, the pause is as long as the
outcome has been unknown.
"""


@dataclass(frozen=True, slots=True)
class Begin:
    """Says that the next step of a charge is a new attempt.

    An attempt is one try to charge the customer's card. It is stored first.
    Then its request is sent to Stripe.
    """


@dataclass(frozen=True, slots=True)
class Send:
    """The next step of a charge: send the same request to Stripe again.

    It has the same idempotency key.
    """


@dataclass(frozen=True, slots=True)
class Look:
    """The next step of a charge: ask Stripe for the outcome.

    No request to charge is sent. Stripe may no longer know the idempotency
    key, so a repeated request could charge twice.
    """


@dataclass(frozen=True, slots=True)
class Wait:
    """The next step of a charge: do nothing before the time ``due``."""


Step = Begin | Send | Look | Wait


@dataclass(frozen=True, slots=True)
class Closed:
    """The automatic charge is over.

    ``reason`` says why it failed. It is "" if the charge succeeded.
    """

    reason: Reason | Literal[""] = ""


def next_step(charge: Charge, now: int) -> Step:
    """Return what to do next with a charge.

    It is Wait before the time ``due``. Then it is Begin if a new attempt may
    start, Send to repeat a request without an answer, or Look to ask Stripe
    for the outcome only.
    """
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
    """Return the charge with its next attempt, to be stored and then sent.

    ``card`` is the payment method, and ``customer`` its customer at
    Stripe.
    """
    return replace(
        charge,
        state="asked",
        asked_at=now,
        due=now + ASK_AGAIN_FIRST,
        card=card,
        customer=customer,
    )


def put_off(charge: Charge, now: int) -> Charge:
    """Return the charge with a later ``due``. Store it, then ask Stripe.

    ``due`` is the time of its next step. A concurrent process then leaves the
    charge alone. If this process crashes, another one continues at ``due``.
    """
    known_for = now - charge.asked_at
    pause = min(max(known_for, ASK_AGAIN_FIRST), ASK_AGAIN_LAST)
    return replace(charge, due=now + pause)


def after(charge: Charge, answer: Answer, now: int) -> Charge | Closed:
    """Return the automatic charge as it is after Stripe's answer, or Closed.

    Closed means that the charge has succeeded, or has failed and is not tried
    again. If the answer leaves the outcome unknown, the charge is returned
    unchanged. Nothing is written here.
    """
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
