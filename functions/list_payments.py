"""GET /api/v1/payments and /api/v1/payments/{id}: a user's own payments."""

from billing import pages, purchases
from billing.api import Request
from billing.runtime import Answer, books, endpoint


@endpoint
def handler(request: Request) -> Answer:
    """Newest first, or one of them by its id or its session's."""
    if name := request.path.get("id"):
        return 200, purchases.find(books(), request.user_id, name).as_answer()
    limit = request.limit(pages.LIMIT_DEFAULT, pages.LIMIT_MAX)
    return 200, purchases.payments(books(), request.user_id, limit, request.query.get("cursor", ""))
