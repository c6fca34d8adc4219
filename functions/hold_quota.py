"""POST /api/v1/quota/holds, .../{hold_id}/capture and .../{hold_id}/release.

A hold sets units aside. A capture uses them, and a release gives them back.
"""

from billing.api.endpoint import Answer, endpoint, meter
from billing.api.request import Request, text, whole
from billing.errors import BillingError
from billing.ids import USER_ID_CHARS_MAX
from billing.quota import holds
from billing.telemetry import count


@endpoint
def handler(request: Request) -> Answer:
    """Place, capture or release a hold, depending on the route."""
    request.need_scope()
    hold_id = request.path.get("hold_id", "")
    if request.route.endswith("/capture"):
        units = whole(request.json_object("units"), "units")
        return 200, holds.capture(meter(request), hold_id, units)
    if request.route.endswith("/release"):
        return 200, holds.release(meter(request), hold_id)
    body = request.json_object("user_id", "units", "expires_in_seconds")
    seconds = whole(body, "expires_in_seconds", holds.EXPIRES_IN_SECONDS_MAX)
    user_id, units = text(body, "user_id", USER_ID_CHARS_MAX), whole(body, "units")
    try:
        return 201, holds.place(meter(request), user_id, units, seconds)
    except BillingError as error:
        if error.code == "quota_exhausted":
            count("refused_debits")
        raise
