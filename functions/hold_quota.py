"""POST /api/v1/quota/holds, .../{hold_id}/capture and .../{hold_id}/release.

A hold sets units aside. A capture uses them, and a release gives them back.
"""

from billing.api.endpoint import Answer, endpoint, meter
from billing.api.members import text, whole
from billing.api.request import Request
from billing.errors import BillingError
from billing.holds import closing, hold, placing
from billing.ids import USER_ID_CHARS_MAX
from billing.keys.counting import KEY_ID_CHARS_MAX, REFUSALS, spend_for
from billing.quota.key_use import KeyUse
from billing.telemetry import count
from billing.wiring.container import books


@endpoint
def handler(request: Request) -> Answer:
    """Place, capture or release a hold, depending on the route."""
    request.need_scope()
    hold_id = request.path.get("hold_id", "")
    if request.route.endswith("/capture"):
        units = whole(request.json_object("units"), "units")
        return 200, closing.capture(meter(request), hold_id, units)
    if request.route.endswith("/release"):
        return 200, closing.release(meter(request), hold_id)
    return 201, _place(request)


def _place(request: Request) -> hold.Hold:
    body = request.json_object(
        "user_id",
        "units",
        "expires_in_seconds",
        optional=("key_id", "at_least"),
    )
    seconds = whole(body, "expires_in_seconds", placing.EXPIRES_IN_SECONDS_MAX)
    user_id, units = (
        text(body, "user_id", USER_ID_CHARS_MAX),
        whole(body, "units"),
    )
    key_id = text(body, "key_id", KEY_ID_CHARS_MAX) if "key_id" in body else ""
    at_least = whole(body, "at_least", units) if "at_least" in body else 0

    def take(key: KeyUse | None) -> hold.Hold:
        return placing.place(
            meter(request), user_id, units, seconds, at_least=at_least, key=key
        )

    try:
        return spend_for(books(), user_id, key_id, take)
    except BillingError as error:
        if error.code in REFUSALS:
            count("refused_debits")
        raise
