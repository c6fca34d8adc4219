"""GET / and GET /site/{file}: serves the page on which customers buy.

Each file needs one call of this function, and a new AWS account runs only ten
functions concurrently. So the page itself contains the styles, the icon and
the sign-in settings. Only its script is another file.
https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
"""

import base64
import json
import os
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from billing.api.asset import Asset, answer_with, values_of
from billing.api.issuer import endpoints, issuer, origin
from billing.api.page_bundle import bundle
from billing.api.request import Request
from billing.api.response import HEADERS, problem
from billing.errors import BillingError
from billing.telemetry import logger

SITE: Final = Path(__file__).parents[1] / "site"
"""The folder of the page's files. It is the same in the source tree and in
every build.
"""
SCRIPT: Final = "app.js"
"""The only file that the page loads: all modules joined."""
ASKED: Final = "no-cache"
KEPT: Final = "public, max-age=31536000, immutable"
"""The lifetime of a file whose URL contains a hash of its content:
https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/Cache-Control
"""
HSTS: Final = "strict-transport-security"
HARDENED: Final = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "permissions-policy": (
        "camera=(), geolocation=(), microphone=(), payment=(), usb=(), clipboard-write=(self)"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


def filled(text: str, places: Mapping[str, str]) -> str:
    """Return the text with each placeholder replaced by its content.

    Raises ValueError if the text lacks a placeholder, because the page would be broken.
    """
    for place, content in places.items():
        if place not in text:
            message = f"index.html has no {place}"
            raise ValueError(message)
        text = text.replace(place, content)
    return text


FILES: Final = {path.name: path.read_text() for path in SITE.iterdir()}
STYLE: Final = FILES["style.css"]
ASSETS: Final = {
    SCRIPT: Asset.of(
        "javascript",
        bundle(
            {
                name: text
                for name, text in FILES.items()
                if name.endswith(".js")
            },
            SCRIPT,
        ),
    )
}
"""The files that are served besides the page, by name."""
VERSION: Final = ASSETS[SCRIPT].tag
PAGE: Final = filled(
    FILES["index.html"],
    {
        '<link rel="stylesheet" href="/site/style.css">': f"<style>{STYLE}</style>",
        "/site/icon.svg": "data:image/svg+xml,"
        + quote(FILES["icon.svg"].strip()),
        f"/site/{SCRIPT}": f"/site/{SCRIPT}?v={VERSION}",
    },
)
"""The page without the sign-in settings: these are added for a request, when
the issuer's endpoints are known.
"""
STYLE_HASH: Final = base64.b64encode(sha256(STYLE.encode()).digest()).decode()


def policy(found: Mapping[str, str]) -> str:
    """Return the page's Content Security Policy.

    ``found`` are the sign-in issuer's endpoints. The page may load and call
    only this domain and the issuer's. https://www.w3.org/TR/CSP3/
    """
    issuers = {origin(issuer()), origin(found.get("token_endpoint"))} - {""}
    return (
        f"default-src 'none'; script-src 'self'; style-src 'sha256-{STYLE_HASH}'; img-src data:; "
        f"connect-src 'self' {' '.join(sorted(issuers))}; form-action 'none'; base-uri 'none'; "
        "frame-ancestors 'none'; require-trusted-types-for 'script'"
    )


def page(found: Mapping[str, str]) -> Asset:
    """Return the page with its sign-in settings.

    ``found`` are the issuer's endpoints. Without them the page says that sign-in does not work.
    """
    own = {
        "issuer": issuer(),
        "client_id": os.environ["JWT_CLIENT_ID"].strip(),
        "scope": "openid profile",
    }
    audience = {"audience": os.environ.get("JWT_AUDIENCE", "").strip()}
    # Where the issuer sends customers back to, if that is not the page itself.
    back = {"redirect_uri": os.environ.get("SIGN_IN_RETURN_URL", "").strip()}
    return _page(json.dumps({**own, **audience, **back, **found}))


@lru_cache(maxsize=2)
def _page(settings: str) -> Asset:
    """Return the page with these sign-in settings as an Asset.

    ``settings`` is JSON. Compressing the page takes long, so the results for
    the last two settings are cached: with and without the sign-in issuer's
    endpoints.
    """
    place = 'name="sign-in" content="{}"'
    content = f'name="sign-in" content="{escape(settings)}"'
    return Asset.of("html", filled(PAGE, {place: content}))


def handler(event: Mapping[str, Any], context: object) -> dict[str, Any]:
    """Answer with a file, with 304, or with ``not_found``.

    A file's name is looked up among the loaded files, so no request opens
    a file.
    """
    request = Request.of(event, str(getattr(context, "aws_request_id", "")))
    answer = _serve(request)
    headers = {**answer["headers"], **HARDENED}
    headers.pop(HSTS, None)
    if values_of(request, "x-forwarded-proto") == ["https"]:
        headers[HSTS] = HEADERS[HSTS]
    status = answer["statusCode"]
    logger.info(
        "request",
        route=request.route,
        status=status,
        request_id=request.request_id,
    )
    return {**answer, "headers": headers}


def _serve(request: Request) -> dict[str, Any]:
    """Return the HTTP response: the page, its script, a 304 or a 404."""
    name = request.path.get("file")
    if name is None:
        found = endpoints()
        return answer_with(request, page(found), policy(found), ASKED)
    if name in ASSETS:
        lifetime = KEPT if request.query.get("v") == VERSION else ASKED
        return answer_with(
            request, ASSETS[name], HEADERS["content-security-policy"], lifetime
        )
    missing = BillingError(
        "not_found", "there is no such file; the page is at /"
    )
    return problem(missing, request.request_id)
