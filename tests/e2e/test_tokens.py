"""Who is let in, on the stand: every route that needs a token, with every kind of token that must
not open it.
"""

import base64
import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from support.stand import Stand

SCOPE: Final = "quota.write"
PLAIN: Final = (
    serialization.Encoding.PEM,
    serialization.PrivateFormat.PKCS8,
    serialization.NoEncryption(),
)


class Forger:
    """Knows what the issuer signs with, and so can spoil one thing at a time."""

    def __init__(self, stand: Stand) -> None:
        """Reads the stand's own key."""
        self._pem = (stand.state / "issuer.pem").read_text()
        self._issuer = stand.facts["issuer_url"]
        self._key_id = jwt.get_unverified_header(stand.token("anybody"))["kid"]

    def made(
        self,
        subject: str,
        *,
        key: Any = None,
        header: Mapping[str, Any] | None = None,
        **changes: Any,
    ) -> str:
        """A token of the issuer but for these changes. A claim of None is left out."""
        now = int(time.time())
        whole = {
            "iss": self._issuer,
            "sub": subject,
            "aud": "topup",
            "client_id": "topup",
            "iat": now,
            "exp": now + 600,
            **changes,
        }
        claims = {name: value for name, value in whole.items() if value is not None}
        return jwt.encode(
            claims,
            key or self._pem,
            algorithm="RS256",
            headers={"kid": self._key_id, **(header or {})},
        )

    def resigned(self, token: str, algorithm: str, sign: Callable[[bytes], bytes]) -> str:
        """The token's claims under another algorithm: PyJWT itself refuses to
        make some of these.
        """
        header = _text(json.dumps({"alg": algorithm, "typ": "JWT", "kid": self._key_id}).encode())
        signed = f"{header}.{token.split('.')[1]}"
        return f"{signed}.{_text(sign(signed.encode()))}"

    @property
    def public_pem(self) -> bytes:
        """What everybody can fetch, in the form that careless verifiers take
        for a shared secret.
        """
        private = serialization.load_pem_private_key(self._pem.encode(), None)
        return private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _bad(forger: Forger, subject: str, scope: str) -> dict[str, str]:
    """By what is wrong with it, the whole Authorization header."""
    good, past = forger.made(subject, scope=scope), int(time.time()) - 60
    another = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(*PLAIN)
    public = forger.public_pem
    spoilt = {
        "expired": forger.made(subject, scope=scope, iat=past - 600, exp=past),
        "not valid yet": forger.made(subject, scope=scope, nbf=int(time.time()) + 600),
        "for another audience": forger.made(subject, scope=scope, aud="other", client_id="other"),
        "of another issuer": forger.made(subject, scope=scope, iss="https://issuer.example.com"),
        "of no issuer": forger.made(subject, scope=scope, iss=None),
        "without a subject": forger.made(subject, scope=scope, sub=None),
        "with an empty subject": forger.made("", scope=scope),
        "signed by another key under our kid": forger.made(subject, scope=scope, key=another),
        "of an unknown kid": forger.made(subject, scope=scope, header={"kid": "nobody's"}),
        "signed by nobody, alg none": forger.resigned(good, "none", lambda _: b""),
        "signed by nobody, alg None": forger.resigned(good, "None", lambda _: b""),
        "signed with the public key as a shared secret": forger.resigned(
            good, "HS256", lambda said: hmac.digest(public, said, hashlib.sha256)
        ),
        "with its signature cut off": good.rpartition(".")[0] + ".",
        "with another's claims": ".".join(
            [
                good.split(".")[0],
                forger.made("somebody", scope=scope).split(".")[1],
                good.split(".")[2],
            ]
        ),
        "garbage": "garbage",
        "three dots of garbage": "a.b.c",
    }
    return {why: f"Bearer {token}" for why, token in spoilt.items()} | {
        "nothing": "Bearer",
        "of another scheme": "Basic dG9wdXA6dG9wdXA=",
    }


NO_SCOPES: Final = (
    "",
    "openid",
    "quota.read",
    "quota.writer",
    "xquota.write",
    "quota.write.all",
    "QUOTA.WRITE",
    "other/quota.write",
    "quota.write/x",
)


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer who has bought, holds units and has a key: what a wrong token could get at."""

    name: str
    payment_id: str
    hold_id: str
    key_id: str


@pytest.fixture(scope="module")
def customer(stand: Stand) -> Customer:
    """One for all of these tests: nothing they do may change what is this customer's."""
    name = f"tokens-{uuid.uuid4().hex[:8]}"
    payment_id = stand.purchase(name)["payment_id"]
    hold = {"user_id": name, "units": 40, "expires_in_seconds": 3600}
    hold_id = stand.call("POST", "/quota/holds", sub="backend", scope=SCOPE, body=hold).json()[
        "hold_id"
    ]
    key_id = stand.call("POST", "/keys", sub=name, body={"name": "laptop"}).json()["key_id"]
    return Customer(name, payment_id, hold_id, key_id)


def _routes(stand: Stand, who: str, customer: Customer) -> list[tuple[str, str, Any]]:
    """Every operation that the API's description keeps for users, or for services: method, path,
    body.
    """
    bodies: dict[str, Any] = {
        "createCheckout": {"plan": "starter"},
        "createKey": {"name": "stolen"},
        "changeKey": {"name": "renamed"},
        "setAlert": {"low_at": 5},
        "agreeToAutoTopUp": {
            "plan": "starter",
            "when_below": 5,
            "max_per_month": 1,
            "agreed": True,
        },
        "debit": {"user_id": customer.name, "units": 1},
        "hold": {"user_id": customer.name, "units": 1, "expires_in_seconds": 60},
        "capture": {"units": 1},
    }
    ids = {"id": customer.payment_id, "hold_id": customer.hold_id, "key_id": customer.key_id}
    found = [
        (method.upper(), path.format(**ids), bodies.get(row["operationId"]))
        for path, methods in stand.call("GET", "/openapi.json").json()["paths"].items()
        for method, row in methods.items()
        if who in row.get("security", [{}])[0]
    ]
    assert found, f"the description keeps no route for: {who}"
    return found


def _belongings(stand: Stand, customer: Customer) -> list[Any]:
    """All that is the customer's, as the customer sees it."""
    return [
        stand.call("GET", path, sub=customer.name).json()
        for path in ("/quota", "/quota/ledger", "/payments", "/keys")
    ]


@pytest.mark.parametrize("who", ["user", "service"])
def test_no_wrong_token_opens_any_route_and_nothing_changes(
    stand: Stand, customer: Customer, who: str
) -> None:
    """401 or 403, by API Gateway or by us, never a 5xx; as many refusals as there are wrong tokens
    and routes.
    """
    before = _belongings(stand, customer)
    tokens = _bad(Forger(stand), customer.name, SCOPE)
    said = {
        (why, method, path): stand.call(method, path, body=body, authorization=token)
        for method, path, body in _routes(stand, who, customer)
        for why, token in tokens.items()
    }
    assert {
        told: answer.status_code
        for told, answer in said.items()
        if answer.status_code not in (401, 403)
    } == {}
    assert _belongings(stand, customer) == before


def test_no_route_opens_without_a_token(stand: Stand, customer: Customer) -> None:
    """401 where the header is missing altogether."""
    routes = [*_routes(stand, "user", customer), *_routes(stand, "service", customer)]
    assert {stand.call(method, path, body=body).status_code for method, path, body in routes} == {
        401
    }


@pytest.mark.parametrize("scope", NO_SCOPES)
def test_no_other_scope_spends(stand: Stand, customer: Customer, scope: str) -> None:
    """403, also for one that merely contains the word, and for the customer's own units."""
    before = _belongings(stand, customer)
    token = Forger(stand).made(customer.name, scope=scope)
    routes = _routes(stand, "service", customer)
    said = [
        stand.call(method, path, body=body, authorization=f"Bearer {token}").status_code
        for method, path, body in routes
    ]
    assert said == [403] * len(routes)
    assert _belongings(stand, customer) == before


@pytest.mark.parametrize("scope", [SCOPE, f"topup/{SCOPE}", f"openid {SCOPE} profile"])
def test_the_scope_opens_the_services_routes(stand: Stand, customer: Customer, scope: str) -> None:
    """As any issuer writes it, as Cognito does, and among others.

    What was refused above was refused for the token alone.
    """
    token = Forger(stand).made("backend", scope=scope)

    def call(path: str, body: Any = None) -> Any:
        answer = stand.call("POST", path, body=body, authorization=f"Bearer {token}")
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    call("/quota/debits", {"user_id": customer.name, "units": 1})
    held = [
        call("/quota/holds", {"user_id": customer.name, "units": 2, "expires_in_seconds": 60})[
            "hold_id"
        ]
        for _ in range(2)
    ]
    call(f"/quota/holds/{held[0]}/capture", {"units": 1})
    call(f"/quota/holds/{held[1]}/release")


def test_a_users_own_token_opens_the_users_routes(stand: Stand, customer: Customer) -> None:
    """Each of them: what was refused above was refused for the token alone."""
    token = Forger(stand).made(customer.name)
    said = {
        f"{method} {path}": stand.call(
            method, path, body=body, authorization=f"Bearer {token}"
        ).status_code
        for method, path, body in _routes(stand, "user", customer)
    }
    closed = {route: status for route, status in said.items() if status not in (200, 201, 204)}
    assert closed == {"POST /quota/welcome": 404, "PUT /quota/auto-top-up": 409}, (
        "there is no welcome in this catalogue, and no saved card"
    )
