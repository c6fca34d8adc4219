"""POST /api/v1/quota/debits: debits units for calls of the seller's API."""

from billing.api.endpoint import Answer, endpoint, meter
from billing.api.members import text, whole
from billing.api.request import Request
from billing.errors import BillingError
from billing.ids import USER_ID_CHARS_MAX
from billing.keys.counting import KEY_ID_CHARS_MAX, REFUSALS, spend_for
from billing.quota.key_use import KeyUse
from billing.spending import debits
from billing.telemetry import count
from billing.wiring.container import books


@endpoint
def handler(request: Request) -> Answer:
    """Debit the units in the request's body, and answer with the debit.

    The body also names the user. With an Idempotency-Key a repeat gets the
    first answer again; without one, a repeat debits again. Raises
    ``quota_exhausted`` or ``key_limit_reached``, and takes nothing, if too few
    units are left.
    """
    caller = request.need_scope()
    key = request.idempotency_key()
    body = request.json_object("user_id", "units", optional=("key_id",))
    user_id, units = (
        text(body, "user_id", USER_ID_CHARS_MAX),
        whole(body, "units"),
    )
    key_id = text(body, "key_id", KEY_ID_CHARS_MAX) if "key_id" in body else ""

    def take(api_key: KeyUse | None) -> debits.Debit:
        account = meter(request)
        if key:
            return debits.debit_once(
                account, user_id, units, caller, key, api_key=api_key
            )
        return debits.debit(account, user_id, units, api_key)

    try:
        return 200, spend_for(books(), user_id, key_id, take)
    except BillingError as error:
        if error.code in REFUSALS:
            count("refused_debits")
        raise
