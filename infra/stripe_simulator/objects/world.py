"""Reads and changes Stripe's objects, and creates the events of each change.

The other modules of this package do it through the class World.
"""

from contextvars import ContextVar
from typing import Any, Final

from infra.stripe_simulator.deliveries.sender import Deliveries
from infra.stripe_simulator.errors import missing
from infra.stripe_simulator.ids import new_id
from infra.stripe_simulator.settings import API_VERSION
from infra.stripe_simulator.store import Store, Thing

ASKED_BY: Final[ContextVar[Thing | None]] = ContextVar("asked_by", default=None)
"""The API request that is being carried out, as its events show it. None for what buyers and banks
do."""


class World:
    """Reads and changes the objects of one Stripe account in test mode, and creates its events."""

    def __init__(
        self, store: Store, deliveries: Deliveries, base_url: str, api_version: str = API_VERSION
    ) -> None:
        """Work on the objects in ``store``, and send events with ``deliveries``.

        ``base_url`` is the simulator's address, with which the URLs in objects begin.
        """
        self.store = store
        self.deliveries = deliveries
        self.base_url = base_url
        self.api_version = api_version

    def need(self, kind: str, name: str, param: str = "id", status: int = 404) -> Thing:
        """Return the object of type ``kind`` with the id ``name``.

        If there is none, raises Stripe's ``resource_missing`` error with ``status``, which names
        the request parameter ``param``.
        """
        if thing := self.store.get(kind, name):
            return thing
        raise missing(kind, name, param, status)

    def happened(self, kind: str, thing: Thing, before: dict[str, Any] | None = None) -> Thing:
        """Create an event with a snapshot of ``thing``, queue its deliveries, and return it.

        ``before`` has the previous values of changed attributes.
        https://docs.stripe.com/api/events/object
        """
        data: Thing = {"object": thing}
        if before is not None:
            data["previous_attributes"] = before
        event = {
            "id": new_id("event"),
            "object": "event",
            "api_version": self.api_version,
            "created": self.store.now(),
            "data": data,
            "livemode": False,
            "pending_webhooks": len(self.deliveries.subscribed(kind)),
            "request": ASKED_BY.get() or {"id": None, "idempotency_key": None},
            "type": kind,
        }
        self.deliveries.post(self.store.put(event))
        return event

    def twin(self, name: str) -> Thing:
        """Create a second Event object for the same change as the event ``name``, and return it.

        https://docs.stripe.com/webhooks#handle-duplicate-events
        """
        event = self.need("event", name)
        pending = len(self.deliveries.subscribed(event["type"]))
        second = {**event, "id": new_id("event"), "pending_webhooks": pending}
        self.deliveries.post(self.store.put(second))
        return second

    def change(self, thing: Thing, **changes: Any) -> Thing:
        """Store the object with these attributes changed, and return it."""
        return self.store.put({**thing, **changes})


def merge_metadata(before: dict[str, str], given: dict[str, str] | str) -> dict[str, str]:
    """Return the metadata ``before`` with the changes ``given``.

    An empty value removes its key. If ``given`` is "", all keys are removed.
    https://docs.stripe.com/api/metadata
    """
    if isinstance(given, str):
        return {}
    return {name: value for name, value in {**before, **given}.items() if value != ""}
