"""What a delivery must be to be read, and in what words it is refused."""

import hashlib
import hmac
import json
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import pytest
from billing.errors import BillingError
from billing.stripe_api.signatures import usable_secrets, verified_event

NOW: Final = int(time.time())
SECRET: Final = "whsec_of_a_test"
EVENT: Final = b'{"id": "evt_1"}'
EXACTLY: Final = "; the body must be exactly as Stripe sent it"


@pytest.fixture(autouse=True)
def _still(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library looks at the clock too."""
    monkeypatch.setattr(time, "time", lambda: float(NOW))


def _digest(body: bytes, at: object = NOW) -> str:
    """https://docs.stripe.com/webhooks#verify-manually."""
    return hmac.new(SECRET.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()


def _header(body: bytes, at: object = NOW) -> str:
    return f"t={at},v1={_digest(body, at)}"


def _read(
    body: bytes = EVENT,
    header: str | None = None,
    secrets: Callable[[bool], Sequence[str]] = lambda _: (SECRET,),
    now: float = NOW,
) -> dict[str, Any]:
    return verified_event(body, _header(body) if header is None else header, secrets, lambda: now)


def _refusal(*given: Any, **named: Any) -> tuple[str, str]:
    with pytest.raises(BillingError) as refused:
        _read(*given, **named)
    code, _, detail = str(refused.value).partition(": ")
    assert code == refused.value.code
    return code, detail


def test_a_signed_event_is_read_whole() -> None:
    body = json.dumps({"id": "evt_1", "data": {"object": {"name": "ü", "n": [1, None]}}}).encode()
    assert _read(body) == {"id": "evt_1", "data": {"object": {"name": "ü", "n": [1, None]}}}


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ("", "exactly one Stripe-Signature header is expected"),
        (
            f"{_header(EVENT)},{_header(EVENT)}",
            "two Stripe-Signature headers came, joined into one",
        ),
        (f"{_header(EVENT)}, t=1", "two Stripe-Signature headers came, joined into one"),
        (f"{_header(EVENT)},v1=ü", "the Stripe-Signature header is malformed"),
        ("v1=abc", "no signature matches, or it is older than 300 s"),
        (f"t={NOW}", "no signature matches, or it is older than 300 s"),
        ("t=x,v1=abc", "no signature matches, or it is older than 300 s"),
        ("t,v1", "no signature matches, or it is older than 300 s"),
        (_header(b"another body"), "no signature matches, or it is older than 300 s"),
    ],
)
def test_a_header_that_is_not_stripes_is_refused_with_its_reason(header: str, why: str) -> None:
    assert _refusal(header=header) == ("invalid_signature", why + EXACTLY)


@pytest.mark.parametrize(("length", "is_read"), [(4096, True), (4097, False)])
def test_a_header_is_no_longer_than_4096_letters(length: int, *, is_read: bool) -> None:
    """Room for the signatures of many secrets."""
    header = _header(EVENT)
    header += ",v0=" + "x" * (length - len(header) - 4)
    if is_read:
        assert _read(header=header) == {"id": "evt_1"}
    else:
        why = "the Stripe-Signature header is malformed"
        assert _refusal(header=header) == ("invalid_signature", why + EXACTLY)


@pytest.mark.parametrize(
    ("age", "why"),
    [
        (-301, "the timestamp is in the future"),
        (-300, ""),
        (0, ""),
        (300, ""),
        (301, "no signature matches, or it is older than 300 s"),
    ],
)
def test_a_signature_counts_for_five_minutes_to_the_second(age: int, why: str) -> None:
    header = _header(EVENT, NOW - age)
    if why:
        assert _refusal(header=header) == ("invalid_signature", why + EXACTLY)
    else:
        assert _read(header=header) == {"id": "evt_1"}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"\xff", "the body is not UTF-8"),
        (b"", "the body is not JSON"),
        (b"{", "the body is not JSON"),
        (b'{"n": NaN}', "the body is not JSON"),
        (b'{"n": -Infinity}', "the body is not JSON"),
        (b"[" * 100_000, "the body is not JSON"),
        (b"[]", "the body is not a JSON object"),
        (b'"evt_1"', "the body is not a JSON object"),
        (b"null", "the body is not a JSON object"),
    ],
)
def test_a_body_that_is_no_event_is_refused_with_its_reason(body: bytes, why: str) -> None:
    """Signed or not: a signature is over text."""
    assert _refusal(body) == ("invalid_payload", why)


def test_an_unexpected_fault_in_a_body_comes_out_as_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is answered 5xx, and Stripe delivers it again."""

    def fails(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("json.loads", fails)
    with pytest.raises(MemoryError):
        _read()


def test_an_unexpected_fault_in_a_signature_comes_out_as_itself() -> None:
    """A secret that is no text is a fault of ours, and no forgery."""
    with pytest.raises(AttributeError):
        _read(secrets=lambda _: (5,))  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize(
    ("header", "reads"),
    [
        ("t={now},v1={digest}", [False, True]),
        ("t={first},v1={digest}", [False, True]),
        ("t={last},v1={digest}", [False, True]),
        ("t={now},v1=short,v1={digest}", [False, True]),
        ("t={now},v1={digest},v1=short", [False, True]),
        ("t={now},v0={digest}", [False]),
        ("t={now},v1={digest}0", [False]),
        ("t={now},v1=short", [False]),
        ("t={early},v1={digest}", [False]),
        ("t={late},v1={digest}", [False]),
        ("t=,v1={digest}", [False]),
        ("v2={now},v1={digest}", [False]),
        ("t=x,v2={now},v1={digest}", [False]),
        ("t=-{now},v1={digest}", [False]),
        ("t=000{now},v1={digest}", [False]),
        ("t=00{now},v1={digest}", [False, True]),
    ],
)
def test_the_secrets_are_read_again_only_for_what_a_new_one_could_have_signed(
    header: str, reads: list[bool]
) -> None:
    """A digest of 64 letters, and a time of up to twelve digits within five minutes."""
    times = {"now": NOW, "first": NOW - 300, "last": NOW + 300, "early": NOW - 301}
    asked: list[bool] = []

    def secrets(fresh: bool) -> Sequence[str]:  # noqa: FBT001 - the signature's own protocol
        asked.append(fresh)
        return (SECRET,)

    shown = header.format(**times, late=NOW + 301, digest="0" * 64)
    assert _refusal(header=shown, secrets=secrets)[0] == "invalid_signature"
    assert asked == reads


def test_any_of_several_secrets_signs() -> None:
    """Neither the first nor the last."""
    assert _read(secrets=lambda _: ("whsec_1", SECRET, "whsec_3")) == {"id": "evt_1"}


@pytest.mark.parametrize(
    ("stored", "secrets"),
    [
        ('{"secrets": ["whsec_1"]}', ("whsec_1",)),
        ('{"secrets": [" whsec_1 ", "whsec_2\\n"]}', ("whsec_1", "whsec_2")),
    ],
)
def test_stored_secrets_are_read_without_blanks_around_them(
    stored: str, secrets: tuple[str, ...]
) -> None:
    assert usable_secrets(stored) == secrets


@pytest.mark.parametrize(
    ("stored", "why"),
    [
        (text, 'the webhook secret must hold {"secrets": ["whsec_..."]}')
        for text in ("", "whsec_1", "[]", "5", "null", "{}", '{"secrets": "whsec_1"}')
    ]
    + [
        (text, "the webhook secret holds no secret, or a blank one: anyone could sign with it")
        for text in (
            '{"secrets": []}',
            '{"secrets": [""]}',
            '{"secrets": ["whsec_1", " "]}',
            '{"secrets": ["whsec_1", 5]}',
            '{"secrets": [null]}',
        )
    ],
)
def test_a_secret_that_cannot_be_used_is_refused_with_what_to_do(stored: str, why: str) -> None:
    with pytest.raises(ValueError, match="the webhook secret") as refused:
        usable_secrets(stored)
    assert str(refused.value) == why
