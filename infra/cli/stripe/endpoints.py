"""Changes the webhook endpoints at Stripe, in an order in which no delivery is refused or lost.

The new endpoint gets no events before the stack has its secret. The old one stays enabled until it
has delivered its pending events, because Stripe stops retrying when an endpoint is disabled:
https://docs.stripe.com/webhooks#automatic-retries
In between both deliver the same events, and the second delivery is a duplicate.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import stripe
from billing.stripe_api.events import SUBSCRIBED

from infra.cli.stripe.account import AccountAtStripe
from infra.cli.stripe.endpoint_plan import SINCE, Plan
from infra.cli.stripe.endpoint_settings import Wanted
from infra.cli.stripe.stored_secrets import Kept

RETRIED_SECONDS: Final = 3 * 86_400
"""Stripe stops retrying after this: https://docs.stripe.com/webhooks#automatic-retries"""
MARGIN_SECONDS: Final = 5
"""How long after a change of its subscribed event types an endpoint counts as getting every event.
Clocks are compared in whole seconds, and the change may take effect with a delay.
"""


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Changes the webhook endpoints of one Stripe account.

    ``keep`` stores the JSON document of signing secrets, which the functions read. Stripe's errors
    are not caught.
    """

    client: stripe.StripeClient
    account: AccountAtStripe
    keep: Callable[[str], None]

    def carry_out(self, todo: Plan, wanted: Wanted, kept: Kept) -> tuple[str, ...]:
        """Make the planned changes at Stripe, and return the ids of endpoints to disable later.

        Those are replaced endpoints that still have events to deliver. The result is () if there
        are none. ``wanted`` has the settings of a new endpoint, and ``kept`` the signing secrets
        stored so far.
        """
        since = todo.since
        if todo.make:
            make = self.client.v1.webhook_endpoints.create
            made = make(wanted.of_new())  # type: ignore[arg-type] # the SDK wants its TypedDict
            self.keep(kept.with_first(made.id, str(made.secret)).text())
            since = self._change(made.id, {"enabled_events": list(SUBSCRIBED)}) or since
        if todo.change:
            since = self._change(todo.kept_id, todo.change) or since
        for name in todo.refused:
            self._change(name, {"disabled": True})
        if todo.replaced and self._has_pending(since):
            return todo.replaced
        for name in todo.replaced:
            self._change(name, {"disabled": True})
        return ()

    def _change(self, name: str, changes: Mapping[str, Any]) -> int:
        """Change the webhook endpoint with the id ``name`` at Stripe.

        Returns 0, unless ``changes`` has its subscribed event types (``enabled_events``). Then
        returns the Unix second, a few seconds from now, from which Stripe sends it all of them.
        """
        since, noted = 0, {}
        if "enabled_events" in changes:
            since = self.account.stripes_time() + MARGIN_SECONDS
            noted = {"metadata": {**changes.get("metadata", {}), SINCE: str(since)}}
        update = self.client.v1.webhook_endpoints.update
        update(name, {**changes, **noted})  # type: ignore[arg-type] # the SDK wants its TypedDict
        return since

    def _has_pending(self, since: int) -> bool:
        """Return whether an event from before ``since`` is not delivered yet.

        Only the replaced endpoints get such events. Stripe does not say which endpoint still has to
        accept the event, so any event counts.
        """
        oldest = self.account.stripes_time() - RETRIED_SECONDS
        return bool(self.account.undelivered(oldest, SUBSCRIBED, until=since))
