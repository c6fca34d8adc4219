"""Plans the changes at Stripe after which one endpoint leads to this stack and fits.

An endpoint's API version cannot be changed, and its secret is shown only when it is made
(https://docs.stripe.com/api/webhook_endpoints/object). An endpoint with another version or an
unknown secret is replaced, in an order in which no delivery is refused or lost (``endpoints.py``).
The secrets are stored in one document,
``{"secrets": ["whsec_..."], "endpoints": {"we_...": fingerprint}}``. The functions read ``secrets``
alone.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from billing.stripe_api.client import API_VERSION
from billing.stripe_api.events import SUBSCRIBED
from billing.stripe_api.signatures import usable_secrets

SECRETS_MAX: Final = 4
"""The newest ones are kept. Older ones sign nothing: Stripe retries an event for three days."""
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
SINCE: Final = "topup_since"
"""In an endpoint's metadata: since when it gets every event, in Unix seconds.

Its predecessor delivers the older ones.
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


@dataclass(frozen=True, slots=True)
class Kept:
    """The stored signing secrets, newest first, and the endpoints that they belong to."""

    secrets: tuple[str, ...] = ()
    endpoints: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, stored: str) -> "Kept":
        """Return the stored secrets. The value that CloudFormation creates has none."""
        try:
            secrets = usable_secrets(stored)
        except ValueError:
            return cls()
        endpoints = json.loads(stored).get("endpoints")
        return cls(secrets, endpoints if isinstance(endpoints, dict) else {})

    def knows(self, endpoint_id: str) -> bool:
        """Return whether this endpoint's signing secret is stored."""
        return self.endpoints.get(endpoint_id) in self._marks

    def may_know(self, endpoint_id: str) -> bool:
        """Return whether this endpoint's signing secret may be stored.

        A secret that was stored by hand belongs to an unknown endpoint, so it may be this one's.
        """
        return self.knows(endpoint_id) or not self._marks <= set(self.endpoints.values())

    @property
    def _marks(self) -> set[str]:
        return {fingerprint(secret) for secret in self.secrets}

    def with_first(self, endpoint_id: str, secret: str) -> "Kept":
        """Return the stored secrets with a new one before the others."""
        secrets = (secret, *self.secrets)[:SECRETS_MAX]
        known = {fingerprint(kept) for kept in secrets}
        endpoints = {**self.endpoints, endpoint_id: fingerprint(secret)}
        return Kept(secrets, {name: mark for name, mark in endpoints.items() if mark in known})

    def text(self) -> str:
        """Return the stored secrets as JSON."""
        return json.dumps({"secrets": list(self.secrets), "endpoints": dict(self.endpoints)})


@dataclass(frozen=True, slots=True)
class Plan:
    """The changes at Stripe: one endpoint is created or changed, then others are disabled.

    The webhook refuses the deliveries of ``refused`` endpoints. ``replaced`` endpoints are disabled
    once they have delivered the events older than ``since``.
    """

    make: bool = False
    change: Mapping[str, Any] = field(default_factory=dict)
    kept_id: str = ""
    refused: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()
    since: int = 0

    @property
    def is_empty(self) -> bool:
        """Return whether nothing has to change."""
        return not (self.make or self.change or self.refused or self.replaced)

    def steps(self) -> list[str]:
        """Return each change as a sentence."""
        found = []
        if self.make:
            kind = f"{len(SUBSCRIBED)} event types, API version {API_VERSION}"
            found.append(f"make an endpoint at Stripe ({kind}) and store its secret")
        if self.change:
            found.append(f"change {', '.join(sorted(self.change))} of {self.kept_id}")
        found += [f"disable {name}: its signing secret is not known" for name in self.refused]
        found += [
            f"disable {name}, which is replaced, once it has delivered its pending events"
            for name in self.replaced
        ]
        return found


def plan(
    rows: Sequence[Mapping[str, Any]],
    urls: set[str],
    wanted: Wanted,
    kept: Kept,
    *,
    roll: bool = False,
) -> Plan:
    """Return the changes after which exactly one endpoint leads to this stack and fits.

    ``rows`` are all endpoints of the account, ``urls`` the stack's addresses. ``roll`` replaces an
    endpoint that fits.
    """
    urls = urls | {wanted.url.rstrip("/")} - {""}
    ours = [row for row in rows if _is_ours(row, urls, wanted, kept)]
    chosen = None if roll else _best(ours, kept)
    others = [row["id"] for row in ours if row is not chosen and row["status"] == "enabled"]
    refused = tuple(name for name in others if not kept.may_know(name))
    replaced = tuple(name for name in others if kept.may_know(name))
    if chosen is None:
        return Plan(make=True, refused=refused, replaced=replaced)
    since = int(chosen["metadata"].get(SINCE, chosen["created"]))
    return Plan(
        change=_change(chosen, urls, wanted),
        kept_id=chosen["id"],
        since=since,
        refused=refused,
        replaced=replaced,
    )


def _best(ours: Sequence[Mapping[str, Any]], kept: Kept) -> Mapping[str, Any] | None:
    """Return the endpoint to keep: of those that fit, an enabled one, the newest."""
    known = [row for row in ours if kept.knows(row["id"])]
    fitting = [row for row in known if row["api_version"] == API_VERSION]
    return max(fitting, key=lambda row: (row["status"] == "enabled", row["created"]), default=None)


def fingerprint(secret: str) -> str:
    """Return a hash that identifies a secret without revealing it."""
    return hashlib.sha256(secret.encode()).hexdigest()[:16]


def _is_ours(row: Mapping[str, Any], urls: set[str], wanted: Wanted, kept: Kept) -> bool:
    """Return whether the endpoint leads here, or this deployment made it.

    An endpoint from before deployments had ids is identified by its mark and its secret together.
    """
    if str(row["url"]).rstrip("/") in urls:
        return True
    named = row["metadata"].get(DEPLOYMENT)
    if named:
        return bool(named == wanted.deployment)
    return row["metadata"].get(MARK) in wanted.marks and kept.knows(row["id"])


def _change(row: Mapping[str, Any], urls: set[str], wanted: Wanted) -> dict[str, Any]:
    """Return the parameters to change.

    An address on another domain is kept. The address of an earlier stack of this deployment is
    dead, and is replaced.
    """
    url = str(row["url"])
    leads_here = url.rstrip("/") in urls or row["metadata"].get(MARK) in wanted.marks
    right_url = wanted.url_of(row) if leads_here else wanted.url or wanted.own_url
    to_be = wanted.of_kept(right_url)
    differs = {
        name: value
        for name, value in to_be.items()
        if row[name] != value and name not in {"enabled_events", "metadata"}
    }
    if set(row["enabled_events"]) != set(SUBSCRIBED):
        differs["enabled_events"] = to_be["enabled_events"]
    if not to_be["metadata"].items() <= row["metadata"].items():
        differs["metadata"] = to_be["metadata"]
    if row["status"] != "enabled":
        differs["disabled"] = False
    return differs
