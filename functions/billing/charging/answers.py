"""Defines the answers that Stripe can give about an automatic charge.

``charging/state_machine.py`` decides by the answer what to do next.
"""

from dataclasses import dataclass

from billing.charging.charge import Reason
from billing.charging.declines import Verdict
from billing.facts import Fact


@dataclass(frozen=True, slots=True)
class Succeeded:
    """Stripe's answer: the charge has succeeded."""

    intent: str


@dataclass(frozen=True, slots=True)
class Processing:
    """Stripe's answer: the payment is processing.

    Its outcome is not known yet. ``intent`` is the payment intent's id.
    """

    intent: str


@dataclass(frozen=True, slots=True)
class Declined:
    """Stripe's answer: the attempt failed, and nothing was charged."""

    verdict: Verdict
    intent: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """Stripe's answer: the request is invalid.

    Nothing was charged, and Stripe would refuse the same request again.
    """

    reason: Reason


@dataclass(frozen=True, slots=True)
class Unknown:
    """Says that it is unknown whether Stripe has charged the card.

    For example, Stripe's response did not arrive.
    """


@dataclass(frozen=True, slots=True)
class NotMade:
    """Stripe's answer: this attempt has charged nothing so far.

    It counts as failed only if the request was first sent at least 23 hours
    ago (KEY_SECONDS). Before that, the request may still be under way.
    """

    intent: str = ""


Answer = Succeeded | Processing | Declined | Refused | Unknown | NotMade


@dataclass(frozen=True, slots=True)
class Word:
    """Holds what Stripe says about an automatic charge.

    ``answer`` decides the next step of the charge (see state_machine).
    ``fact`` is what must be recorded about the payment (a parsed payment
    intent or decline), or None if there is nothing to record.
    """

    answer: Answer
    fact: Fact | None = None
    error: Exception | None = None
    """For the log: why the outcome is unknown or the request was refused."""
