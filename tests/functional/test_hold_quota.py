"""Holds over HTTP: placed, captured, released."""

import base64

import pytest
from functional.lab import SITE, Lab, Said


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


def test_a_refused_hold_is_the_same_402(lab: Lab) -> None:
    lab.fund("alice", 2)
    said = _hold(lab, 3)
    assert (said.status, said.code) == (402, "quota_exhausted")
    assert (said.json["remaining"], said.json["top_up_url"]) == (2, SITE)
    assert lab.quota("alice")["held"] == 0


def test_a_hold_is_captured_in_part_and_the_rest_comes_back(lab: Lab) -> None:
    """A repeat replays. Another figure is a conflict."""
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
    "of no user": _made("999999999999.0123456789abcdef."),
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


def test_a_thousand_million_units_are_held_and_captured_in_one_call(lab: Lab) -> None:
    lab.fund("alice", 10**9)
    held = _hold(lab, 10**9)
    assert (held.status, held.json["remaining"]) == (201, 0)
    assert _capture(lab, held.json["hold_id"], 10**9).json["units"] == 10**9
