"""GET / of the sign-in API: redirects customers from Cognito to the page, with Cognito's answer.

It is used only if the page has no address of its own. `SignInApi` in template.yaml says why.
"""

import os
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from billing.api.request import Request
from billing.api.response import HEADERS
from billing.errors import SettingsError
from billing.telemetry import logger

FOUND: Final = 302
FORWARDED: Final = (
    "code",
    "state",
    "error",
    "error_description",
    "iss",
    "session_state",
)
"""What an authorization server answers with. Anything else in the query is dropped.

https://www.rfc-editor.org/rfc/rfc6749#section-4.1.2,
https://www.rfc-editor.org/rfc/rfc9207#section-2
"""


def handler(event: Mapping[str, Any], context: object) -> dict[str, Any]:
    """Redirect to the page. Its address is a setting of the stack, so no request can change it."""
    request = Request.of(event, str(getattr(context, "aws_request_id", "")))
    answered = {
        name: request.query[name] for name in FORWARDED if name in request.query
    }
    query = urlencode(answered, errors="replace")
    location = f"{_page_url()}/?{query}" if query else f"{_page_url()}/"
    headers = {
        **HEADERS,
        "location": location,
        "x-request-id": request.request_id,
    }
    logger.info(
        "request",
        route=request.route,
        status=FOUND,
        request_id=request.request_id,
    )
    return {"statusCode": FOUND, "headers": headers, "body": ""}


def _page_url() -> str:
    """Read PAGE_URL. A missing name stops the request and says which."""
    url = os.environ.get("PAGE_URL", "").strip()
    if not url:
        message = "missing or blank: PAGE_URL. The template sets it for ReturnFromSignInFunction."
        raise SettingsError(message)
    return url
