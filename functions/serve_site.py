"""GET / and GET /site/{file}: the page where customers buy, and what it needs to know to sign them in."""

import base64
import gzip
import json
import os
import re
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from billing.api import HEADERS, Request, problem
from billing.errors import BillingError, SettingsError
from billing.telemetry import logger

FOLDERS: Final = (Path(__file__).with_name("site"), Path(__file__).parents[1] / "infra" / "site")
"""Where the build puts the page, and where it stands in the source tree."""
TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json",
}
ENDPOINTS: Final = ("authorization_endpoint", "token_endpoint", "end_session_endpoint")
DISCOVERY_SECONDS: Final = 2.0
"""An issuer answers in a tenth of that; a page without it still shows the plans."""
DISCOVERY_BYTES_MAX: Final = 64 * 1024
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
    def of(cls, name: str, content: bytes) -> "Asset":
        """``name`` decides the content type."""
        packed = gzip.compress(content, 9, mtime=0)
        return cls(TYPES[Path(name).suffix], content, packed, sha256(content).hexdigest()[:20])


def load(folder: Path) -> tuple[Mapping[str, Asset], str]:
    """All files by name, and their common version: with it they name each other, so that no browser mixes two."""
    files = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.suffix in TYPES}
    version = sha256(repr(files).encode()).hexdigest()[:12]
    named = re.compile(rb"/site/(" + b"|".join(re.escape(name.encode()) for name in files) + rb")(?=[\"'])")
    versioned = rb"/site/\1?v=" + version.encode()
    return {name: Asset.of(name, named.sub(versioned, content)) for name, content in files.items()}, version


def issuer() -> str:
    """Where customers sign in. A missing name stops the request and says which."""
    if faults := [name for name in ("JWT_ISSUER", "JWT_CLIENT_ID") if not os.environ.get(name, "").strip()]:
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


ASSETS, VERSION = load(next(folder for folder in FOLDERS if folder.is_dir()))


def origin(url: object) -> str:
    """``https://host:port`` as a policy names it, or "" for what is no such address."""
    match = re.match(r"https?://[A-Za-z0-9.:\[\]-]+(?=/|$)", url) if isinstance(url, str) else None
    return match[0] if match else ""


def policy() -> str:
    """Ours and the issuer's addresses are all that the page may load and call: https://www.w3.org/TR/CSP3/."""
    issuers = {origin(issuer()), origin(endpoints().get("token_endpoint"))} - {""}
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        f"connect-src 'self' {' '.join(sorted(issuers))}; form-action 'none'; base-uri 'none'; "
        "frame-ancestors 'none'; require-trusted-types-for 'script'"
    )


def sign_in() -> Asset:
    """``/site/config.json``; without endpoints while the issuer does not answer: the page then says so."""
    own = {"issuer": issuer(), "client_id": os.environ["JWT_CLIENT_ID"].strip(), "scope": "openid profile"}
    audience = {"audience": os.environ.get("JWT_AUDIENCE", "").strip()}
    # Where the issuer sends customers back to, if that is not the page itself.
    back = {"redirect_uri": os.environ.get("SIGN_IN_RETURN_URL", "").strip()}
    return Asset.of("config.json", json.dumps({**own, **audience, **back, **endpoints()}).encode())


def handler(event: Mapping[str, Any], context: object) -> dict[str, Any]:
    """Answer with a file, 304, or ``not_found``. Names are looked up among the files loaded, never opened."""
    request = Request.of(event, str(getattr(context, "aws_request_id", "")))
    name = request.path.get("file", "index.html")
    asset = sign_in() if name == "config.json" else ASSETS.get(name)
    missing = BillingError("not_found", "there is no such file; the page is at /")
    said = _file(request, name, asset) if asset else problem(missing, request.request_id)
    said["headers"] = {key: value for key, value in said["headers"].items() if key != HSTS} | HARDENED
    if _list(request, "x-forwarded-proto") == ["https"]:
        said["headers"][HSTS] = HEADERS[HSTS]
    logger.info("request", route=request.route, status=said["statusCode"], request_id=request.request_id)
    return said


def _file(request: Request, name: str, asset: Asset) -> dict[str, Any]:
    packs = not {"gzip", "gzip;q=1", "gzip;q=1.0"}.isdisjoint(_list(request, "accept-encoding"))
    guard = policy() if name == "index.html" else HEADERS["content-security-policy"]
    tag = f'"{asset.tag}{sha256(guard.encode()).hexdigest()[:4]}{"-gzip" * packs}"'
    headers = {
        "cache-control": "public, max-age=31536000, immutable" if request.query.get("v") == VERSION else "no-cache",
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
    return [part.replace(" ", "") for line in request.headers.get(header, ()) for part in line.split(",")]
