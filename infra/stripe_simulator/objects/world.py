"""What all acts share: the objects, the events that follow an act, and who asked for it."""

from contextvars import ContextVar
from typing import Any, Final

from infra.stripe_simulator.api.errors import missing
from infra.stripe_simulator.deliveries.sender import Courier
from infra.stripe_simulator.objects.ids import new_id
from infra.stripe_simulator.objects.store import Drawers, Thing
from infra.stripe_simulator.settings import API_VERSION

ASKED_BY: Final[ContextVar[Thing | None]] = ContextVar("asked_by", default=None)
"""The API request in whose course something happens, as its events show it; None for what buyers
and banks do."""


class World:
    """One account at Stripe, in test mode."""

    def __init__(
        self, drawers: Drawers, courier: Courier, base_url: str, api_version: str = API_VERSION
    ) -> None:
        """``base_url`` is where buyers find the hosted page."""
        self.drawers, self.courier, self.base_url, self.api_version = (
            drawers,
            courier,
            base_url,
            api_version,
        )

    def need(self, kind: str, name: str, param: str = "id") -> Thing:
        """The object, or Stripe's 404."""
        if thing := self.drawers.get(kind, name):
            return thing
        raise missing(kind, name, param)

    def happened(self, kind: str, thing: Thing, before: dict[str, Any] | None = None) -> Thing:
        """Make the event, a snapshot, and hand it to the courier: https://docs.stripe.com/api/events/object.

        ``before`` are the changed attributes as they were.
        """
        event = {
            "id": new_id("event"),
            "object": "event",
            "api_version": self.api_version,
            "created": self.drawers.now(),
            "data": {
                "object": thing,
                **({} if before is None else {"previous_attributes": before}),
            },
            "livemode": False,
            "pending_webhooks": len(self.courier.wanting(kind)),
            "request": ASKED_BY.get() or {"id": None, "idempotency_key": None},
            "type": kind,
        }
        self.courier.post(self.drawers.put(event))
        return event

    def twin(self, name: str) -> Thing:
        """A second Event object for the same change: https://docs.stripe.com/webhooks#handle-duplicate-events."""
        event = self.need("event", name)
        second = {
            **event,
            "id": new_id("event"),
            "pending_webhooks": len(self.courier.wanting(event["type"])),
        }
        self.courier.post(self.drawers.put(second))
        return second

    def change(self, thing: Thing, **changes: Any) -> Thing:
        """Keep the object with these attributes changed, and return it."""
        return self.drawers.put({**thing, **changes})
