"""POST /api/v1/quota/debits: debits units for calls of the seller's API."""

from billing.api.endpoint import Answer, endpoint, meter
from billing.api.request import Request, text, whole
from billing.errors import BillingError
from billing.ids import USER_ID_CHARS_MAX
from billing.quota import debits
from billing.telemetry import count


@endpoint
def handler(request: Request) -> Answer:
    """Debit the quota of the user that the token names.

    With an Idempotency-Key a repeat gets the first answer again. Without one, the debit is one
    conditional write.
    """
    caller = request.need_scope()
    key = request.idempotency_key()
    body = request.json_object("user_id", "units")
    user_id, units = text(body, "user_id", USER_ID_CHARS_MAX), whole(body, "units")
    try:
        if key:
            return 200, debits.debit_once(
                meter(request), user_id, units, caller, key
            )
        return 200, debits.debit(meter(request), user_id, units)
    except BillingError as error:
        if error.code == "quota_exhausted":
            count("refused_debits")
        raise
