"""Defines the settings that an endpoint of this stack should have at Stripe."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from billing.stripe_api.connection import API_VERSION
from billing.stripe_api.events import SUBSCRIBED

MARK: Final = "topup_webhook_url"
"""In an endpoint's metadata: the stack's own address.

A local stack's is localhost, as on every machine, so it proves nothing by itself.
"""
DEPLOYMENT: Final = "topup_deployment"
"""In an endpoint's metadata: the deployment's id. It identifies an endpoint on another domain."""
CHOSEN: Final = "topup_chosen_url"
"""In an endpoint's metadata: the address that --webhook-url chose. A later run keeps it."""
GIVEN: Final = re.compile(r"^https://[^/]+\.(lambda-url|execute-api)\.")
"""An address that AWS assigned: https://docs.aws.amazon.com/lambda/latest/dg/urls-configuration.html
and https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-publish.html."""
QUIET: Final = "billing_portal.configuration.created"
"""The only subscription of a new endpoint until the stack has its secret.

An endpoint is enabled at once, and events before the secret would be refused. This event comes only
when the seller sets up Stripe's customer portal, and has no effect here.
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The settings that the endpoint should have.

    ``url`` "" keeps the present address; a new endpoint gets the stack's own. ``other_urls`` are
    further addresses of the function, the API's last. ``deployment`` is "" only in a dry run before
    the deployment has an id.
    """

    stack: str
    own_url: str
    url: str = ""
    other_urls: tuple[str, ...] = ()
    deployment: str = ""

    @property
    def marks(self) -> tuple[str, ...]:
        """Return the marks that an endpoint of this stack can have. A new one gets the last."""
        return (self.own_url, *self.other_urls)

    def url_of(self, row: Mapping[str, Any]) -> str:
        """Return the address that an endpoint should have.

        An address that the operator chose is kept. An address of AWS's becomes our own.
        """
        if self.url:
            return self.url
        present = str(row["url"])
        is_chosen = row["metadata"].get(CHOSEN) == present or not GIVEN.search(present)
        if is_chosen or present.rstrip("/") == self.own_url.rstrip("/"):
            return present
        return self.own_url

    def of_new(self) -> dict[str, Any]:
        """Return the parameters of a new endpoint.

        https://docs.stripe.com/api/webhook_endpoints/create
        """
        return {
            **self.of_kept(self.url or self.own_url),
            "api_version": API_VERSION,
            "enabled_events": [QUIET],
        }

    def of_kept(self, url: str) -> dict[str, Any]:
        """Return the parameters that can be changed later.

        https://docs.stripe.com/api/webhook_endpoints/update
        """
        metadata = {"topup_stack": self.stack, MARK: self.marks[-1]}
        if self.url:
            metadata[CHOSEN] = self.url
        if self.deployment:
            metadata[DEPLOYMENT] = self.deployment
        return {
            "url": url,
            "enabled_events": list(SUBSCRIBED),
            "description": f"Topup {self.stack}",
            "metadata": metadata,
        }
