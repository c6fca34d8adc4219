"""POST /api/v1/quota/grants, .../{grant_id}/void and /api/v1/quota/welcome.

Units are given without a payment.
"""

from billing.api.endpoint import Answer, endpoint
from billing.api.members import moment, text, whole
from billing.api.request import Request
from billing.api.scopes import GRANT_SCOPE
from billing.errors import BillingError
from billing.grants import api, welcome
from billing.grants.grant import REASON_CHARS_MAX, Grant
from billing.ids import USER_ID_CHARS_MAX
from billing.payments.plans import whole_catalogue
from billing.wiring.container import books


@endpoint
def handler(request: Request) -> Answer:
    """Give units without a payment (a grant), or take a grant back.

    The route says which. Only what is left of a grant is taken back. A third
    route gives a new customer the welcome units, once.
    """
    if request.route.endswith("/welcome"):
        user_id, claims = request.user_id, request.claims
        given = welcome.claim(
            books(), user_id, whole_catalogue().welcome, claims
        )
        return (201 if given.is_new else 200), given.answer
    caller = request.need_scope(GRANT_SCOPE)
    if request.route.endswith("/void"):
        grant_id = request.path.get("grant_id", "")
        if len(grant_id) > api.GRANT_ID_CHARS_MAX:
            raise BillingError("not_found", "there is no such grant")
        return 200, api.void(books(), grant_id)
    return 201, api.give(books(), _grant(request, caller))


def _grant(request: Request, caller: str) -> Grant:
    """Return the grant that a request asks for.

    Raises ``idempotency_key_required`` or ``invalid_request``.
    """
    key = request.idempotency_key()
    if not key:
        detail = "send an Idempotency-Key, so that a repeat does not give twice"
        raise BillingError("idempotency_key_required", detail)
    body = request.json_object(
        "user_id", "units", "reason", optional=("expires_at",)
    )
    return Grant(
        grant_id=api.grant_id_of(caller, key),
        user_id=text(body, "user_id", USER_ID_CHARS_MAX),
        units=whole(body, "units"),
        reason=text(body, "reason", REASON_CHARS_MAX),
        expires_at=api.expiry_of(moment(body, "expires_at")),
    )
