"""Parses Stripe's events into facts, once, or ignores them with a reason.

It knows Stripe's objects, and none of our records: https://docs.stripe.com/api/events/types.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar

from billing.facts import (
    DeclinedFact,
    DisputeFact,
    Fact,
    RefundsFact,
    SessionFact,
    SessionKind,
)
from billing.settings import Ours

SESSION_EVENTS: Final[Mapping[str, SessionKind]] = {
    "checkout.session.completed": "paid",
    "checkout.session.async_payment_succeeded": "paid",
    "checkout.session.async_payment_failed": "async_failed",
    "checkout.session.expired": "expired",
}
REFUND_EVENTS: Final = (
    "refund.created",
    "refund.updated",
    "refund.failed",
    "charge.refund.updated",
)
"""https://docs.stripe.com/changelog/acacia/2024-10-28/refund-webhook-update"""
DISPUTE_EVENTS: Final = (
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
    "charge.dispute.closed",
)
SUBSCRIBED: Final = (
    *SESSION_EVENTS,
    "payment_intent.payment_failed",
    "charge.refunded",
    *REFUND_EVENTS,
    *DISPUTE_EVENTS,
)
"""Every event type the product acts on: what a webhook endpoint must be subscribed to."""
DIGITS_MAX: Final = 10
CHARS_MAX: Final = 255
SURROGATE: Final = re.compile("[\ud800-\udfff]")
"""Half of a surrogate pair: JSON can escape it, UTF-8 and so DynamoDB cannot hold it."""
OTHER_DEPLOYMENT: Final = "other_deployment"
"""Why metadata of Topup is not ours: another deployment on the same Stripe account wrote it."""
UNREADABLE: Final = "unreadable"
"""A member is missing or of another type than Stripe documents."""
PAID: Final = ("paid", "no_payment_required")
CARD_DECLINED: Final = "card_declined"
UNNAMED_FAILURE: Final = "payment_failed"
"""Ours, where Stripe names no code."""
STANDING: Final = ("pending", "requires_action", "succeeded")
GONE: Final = ("failed", "canceled")
"""A refund's states: STANDING, the money goes to the customer; GONE, it has come back from there.

https://docs.stripe.com/api/refunds/object#refund_object-status
"""
_T = TypeVar("_T")
CLOSED: Final = ("won", "lost", "warning_closed", "prevented")


@dataclass(frozen=True, slots=True)
class Ignored:
    """Not ours, or not of interest.

    ``reason`` is one of a few fixed words, so that it can be counted.
    """

    reason: str

    @property
    def metric(self) -> Literal["ignored", "unreadable"]:
        """Under which metric it is counted: money may have moved by what cannot be read."""
        return "unreadable" if self.reason == UNREADABLE else "ignored"


class _UnreadableError(Exception):
    """A member is missing or of another type than Stripe documents."""


def parse(event: Mapping[str, Any], ours: Ours) -> Fact | Ignored:
    """Return the fact in a verified event.

    Raises for no JSON object, only what reading our deployment's id raises.
    """
    kind = event.get("type")
    if event.get("object") != "event" or not isinstance(kind, str):
        return Ignored("unsupported")
    if event.get("account") or event.get("context"):
        return Ignored("other_account")
    reader = _READERS.get(kind)
    if reader is None:
        return Ignored("not_of_interest")
    if event.get("livemode") is not ours.livemode:
        return Ignored("other_mode")
    try:
        subject = _member(_member(event, "data", dict), "object", dict)
        origin = {
            "fact_id": _text(event, "id"),
            "type": kind,
            "created": _whole(event, "created"),
        }
        return reader(subject, origin, ours)
    except _UnreadableError:
        return Ignored(UNREADABLE)


def session_fact(
    session: Mapping[str, Any],
    kind: SessionKind,
    origin: Mapping[str, Any],
    ours: Ours,
) -> SessionFact | Ignored:
    """Read a Checkout Session object, whether it came in an event or from the API."""
    if session.get("mode") != "payment":
        return Ignored("not_ours")
    claims = claims_in(session, ours)
    if isinstance(claims, Ignored):
        return claims
    if session.get("livemode") is not ours.livemode:
        return Ignored("other_mode")
    try:
        return SessionFact(
            kind=kind,
            session_id=_text(session, "id"),
            amount_subtotal=_whole(session, "amount_subtotal"),
            amount_total=_whole(session, "amount_total"),
            currency=_text(session, "currency"),
            payment_intent=_reference(session, "payment_intent"),
            **claims,
            **origin,
        )
    except _UnreadableError:
        return Ignored(UNREADABLE)


def dispute_fact(
    dispute: Mapping[str, Any], origin: Mapping[str, Any], *, formal: bool
) -> DisputeFact | Ignored:
    """Read a dispute object.

    ``formal``: this reading may open the dispute (its creation, or the API's own word).
    """
    try:
        found_by = _found_by(dispute)
        if not any(found_by.values()):
            return Ignored("not_ours")
        status = _text(dispute, "status")
        amount = _whole(dispute, "amount")
        currency = _text(dispute, "currency")
        rows = _transactions(dispute)
        return DisputeFact(
            currency=currency,
            dispute_id=_text(dispute, "id"),
            amount=amount,
            opened=formal
            and status != "prevented"
            and not status.startswith("warning_"),
            closed=status if status in CLOSED else "",
            transactions={_text(row, "id"): _signed(row, "amount") for row in rows},
            converted=any(_text(row, "currency") != currency for row in rows),
            **found_by,
            **origin,
        )
    except _UnreadableError:
        return Ignored(UNREADABLE)


def _session(
    session: Mapping[str, Any], origin: Mapping[str, Any], ours: Ours
) -> Fact | Ignored:
    kind = SESSION_EVENTS[origin["type"]]
    status = session.get("payment_status")
    if (
        kind == "paid"
        and status == "unpaid"
        and origin["type"] == "checkout.session.completed"
    ):
        kind = "unpaid"
    found = session_fact(session, kind, origin, ours)
    if isinstance(found, SessionFact) and kind == "paid" and status not in PAID:
        return Ignored(UNREADABLE)
    return found


def _declined(
    intent: Mapping[str, Any], origin: Mapping[str, Any], ours: Ours
) -> Fact | Ignored:
    claims = claims_in(intent, ours)
    if isinstance(claims, Ignored):
        return claims
    error = intent.get("last_payment_error")
    return DeclinedFact(
        payment_id=claims["payment_id"],
        user_id=claims["user_id"],
        needs_record=claims["needs_record"],
        failure_code=_failure_code(error)
        if isinstance(error, dict)
        else UNNAMED_FAILURE,
        **origin,
    )


def _failure_code(error: Mapping[str, Any]) -> str:
    """The issuer's reason where ``code`` says only that the card was declined.

    https://docs.stripe.com/declines/codes
    """
    code, reason = error.get("code"), error.get("decline_code")
    if code == CARD_DECLINED and isinstance(reason, str) and _is_short(reason):
        return reason
    return code if isinstance(code, str) and _is_short(code) else UNNAMED_FAILURE


def _charge_refunded(
    charge: Mapping[str, Any], origin: Mapping[str, Any], ours: Ours
) -> Fact | Ignored:
    """A charge has its payment intent's metadata: https://support.stripe.com/questions/how-metadata-works-with-related-objects.

    A seller can edit it, so a charge without ours is still ours if we have a record of its payment.
    """
    claims = claims_in(charge, ours)
    if isinstance(claims, Ignored) and claims.reason == OTHER_DEPLOYMENT:
        return claims
    intent = _reference(charge, "payment_intent")
    if intent is None or not intent.startswith("pi_"):
        return Ignored(
            "not_ours"
        )  # Checkout in payment mode always has a payment intent
    standing, failed = refunds_by_id(_listed_refunds(charge))
    return RefundsFact(
        payment_intent=intent,
        charge=_text(charge, "id"),
        currency=_text(charge, "currency"),
        refunded_minor=_whole(charge, "amount_refunded"),
        standing=standing,
        failed=failed,
        **_proof(claims),
        **origin,
    )


def _listed_refunds(charge: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The charge's refunds as endpoints of API versions before 2022-11-15 list them; [] otherwise.

    https://docs.stripe.com/changelog/2022-11-15/deprecates-charges-auto-expand
    """
    listed = charge.get("refunds")
    rows = listed.get("data") if isinstance(listed, dict) else None
    if not isinstance(rows, list):
        return []
    return [row for row in rows if isinstance(row, dict)]


def _refund(
    refund: Mapping[str, Any], origin: Mapping[str, Any], ours: Ours
) -> Fact | Ignored:
    del ours
    standing, failed = refunds_by_id([refund])
    if not standing and not failed:
        return Ignored("not_of_interest")
    found_by = _found_by(refund)
    if not any(found_by.values()):
        return Ignored("not_ours")
    return RefundsFact(
        currency=_text(refund, "currency"),
        standing=standing,
        failed=failed,
        **found_by,
        **origin,
    )


def refunds_by_id(
    refunds: Iterable[Mapping[str, Any]],
) -> tuple[dict[str, int], dict[str, int]]:
    """Return the amounts of the refunds that stand, and of those that failed or were canceled.

    A refund whose status we do not know is in neither: its charge's figure still counts it.
    """
    standing, failed = {}, {}
    for refund in refunds:
        status = refund.get("status")
        if status in STANDING:
            standing[_text(refund, "id")] = _whole(refund, "amount")
        elif status in GONE:
            failed[_text(refund, "id")] = _whole(refund, "amount")
    return standing, failed


def _dispute(
    dispute: Mapping[str, Any], origin: Mapping[str, Any], ours: Ours
) -> Fact | Ignored:
    del ours
    return dispute_fact(
        dispute, origin, formal=origin["type"] == "charge.dispute.created"
    )


def claims_in(subject: Mapping[str, Any], ours: Ours) -> dict[str, Any] | Ignored:
    """Return what our metadata on a session, payment intent or charge says, or why it is not ours.

    Raises what reading our deployment's id raises: unknown does not mean foreign.
    """
    metadata = subject.get("metadata")
    if not isinstance(metadata, dict):
        return Ignored("not_ours")
    claims = {
        name: metadata.get(name)
        for name in ("payment_id", "user_id", "plan", "quota")
    }
    if not all(_is_claim(value) for value in claims.values()):
        return Ignored("not_ours")
    units = str(claims["quota"])
    if not (units.isascii() and units.isdigit() and len(units) <= DIGITS_MAX):
        return Ignored("not_ours")
    deployment = metadata.get("deployment")
    needs_record = deployment is None
    if not needs_record:
        is_ours = isinstance(deployment, str) and ours.deployment.wrote(deployment)
        if not is_ours:
            return Ignored(OTHER_DEPLOYMENT)
    return {
        **claims,
        "quota": int(units),
        "expires_after_days": _days(metadata.get("expires_after_days")),
        "needs_record": needs_record,
    }


def _days(text: object) -> int:
    """Return how long the units live. 0, for ever, where metadata does not say."""
    is_number = isinstance(text, str) and text.isascii() and text.isdigit()
    return int(str(text)) if is_number and len(str(text)) <= DIGITS_MAX else 0


def _is_claim(value: object) -> bool:
    if not isinstance(value, str):
        return False
    return 0 < len(value) <= CHARS_MAX and not SURROGATE.search(value)


def _proof(claims: Mapping[str, Any] | Ignored) -> dict[str, Any]:
    """Return what shows that a charge is ours: its metadata, or else only our record of it."""
    if isinstance(claims, Ignored):
        return {"needs_record": True}
    return {
        name: claims[name] for name in ("payment_id", "user_id", "needs_record")
    }


def _found_by(reversal: Mapping[str, Any]) -> dict[str, Any]:
    """What leads from a refund or dispute to a payment.

    Both are nullable; with neither, nothing of ours can ever be found by it.

    https://docs.stripe.com/api/refunds/object#refund_object-charge
    """
    return {
        name: _reference(reversal, name) for name in ("payment_intent", "charge")
    }


def _transactions(dispute: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    if dispute.get("balance_transactions") is None:
        return []
    rows = _member(dispute, "balance_transactions", list)
    if not all(isinstance(row, dict) for row in rows):
        raise _UnreadableError
    return rows


def _member(subject: Mapping[str, Any], name: str, kind: type[_T]) -> _T:
    value = subject.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise _UnreadableError(name)
    return value


def _text(subject: Mapping[str, Any], name: str) -> str:
    if _is_short(value := _member(subject, name, str)):
        return value
    raise _UnreadableError(name)


def _is_short(text: str) -> bool:
    """Whether a text has the form of Stripe's ids and codes: ASCII, 1 to 255 characters.

    https://docs.stripe.com/upgrades. No more fits into a key of ours.
    """
    return 0 < len(text) <= CHARS_MAX and text.isascii()


def _signed(subject: Mapping[str, Any], name: str) -> int:
    return _member(subject, name, int)


def _whole(subject: Mapping[str, Any], name: str) -> int:
    if (value := _signed(subject, name)) < 0:
        raise _UnreadableError(name)
    return value


def _reference(subject: Mapping[str, Any], name: str) -> str | None:
    """Return an id, or the id of the expanded object in its place, or None."""
    value = subject.get(name)
    if isinstance(value, dict):
        value = value.get("id")
    if not isinstance(value, str) or not value:
        return None
    if not _is_short(value):
        raise _UnreadableError(name)
    return value


_Reader = Callable[[Mapping[str, Any], Mapping[str, Any], Ours], Fact | Ignored]
_READERS: Final[Mapping[str, _Reader]] = {
    **dict.fromkeys(SESSION_EVENTS, _session),
    "payment_intent.payment_failed": _declined,
    "charge.refunded": _charge_refunded,
    **dict.fromkeys(REFUND_EVENTS, _refund),
    **dict.fromkeys(DISPUTE_EVENTS, _dispute),
}
