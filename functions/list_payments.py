"""GET /api/v1/payments and /api/v1/payments/{id}: reads a user's own payments."""

from billing import cursors
from billing.api.endpoint import Answer, endpoint
from billing.api.request import Request
from billing.buying import queries
from billing.wiring.container import books


@endpoint
def handler(request: Request) -> Answer:
    """Respond with the payment whose id is in the path.

    Without an id, respond with a page of the user's payments, newest first.
    """
    if name := request.path.get("id"):
        return 200, queries.find(books(), request.user_id, name).as_answer()
    limit = request.limit(cursors.LIMIT_DEFAULT, cursors.LIMIT_MAX)
    return 200, queries.payments(
        books(), request.user_id, limit, request.query.get("cursor", "")
    )
