"""Carries out what is to change in the webhook endpoints at Stripe, in the order in which no genuine delivery is refused and none is lost.

The new endpoint gets nothing before the stack has its secret; the old one stays until it has delivered what only it was given: Stripe
gives up what is still to be delivered when an endpoint is disabled (https://docs.stripe.com/webhooks#automatic-retries).
Meanwhile both deliver the same events, and the second of a kind is a duplicate.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import stripe
from billing.stripe_api.events import SUBSCRIBED

from infra.cli.stripe.account import AccountAtStripe
from infra.cli.stripe.endpoint_plan import SINCE, Kept, Plan, Wanted

RETRIED_SECONDS: Final = 3 * 86_400
"""What is older Stripe has given up: https://docs.stripe.com/webhooks#automatic-retries"""
MARGIN_SECONDS: Final = 5
"""Clocks are compared by whole seconds, and a subscription may take a moment to be in force: rather
wait for an event too many."""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """``keep`` stores the document with the signing secrets where the functions read it.

    Stripe's errors go through.
    """

    client: stripe.StripeClient
    account: AccountAtStripe
    keep: Callable[[str], None]

    def carry_out(self, todo: Plan, wanted: Wanted, kept: Kept) -> tuple[str, ...]:
        """Returns those of the replaced ones that stay on for what they have still to deliver."""
        since = todo.since
        if todo.make:
            made = self.client.v1.webhook_endpoints.create(wanted.of_new())  # type: ignore[arg-type] # the SDK wants its TypedDict
            self.keep(kept.with_first(made.id, str(made.secret)).text())
            since = self._change(made.id, {"enabled_events": list(SUBSCRIBED)}) or since
        if todo.change:
            since = self._change(todo.kept_id, todo.change) or since
        for name in todo.refused:
            self._change(name, {"disabled": True})
        if todo.replaced and self._waiting(since):
            return todo.replaced
        for name in todo.replaced:
            self._change(name, {"disabled": True})
        return ()

    def _change(self, name: str, changes: Mapping[str, Any]) -> int:
        """Returns since when the endpoint gets every event, if that is what changes; 0 otherwise."""
        since = self.account.stripes_time() + MARGIN_SECONDS if "enabled_events" in changes else 0
        noted = {"metadata": {**changes.get("metadata", {}), SINCE: str(since)}} if since else {}
        self.client.v1.webhook_endpoints.update(name, {**changes, **noted})  # type: ignore[arg-type] # see above
        return since

    def _waiting(self, since: int) -> bool:
        """Whether an event is still to be delivered, to whomever, that the new endpoint was not given. Stripe does not say to whom."""
        oldest = self.account.stripes_time() - RETRIED_SECONDS
        return bool(self.account.undelivered(oldest, SUBSCRIBED, until=since))
