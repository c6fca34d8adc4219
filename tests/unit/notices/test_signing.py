"""Signatures, checked by the official package of Standard Webhooks."""

import base64
import json
import secrets
import time

import pytest
from billing.notices import signing
from standardwebhooks import Webhook, WebhookVerificationError

BODY = json.dumps({"id": "evt_1", "data": {"name": "grün"}}).encode()


def _secret(length: int = 32) -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(length)).decode()


@pytest.mark.parametrize("length", [24, 32, 48, 64])
def test_the_official_package_accepts_a_signature(length: int) -> None:
    secret = _secret(length)
    headers = signing.headers("evt_1", int(time.time()), BODY, [secret])
    assert Webhook(secret).verify(BODY, headers)["id"] == "evt_1"


def test_while_secrets_are_rolled_either_is_accepted_and_no_other() -> None:
    old, new = _secret(), _secret()
    headers = signing.headers("evt_1", int(time.time()), BODY, [new, old])
    for secret in (old, new):
        Webhook(secret).verify(BODY, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(_secret()).verify(BODY, headers)


def test_another_body_or_id_or_time_is_refused() -> None:
    secret, now = _secret(), int(time.time())
    headers = signing.headers("evt_1", now, BODY, [secret])
    for changed in ({"webhook-id": "evt_2"}, {"webhook-timestamp": str(now + 1)}):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(BODY, headers | changed)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY + b" ", headers)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "whsec_",
        "{}",
        '{"secrets": []}',
        '{"secrets": ["whsec_short"]}',
        '{"secrets": ["x"]}',
        '{"secrets": "whsec_x"}',
        "[]",
        '{"secrets": ["whsec_' + "A" * 28 + '=*"]}',
    ],
)
def test_a_secret_that_could_not_sign_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"secret|whsec"):
        signing.secrets_in(text)


def test_what_the_deployment_generates_is_a_secret() -> None:
    """64 letters and digits, as the template asks for."""
    generated = "aB3" * 21 + "z"
    (secret,) = signing.secrets_in(json.dumps({"generated": generated}))
    assert secret == f"whsec_{generated}"
    headers = signing.headers("evt_1", int(time.time()), BODY, [secret])
    Webhook(secret).verify(BODY, headers)
