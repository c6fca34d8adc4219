"""GET /api/v1/quota, /quota/lots and /quota/ledger: reads a user's quota.

A lot is the units of one purchase or grant, and says when they expire. The
ledger is the list of what has changed the quota.
"""

from billing import cursors
from billing.account import history, lot_listing
from billing.api.endpoint import Answer, endpoint
from billing.api.request import Request
from billing.wiring.container import books


@endpoint
def handler(request: Request) -> Answer:
    """Answer with the quota, the lots or the ledger of the token's user.

    The route says which. A lot is the units of one purchase or grant. The
    ledger is the list of what has changed the quota.
    """
    user_id = request.user_id
    if request.route.endswith("/quota"):
        return 200, lot_listing.read_quota(books(), user_id)
    limit = request.limit(cursors.LIMIT_DEFAULT, cursors.LIMIT_MAX)
    cursor = request.query.get("cursor", "")
    if request.route.endswith("/lots"):
        return 200, lot_listing.lots(books(), user_id, limit, cursor)
    return 200, history.entries(books(), user_id, limit, cursor)
