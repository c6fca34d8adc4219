"""Finds or creates the customer object at Stripe for one of our users.

It is created once, when a checkout is to save a card.
"""

from typing import Final

from billing.books import Books
from billing.errors import (
    BillingError,
    ConditionFailedError,
    Item,
    OutcomeUnknownError,
)
from billing.ids import digest, new_id
from billing.storage.keys import user_key
from billing.storage.writes import Write, absent, equals
from billing.stripe_api.cards import SavedCards
from billing.stripe_api.outcomes import StripeServerError

ROW: Final = "customer"


def find(books: Books, user_id: str) -> str:
    """Return the id of the user's customer object at Stripe, or "".

    It is "" until the user first begins a checkout that saves the card.
    """
    return str((_stored(books, user_id) or {}).get("customer", ""))


def find_or_create(
    books: Books, cards: SavedCards, user_id: str, *, instead_of: str = ""
) -> str:
    """Return the id of the user's customer object at Stripe.

    If there is none, it is created. ``instead_of`` is the id of one that
    Stripe no longer has, so that another is created. One stored row for
    each user, and one idempotency key for each creation, prevent
    concurrent requests from creating two.
    """
    stored = _stored(books, user_id)
    if stored and stored["customer"] != instead_of:
        return str(stored["customer"])
    generation = stored["generation"] + 1 if stored else 0
    made = _create(books, cards, user_id, generation)
    must = equals("generation", generation - 1) if stored else absent("owner")
    row = Write(
        "payments",
        (user_key(user_id), ROW),
        set={"customer": made, "generation": generation},
        must=(must,),
    )
    try:
        books.store.commit(row)
    except ConditionFailedError as refused:
        return _made_concurrently(refused)
    return made


def _made_concurrently(refused: ConditionFailedError) -> str:
    kept = refused.old.get(0)
    if not kept:
        raise OutcomeUnknownError("the customer's row is gone") from refused
    return str(kept["customer"])


def _create(
    books: Books, cards: SavedCards, user_id: str, generation: int
) -> str:
    """Create a customer object at Stripe, and return its id.

    ``generation`` counts those that were created for the user before. After a
    5xx answer, which Stripe would replay, it is tried once more with another
    idempotency key. If the first attempt has created one after all, that one
    has no card and costs nothing.
    """
    deployment = books.ours.deployment.id()
    told = {"user_id": user_id, "deployment": deployment}
    key = f"customer-{digest(deployment, user_id)}-{generation}"
    try:
        return cards.create_customer(told, key)
    except StripeServerError:
        pass
    try:
        return cards.create_customer(told, new_id("customer", books.clock()))
    except StripeServerError as error:
        detail = "Stripe has trouble at the moment. Nothing was charged; please try again."
        raise BillingError("stripe_unavailable", detail) from error


def _stored(books: Books, user_id: str) -> Item | None:
    return books.store.get("payments", (user_key(user_id), ROW))
