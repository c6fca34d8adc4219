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


@pytest.mark.parametrize("key", ["", "k"], ids=["plain", "keyed"])
def test_a_thousand_million_units_are_debited_in_one_call(lab: Lab, key: str) -> None:
    """The most that one call can ask for."""
    lab.fund("alice", 10**9)
    said = _debit(lab, 10**9, key=key)
    assert (said.status, said.json["remaining"]) == (200, 0)
    assert lab.quota("alice")["used"] == 10**9


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
