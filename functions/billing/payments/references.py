"""Reads and writes reference rows.

A reference row leads from a payment intent or charge to its payment. Before
the payment is credited, the row of its intent lists the refunds and disputes
that arrived early. The states of the row, and the functions that change them::

    no row ────── park ─────► waiting ── drop_with_purchase ──► dropped with
      │                        │    ▲                           the purchase
      │ credit          credit │    └────────── bring_back ──────────┘
      ▼                        ▼           (before that, no credit is possible)
    leads to its payment ◄─────┘
    (a credit removes the waiting events from the row and settles them)

In DynamoDB, the set ``waiting`` has the events that wait. An event that an
operator dropped with its purchase is in ``waiting`` and in ``aside``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from billing.books import Books
from billing.payments.payment import Payment
from billing.storage.keys import REFERENCE, reference_key
from billing.storage.writes import Must, Write, absent, equals

_NO_EVENTS: Final[frozenset[str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Reference:
    """Says to which payment of ours a payment intent or charge belongs.

    ``payment_id`` and ``user_id`` are those of the payment. Both are "" until
    the payment is credited.
    """

    payment_id: str = ""
    user_id: str = ""
    waiting: frozenset[str] = _NO_EVENTS
    """The record keys of the parked events (refunds and disputes) that wait
    for the payment, including those that were dropped with it.
    """
    dropped: frozenset[str] = _NO_EVENTS
    """The record keys of those events that an operator dropped with the
    purchase.
    """

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> "Reference":
        """Return the reference in a stored row, or an empty one for {}.

        A reference says to which payment of ours a Stripe id leads.
        """
        return cls(
            item.get("payment_id", ""),
            item.get("user_id", ""),
            item.get("waiting", _NO_EVENTS),
            item.get("aside", _NO_EVENTS),
        )


NO_REFERENCE: Final = Reference()


def find(books: Books, stripe_id: str | None) -> Reference:
    """Return to which payment of ours a payment intent or charge leads.

    The result also lists the events that wait for that payment. It is
    NO_REFERENCE if nothing is stored of the id, or if ``stripe_id`` is empty.
    """
    if not stripe_id:
        return NO_REFERENCE
    return Reference.from_item(books.store.get(*_row(stripe_id)) or {})


def write_again(books: Books, payment: Payment) -> None:
    """Write again the row that leads from a paid payment's intent to it.

    A restore from a backup can lose that row. Refunds and disputes that the
    row lists as waiting for the payment are taken off the list. They are
    stored elsewhere too, and the job of each minute settles them.
    """
    books.store.commit(
        Write(
            *_row(payment.payment_intent),
            set=_owner(payment),
            remove=("waiting",),
        )
    )


def leads_to(payment: Payment, intent: str, waiting: frozenset[str]) -> Write:
    """Return the write that makes a payment intent's row lead to its payment.

    It belongs in the transaction that credits the payment. ``waiting`` are the
    refunds and disputes that came before the payment was credited, as they
    were read from the row. The write removes them from the row. DynamoDB
    refuses it if the row now lists others, or one that an operator dropped
    together with the purchase.
    """
    waits: Must = equals("waiting", waiting) if waiting else absent("waiting")
    return Write(
        *_row(intent),
        set=_owner(payment),
        remove=("waiting",) if waiting else (),
        must=(waits, absent("aside")),
    )


def charge_leads_to(payment: Payment, charge: str) -> Write:
    """Return the write of the row that leads from a charge to its payment.

    ``charge`` is the charge's id at Stripe. With the row, a later refund or
    dispute that names only the charge finds its payment.
    """
    return Write(*_row(charge), set=_owner(payment))


def waits(intent: str, name: str) -> Write:
    """Return the write that lists a parked event as waiting for its payment.

    The event is a refund or dispute. The write goes to the row of its payment
    intent, ``intent``. ``name`` is the key of the event's record. DynamoDB
    refuses the write if the payment is credited already.
    """
    return Write(
        *_row(intent),
        add={"waiting": frozenset({name})},
        must=(absent("payment_id"),),
    )


def waits_dropped(intent: str, name: str) -> Write:
    """Return the write that marks an event as dropped with its purchase.

    An operator has given up the purchase, and with it the event, a refund or
    dispute that was waiting for it. The write adds the event to the row of the
    payment intent, ``intent``. ``name`` is the table key of the stored event.
    DynamoDB refuses the write if the payment is credited already.
    """
    gone = frozenset({name})
    return Write(
        *_row(intent),
        add={"waiting": gone, "aside": gone},
        must=(absent("payment_id"),),
    )


def waits_again(intent: str, name: str, dropped: frozenset[str]) -> Write:
    """Return the write that makes a dropped event wait for its payment again.

    The event is a refund or dispute. An operator had dropped it together with
    the event of its purchase. The write goes to the row of its payment intent,
    ``intent``. ``name`` is the key of the event's record. DynamoDB refuses the
    write if ``dropped``, the row's list of dropped events, has changed.
    """
    left = dropped - {name}
    return Write(
        *_row(intent),
        set={"aside": left} if left else {},
        remove=() if left else ("aside",),
        must=(equals("aside", dropped),),
    )


def _row(stripe_id: str) -> tuple[Any, tuple[str, str]]:
    return "payments", (reference_key(stripe_id), REFERENCE)


def _owner(payment: Payment) -> dict[str, str]:
    return {"payment_id": payment.payment_id, "user_id": payment.user_id}
