"""Manages a user's API keys, and when the event ``quota.low`` is sent.

That event tells the seller that the user has few units left. The routes are
/api/v1/keys, .../{key_id} and, for the threshold of the event,
/api/v1/quota/alert. GET /api/v1/key is for callers that have only an API key.
"""

from typing import Any

from billing.account import alert
from billing.api.endpoint import Answer, endpoint, meter
from billing.api.members import text, whole_or_null
from billing.api.request import Request
from billing.errors import BillingError
from billing.keys import api_keys, changes, held, revocation
from billing.keys.limits import Limit
from billing.wiring.container import books, settings


@endpoint
def handler(request: Request) -> Answer:
    """Manage API keys, or the threshold of the event ``quota.low``.

    That event says that a user has few units left. Route and method say
    whether an API key is created, listed, changed, revoked or shown, or the
    threshold is read or changed.
    """
    if request.route == "GET /api/v1/key":
        presented = request.presented_key()
        return 200, held.show_held(meter(request), settings().stage, presented)
    user_id = request.user_id
    if request.route.endswith("/alert"):
        return 200, _alert(request, user_id)
    key_id = request.path.get("key_id", "")
    match request.method:
        case "POST":
            return 201, _create(request, user_id)
        case "PATCH":
            return 200, changes.change(
                books(), user_id, key_id, _changes(request)
            )
        case "DELETE":
            revocation.revoke(books(), user_id, key_id)
            return 204, None
        case _:
            return 200, {"keys": api_keys.list_all(books(), user_id)}


def _create(request: Request, user_id: str) -> api_keys.NewKey:
    body = request.json_object("name", optional=("limit",))
    name, limit = _name(body), Limit.parse(body.get("limit"))
    return api_keys.create(books(), user_id, settings().stage, name, limit)


def _changes(request: Request) -> dict[str, Any]:
    """Return an API key's new name, new limit or both, from the request.

    Raises ``invalid_request`` if the body has neither, or an invalid one.
    """
    body = request.json_object(optional=("name", "limit"))
    if not body:
        raise BillingError(
            "invalid_request", "name a new name, a new limit, or both"
        )
    changed: dict[str, Any] = {}
    if "name" in body:
        changed["name"] = _name(body)
    if "limit" in body:
        changed["limit"] = Limit.parse(body["limit"])
    return changed


def _name(body: dict[str, Any]) -> str:
    return text(body, "name", api_keys.NAME_CHARS_MAX)


def _alert(request: Request, user_id: str) -> alert.Alert:
    if request.method != "PUT":
        return alert.read(books(), user_id)
    body = request.json_object("low_at")
    low_at = whole_or_null(body, "low_at", 0, alert.LOW_AT_MAX)
    return alert.change(books(), user_id, low_at)
