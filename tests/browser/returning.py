"""A customer who comes back from the stand's issuer, without the page load on which they left for
it.
"""

import json
import re
import secrets
from functools import cache
from html import unescape

import httpx
from support import authorization

from infra.local.sign_in_page import COOKIE, session_of


@cache
def issuer_of(api_url: str) -> dict[str, str]:
    """What the page knows about signing in."""
    return settings_of(httpx.get(api_url, timeout=30).raise_for_status().text)


def settings_of(page: str) -> dict[str, str]:
    """Read the sign-in settings that the page carries."""
    (content,) = re.findall(r'<meta name="sign-in" content="([^"]*)">', page)
    found: dict[str, str] = json.loads(unescape(content))
    return found


def way_back(api_url: str, name: str, view: str) -> tuple[str, str]:
    """Where the issuer sends this customer, and a script that remembers for the page what it would
    have before it left.
    """
    issuer = issuer_of(api_url)
    state, verifier, nonce = (secrets.token_hex(32) for _ in range(3))
    asked = authorization.request(issuer["client_id"], f"{api_url}/", verifier, state, nonce=nonce)
    answer = httpx.get(
        issuer["authorization_endpoint"],
        params=asked,
        cookies={COOKIE: session_of(name)},
        timeout=30,
    )
    assert answer.is_redirect, answer.text
    pending = json.dumps(
        {"state": state, "verifier": verifier, "nonce": nonce, "back": view, "errand": None}
    )
    remember = f"sessionStorage.setItem('topup.signing_in', {json.dumps(pending)})"
    return answer.headers["location"], f"if (location.search.includes('{state}')) {remember}"
