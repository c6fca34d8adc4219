import base64
from typing import Any

import pytest
from billing.wiring import container
from functional.lab import SITE, Lab, Said, forget


def _debit(
    lab: Lab, units: int, user_id: str = "alice", caller: str = "backend", key: str = ""
) -> Said:
    headers: dict[str, Any] = {"idempotency_key": key} if key else {}
    return lab.call(
        "POST",
        "/quota/debits",
        sub=caller,
        scope="quota.write",
        body={"user_id": user_id, "units": units},
        **headers,
    )


def _hold(lab: Lab, units: int, seconds: int = 60) -> Said:
    body = {"user_id": "alice", "units": units, "expires_in_seconds": seconds}
    return lab.call("POST", "/quota/holds", sub="backend", scope="quota.write", body=body)


def _capture(lab: Lab, hold_id: str, units: int) -> Said:
    return lab.call(
        "POST",
        f"/quota/holds/{hold_id}/capture",
        sub="backend",
        scope="quota.write",
        body={"units": units},
    )


def _release(lab: Lab, hold_id: str) -> Said:
    return lab.call("POST", f"/quota/holds/{hold_id}/release", sub="backend", scope="quota.write")


def test_a_debit_takes_units_and_says_what_remains(lab: Lab) -> None:
    lab.fund("alice", 10)
    first, second = _debit(lab, 3), _debit(lab, 3)
    assert (first.status, first.json["units"], first.json["remaining"]) == (200, 3, 7)
    assert second.json["remaining"] == 4
    assert first.json["debit_id"] != second.json["debit_id"]
    assert set(first.json) == {"debit_id", "units", "remaining"}
    assert lab.quota("alice")["used"] == 6


@pytest.mark.parametrize("key", ["", "k"], ids=["plain", "keyed"])
@pytest.mark.parametrize("funds", [0, 2])
def test_more_than_there_is_is_a_402_and_takes_nothing(lab: Lab, key: str, funds: int) -> None:
    if funds:
        lab.fund("alice", funds)
    said = _debit(lab, 3, key=key)
    assert (said.status, said.code) == (402, "quota_exhausted")
    assert (said.json["remaining"], said.json["top_up_url"]) == (funds, SITE)
    assert lab.quota("alice")["remaining"] == funds
    assert lab.quota("alice")["used"] == 0


def test_a_refused_hold_is_the_same_402(lab: Lab) -> None:
    lab.fund("alice", 2)
    said = _hold(lab, 3)
    assert (said.status, said.code) == (402, "quota_exhausted")
    assert (said.json["remaining"], said.json["top_up_url"]) == (2, SITE)
    assert lab.quota("alice")["held"] == 0


def test_a_keyed_debit_is_replayed_and_taken_once(lab: Lab) -> None:
    """Also by a new container, and when nothing is left."""
    lab.fund("alice", 5)
    first = _debit(lab, 5, key="call 1")
    forget()
    again = _debit(lab, 5, key="call 1")
    assert first.status == again.status == 200
    assert again.json == {**first.json, "idempotent_replayed": True}
    assert "idempotent_replayed" not in first.json
    assert lab.quota("alice")["used"] == 5


@pytest.mark.parametrize("other", [{"units": 4}, {"units": 3, "user_id": "bob"}])
def test_a_keyed_debit_with_another_body_is_a_conflict(lab: Lab, other: dict[str, Any]) -> None:
    """409, and nothing taken from either account."""
    lab.fund("alice", 10)
    lab.fund("bob", 10)
    assert _debit(lab, 3, key="k").status == 200
    said = _debit(lab, other["units"], other.get("user_id", "alice"), key="k")
    assert (said.status, said.code) == (409, "idempotency_conflict")
    assert (lab.quota("alice")["used"], lab.quota("bob")["used"]) == (3, 0)


def test_two_callers_keys_are_two_keys(lab: Lab) -> None:
    """The key belongs to the token's subject."""
    lab.fund("alice", 10)
    assert _debit(lab, 3, caller="one", key="k").status == 200
    assert "idempotent_replayed" not in _debit(lab, 3, caller="two", key="k").json
    assert lab.quota("alice")["used"] == 6


def test_a_refused_keyed_debit_may_succeed_later(lab: Lab) -> None:
    """A 402 is not kept: the customer has topped up meanwhile."""
    assert _debit(lab, 3, key="k").status == 402
    lab.fund("alice", 10)
    assert _debit(lab, 3, key="k").json["remaining"] == 7


def test_a_hold_is_captured_in_part_and_the_rest_comes_back(lab: Lab) -> None:
    """A repeat replays; another figure is told apart."""
    lab.fund("alice", 10)
    held = _hold(lab, 6)
    assert (held.status, held.json["units"], held.json["remaining"]) == (201, 6, 4)
    assert lab.quota("alice")["held"] == 6
    first = _capture(lab, held.json["hold_id"], 2)
    assert first.status == 200
    assert lab.quota("alice") == {
        "user_id": "alice",
        "total": 10,
        "used": 2,
        "held": 0,
        "remaining": 8,
        "debt": 0,
        "expires_next": None,
    }
    assert _capture(lab, held.json["hold_id"], 2).json == first.json
    other = _capture(lab, held.json["hold_id"], 3)
    assert (other.status, other.code) == (409, "hold_closed")
    assert lab.quota("alice")["used"] == 2


def test_a_hold_is_released_whole(lab: Lab) -> None:
    """A repeat replays; a capture afterwards is a conflict."""
    lab.fund("alice", 10)
    hold_id = _hold(lab, 6).json["hold_id"]
    first = _release(lab, hold_id)
    assert first.status == 200
    assert _release(lab, hold_id).json == first.json
    said = _capture(lab, hold_id, 1)
    assert (said.status, said.code) == (409, "hold_closed")
    assert lab.quota("alice")["remaining"] == 10


def test_a_captured_hold_cannot_be_released(lab: Lab) -> None:
    lab.fund("alice", 10)
    hold_id = _hold(lab, 6).json["hold_id"]
    assert _capture(lab, hold_id, 6).status == 200
    said = _release(lab, hold_id)
    assert (said.status, said.code) == (409, "hold_closed")
    assert lab.quota("alice")["used"] == 6


def test_more_than_was_held_cannot_be_captured(lab: Lab) -> None:
    lab.fund("alice", 10)
    hold_id = _hold(lab, 6).json["hold_id"]
    said = _capture(lab, hold_id, 7)
    assert (said.status, said.code) == (400, "exceeds_hold")
    assert lab.quota("alice")["held"] == 6
    assert _capture(lab, hold_id, 6).status == 200


def _made(text: str) -> str:
    return "hold_" + base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


HOLDS = {
    "nothing": "hold_",
    "a word": "hold_x",
    "without its prefix": _made("000000000001.a.alice").removeprefix("hold_"),
    "non-ASCII": "hold_é",
    "no base64": "hold_%%%%",
    "not UTF-8": "hold_" + base64.urlsafe_b64encode(b"\xff\xfe\xfd").decode(),
    "no dots": _made("alice"),
    "no number": _made("soon.a.alice"),
    "a number of 5 000 digits": _made("9" * 5000 + ".a.alice"),
    "never placed": _made("999999999999.0123456789abcdef.alice"),
    "in the past": _made("000000000001.0123456789abcdef.alice"),
    "before all time": _made("-00000000001.0123456789abcdef.alice"),
    "with padding": _made("000000000001.a.alic") + "==",
    "of nobody": _made("999999999999.0123456789abcdef."),
    "of somebody whose name is too long": _made("999999999999.0123456789abcdef." + "x" * 2100),
    "a number of 2 000 digits": _made("9" * 2000 + ".0123456789abcdef.alice"),
    "a random part of 2 000 digits": _made("999999999999." + "a" * 2000 + ".alice"),
}


@pytest.mark.parametrize("hold_id", HOLDS.values(), ids=HOLDS)
def test_a_hold_that_is_not_there_is_a_404(lab: Lab, hold_id: str) -> None:
    """Never made, or not by us."""
    for said in (_capture(lab, hold_id, 1), _release(lab, hold_id)):
        assert (said.status, said.code) == (404, "not_found")
    assert lab.rows("QuotasTable") == []


@pytest.mark.parametrize("key", ["", "k"], ids=["plain", "keyed"])
def test_a_thousand_million_units_are_taken_at_once(lab: Lab, key: str) -> None:
    """The most that one call can ask for."""
    lab.fund("alice", 10**9)
    said = _debit(lab, 10**9, key=key)
    assert (said.status, said.json["remaining"]) == (200, 0)
    assert lab.quota("alice")["used"] == 10**9


def test_a_thousand_million_units_are_held_and_captured_at_once(lab: Lab) -> None:
    lab.fund("alice", 10**9)
    held = _hold(lab, 10**9)
    assert (held.status, held.json["remaining"]) == (201, 0)
    assert _capture(lab, held.json["hold_id"], 10**9).json["units"] == 10**9


@pytest.mark.parametrize("key", ["", "k"], ids=["plain", "keyed"])
def test_a_debit_that_found_no_time_says_so_and_takes_nothing(lab: Lab, key: str) -> None:
    """503 ``busy`` with Retry-After: a caller without a key may ask again, too."""
    lab.fund("alice", 10)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(container.deadline(), "_budget_seconds", -1)
        said = _debit(lab, 3, key=key)
    assert (said.status, said.code, said.raw["headers"]["retry-after"]) == (503, "busy", "1")
    assert lab.quota("alice")["used"] == 0


def test_a_request_has_its_own_time_however_old_its_function_is(lab: Lab) -> None:
    """Lambda keeps a process for hours; the time of the request before is long over."""
    lab.fund("alice", 10)
    container.deadline()._deadline = float("-inf")
    assert _debit(lab, 3).status == 200
