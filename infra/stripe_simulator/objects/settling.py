"""Simulates card charges that stay ``processing`` for two seconds before they succeed or fail."""

from typing import Final

from infra.stripe_simulator.errors import ConflictError
from infra.stripe_simulator.objects import attempts
from infra.stripe_simulator.objects.world import World
from infra.stripe_simulator.store import Thing

SETTLE_SECONDS: Final = 2
"""A scripted charge that is ``processing`` ends after this time by the simulator's clock."""
_SETTLING: Final = "settling"


def submit(world: World, intent: Thing, method: Thing, outcome: str) -> Thing:
    """Begin a card charge that ends as ``outcome`` after SETTLE_SECONDS. Returns the intent.

    Such charges exist in India, where a debit is announced to the customer first.
    https://docs.stripe.com/india-recurring-payments
    """
    ends_at = world.store.now() + SETTLE_SECONDS
    told = {"approval_requested": False, "completes_at": ends_at}
    processing = {"card": {"customer_notification": told}, "type": "card"}
    intent = attempts.submit(world, {**intent, "processing": processing}, method)
    plans = world.store.note(_SETTLING) or {}
    world.store.note(_SETTLING, {**plans, intent["id"]: [ends_at, outcome]})
    return intent


def settle_due(world: World) -> None:
    """End the card charges that have been ``processing`` for two seconds.

    Each succeeds or fails, as was chosen when it began. The simulator's clock counts.
    """
    plans = world.store.note(_SETTLING) or {}
    for name, (ends_at, outcome) in plans.items():
        if ends_at <= world.store.now():
            with world.store.transaction():
                settle(world, name, outcome)


def settle(world: World, name: str, outcome: str) -> Thing:
    """End a processing charge as ``succeeded`` or ``failed``, and return the intent.

    Raises ConflictError if the intent has no card charge under way.
    """
    intent = world.need("payment_intent", name)
    plans = world.store.note(_SETTLING) or {}
    if name not in plans:
        message = f"payment intent {name} is {intent['status']}: no card charge is under way"
        raise ConflictError(message)
    world.store.note(_SETTLING, {key: plan for key, plan in plans.items() if key != name})
    if outcome == "succeeded":
        return attempts.settle(world, intent)
    attempts.settle_as_failed(world, intent, "generic_decline")
    return world.need("payment_intent", name)
