"""GET / and GET /site/{file}: the page where customers buy, and its script.

A new account runs ten functions at a time, and each file is a call of this one. So the page itself
has the styles, the icon and the sign-in settings:
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
ENDPOINTS: Final = ("authorization_endpoint", "token_endpoint", "end_session_endpoint")
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
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=(), clipboard-write=(self)",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """One file, plain and compressed, and a digest of its content as its ETag."""

    type: str
    plain: bytes
    packed: bytes
    tag: str

    @classmethod
    def of(cls, kind: str, text: str) -> "Asset":
        """``kind``: html or javascript."""
        content = text.encode()
        packed = gzip.compress(content, 9, mtime=0)
        return cls(f"text/{kind}; charset=utf-8", content, packed, sha256(content).hexdigest()[:20])


def filled(text: str, places: Mapping[str, str]) -> str:
    """Put each text in its place.

    A place that is not there raises ValueError: the page would be broken.
    """
    for place, content in places.items():
        if place not in text:
            message = f"index.html has no {place}"
            raise ValueError(message)
        text = text.replace(place, content)
    return text


def issuer() -> str:
    """Where customers sign in. A missing name stops the request and says which."""
    if faults := [
        name for name in ("JWT_ISSUER", "JWT_CLIENT_ID") if not os.environ.get(name, "").strip()
    ]:
        message = f"missing or blank: {', '.join(faults)}. The template sets these under Globals.Function.Environment."
        raise SettingsError(message)
    return os.environ["JWT_ISSUER"].strip()


@cache
def discover() -> Mapping[str, str]:
    """Find the issuer's ENDPOINTS, once per container; a failure (OSError, TypeError, ValueError) is not kept.

    https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderConfig
    """
    url = f"{issuer().rstrip('/')}/.well-known/openid-configuration"
    with urllib.request.urlopen(url, timeout=DISCOVERY_SECONDS) as answer:  # noqa: S310 - the operator's own setting
        said = dict(json.loads(answer.read(DISCOVERY_BYTES_MAX)))
    if said.get("issuer") != issuer():
        message = f"{url} describes the issuer {said.get('issuer')!r}, JWT_ISSUER is {issuer()!r}"
        raise ValueError(message)
    return {name: said[name] for name in ENDPOINTS if origin(said.get(name))}


def endpoints() -> Mapping[str, str]:
    """Nothing while the issuer does not answer."""
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
        bundle({name: text for name, text in FILES.items() if name.endswith(".js")}, SCRIPT),
    )
}
"""What is served beside the page, by name."""
VERSION: Final = ASSETS[SCRIPT].tag
PAGE: Final = filled(
    FILES["index.html"],
    {
        '<link rel="stylesheet" href="/site/style.css">': f"<style>{STYLE}</style>",
        "/site/icon.svg": "data:image/svg+xml," + quote(FILES["icon.svg"].strip()),
        f"/site/{SCRIPT}": f"/site/{SCRIPT}?v={VERSION}",
    },
)
"""Whole but for where to sign in, which only a request finds out."""
STYLE_HASH: Final = base64.b64encode(sha256(STYLE.encode()).digest()).decode()


def origin(url: object) -> str:
    """``https://host:port`` as a policy names it, or "" for what is no such address."""
    match = re.match(r"https?://[A-Za-z0-9.:\[\]-]+(?=/|$)", url) if isinstance(url, str) else None
    return match[0] if match else ""


def policy(found: Mapping[str, str]) -> str:
    """Ours and the issuer's addresses are all that the page may load and call: https://www.w3.org/TR/CSP3/."""
    issuers = {origin(issuer()), origin(found.get("token_endpoint"))} - {""}
    return (
        f"default-src 'none'; script-src 'self'; style-src 'sha256-{STYLE_HASH}'; img-src data:; "
        f"connect-src 'self' {' '.join(sorted(issuers))}; form-action 'none'; base-uri 'none'; "
        "frame-ancestors 'none'; require-trusted-types-for 'script'"
    )


def page(found: Mapping[str, str]) -> Asset:
    """The page with its sign-in settings.

    ``found``: the issuer's endpoints; without them the page says that nobody can sign in.
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
    """Kept, because compressing takes longer than everything else: with endpoints, and without."""
    return Asset.of(
        "html",
        filled(
            PAGE, {'name="sign-in" content="{}"': f'name="sign-in" content="{escape(settings)}"'}
        ),
    )


def handler(event: Mapping[str, Any], context: object) -> dict[str, Any]:
    """Answer with a file, 304, or ``not_found``.

    Names are looked up among the files loaded, never opened.
    """
    request = Request.of(event, str(getattr(context, "aws_request_id", "")))
    name = request.path.get("file")
    if name is None:
        found = endpoints()
        said = _answer(request, page(found), policy(found), ASKED)
    elif name in ASSETS:
        is_named = request.query.get("v") == VERSION
        said = _answer(
            request, ASSETS[name], HEADERS["content-security-policy"], KEPT if is_named else ASKED
        )
    else:
        said = problem(
            BillingError("not_found", "there is no such file; the page is at /"), request.request_id
        )
    said["headers"] = {
        key: value for key, value in said["headers"].items() if key != HSTS
    } | HARDENED
    if _list(request, "x-forwarded-proto") == ["https"]:
        said["headers"][HSTS] = HEADERS[HSTS]
    logger.info(
        "request", route=request.route, status=said["statusCode"], request_id=request.request_id
    )
    return said


def _answer(request: Request, asset: Asset, guard: str, lifetime: str) -> dict[str, Any]:
    packs = not {"gzip", "gzip;q=1", "gzip;q=1.0"}.isdisjoint(_list(request, "accept-encoding"))
    tag = f'"{asset.tag}{sha256(guard.encode()).hexdigest()[:4]}{"-gzip" * packs}"'
    headers = {
        "cache-control": lifetime,
        "content-security-policy": guard,
        "etag": tag,
        "vary": "accept-encoding",
        "x-request-id": request.request_id,
    }
    if any(known.removeprefix("W/") in (tag, "*") for known in _list(request, "if-none-match")):
        return {"statusCode": 304, "headers": headers, "body": ""}
    headers |= {"content-type": asset.type, **({"content-encoding": "gzip"} if packs else {})}
    body = base64.b64encode(asset.packed if packs else asset.plain).decode()
    return {"statusCode": 200, "headers": headers, "body": body, "isBase64Encoded": True}


def _list(request: Request, header: str) -> list[str]:
    return [
        part.replace(" ", "")
        for line in request.headers.get(header, ())
        for part in line.split(",")
    ]
