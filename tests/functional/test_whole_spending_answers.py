"""Whole answers of debits and holds over HTTP, each member with its own value."""

import base64
from typing import Any, Final

import pytest
from functional.lab import SITE, Lab, Said

LATEST: Final = 86_400
BOUNDS: Final = [
    ({"units": 0}, "units must be a whole number from 1 to 1000000000"),
    ({"units": 10**9 + 1}, "units must be a whole number from 1 to 1000000000"),
    ({"user_id": "x" * 256}, None),
    ({"user_id": ""}, None),
    ({"key_id": "k" * 101}, None),
    ({"key_id": ""}, None),
    ({"more": 1}, None),
]


def _post(lab: Lab, path: str, body: dict[str, Any], **how: Any) -> Said:
    return lab.call("POST", path, sub="backend", scope="quota.write", body=body, **how)


def _debit(lab: Lab, key: str = "", **body: Any) -> Said:
    how = {"idempotency_key": key} if key else {}
    return _post(lab, "/quota/debits", {"user_id": "alice", "units": 3, **body}, **how)


def _hold(lab: Lab, **body: Any) -> Said:
    whole = {"user_id": "alice", "units": 3, "expires_in_seconds": 60, **body}
    return _post(lab, "/quota/holds", whole)


def _key(lab: Lab, units: int) -> str:
    limit = {"units": units, "per": "total"}
    made = lab.call("POST", "/keys", sub="alice", body={"name": "laptop", "limit": limit})
    return str(made.json["key_id"])


def test_a_debit_and_a_hold_for_a_key_say_all_that_is_left(lab: Lab) -> None:
    lab.fund("alice", 20)
    key = _key(lab, 12)
    plain, keyed = _debit(lab, key_id=key), _debit(lab, "call", key_id=key)
    assert plain.json == {**plain.json, "units": 3, "remaining": 17, "limit_remaining": 9}
    assert keyed.json == {**keyed.json, "units": 3, "remaining": 14, "limit_remaining": 6}
    assert list(plain.json) == ["debit_id", "units", "remaining", "limit_remaining"]
    again = _debit(lab, "call", key_id=key)
    assert again.json == {**keyed.json, "idempotent_replayed": True}
    held = _hold(lab, key_id=key, units=10, at_least=2)
    assert held.status == 201
    assert held.json == {**held.json, "units": 6, "remaining": 8, "limit_remaining": 0}
    assert sorted(held.json) == ["expires_at", "hold_id", "limit_remaining", "remaining", "units"]


def test_an_end_of_a_hold_says_what_was_captured_and_given_back(lab: Lab) -> None:
    lab.fund("alice", 20)
    captured, released = _hold(lab).json["hold_id"], _hold(lab).json["hold_id"]
    assert _post(lab, f"/quota/holds/{captured}/capture", {"units": 2}).json == {
        "hold_id": captured,
        "status": "captured",
        "units": 2,
        "released": 1,
    }
    said = lab.call("POST", f"/quota/holds/{released}/release", sub="backend", scope="quota.write")
    assert said.json == {"hold_id": released, "status": "released", "units": 0, "released": 3}
    closed = _post(lab, f"/quota/holds/{released}/capture", {"units": 1})
    assert closed.json["detail"] == "this hold was released before, with 0 units captured"
    exceeded = _post(lab, f"/quota/holds/{_hold(lab).json['hold_id']}/capture", {"units": 4})
    assert exceeded.json["detail"] == "the hold is of 3 units, 4 cannot be captured"


@pytest.mark.parametrize("route", ["debit", "hold"])
def test_a_refusal_is_a_problem_with_what_remains_and_where_to_buy(lab: Lab, route: str) -> None:
    lab.fund("alice", 2)
    said = _debit(lab) if route == "debit" else _hold(lab)
    assert said.status == 402
    assert said.json == {
        **said.json,
        "status": 402,
        "code": "quota_exhausted",
        "detail": "3 units were asked for and 2 remain; nothing was taken",
        "remaining": 2,
        "top_up_url": SITE,
    }


@pytest.mark.parametrize(("wrong", "detail"), BOUNDS, ids=repr)
@pytest.mark.parametrize("route", ["debit", "hold"])
def test_a_request_beyond_a_bound_is_refused_and_takes_nothing(
    lab: Lab, route: str, wrong: dict[str, Any], detail: str | None
) -> None:
    lab.fund("alice", 20)
    said = _debit(lab, **wrong) if route == "debit" else _hold(lab, **wrong)
    assert (said.status, said.code) in ((400, "invalid_request"), (400, "invalid_key"))
    assert detail in (None, said.json["detail"])
    assert lab.quota("alice")["remaining"] == 20


def test_a_request_at_a_bound_is_carried_out(lab: Lab) -> None:
    user = "x" * 255
    lab.fund(user, 20)
    assert _debit(lab, user_id=user).status == 200
    held = _hold(lab, user_id=user, expires_in_seconds=LATEST)
    assert held.status == 201
    capture = f"/quota/holds/{held.json['hold_id']}/capture"
    assert _post(lab, capture, {"units": 3}).status == 200
    assert _hold(lab, user_id=user, expires_in_seconds=LATEST + 1).status == 400
    assert _hold(lab, user_id=user, expires_in_seconds=0).status == 400


def test_the_longest_name_of_a_user_has_holds(lab: Lab) -> None:
    """255 characters of four bytes each."""
    user = "\U0001f600" * 255
    lab.fund(user, 5)
    hold_id = _hold(lab, user_id=user).json["hold_id"]
    padded = hold_id.removeprefix("hold_") + "=" * (-len(hold_id.removeprefix("hold_")) % 4)
    assert base64.urlsafe_b64decode(padded).decode().endswith(f".{user}")
    assert _post(lab, f"/quota/holds/{hold_id}/capture", {"units": 1}).status == 200


def test_a_key_of_another_form_is_refused_for_what_it_is(lab: Lab) -> None:
    lab.fund("alice", 5)
    for said in (_debit(lab, key_id="k" * 100), _hold(lab, key_id="k" * 100)):
        assert (said.status, said.code) == (400, "invalid_key")
        assert said.json["detail"] == (
            "key_id must be the id of one of this user's live keys; nothing was taken"
        )


def test_units_are_taken_and_given_back_by_the_seller_alone(lab: Lab) -> None:
    """A customer's own token is not enough."""
    lab.fund("alice", 5)
    hold = f"/quota/holds/{_hold(lab).json['hold_id']}"
    body = {"user_id": "alice", "units": 1}
    asked: list[tuple[str, dict[str, Any]]] = [
        ("/quota/debits", body),
        ("/quota/holds", {**body, "expires_in_seconds": 60}),
        (f"{hold}/capture", {"units": 1}),
        (f"{hold}/release", {}),
    ]
    for path, sent in asked:
        said = lab.call("POST", path, sub="alice", body=sent)
        assert (said.status, said.code) == (403, "forbidden")
    quota = lab.quota("alice")
    assert (quota["used"], quota["held"], quota["remaining"]) == (0, 3, 2)
