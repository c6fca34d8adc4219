"""What has to change at Stripe so that exactly one endpoint leads to this stack, fits, and has a signing secret that we know.

An endpoint's API version cannot be changed, and its secret is shown only when it is made
(https://docs.stripe.com/api/webhook_endpoints/object): one that does not fit in either is replaced, in the order in which no delivery is
refused and none is lost (``endpoints.py``). The secrets stay in one document,
``{"secrets": ["whsec_..."], "endpoints": {"we_...": fingerprint}}``; the functions read ``secrets`` alone.
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
"""The newest ones; Stripe stops repeating an event after three days, so that older ones sign
nothing any more."""
MARK: Final = "topup_webhook_url"
"""In an endpoint's metadata: the stack's own address.

A stand's is localhost, as on every other machine: it proves nothing by itself.
"""
DEPLOYMENT: Final = "topup_deployment"
"""In an endpoint's metadata: the deployment's id, by which the endpoint is found again when its URL
is another domain."""
CHOSEN: Final = "topup_chosen_url"
"""In an endpoint's metadata: where --webhook-url has put it.

A later run without it leaves it there.
"""
GIVEN: Final = re.compile(r"^https://[^/]+\.(lambda-url|execute-api)\.")
"""An address that AWS gave: https://docs.aws.amazon.com/lambda/latest/dg/urls-configuration.html
and https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-publish.html."""
QUIET: Final = "billing_portal.configuration.created"
"""All that a new endpoint is subscribed to until the stack has its secret: endpoints are enabled
from the first moment, and what came before the secret would be refused. This one comes only when
somebody sets up Stripe's customer portal, and means nothing here."""
SINCE: Final = "topup_since"
"""In an endpoint's metadata: from when on it gets every event, in Unix seconds.

Older ones are its predecessor's to deliver.
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """The endpoint as it should be.

    ``url`` "" leaves the address that it has, or is the stack's own for a new one.

    ``other_urls``: where the stack's function answers too, the API's address last. ``deployment``
    is "" only in a dry run before the deployment has an id.
    """

    stack: str
    own_url: str
    url: str = ""
    other_urls: tuple[str, ...] = ()
    deployment: str = ""

    @property
    def marks(self) -> tuple[str, ...]:
        """What an endpoint of this stack may be marked with.

        The last is the one to use: a Function URL may become another.
        """
        return (self.own_url, *self.other_urls)

    def url_of(self, row: Mapping[str, Any]) -> str:
        """Where an endpoint should be: where somebody has put it, or, if it is at an address that AWS gave, at the stack's own."""
        present = str(row["url"])
        is_chosen = row["metadata"].get(CHOSEN) == present or not GIVEN.search(present)
        return self.url or (
            present
            if is_chosen or present.rstrip("/") == self.own_url.rstrip("/")
            else self.own_url
        )

    def of_new(self) -> dict[str, Any]:
        """What Stripe is asked to make: https://docs.stripe.com/api/webhook_endpoints/create."""
        return {
            **self.of_kept(self.url or self.own_url),
            "api_version": API_VERSION,
            "enabled_events": [QUIET],
        }

    def of_kept(self, url: str) -> dict[str, Any]:
        """What can be changed later: https://docs.stripe.com/api/webhook_endpoints/update."""
        metadata = {
            "topup_stack": self.stack,
            MARK: self.marks[-1],
            **({CHOSEN: self.url} if self.url else {}),
        }
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
    """The stack's secret with the signing secrets, newest first."""

    secrets: tuple[str, ...] = ()
    endpoints: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, stored: str) -> "Kept":
        """What CloudFormation put there at first holds none."""
        try:
            secrets = usable_secrets(stored)
        except ValueError:
            return cls()
        endpoints = json.loads(stored).get("endpoints")
        return cls(secrets, endpoints if isinstance(endpoints, dict) else {})

    def knows(self, endpoint_id: str) -> bool:
        """Whether the secret that this endpoint was made with is one of those kept."""
        return self.endpoints.get(endpoint_id) in self._marks

    def may_know(self, endpoint_id: str) -> bool:
        """Whether it could be: one that a person put there says not whose it is."""
        return self.knows(endpoint_id) or not self._marks <= set(self.endpoints.values())

    @property
    def _marks(self) -> set[str]:
        return {fingerprint(secret) for secret in self.secrets}

    def with_first(self, endpoint_id: str, secret: str) -> "Kept":
        """A new one before the others."""
        secrets = (secret, *self.secrets)[:SECRETS_MAX]
        known = {fingerprint(kept) for kept in secrets}
        endpoints = {**self.endpoints, endpoint_id: fingerprint(secret)}
        return Kept(secrets, {name: mark for name, mark in endpoints.items() if mark in known})

    def text(self) -> str:
        """As it is stored."""
        return json.dumps({"secrets": list(self.secrets), "endpoints": dict(self.endpoints)})


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done, in this order: make or change one endpoint, then disable others.

    ``refused``: what they deliver is refused anyway. ``replaced``: they go once they have delivered
    what is older than ``since``.
    """

    make: bool = False
    change: Mapping[str, Any] = field(default_factory=dict)
    kept_id: str = ""
    refused: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()
    since: int = 0

    @property
    def is_empty(self) -> bool:
        """Nothing is to be done."""
        return not (self.make or self.change or self.refused or self.replaced)

    def steps(self) -> list[str]:
        """Each as a sentence."""
        made = [
            f"make an endpoint at Stripe ({len(SUBSCRIBED)} event types, API version {API_VERSION}) and keep its secret"
        ]
        changed = [f"change {', '.join(sorted(self.change))} of {self.kept_id}"]
        off = [f"disable {name}: nobody here knows its signing secret" for name in self.refused]
        off += [
            f"disable {name}, which is replaced, once it has delivered what it still has to"
            for name in self.replaced
        ]
        return [*(made if self.make else []), *(changed if self.change else []), *off]


def plan(
    rows: Sequence[Mapping[str, Any]],
    urls: set[str],
    wanted: Wanted,
    kept: Kept,
    *,
    roll: bool = False,
) -> Plan:
    """``rows``: every endpoint of the account; ``urls``: where the stack answers.

    ``roll``: a new one even if the one there fits.
    """
    urls = urls | {wanted.url.rstrip("/")} - {""}
    ours = [row for row in rows if _is_ours(row, urls, wanted, kept)]
    fitting = [
        row
        for row in ours
        if row["api_version"] == API_VERSION and kept.knows(row["id"]) and not roll
    ]
    chosen = max(
        fitting, key=lambda row: (row["status"] == "enabled", row["created"]), default=None
    )
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


def fingerprint(secret: str) -> str:
    """Tells secrets apart without telling them."""
    return hashlib.sha256(secret.encode()).hexdigest()[:16]


def _is_ours(row: Mapping[str, Any], urls: set[str], wanted: Wanted, kept: Kept) -> bool:
    """It leads here, or this deployment made it.

    One made before deployments had ids is known by its mark and its secret together.
    """
    if str(row["url"]).rstrip("/") in urls:
        return True
    named = row["metadata"].get(DEPLOYMENT)
    if named:
        return bool(named == wanted.deployment)
    return row["metadata"].get(MARK) in wanted.marks and kept.knows(row["id"])


def _change(row: Mapping[str, Any], urls: set[str], wanted: Wanted) -> dict[str, Any]:
    """What differs.

    An address on another domain is kept; the one that an earlier stack of this deployment had is
    dead.
    """
    url = str(row["url"])
    leads_here = url.rstrip("/") in urls or row["metadata"].get(MARK) in wanted.marks
    to_be = wanted.of_kept(wanted.url_of(row) if leads_here else wanted.url or wanted.own_url)
    differs = {
        name: value
        for name, value in to_be.items()
        if row[name] != value and name not in {"enabled_events", "metadata"}
    }
    if set(row["enabled_events"]) != set(SUBSCRIBED):
        differs["enabled_events"] = to_be["enabled_events"]
    if not to_be["metadata"].items() <= row["metadata"].items():
        differs["metadata"] = to_be["metadata"]
    return differs | ({"disabled": False} if row["status"] != "enabled" else {})
