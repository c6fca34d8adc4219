"""Plans the changes at Stripe after which one endpoint leads to this stack and fits.

An endpoint's API version cannot be changed, and its secret is shown only when it is made
(https://docs.stripe.com/api/webhook_endpoints/object). An endpoint with another version or an
unknown secret is replaced, in an order in which no delivery is refused or lost (``endpoints.py``).
The secrets are stored in one document,
``{"secrets": ["whsec_..."], "endpoints": {"we_...": fingerprint}}``. The functions read ``secrets``
alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from billing.stripe_api.connection import API_VERSION
from billing.stripe_api.events import SUBSCRIBED

from infra.cli.stripe.endpoint_settings import DEPLOYMENT, MARK, Wanted
from infra.cli.stripe.stored_secrets import Kept

SINCE: Final = "topup_since"
"""In an endpoint's metadata: since when it gets every event, in Unix seconds.

Its predecessor delivers the older ones.
"""


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
