"""GET /api/v1/quota, /api/v1/quota/lots and /api/v1/quota/ledger.

What is left, what of it expires when, and how it came to that.
"""

from billing import cursors
from billing.api.endpoint import Answer, endpoint
from billing.api.request import Request
from billing.quota import history, lot_listing
from billing.wiring.container import books


@endpoint
def handler(request: Request) -> Answer:
    """Answer with the caller's own quota, lots or ledger: the token says whose."""
    user_id = request.user_id
    if request.route.endswith("/quota"):
        return 200, lot_listing.read_quota(books(), user_id)
    limit = request.limit(cursors.LIMIT_DEFAULT, cursors.LIMIT_MAX)
    cursor = request.query.get("cursor", "")
    if request.route.endswith("/lots"):
        return 200, lot_listing.lots(books(), user_id, limit, cursor)
    return 200, history.entries(books(), user_id, limit, cursor)
