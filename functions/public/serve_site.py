"""GET / and GET /site/{file}: serves the page on which customers buy, and its script.

A new account runs ten functions concurrently, and each file is one call of this one. So the page
itself contains the styles, the icon and the sign-in settings.
https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
"""

import base64
import gzip
import json
import os
import re
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from billing.api.page_bundle import bundle
from billing.api.request import Request
from billing.api.response import HEADERS, problem
from billing.errors import BillingError, SettingsError
from billing.telemetry import logger

SITE: Final = Path(__file__).parents[1] / "site"
"""The page, in the source tree and in every build alike."""
SCRIPT: Final = "app.js"
"""The one file that the page asks for: all modules, joined."""
ENDPOINTS: Final = (
    "authorization_endpoint",
    "token_endpoint",
    "end_session_endpoint",
)
DISCOVERY_SECONDS: Final = 2.0
"""An issuer answers in a tenth of that; a page without it still shows the plans."""
DISCOVERY_BYTES_MAX: Final = 64 * 1024
ASKED: Final = "no-cache"
KEPT: Final = "public, max-age=31536000, immutable"
"""For an address that names the content's digest:
https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/Cache-Control"""
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


@dataclass(frozen=True, slots=True)
class Asset:
    """One file, plain and compressed. Its ETag is a hash of its content."""

    type: str
    plain: bytes
    packed: bytes
    tag: str

    @classmethod
    def of(cls, kind: str, text: str) -> "Asset":
        """Return the asset of a text. ``kind`` is html or javascript."""
        content = text.encode()
        packed = gzip.compress(content, 9, mtime=0)
        return cls(
            f"text/{kind}; charset=utf-8",
            content,
            packed,
            sha256(content).hexdigest()[:20],
        )


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


def issuer() -> str:
    """Return the address of the sign-in issuer. Raises an error that names a missing variable."""
    names = ("JWT_ISSUER", "JWT_CLIENT_ID")
    faults = [name for name in names if not os.environ.get(name, "").strip()]
    if faults:
        where = "The template sets these under Globals.Function.Environment."
        raise SettingsError(f"missing or blank: {', '.join(faults)}. {where}")
    return os.environ["JWT_ISSUER"].strip()


@cache
def discover() -> Mapping[str, str]:
    """Return the issuer's ENDPOINTS. They are read once per container.

    A failure (OSError, TypeError, ValueError) is not remembered.
    https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfig
    """
    url = f"{issuer().rstrip('/')}/.well-known/openid-configuration"
    # S310: the address is the operator's own setting.
    with urllib.request.urlopen(url, timeout=DISCOVERY_SECONDS) as answer:  # noqa: S310
        described = dict(json.loads(answer.read(DISCOVERY_BYTES_MAX)))
    named = described.get("issuer")
    if named != issuer():
        raise ValueError(
            f"{url} describes the issuer {named!r}, JWT_ISSUER is {issuer()!r}"
        )
    return {
        name: described[name]
        for name in ENDPOINTS
        if origin(described.get(name))
    }


def endpoints() -> Mapping[str, str]:
    """Return the issuer's ENDPOINTS, or {} if the issuer does not answer."""
    try:
        return discover()
    except (OSError, TypeError, ValueError) as error:
        logger.warning("nobody can sign in", why=str(error))
        return {}


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
"""What is served beside the page, by name."""
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
"""Complete except for the sign-in settings: only a request finds out the issuer's endpoints."""
STYLE_HASH: Final = base64.b64encode(sha256(STYLE.encode()).digest()).decode()


def origin(url: object) -> str:
    """Return an address's origin, ``https://host:port``, or "" if it has none."""
    if not isinstance(url, str):
        return ""
    match = re.match(r"https?://[A-Za-z0-9.:\[\]-]+(?=/|$)", url)
    return match[0] if match else ""


def policy(found: Mapping[str, str]) -> str:
    """Return the page's Content Security Policy.

    The page may load and call only our own address and the issuer's. https://www.w3.org/TR/CSP3/
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
    """Return the page, cached with endpoints and without: compressing takes the longest."""
    place = 'name="sign-in" content="{}"'
    content = f'name="sign-in" content="{escape(settings)}"'
    return Asset.of("html", filled(PAGE, {place: content}))


def handler(event: Mapping[str, Any], context: object) -> dict[str, Any]:
    """Answer with a file, with 304, or with ``not_found``.

    A name is looked up among the loaded files. No file is opened by a request.
    """
    request = Request.of(event, str(getattr(context, "aws_request_id", "")))
    answer = _serve(request)
    headers = {**answer["headers"], **HARDENED}
    headers.pop(HSTS, None)
    if _list(request, "x-forwarded-proto") == ["https"]:
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
    """Return the page, a file beside it, or a problem document."""
    name = request.path.get("file")
    if name is None:
        found = endpoints()
        return _answer(request, page(found), policy(found), ASKED)
    if name in ASSETS:
        lifetime = KEPT if request.query.get("v") == VERSION else ASKED
        return _answer(
            request, ASSETS[name], HEADERS["content-security-policy"], lifetime
        )
    missing = BillingError(
        "not_found", "there is no such file; the page is at /"
    )
    return problem(missing, request.request_id)


def _answer(
    request: Request, asset: Asset, guard: str, lifetime: str
) -> dict[str, Any]:
    accepted = _list(request, "accept-encoding")
    packs = not {"gzip", "gzip;q=1", "gzip;q=1.0"}.isdisjoint(accepted)
    suffix = "-gzip" if packs else ""
    tag = f'"{asset.tag}{sha256(guard.encode()).hexdigest()[:4]}{suffix}"'
    headers = {
        "cache-control": lifetime,
        "content-security-policy": guard,
        "etag": tag,
        "vary": "accept-encoding",
        "x-request-id": request.request_id,
    }
    if any(
        known.removeprefix("W/") in (tag, "*")
        for known in _list(request, "if-none-match")
    ):
        return {"statusCode": 304, "headers": headers, "body": ""}
    headers["content-type"] = asset.type
    if packs:
        headers["content-encoding"] = "gzip"
    body = base64.b64encode(asset.packed if packs else asset.plain).decode()
    return {
        "statusCode": 200,
        "headers": headers,
        "body": body,
        "isBase64Encoded": True,
    }


def _list(request: Request, header: str) -> list[str]:
    """Return the values of a header that is a list, without spaces."""
    return request.headers.get(header, "").replace(" ", "").split(",")
