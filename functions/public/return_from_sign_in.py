"""GET / of the sign-in API: redirects customers from Cognito to the page.

Cognito's answer is passed on. This is used only if the page has no domain of
its own. `SignInApi` in template.yaml says why.
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
"""The query parameters in an authorization server's answer. All others are
dropped.

https://www.rfc-editor.org/rfc/rfc6749#section-4.1.2,
https://www.rfc-editor.org/rfc/rfc9207#section-2
"""


def handler(event: Mapping[str, Any], context: object) -> dict[str, Any]:
    """Redirect to the page, with the sign-in's query parameters.

    The page's URL is a setting of the stack, so no request can change it.
    """
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
    """Return the page's URL, from the variable PAGE_URL.

    Raises SettingsError if it is missing or blank.
    """
    url = os.environ.get("PAGE_URL", "").strip()
    if not url:
        message = "missing or blank: PAGE_URL. The template sets it for ReturnFromSignInFunction."
        raise SettingsError(message)
    return url
