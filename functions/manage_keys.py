"""POST, GET /api/v1/keys and DELETE /api/v1/keys/{key_id}: manages a user's own API keys."""

from billing.api.endpoint import Answer, endpoint
from billing.api.request import Request, text
from billing.quota import api_keys
from billing.wiring.container import books, settings


@endpoint
def handler(request: Request) -> Answer:
    """Create, list or revoke API keys, depending on the method."""
    user_id = request.user_id
    if request.method == "POST":
        name = text(request.json_object("name"), "name", api_keys.NAME_CHARS_MAX)
        return 201, api_keys.create(books(), user_id, settings().stage, name)
    if request.method == "DELETE":
        api_keys.revoke(books(), user_id, request.path.get("key_id", ""))
        return 204, None
    return 200, {"keys": api_keys.list_all(books(), user_id)}
