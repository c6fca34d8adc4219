"""GET /api/v1/quota and /api/v1/quota/ledger: reads a user's quota, or the ledger behind it."""

from billing import cursors
from billing.api.endpoint import Answer, endpoint
from billing.api.request import Request
from billing.quota import debits, history
from billing.wiring.container import books


@endpoint
def handler(request: Request) -> Answer:
    """Answer with the quota or the ledger of the token's user."""
    user_id = request.user_id
    if request.route.endswith("/ledger"):
        limit = request.limit(cursors.LIMIT_DEFAULT, cursors.LIMIT_MAX)
        return 200, history.entries(
            books(), user_id, limit, request.query.get("cursor", "")
        )
    return 200, debits.read(books(), user_id).as_answer(user_id)
