"""Checks secret keys and API versions: https://docs.stripe.com/api/authentication."""

import base64
import binascii
import re
import secrets
from collections.abc import Iterable
from typing import Final

from starlette.requests import Request

from infra.stripe_simulator.errors import StripeFault

_VERSION: Final = re.compile(r"\d{4}-\d{2}-\d{2}(\.[a-z]+)?(; ?[a-z_0-9=; ]+)?")
_NO_KEY: Final = (
    "You did not provide an API key. You need to provide your API key in the Authorization header,"
    " using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY')."
)


def authenticate(request: Request, secret_keys: Iterable[str], api_version: str) -> None:
    """Raise Stripe's 401 for a missing or wrong key, and its 400 for a malformed API version.

    The key comes as Bearer, or as the user name of Basic.
    """
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        given = _user_name(given)
    given = given.strip()
    if scheme.lower() not in ("basic", "bearer") or not given:
        raise StripeFault(401, _NO_KEY)
    if not any(secrets.compare_digest(given.encode(), key.encode()) for key in secret_keys):
        raise StripeFault(401, f"Invalid API Key provided: {given[:8]}****")
    version = request.headers.get("stripe-version", "")
    if version and not _VERSION.fullmatch(version):
        message = f"Invalid Stripe API version: {version}. It must look like {api_version}."
        raise StripeFault(400, message)


def _user_name(encoded: str) -> str:
    try:
        return base64.b64decode(encoded, validate=True).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return ""
