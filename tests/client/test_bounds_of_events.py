"""The bounds of a delivery that is believed: its age, its size and its signatures."""

import base64
import json
import time
from typing import Final

import pytest
from billing.notices import signing
from topup_client import EventRefused, verify_event

SECRET: Final = "whsec_" + base64.b64encode(b"s" * 32).decode()
OTHERS: Final = ["whsec_" + base64.b64encode(bytes([number]) * 32).decode() for number in range(20)]
EVENT: Final = {"id": "evt_1", "type": "quota.low"}
BODY: Final = json.dumps(EVENT).encode()
NOW: Final = 1_767_323_045


@pytest.fixture(autouse=True)
def _stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """The receiver's clock, not on a whole second."""
    monkeypatch.setattr(time, "time", lambda: NOW + 0.0)


def _headers(body: bytes = BODY, at: int = NOW, *secrets: str) -> dict[str, str]:
    return signing.headers("evt_1", at, body, secrets or (SECRET,))


@pytest.mark.parametrize("age", [300, 299, 0, -299, -300])
def test_a_delivery_of_five_minutes_is_believed(age: int) -> None:
    """Old or new: clocks differ. https://www.standardwebhooks.com."""
    assert verify_event(BODY, _headers(BODY, NOW - age), SECRET) == EVENT


@pytest.mark.parametrize("age", [301, -301])
def test_a_delivery_that_is_a_second_older_or_newer_is_not(age: int) -> None:
    with pytest.raises(EventRefused, match="too old or too new"):
        verify_event(BODY, _headers(BODY, NOW - age), SECRET)


def _padded(size: int) -> bytes:
    start = BODY[:-1] + b', "data": "'
    return start + b"x" * (size - len(start) - 2) + b'"}'


def test_a_body_of_256_kib_is_read_and_a_byte_more_is_not() -> None:
    """It is refused before anything is computed of it."""
    whole = _padded(262_144)
    assert len(whole) == 262_144
    assert verify_event(whole, _headers(whole), SECRET)["id"] == "evt_1"
    more = _padded(262_145)
    with pytest.raises(EventRefused, match="too large"):
        verify_event(more, _headers(more), SECRET)


@pytest.mark.parametrize("place", [0, 5, 9])
def test_any_of_ten_signatures_may_be_the_one(place: int) -> None:
    secrets = OTHERS[:9]
    secrets.insert(place, SECRET)
    assert verify_event(BODY, _headers(BODY, NOW, *secrets), SECRET) == EVENT


def test_an_eleventh_signature_is_not_looked_at() -> None:
    with pytest.raises(EventRefused, match="no signature fits"):
        verify_event(BODY, _headers(BODY, NOW, *OTHERS[:10], SECRET), SECRET)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_any_of_the_known_secrets_may_be_the_one(place: int) -> None:
    known = OTHERS[:2]
    known.insert(place, SECRET)
    assert verify_event(BODY, _headers(), known) == EVENT
    assert verify_event(BODY, _headers(), tuple(known)) == EVENT


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_each_header_is_needed_in_any_case(name: str) -> None:
    headers = _headers()
    shouted = {key.upper(): value for key, value in headers.items()}
    assert verify_event(BODY, shouted, SECRET) == EVENT
    del headers[name]
    with pytest.raises(EventRefused):
        verify_event(BODY, headers, SECRET)


def test_a_time_of_ten_digits_is_the_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the year 2286."""
    monkeypatch.setattr(time, "time", lambda: 9_999_999_999.0)
    assert verify_event(BODY, _headers(BODY, 9_999_999_999), SECRET) == EVENT
    monkeypatch.setattr(time, "time", lambda: 10_000_000_000.0)
    with pytest.raises(EventRefused):
        verify_event(BODY, _headers(BODY, 10_000_000_000), SECRET)


@pytest.mark.parametrize("second", ["v2,", "v1", "v1,%", "nonsense", ","])
def test_what_is_no_signature_beside_one_is_passed_over(second: str) -> None:
    """Before it and behind it."""
    headers = _headers()
    for text in (
        f"{second} {headers['webhook-signature']}",
        f"{headers['webhook-signature']} {second}",
    ):
        assert verify_event(BODY, {**headers, "webhook-signature": text}, SECRET) == EVENT
