"""Verification of events, against the product's own signatures and the official package's."""

import asyncio
import base64
import importlib.util
import json
import secrets
import time
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from billing.notices import signing
from standardwebhooks import Webhook
from topup_client import EventRefused, verify_event

from infra.local.paths import ROOT

EVENT = {"id": "evt_1", "type": "quota.low", "user_id": "alice", "data": {"remaining": 3}}
BODY = json.dumps(EVENT).encode()


def _secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


SECRET = _secret()


def _headers(body: bytes = BODY, age: int = 0, *known: str, name: str = "evt_1") -> dict[str, str]:
    return signing.headers(name, int(time.time()) - age, body, known or (SECRET,))


def test_what_topup_signed_is_returned() -> None:
    assert verify_event(BODY, _headers(), SECRET) == EVENT


def test_what_the_official_package_signed_is_returned() -> None:
    now = int(time.time())
    signature = Webhook(SECRET).sign("evt_1", datetime.fromtimestamp(now, UTC), BODY.decode())
    headers = {"Webhook-Id": "evt_1", "Webhook-Timestamp": str(now), "Webhook-Signature": signature}
    assert verify_event(BODY, headers, [SECRET]) == EVENT


def test_either_secret_is_accepted_while_one_is_rolled_on_either_side() -> None:
    old, new = SECRET, _secret()
    assert verify_event(BODY, _headers(BODY, 0, new, old), old) == EVENT
    assert verify_event(BODY, _headers(BODY, 0, old), [new, old]) == EVENT


@pytest.mark.parametrize(
    ("changed", "body"),
    [
        ({}, BODY + b" "),
        ({}, b"{}"),
        ({"webhook-id": "evt_2"}, BODY),
        ({"webhook-id": ""}, BODY),
        ({"webhook-timestamp": "soon"}, BODY),
        ({"webhook-timestamp": "9" * 400}, BODY),
        ({"webhook-timestamp": "\u0661\u0662"}, BODY),
        ({"webhook-signature": ""}, BODY),
        ({"webhook-signature": "v1,"}, BODY),
        ({"webhook-signature": "v1,%%%"}, BODY),
        ({"webhook-signature": "v1,\u00fc"}, BODY),
    ],
)
def test_anything_else_is_refused(changed: dict[str, str], body: bytes) -> None:
    with pytest.raises(EventRefused):
        verify_event(body, _headers() | changed, SECRET)


def test_another_version_of_the_signature_is_not_read() -> None:
    headers = _headers()
    headers["webhook-signature"] = headers["webhook-signature"].replace("v1,", "v2,")
    with pytest.raises(EventRefused):
        verify_event(BODY, headers, SECRET)


@pytest.mark.parametrize("age", [400, -400])
def test_an_old_delivery_is_refused_though_its_signature_fits(age: int) -> None:
    with pytest.raises(EventRefused, match="too old or too new"):
        verify_event(BODY, _headers(BODY, age), SECRET)


def test_a_signed_body_that_is_another_events_is_refused() -> None:
    with pytest.raises(EventRefused, match="another event"):
        verify_event(BODY, _headers(BODY, 0, name="evt_2"), SECRET)


@pytest.mark.parametrize("body", [b"[]", b"nonsense", b"x" * 300_000])
def test_a_signed_body_that_is_no_event_is_refused(body: bytes) -> None:
    with pytest.raises(EventRefused):
        verify_event(body, _headers(body), SECRET)


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_%%%"])
def test_a_secret_that_is_none_is_the_callers_mistake(secret: str) -> None:
    with pytest.raises(ValueError, match="whsec_"):
        verify_event(BODY, _headers(), secret)


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The example as it stands."""
    monkeypatch.setenv("TOPUP_EVENT_SECRETS", SECRET)
    file = ROOT / "client" / "examples" / "receive_events.py"
    spec = importlib.util.spec_from_file_location("receive_events", file)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_example_takes_an_event_once_and_nothing_else(
    example: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    async def story() -> list[int]:
        transport = httpx.ASGITransport(example.app)
        async with httpx.AsyncClient(transport=transport, base_url="https://shop") as http:
            sent = [(BODY, _headers()), (BODY, _headers()), (b"{}", _headers()), (BODY, {})]
            return [
                (await http.post("/", content=body, headers=headers)).status_code
                for body, headers in sent
            ]

    assert asyncio.run(story()) == [204, 204, 401, 401]
    assert capsys.readouterr().out == "alice has 3 units left\n"
