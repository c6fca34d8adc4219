"""One clock for Stripe and the functions, which tests move: on a stand of its own, because all
others stay in the present.
"""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
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


def _key(stand: Stand, user_id: str, units: int, per: str) -> dict[str, Any]:
    body = {"name": per, "limit": {"units": units, "per": per}}
    made: dict[str, Any] = stand.call("POST", "/keys", sub=user_id, body=body).json()
    return made


def _spend(stand: Stand, user_id: str, key: dict[str, Any], units: int) -> str:
    """Debit, and return the code of a refusal."""
    body = {"user_id": user_id, "units": units, "key_id": key["key_id"]}
    answer = stand.call("POST", "/quota/debits", body=body, **SERVICE)
    return str(answer.json().get("code", ""))


def _figures(stand: Stand, user_id: str) -> dict[str, tuple[Any, ...]]:
    """What is left of each key's limit, when it resets, and used today, this month and in all."""
    keys = stand.call("GET", "/keys", sub=user_id).json()["keys"]
    names = ("limit_remaining", "resets_at", "used_today", "used_this_month", "used_total")
    return {key["name"]: tuple(key[name] for name in names) for key in keys}


def _move_to(stand: Stand, moment: datetime) -> None:
    now = stand.control("clock", advance_seconds=0)["now"]
    stand.control("clock", advance_seconds=int(moment.timestamp() - now))


def test_limits_begin_again_at_midnight_in_utc(moved: Stand, buyer: str) -> None:
    """By the day, by the month and never; another user's keys are another matter."""
    other = f"other-{uuid.uuid4().hex[:8]}"
    moved.purchase(other)
    now = datetime.fromtimestamp(moved.control("clock", advance_seconds=0)["now"], UTC)
    first = (now.replace(day=1) + timedelta(days=32)).replace(day=1)
    midnight = first.replace(day=16, hour=0, minute=0, second=0, microsecond=0)
    month = (midnight + timedelta(days=31)).replace(day=1)
    day_ends, month_ends = (f"{at:%Y-%m-%dT%H:%M:%S.%fZ}" for at in (midnight, month))
    _move_to(moved, midnight - timedelta(minutes=15))
    daily, monthly = _key(moved, buyer, 10, "day"), _key(moved, buyer, 15, "month")
    ever, foreign = _key(moved, buyer, 12, "total"), _key(moved, other, 10, "day")
    for key in (daily, monthly, ever):
        assert not _spend(moved, buyer, key, 10)
    assert not _spend(moved, other, foreign, 4)
    assert _spend(moved, buyer, daily, 1) == "key_limit_reached"
    assert _spend(moved, buyer, foreign, 1) == "invalid_key"
    assert _figures(moved, buyer) == {
        "day": (0, day_ends, 10, 10, 10),
        "month": (5, month_ends, 10, 10, 10),
        "total": (2, None, 10, 10, 10),
    }

    _move_to(moved, midnight + timedelta(minutes=15))
    day_ends = f"{midnight + timedelta(days=1):%Y-%m-%dT%H:%M:%S.%fZ}"
    assert _figures(moved, buyer) == {
        "day": (10, day_ends, 0, 10, 10),
        "month": (5, month_ends, 0, 10, 10),
        "total": (2, None, 0, 10, 10),
    }
    held = moved.call("GET", "/key", x_api_key=daily["key"]).json()
    assert (held["limit_remaining"], held["resets_at"]) == (10, day_ends)
    assert not _spend(moved, buyer, daily, 10)
    for key, left in ((daily, 0), (monthly, 5), (ever, 2)):
        assert _spend(moved, buyer, key, left + 1) == "key_limit_reached"
    assert not _spend(moved, buyer, monthly, 5)
    assert not _spend(moved, buyer, ever, 2)

    _move_to(moved, month + timedelta(minutes=15))
    figures = _figures(moved, buyer)
    assert {
        name: (left, today, this_month) for name, (left, _, today, this_month, _) in figures.items()
    } == {"day": (10, 0, 0), "month": (15, 0, 0), "total": (0, 0, 0)}
    assert _spend(moved, buyer, ever, 1) == "key_limit_reached"
    assert not _spend(moved, buyer, monthly, 15)
    assert _figures(moved, other)["day"][4] == 4
    assert moved.quota(buyer)["used"] == sum(row[4] for row in _figures(moved, buyer).values())
    assert moved.call("DELETE", f"/keys/{monthly['key_id']}", sub=buyer).status_code == 204
    assert moved.quota(buyer)["used"] == 62
    entries = moved.call("GET", "/quota/ledger", sub=buyer).json()["entries"]
    consumed = [row["by_key"] for row in entries if row["type"] == "consumed"]
    today = {daily["key_id"]: 10, monthly["key_id"]: 5, ever["key_id"]: 2}
    assert consumed == [today, dict.fromkeys(today, 10)]


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


def _grant(stand: Stand, user: str, units: int, days: int) -> dict[str, Any]:
    """Units that expire so many days from what the books call now."""
    sent = stand.call(
        "POST",
        "/quota/grants",
        sub="backend",
        scope="quota.grant",
        body={"user_id": user, "units": units, "reason": "a gift", "expires_at": _in(stand, days)},
        idempotency_key=uuid.uuid4().hex,
    )
    assert sent.status_code == 201, sent.text
    found: dict[str, Any] = sent.json()
    return found


def _in(stand: Stand, days: int) -> str:
    """A time from what the books call now: other tests have moved the clock."""
    now = stand.control("clock", advance_seconds=0)["now"]
    return (datetime.fromtimestamp(now, UTC) + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_a_given_lot_expires_when_the_clock_is_moved_past_it(moved: Stand, buyer: str) -> None:
    """The very next reading and the very next debit see it, and the ledger says so once."""
    given = _grant(moved, buyer, 20, days=2)
    quota = moved.quota(buyer)
    assert (quota["remaining"], quota["expires_next"]["units"]) == (120, 20)
    lots = moved.call("GET", "/quota/lots", sub=buyer).json()["lots"]
    assert [lot["left"] for lot in lots] == [20, 100]
    assert lots[0]["reference_id"] == given["grant_id"]
    _write(moved, "/quota/debits", user_id=buyer, units=5)
    moved.control("clock", advance_seconds=2 * DAY + 1)
    assert moved.quota(buyer)["remaining"] == 100
    refused = moved.call("POST", "/quota/debits", body={"user_id": buyer, "units": 101}, **SERVICE)
    assert (refused.status_code, refused.json()["remaining"]) == (402, 100)
    taken = _write(moved, "/quota/debits", user_id=buyer, units=40).json()
    assert taken["remaining"] == 60
    entries = moved.call("GET", "/quota/ledger", sub=buyer).json()["entries"]
    assert [row["units"] for row in entries if row["type"] == "expired"] == [-15]


def test_units_in_a_hold_outlive_their_lot_and_expire_when_it_gives_them_back(
    moved: Stand, buyer: str
) -> None:
    """A capture after their time uses them; the rest is gone."""
    _grant(moved, buyer, 20, days=1)
    moved.control("clock", advance_seconds=DAY - 600)
    held = _write(moved, "/quota/holds", user_id=buyer, units=20, expires_in_seconds=3600).json()
    moved.control("clock", advance_seconds=900)
    quota = moved.quota(buyer)
    assert (quota["remaining"], quota["held"]) == (100, 20)
    _write(moved, f"/quota/holds/{held['hold_id']}/capture", units=8)
    quota = moved.quota(buyer)
    assert (quota["remaining"], quota["held"], quota["used"]) == (100, 0, 8)
    entries = moved.call("GET", "/quota/ledger", sub=buyer).json()["entries"]
    assert [row["units"] for row in entries if row["type"] == "expired"] == [-12]
