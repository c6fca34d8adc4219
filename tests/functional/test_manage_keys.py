from typing import Any

import pytest
from functional.lab import Lab

ARN = "arn:aws:execute-api:us-east-1:123456789012:abcdef/prod/GET/things"
"""What API Gateway calls the request."""
FIGURES = (
    "limit",
    "limit_remaining",
    "resets_at",
    "used_today",
    "used_this_month",
    "used_total",
)


def _key(lab: Lab, user_id: str = "alice", name: str = "laptop") -> dict[str, Any]:
    said = lab.call("POST", "/keys", sub=user_id, body={"name": name})
    assert said.status == 201, said
    return said.json


def test_a_key_is_shown_once_and_stored_as_a_hash(lab: Lab) -> None:
    """The list has no secrets, and neither has the table."""
    made = _key(lab)
    assert set(made) == {"key_id", "key", "name", "created_at", *FIGURES}
    assert made["key"].startswith("tk_local_")
    listed = lab.call("GET", "/keys", sub="alice").json["keys"]
    shown = ("key_id", "name", "created_at", *FIGURES)
    assert listed == [{name: made[name] for name in shown}]
    assert made["key"][-43:] not in str(lab.rows("KeysTable"))


def test_a_users_keys_are_the_users_own(lab: Lab) -> None:
    """Another user neither sees nor revokes them."""
    made = _key(lab)
    assert lab.call("GET", "/keys", sub="bob").json == {"keys": []}
    said = lab.call("DELETE", f"/keys/{made['key_id']}", sub="bob")
    assert (said.status, said.code) == (404, "not_found")
    assert len(lab.call("GET", "/keys", sub="alice").json["keys"]) == 1


def test_a_revoked_key_is_gone(lab: Lab) -> None:
    """204 without a body, then 404; the others stay."""
    first, second = _key(lab, name="one"), _key(lab, name="two")
    said = lab.call("DELETE", f"/keys/{first['key_id']}", sub="alice")
    assert (said.status, said.raw["body"]) == (204, "")
    assert lab.call("DELETE", f"/keys/{first['key_id']}", sub="alice").code == "not_found"
    assert [key["key_id"] for key in lab.call("GET", "/keys", sub="alice").json["keys"]] == [
        second["key_id"]
    ]


@pytest.mark.parametrize("name", ["", None, 7, [], "x" * 101, "two\nlines", "\x00"], ids=repr)
def test_a_keys_name_is_a_short_text(lab: Lab, name: Any) -> None:
    """1 to 100 printable characters."""
    said = lab.call("POST", "/keys", sub="alice", body={"name": name})
    assert (said.status, said.code) == (400, "invalid_request")
    assert lab.rows("KeysTable") == []


@pytest.mark.parametrize(
    "key_id",
    ["key_none", "none", "key", "user#alice", "Ünïcode", "key_" + "0" * 24, "key_" + "0" * 2000],
)
def test_a_key_that_is_not_there_is_a_404(lab: Lab, key_id: str) -> None:
    said = lab.call("DELETE", f"/keys/{key_id}", sub="alice")
    assert (said.status, said.code) == (404, "not_found")


def test_a_user_has_at_most_32_live_keys(lab: Lab) -> None:
    """The 33rd is refused and says what to do; revoking one frees its place; other users have their
    own.
    """
    made = [_key(lab, name=f"key {number}") for number in range(32)]
    before = lab.everything()
    said = lab.call("POST", "/keys", sub="alice", body={"name": "one more"})
    assert (said.status, said.code) == (409, "too_many_keys")
    assert "revoke one" in said.json["detail"]
    assert len(lab.call("GET", "/keys", sub="alice").json["keys"]) == 32
    assert lab.everything() == before
    assert _key(lab, "bob")["key_id"]
    assert lab.call("DELETE", f"/keys/{made[7]['key_id']}", sub="alice").status == 204
    assert _key(lab)["key_id"]
    assert lab.call("POST", "/keys", sub="alice", body={"name": "one more"}).code == "too_many_keys"


def test_a_revocation_that_finds_no_key_frees_no_place(lab: Lab) -> None:
    """Twice the same key, or another user's."""
    made = [_key(lab) for _ in range(32)]
    lab.call("DELETE", f"/keys/{made[0]['key_id']}", sub="alice")
    for sub in ("alice", "bob"):
        assert lab.call("DELETE", f"/keys/{made[0]['key_id']}", sub=sub).status == 404
    assert _key(lab)["key_id"]
    assert lab.call("POST", "/keys", sub="alice", body={"name": "one more"}).code == "too_many_keys"


@pytest.mark.parametrize("before", [1, 31, 32, 40])
def test_keys_made_before_there_was_a_count_are_counted(lab: Lab, before: int) -> None:
    """The row that counts is made at the first change, from the keys there are."""
    made = [_key(lab) for _ in range(min(before, 32))]
    made += [_key_of_old(lab, number) for number in range(before - len(made))]
    lab.boto("dynamodb").delete_item(
        TableName="KeysTable", Key={"owner": {"S": "user#alice"}, "id": {"S": "count"}}
    )
    assert len(lab.call("GET", "/keys", sub="alice").json["keys"]) == before
    free = max(0, 32 - before)
    for _ in range(free):
        _key(lab)
    assert lab.call("POST", "/keys", sub="alice", body={"name": "one more"}).code == "too_many_keys"
    for key in made[: max(1, before - 31)]:
        assert lab.call("DELETE", f"/keys/{key['key_id']}", sub="alice").status == 204
    assert _key(lab)["key_id"]
    assert len(lab.call("GET", "/keys", sub="alice").json["keys"]) == 32


def test_a_count_that_an_older_version_left_wrong_is_put_right(lab: Lab) -> None:
    """It revoked without counting while a new one was deployed: the places are
    free all the same.
    """
    for _ in range(3):
        _key(lab)
    table, key = "KeysTable", {"owner": {"S": "user#alice"}, "id": {"S": "count"}}
    for wrong in ("32", "0"):
        lab.boto("dynamodb").update_item(
            TableName=table,
            Key=key,
            UpdateExpression="SET live = :n",
            ExpressionAttributeValues={":n": {"N": wrong}},
        )
        made = _key(lab) if wrong == "32" else lab.call("GET", "/keys", sub="alice").json["keys"][0]
        assert lab.call("DELETE", f"/keys/{made['key_id']}", sub="alice").status == 204
    (row,) = [row for row in lab.rows("KeysTable") if row["id"]["S"] == "count"]
    assert row["live"]["N"] == "2"


def _key_of_old(lab: Lab, number: int) -> dict[str, Any]:
    """A key as it was made before: two rows, nothing counted."""
    digits = f"{number:024x}"
    rows = (
        {
            "owner": {"S": "user#alice"},
            "id": {"S": f"key_{digits}"},
            "name": {"S": "old"},
            "created_at": {"S": "2026-01-01T00:00:00Z"},
        },
        {
            "owner": {"S": f"key#{digits}"},
            "id": {"S": "key"},
            "hash": {"S": "0" * 64},
            "user_id": {"S": "alice"},
        },
    )
    for row in rows:
        lab.boto("dynamodb").put_item(TableName="KeysTable", Item=row)
    return {"key_id": f"key_{digits}"}
