"""POST, GET /api/v1/keys and DELETE /api/v1/keys/{key_id}: a user's API keys for the seller's own API."""

from billing import keys
from billing.api import Request, text
from billing.runtime import Answer, books, endpoint, settings


@endpoint
def handler(request: Request) -> Answer:
    """Which of the three is meant, the method says."""
    user_id = request.user_id
    if request.method == "POST":
        name = text(request.json_object("name"), "name", keys.NAME_CHARS_MAX)
        return 201, keys.create(books(), user_id, settings().stage, name)
    if request.method == "DELETE":
        keys.revoke(books(), user_id, request.path.get("key_id", ""))
        return 204, None
    return 200, {"keys": keys.list_all(books(), user_id)}
