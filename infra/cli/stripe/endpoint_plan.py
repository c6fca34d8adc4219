"""Plans the changes at Stripe that give this stack exactly one right webhook endpoint.

An endpoint's API version cannot be changed, and its secret is shown only when it is created
(https://docs.stripe.com/api/webhook_endpoints/object). An endpoint with another version or an
unknown secret is replaced, in an order in which no delivery is refused or lost (``endpoints.py``).
The secrets are stored in one document, ``{"secrets": ["whsec_..."], "endpoints": {"we_...":
fingerprint}}``. The functions read only ``secrets``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from billing.stripe_api.connection import API_VERSION
from billing.stripe_api.events import SUBSCRIBED

from infra.cli.stripe.endpoint_settings import DEPLOYMENT, MARK, Wanted
from infra.cli.stripe.stored_secrets import Kept

SINCE: Final = "topup_since"
"""A name in an endpoint's metadata. The value is the Unix second since which the endpoint gets
every event.

Older events are delivered by the endpoint that it replaced.
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """The changes at Stripe: one endpoint is created or changed, then others are disabled.

    ``refused`` endpoints are disabled at once, because the stack lacks their signing secrets and so
    refuses their deliveries. ``replaced`` endpoints are disabled once they have delivered the
    events older than ``since``.
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
        """Return each planned change of a webhook endpoint at Stripe as a sentence."""
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
    """Return the changes that give this stack exactly one endpoint, with the right settings.

    Endpoints are webhook endpoints at Stripe. ``rows`` are all of the account, and ``urls`` the
    stack's addresses. ``wanted`` are the right settings. The best of this stack's endpoints is kept
    and corrected; with ``roll``, or if none can be kept, a new one is created. The others are
    disabled: at once if their signing secrets cannot be among the stored ones (``kept``), otherwise
    once they have delivered their pending events.
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
    """Return the webhook endpoint to keep, or None if none of ``ours`` can be kept.

    It must have our API version and a stored signing secret. An enabled one is preferred, then the
    newest.
    """
    known = [row for row in ours if kept.knows(row["id"])]
    fitting = [row for row in known if row["api_version"] == API_VERSION]
    return max(fitting, key=lambda row: (row["status"] == "enabled", row["created"]), default=None)


def _is_ours(row: Mapping[str, Any], urls: set[str], wanted: Wanted, kept: Kept) -> bool:
    """Return whether the endpoint leads to this stack, or was made by this deployment.

    An older endpoint's metadata has no deployment id. It is ours if its metadata has one of our
    addresses and its signing secret is stored.
    """
    if str(row["url"]).rstrip("/") in urls:
        return True
    named = row["metadata"].get(DEPLOYMENT)
    if named:
        return bool(named == wanted.deployment)
    return row["metadata"].get(MARK) in wanted.marks and kept.knows(row["id"])


def _change(row: Mapping[str, Any], urls: set[str], wanted: Wanted) -> dict[str, Any]:
    """Return what to change of the endpoint ``row`` at Stripe, {} if it is right.

    The result is the parameters of an update. ``urls`` are this stack's addresses, and ``wanted``
    has the right settings. An endpoint that leads to this stack keeps a URL on the seller's own
    domain. One of an earlier stack of this deployment gets this stack's URL, because its own no
    longer answers.
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
