"""Attacks on what the API promises of keys and their limits, from its description alone."""

from hashlib import sha256
from typing import Any

from billing.spending import memory
from billing.storage.writes import creates
from functional.lab import Lab, Said

TEN = {"units": 10, "per": "day"}


def _make(lab: Lab, limit: Any = None, user_id: str = "alice") -> dict[str, Any]:
    body = {"name": "laptop", "limit": limit}
    return lab.call("POST", "/keys", sub=user_id, body=body).json


def _keys(lab: Lab) -> dict[str, dict[str, Any]]:
    return {row["key_id"]: row for row in lab.call("GET", "/keys", sub="alice").json["keys"]}


def _limit(lab: Lab, key_id: str, limit: Any) -> Said:
    return lab.call("PATCH", f"/keys/{key_id}", sub="alice", body={"limit": limit})


def _revoke(lab: Lab, key_id: str) -> int:
    return lab.call("DELETE", f"/keys/{key_id}", sub="alice").status


def _spend(lab: Lab, path: str, body: dict[str, Any], **headers: Any) -> Said:
    return lab.call("POST", path, sub="backend", scope="quota.write", body=body, **headers)


def _debit(lab: Lab, units: int, key_id: str, **headers: Any) -> Said:
    body = {"user_id": "alice", "units": units, "key_id": key_id}
    return _spend(lab, "/quota/debits", body, **headers)


def _hold(lab: Lab, units: int, key_id: str, **members: Any) -> Said:
    body = {"user_id": "alice", "units": units, "expires_in_seconds": 60, "key_id": key_id}
    return _spend(lab, "/quota/holds", body | members)


def _capture(lab: Lab, hold: Said, units: int) -> Said:
    return _spend(lab, f"/quota/holds/{hold.json['hold_id']}/capture", {"units": units})


def _not_itemised(lab: Lab) -> dict[str, int]:
    page = lab.call("GET", "/quota/ledger", sub="alice").json
    found: dict[str, int] = page["not_itemised"]["by_key"]
    return found


def test_no_detour_through_other_windows_gives_units_back(lab: Lab) -> None:
    lab.fund("alice", 1000)
    key = _make(lab, TEN)["key_id"]
    _debit(lab, 3, key)
    hold = _hold(lab, 2, key)
    for per in ("month", "total", "day", "month", "day"):
        for units in (7, 20, 4, 10):
            changed = _limit(lab, key, {"units": units, "per": per}).json
            assert changed["limit_remaining"] == max(0, units - 5)
        assert _limit(lab, key, None).json["limit_remaining"] is None
    assert _limit(lab, key, {"units": 5, "per": "day"}).json["limit_remaining"] == 0
    assert _debit(lab, 1, key).code == "key_limit_reached"
    assert _capture(lab, hold, 1).status == 200
    assert (_keys(lab)[key]["limit_remaining"], _keys(lab)[key]["used_total"]) == (1, 4)
    assert [_debit(lab, 1, key).status for _ in range(2)] == [200, 402]


def test_a_key_that_is_older_than_the_first_purchase_spends(lab: Lab) -> None:
    limited, free = _make(lab, TEN), _make(lab)
    assert (lab.quota("alice")["total"], lab.quota("alice")["remaining"]) == (0, 0)
    assert _debit(lab, 1, limited["key_id"]).code == "quota_exhausted"
    assert lab.call("GET", "/key", x_api_key=limited["key"]).json["remaining"] == 0
    lab.fund("alice", 50)
    assert [_debit(lab, units, limited["key_id"]).status for units in (10, 1)] == [200, 402]
    assert [_debit(lab, units, free["key_id"]).status for units in (40, 1)] == [200, 402]


def test_a_repeated_debit_replays_whatever_became_of_its_key(lab: Lab) -> None:
    """At its limit, in another container, and when it is revoked; a refusal is not replayed."""
    lab.fund("alice", 50)
    key, other = _make(lab, TEN)["key_id"], _make(lab)["key_id"]
    first = _debit(lab, 10, key, idempotency_key="one")
    replay = {**first.json, "idempotent_replayed": True}
    assert _debit(lab, 10, key, idempotency_key="one").json == replay
    assert _debit(lab, 10, other, idempotency_key="one").status == 409
    memory._seen.clear()
    assert _debit(lab, 10, key, idempotency_key="one").json == replay
    assert _debit(lab, 10, key, idempotency_key="two").code == "key_limit_reached"
    _limit(lab, key, None)
    assert _debit(lab, 10, key, idempotency_key="two").status == 200
    assert _revoke(lab, key) == 204
    assert _debit(lab, 10, key, idempotency_key="one").json == replay
    assert _debit(lab, 10, key, idempotency_key="three").code == "invalid_key"
    assert lab.quota("alice")["used"] == 20


def test_the_answer_says_which_of_two_ends_is_reached(lab: Lab) -> None:
    lab.fund("alice", 5)
    key = _make(lab, {"units": 10**9, "per": "total"})["key_id"]
    assert _debit(lab, 6, key).code == "quota_exhausted"
    assert _hold(lab, 100, key, at_least=6).code == "quota_exhausted"
    assert _hold(lab, 100, key, at_least=5).json["units"] == 5
    assert _keys(lab)[key]["limit_remaining"] == 10**9 - 5


def test_what_keys_used_is_never_lost(lab: Lab) -> None:
    """Not by captures, releases or revocations, nor by a capture after the revocation."""
    lab.fund("alice", 500)
    limits = [{"units": 50, "per": per} for per in ("day", "month", "total")]
    keys = [_make(lab, limit)["key_id"] for limit in (*limits, None)]
    for more, key in enumerate(keys):
        _debit(lab, 10 + more, key)
    _spend(lab, "/quota/debits", {"user_id": "alice", "units": 7})
    holds = [_hold(lab, 5, key) for key in keys]
    _capture(lab, holds[0], 2)
    _spend(lab, f"/quota/holds/{holds[1].json['hold_id']}/release", {})
    _capture(lab, holds[2], 5)
    listed = [_keys(lab)[key] for key in keys]
    assert [row["used_total"] for row in listed] == [12, 11, 17, 13]
    assert [row["limit_remaining"] for row in listed] == [38, 39, 33, None]
    assert [_revoke(lab, key) for key in keys] == [204] * 4
    assert [_revoke(lab, key) for key in keys] == [404] * 4
    assert lab.quota("alice")["used"] == 7 + 12 + 11 + 17 + 13
    assert _not_itemised(lab) == dict(zip(keys, (12, 11, 17, 13), strict=True))
    _capture(lab, holds[3], 5)
    assert _not_itemised(lab)[keys[3]] == 18


def test_a_key_in_any_other_form_is_no_key(lab: Lab) -> None:
    key = _make(lab)["key"]
    for good in (f"bearer {key}", f"Bearer  {key}"):
        assert lab.call("GET", "/key", authorization=good).status == 200
    for bad in (f"{key},{key}", key[:-1], f"{key}=", f"{key} ", key.upper(), ""):
        assert lab.call("GET", "/key", x_api_key=bad).status == 401
    assert lab.call("GET", "/key", authorization=key).status == 401
    assert lab.call("GET", "/key", x_api_key="x", authorization=f"Bearer {key}").status == 401


def test_a_key_of_before_there_were_limits_is_listed_limited_and_revoked(lab: Lab) -> None:
    lab.fund("alice", 50)
    number, secret = "0" * 24, "s" * 43
    made = {"name": "old", "created_at": "2025-01-01T00:00:00.000000Z"}
    found_by = {"hash": sha256(secret.encode()).hexdigest(), "user_id": "alice"}
    lab.books.store.commit(
        creates("keys", ("user#alice", f"key_{number}"), made),
        creates("keys", (f"key#{number}", "key"), found_by),
    )
    stage = _make(lab)["key"].split("_")[1]
    old, key = f"key_{number}", f"tk_{stage}_{number}_{secret}"
    assert _keys(lab)[old]["used_total"] == 0
    assert _keys(lab)[old]["limit"] is None
    assert lab.call("GET", "/key", x_api_key=key).json["name"] == "old"
    assert _debit(lab, 3, old).status == 200
    assert _limit(lab, old, TEN).json["limit_remaining"] == 7
    assert lab.call("GET", "/key", x_api_key=key).json["limit_remaining"] == 7
    assert [_debit(lab, units, old).status for units in (8, 7, 1)] == [402, 200, 402]
    assert (_keys(lab)[old]["used_today"], _keys(lab)[old]["used_total"]) == (10, 10)
    assert _revoke(lab, old) == 204
    assert old not in _keys(lab)
    assert lab.call("GET", "/key", x_api_key=key).status == 401
    assert lab.quota("alice")["used"] == 10
