"""One clock for Stripe and the functions, which tests move: on a stand of its own, because all
others stay in the present.
"""

import uuid
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

import httpx
import pytest
from support.stand import Stand, running

from infra.cli.find_target import find_target

SERVICE: Final = {"sub": "backend", "scope": "quota.write"}
DAY: Final = 86400


@pytest.fixture(scope="module")
def moved() -> Iterator[Stand]:
    """A stand whose clock goes forward from test to test."""
    with running() as found:
        yield found


@pytest.fixture
def buyer(moved: Stand) -> str:
    """A user with 100 units."""
    name = f"buyer-{uuid.uuid4().hex[:8]}"
    moved.purchase(name)
    return name


def _write(stand: Stand, path: str, **body: Any) -> httpx.Response:
    answer = stand.call("POST", path, body=body, **SERVICE)
    assert answer.is_success, answer.text
    return answer


def test_a_hold_expires_when_the_clock_is_moved_past_it(moved: Stand, buyer: str) -> None:
    """The very next request sees it, in functions that were running already. The tokens and the
    signatures of the present stay valid.
    """
    _write(moved, "/quota/holds", user_id=buyer, units=10, expires_in_seconds=3600)
    assert moved.quota(buyer)["held"] == 10
    moved.control("clock", advance_seconds=3601)
    quota = moved.quota(buyer)
    assert (quota["held"], quota["remaining"]) == (0, 100)


def test_the_day_changes_for_the_books(moved: Stand, buyer: str) -> None:
    """What was used before is itemised by the first debit of the new day."""
    _write(moved, "/quota/debits", user_id=buyer, units=3)
    moved.control("clock", advance_seconds=DAY)
    _write(moved, "/quota/debits", user_id=buyer, units=4)
    entries = moved.call("GET", "/quota/ledger", sub=buyer).json()["entries"]
    assert [row["units"] for row in entries if row["type"] == "consumed"] == [-3]


def test_checkout_works_after_the_clock_was_moved(moved: Stand, buyer: str) -> None:
    """Stripe's and the functions' time are one: a session's expiry is within Stripe's bounds, its
    webhook's signature is of the present, and a session of the past has expired.
    """
    left = moved.buy(buyer)
    moved.control("clock", advance_seconds=40 * DAY)
    moved.control("idle")
    bought = moved.purchase(buyer)
    assert moved.quota(buyer)["total"] == 200
    session = moved.stripe.v1.checkout.sessions.retrieve(bought["session_id"])
    created = datetime.fromisoformat(moved.payment(buyer, bought["payment_id"])["created_at"])
    assert abs(created.timestamp() - session.created) < DAY
    expired = moved.stripe.v1.checkout.sessions.retrieve(left["session_id"])
    assert expired.status == "expired"
    moved.until(lambda: moved.payment(buyer, left["payment_id"])["status"] == "expired")


def test_the_operators_command_keeps_to_the_moved_clock(
    moved: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it books has the time of the functions' own entries."""
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        monkeypatch.setenv(name, "")  # the command changes these, and the test undoes it
    monkeypatch.setenv("TOPUP_STATE_DIR", str(moved.state))
    now = moved.control("clock", advance_seconds=DAY)["now"]
    clock = find_target("", "", "").books().clock
    assert abs(clock().timestamp() - now) < DAY / 2
