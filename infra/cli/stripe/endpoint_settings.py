"""Defines the settings that an endpoint of this stack should have at Stripe."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from billing.stripe_api.connection import API_VERSION
from billing.stripe_api.events import SUBSCRIBED

MARK: Final = "topup_webhook_url"
"""A name in an endpoint's metadata. The value is the address of the stack that made the endpoint.

Every local stack has the address localhost, so there the value alone does not identify the stack.
"""
DEPLOYMENT: Final = "topup_deployment"
"""A name in an endpoint's metadata. The value is the deployment's id, which identifies an endpoint
even if its URL is on another domain.
"""
CHOSEN: Final = "topup_chosen_url"
"""A name in an endpoint's metadata. The value is the address that --webhook-url gave, which later
runs keep.
"""
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
    """Holds what decides the settings of the stack's webhook endpoint at Stripe.

    The webhook of one stack has several addresses. Stripe gets ``own_url``, unless the operator
    chose another one, ``url``, which is "" otherwise. ``other_urls`` are the remaining ones. The
    last of them, if any, is the HTTP API's. ``deployment`` is this deployment's id, "" only in a
    dry run before it has one.
    """

    stack: str
    own_url: str
    url: str = ""
    other_urls: tuple[str, ...] = ()
    deployment: str = ""

    @property
    def marks(self) -> tuple[str, ...]:
        """Return the stack's webhook addresses, by which its endpoint at Stripe is recognised.

        The endpoint's metadata has one of them, as ``topup_webhook_url`` (MARK). A new endpoint
        gets the last one.
        """
        return (self.own_url, *self.other_urls)

    def url_of(self, row: Mapping[str, Any]) -> str:
        """Return the URL that the endpoint ``row`` should have.

        A URL that the operator chose, or that is on another domain than AWS's, is kept. An address
        that AWS assigned is replaced by the stack's own.
        """
        if self.url:
            return self.url
        present = str(row["url"])
        is_chosen = row["metadata"].get(CHOSEN) == present or not GIVEN.search(present)
        if is_chosen or present.rstrip("/") == self.own_url.rstrip("/"):
            return present
        return self.own_url

    def of_new(self) -> dict[str, Any]:
        """Return the parameters with which to create an endpoint.

        It subscribes to one harmless event type until its signing secret is stored.
        https://docs.stripe.com/api/webhook_endpoints/create
        """
        return {
            **self.of_kept(self.url or self.own_url),
            "api_version": API_VERSION,
            "enabled_events": [QUIET],
        }

    def of_kept(self, url: str) -> dict[str, Any]:
        """Return the settings for an endpoint that exists, as the parameters of an update.

        ``url`` is the address to set. The API version is not included, because Stripe cannot change
        it. https://docs.stripe.com/api/webhook_endpoints/update
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
