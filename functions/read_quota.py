"""GET /api/v1/quota and /api/v1/quota/ledger: what is left, and how it came to that."""

from billing import pages, quota
from billing.api import Request
from billing.runtime import Answer, books, endpoint


@endpoint
def handler(request: Request) -> Answer:
    """The caller's own, by the token."""
    user_id = request.user_id
    if request.route.endswith("/ledger"):
        limit = request.limit(pages.LIMIT_DEFAULT, pages.LIMIT_MAX)
        return 200, pages.entries(books(), user_id, limit, request.query.get("cursor", ""))
    return 200, quota.read(books(), user_id).as_answer(user_id)
