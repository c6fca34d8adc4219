"""A user's own settings: /api/v1/keys and /api/v1/keys/{key_id}, and /api/v1/quota/alert."""

from billing.api.endpoint import Answer, endpoint
from billing.api.request import Request, text, whole_or_null
from billing.quota import alert, api_keys
from billing.wiring.container import books, settings


@endpoint
def handler(request: Request) -> Answer:
    """Create, list or revoke a key, or read or change the alert."""
    user_id = request.user_id
    if request.route.endswith("/alert"):
        return 200, _alert(request, user_id)
    if request.method == "POST":
        name = text(request.json_object("name"), "name", api_keys.NAME_CHARS_MAX)
        return 201, api_keys.create(books(), user_id, settings().stage, name)
    if request.method == "DELETE":
        api_keys.revoke(books(), user_id, request.path.get("key_id", ""))
        return 204, None
    return 200, {"keys": api_keys.list_all(books(), user_id)}


def _alert(request: Request, user_id: str) -> alert.Alert:
    if request.method != "PUT":
        return alert.read(books(), user_id)
    body = request.json_object("low_at")
    low_at = whole_or_null(body, "low_at", 0, alert.LOW_AT_MAX)
    return alert.change(books(), user_id, low_at)
