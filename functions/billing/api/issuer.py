"""Asks the sign-in issuer for its endpoints, and finds the origin of a URL."""

import json
import os
import re
import urllib.request
from collections.abc import Mapping
from functools import cache
from typing import Final

from billing.errors import SettingsError
from billing.telemetry import logger

ENDPOINTS: Final = (
    "authorization_endpoint",
    "token_endpoint",
    "end_session_endpoint",
)
DISCOVERY_SECONDS: Final = 2.0
"""How long to wait for the sign-in issuer. It usually answers in a tenth of
that, and without its answer the page still shows the plans.
"""
DISCOVERY_BYTES_MAX: Final = 64 * 1024


def issuer() -> str:
    """Return the URL of the sign-in issuer.

    Raises SettingsError that names the missing variables.
    """
    names = ("JWT_ISSUER", "JWT_CLIENT_ID")
    faults = [name for name in names if not os.environ.get(name, "").strip()]
    if faults:
        where = "The template sets these under Globals.Function.Environment."
        raise SettingsError(f"missing or blank: {', '.join(faults)}. {where}")
    return os.environ["JWT_ISSUER"].strip()


@cache
def discover() -> Mapping[str, str]:
    """Return the sign-in issuer's URLs for signing in and out, by name.

    The names are in ENDPOINTS, for example ``token_endpoint``. The URLs are
    read once for each process. Raises OSError, TypeError or ValueError if that
    fails, and the next call reads again.
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
    """Return the sign-in issuer's URLs for signing in and out, by name.

    The names are in ENDPOINTS, for example ``token_endpoint``. Returns {} and
    logs a warning if the issuer does not answer or its answer is invalid.
    """
    try:
        return discover()
    except (OSError, TypeError, ValueError) as error:
        logger.warning("nobody can sign in", why=str(error))
        return {}


def origin(url: object) -> str:
    """Return a URL's origin, ``https://host:port``, or "" without one."""
    if not isinstance(url, str):
        return ""
    match = re.match(r"https?://[A-Za-z0-9.:\[\]-]+(?=/|$)", url)
    return match[0] if match else ""
