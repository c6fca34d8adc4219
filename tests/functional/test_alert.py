"""GET and PUT /quota/alert: where ``quota.low`` begins for a customer."""

from typing import Any

import pytest
from functional.lab import Lab

DEFAULT = {"low_at": 0, "is_default": True}
TOKEN = {"sub": "alice"}


@pytest.mark.parametrize("low_at", [0, 1, 25, 10**9])
def test_a_threshold_is_stored_and_read(lab: Lab, low_at: int) -> None:
    """For one customer alone, and null takes it back."""
    own = {"low_at": low_at, "is_default": False}
    assert lab.call("GET", "/quota/alert", sub="alice").json == DEFAULT
    assert lab.call("PUT", "/quota/alert", sub="alice", body={"low_at": low_at}).json == own
    assert lab.call("GET", "/quota/alert", sub="alice").json == own
    assert lab.call("GET", "/quota/alert", sub="bob").json == DEFAULT
    assert lab.call("PUT", "/quota/alert", sub="alice", body={"low_at": None}).json == DEFAULT
    assert lab.call("GET", "/quota/alert", sub="alice").json == DEFAULT


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"low_at": -1},
        {"low_at": 10**9 + 1},
        {"low_at": 10**400},
        {"low_at": 1.5},
        {"low_at": 1.0},
        {"low_at": "5"},
        {"low_at": True},
        {"low_at": []},
        {"low_at": 5, "more": 1},
        {"lowat": 5},
        [],
        None,
        "5",
    ],
)
def test_bad_input_is_refused_and_changes_nothing(lab: Lab, body: Any) -> None:
    lab.call("PUT", "/quota/alert", sub="alice", body={"low_at": 7})
    refused = lab.call("PUT", "/quota/alert", sub="alice", body=body)
    assert (refused.status, refused.code) == (400, "invalid_request")
    assert lab.call("GET", "/quota/alert", sub="alice").json["low_at"] == 7


def test_a_threshold_moves_no_units(lab: Lab) -> None:
    """Also for somebody who never bought."""
    before = lab.call("GET", "/quota", sub="alice").json
    lab.call("PUT", "/quota/alert", sub="alice", body={"low_at": 7})
    assert lab.call("GET", "/quota", sub="alice").json == before
