"""Units that are given: by the seller's backend, and to new customers. And the lots they make."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from billing.payments import plans
from functional.lab import Lab, Said, forget

GRANT = {"user_id": "alice", "units": 5, "reason": "sorry"}
WELCOME = {"units": 3, "expires_after_days": 7, "needs_verified_email": True, "daily_max": 2}
VERIFIED = {"email_verified": "true"}


def _give(lab: Lab, key: str = "k", scope: str = "quota.grant", **members: Any) -> Said:
    headers: dict[str, Any] = {"idempotency_key": key} if key else {}
    body = GRANT | members
    return lab.call("POST", "/quota/grants", sub="backend", scope=scope, body=body, **headers)


def _void(lab: Lab, grant_id: str) -> Said:
    return lab.call("POST", f"/quota/grants/{grant_id}/void", sub="backend", scope="quota.grant")


def _in(**duration: float) -> str:
    moment = datetime.now(UTC) + timedelta(**duration)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_a_grant_gives_units_and_a_repeat_gives_none(lab: Lab) -> None:
    """For ever, also in a new container, and after its units have expired."""
    first = _give(lab)
    assert first.status == 201
    grant_id = first.json["grant_id"]
    assert first.json == {
        "grant_id": grant_id,
        "units": 5,
        "expires_at": None,
        "remaining": 5,
        "debt": 0,
    }
    forget()
    assert _give(lab).json == first.json
    assert lab.quota("alice")["remaining"] == 5
    (entry,) = lab.call("GET", "/quota/ledger", sub="alice").json["entries"]
    assert (entry["type"], entry["units"], entry["reference_id"]) == ("granted", 5, grant_id)


@pytest.mark.parametrize("other", [{"units": 6}, {"reason": "x"}, {"user_id": "bob"}])
def test_another_body_under_a_used_key_is_a_409(lab: Lab, other: dict[str, Any]) -> None:
    _give(lab)
    before = lab.everything()
    assert _give(lab, **other).code == "idempotency_conflict"
    assert lab.everything() == before


def test_another_expiry_under_a_used_key_is_a_409(lab: Lab) -> None:
    _give(lab)
    assert _give(lab, expires_at=_in(days=1)).code == "idempotency_conflict"


def test_a_grant_needs_a_key_and_its_own_scope(lab: Lab) -> None:
    """A leaked token that spends gives nothing."""
    before = lab.everything()
    assert _give(lab, key="").code == "idempotency_key_required"
    for scope in ("quota.write", "", "quota.grants", "topup/quota.write"):
        assert (_give(lab, scope=scope).status, _give(lab, scope=scope).code) == (403, "forbidden")
    assert lab.everything() == before
    assert _give(lab, scope="topup/quota.grant").status == 201


@pytest.mark.parametrize("units", [0, -1, 1.5, 10**9 + 1, "5", True, None])
def test_units_that_are_no_whole_number_in_bounds_are_refused(lab: Lab, units: Any) -> None:
    before = lab.everything()
    assert (_give(lab, units=units).status, _give(lab, units=units).code) == (
        400,
        "invalid_request",
    )
    assert lab.everything() == before


def test_units_written_with_an_exponent_are_refused(lab: Lab) -> None:
    """1e3 is a number with a fraction to JSON's readers."""
    raw = '{"user_id":"alice","units":1e3,"reason":"x"}'
    said = lab.call(
        "POST", "/quota/grants", sub="b", scope="quota.grant", raw=raw, idempotency_key="k"
    )
    assert (said.status, said.code) == (400, "invalid_request")


@pytest.mark.parametrize(
    "when",
    [
        "2020-01-02T03:04:05Z",
        pytest.param(_in(seconds=-1), id="a second ago"),
        pytest.param(_in(days=3660), id="in more than ten years"),
        "9999-12-31T23:59:59Z",
        "2030-01-02",
        "2030-01-02 03:04:05Z",
        "2030-01-02T03:04:05",
        "2030-02-30T03:04:05Z",
        "tomorrow",
        "",
        1893553445,
        True,
        "9" * 41,
    ],
)
def test_an_expiry_that_is_not_in_time_is_refused(lab: Lab, when: Any) -> None:
    """In the past, beyond ten years, or not as RFC 3339 writes it."""
    before = lab.everything()
    said = _give(lab, expires_at=when)
    assert (said.status, said.code) == (400, "invalid_request")
    assert lab.everything() == before


@pytest.mark.parametrize("when", ["2030-01-02T03:04:05+05:30", "2030-01-02t03:04:05.5z", None])
def test_every_form_of_rfc_3339_is_taken(lab: Lab, when: str | None) -> None:
    """A fraction of a second is rounded up: the customer has the whole second."""
    said = _give(lab, expires_at=when)
    assert said.status == 201
    assert said.json["expires_at"] in {
        "2030-01-01T21:34:05.000000Z",
        "2030-01-02T03:04:06.000000Z",
        None,
    }


def test_a_grant_is_voided_once_and_a_repeat_replays(lab: Lab) -> None:
    grant_id = _give(lab, expires_at=_in(days=1)).json["grant_id"]
    debit = {"user_id": "alice", "units": 2}
    lab.call("POST", "/quota/debits", sub="b", scope="quota.write", body=debit)
    assert (_void(lab, grant_id).status, _void(lab, grant_id).json) == (200, {"units": 3})
    assert lab.quota("alice")["remaining"] == 0
    types = [row["type"] for row in lab.call("GET", "/quota/ledger", sub="alice").json["entries"]]
    assert sorted(types) == ["adjusted", "granted"]


@pytest.mark.parametrize("grant_id", ["grant_x", "x" * 101, "%00"])
def test_an_unknown_grant_is_a_404(lab: Lab, grant_id: str) -> None:
    before = lab.everything()
    assert (_void(lab, grant_id).status, _void(lab, grant_id).code) == (404, "not_found")
    assert lab.everything() == before


def test_lots_are_listed_soonest_expiry_first_by_the_page(lab: Lab) -> None:
    for number, when in enumerate((None, _in(days=2), _in(days=1))):
        _give(lab, f"k{number}", expires_at=when, units=number + 1)
    first = lab.call("GET", "/quota/lots", sub="alice", query={"limit": "2"}).json
    query = {"limit": "2", "cursor": first["next_cursor"]}
    second = lab.call("GET", "/quota/lots", sub="alice", query=query).json
    assert [lot["left"] for lot in first["lots"] + second["lots"]] == [3, 2, 1]
    assert second["lots"][0]["expires_at"] is None
    assert second["next_cursor"] is None
    soonest = first["lots"][0]
    assert (soonest["source"], soonest["units"]) == ("grant", 3)
    assert lab.quota("alice")["expires_next"] == {"units": 3, "at": soonest["expires_at"]}
    assert lab.call("GET", "/quota/lots", sub="bob").json == {"lots": [], "next_cursor": None}


@pytest.mark.parametrize("cursor", ["x", "e30", "bm90IGpzb24"])
def test_a_cursor_of_lots_that_is_none_of_ours_is_refused(lab: Lab, cursor: str) -> None:
    said = lab.call("GET", "/quota/lots", sub="alice", query={"cursor": cursor})
    assert (said.status, said.code) == (400, "invalid_request")


def test_units_from_before_there_were_lots_are_shown_as_one(lab: Lab) -> None:
    """They never expire."""
    lab.fund("alice", 7)
    (lot,) = lab.call("GET", "/quota/lots", sub="alice").json["lots"]
    assert (lot["left"], lot["expires_at"], lot["reference_id"]) == (7, None, None)
    assert lab.quota("alice")["expires_next"] is None


@pytest.fixture
def welcomes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A catalogue with a welcome."""
    rows = json.loads(plans.CATALOGUE.read_text())
    rows[0]["expires_after_days"] = 30
    file = tmp_path / "plans.json"
    file.write_text(json.dumps({"plans": rows, "welcome": WELCOME}))
    monkeypatch.setattr(plans, "CATALOGUE", file)
    plans.whole_catalogue.cache_clear()
    yield
    plans.whole_catalogue.cache_clear()


def _welcome(lab: Lab, user: str, **claims: str) -> Said:
    route, parameters = lab.route("POST", "/api/v1/quota/welcome")
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": f"{route.method} {route.path}",
        "pathParameters": parameters,
        "requestContext": {
            "http": {"method": "POST"},
            "authorizer": {"jwt": {"claims": {"sub": user, **claims}}},
            "requestId": "req-1",
        },
    }
    return lab.invoke(route.handler, event)


@pytest.mark.usefixtures("welcomes")
def test_a_customer_is_welcomed_once_for_ever(lab: Lab) -> None:
    first, again = _welcome(lab, "alice", **VERIFIED), _welcome(lab, "alice")
    assert (first.status, again.status) == (201, 200)
    assert first.json == again.json
    assert first.json["units"] == lab.quota("alice")["remaining"] == 3
    (lot,) = lab.call("GET", "/quota/lots", sub="alice").json["lots"]
    assert (lot["source"], lot["expires_at"]) == ("welcome", first.json["expires_at"])


@pytest.mark.usefixtures("welcomes")
@pytest.mark.parametrize("claims", [{}, {"email_verified": "false"}, {"email_verified": "1"}])
def test_only_a_verified_e_mail_is_welcomed(lab: Lab, claims: dict[str, str]) -> None:
    before = lab.everything()
    said = _welcome(lab, "alice", **claims)
    assert (said.status, said.code) == (403, "email_not_verified")
    assert lab.everything() == before


@pytest.mark.usefixtures("welcomes")
def test_no_more_than_daily_max_are_welcomed_and_none_is_used_up(lab: Lab) -> None:
    """Who was welcomed before still gets the same answer."""
    for user in ("alice", "bob"):
        assert _welcome(lab, user, **VERIFIED).status == 201
    before = lab.everything()
    said = _welcome(lab, "carol", **VERIFIED)
    assert (said.status, said.code) == (429, "welcome_closed_today")
    assert lab.everything() == before
    assert _welcome(lab, "bob", **VERIFIED).status == 200


def test_where_there_is_no_welcome_it_is_not_found(lab: Lab) -> None:
    assert (_welcome(lab, "alice", **VERIFIED).status, lab.rows("QuotasTable")) == (404, [])


@pytest.mark.usefixtures("welcomes")
def test_the_plans_say_how_long_units_live_and_what_is_free(lab: Lab) -> None:
    said = lab.call("GET", "/plans").json
    assert [plan["expires_after_days"] for plan in said["plans"]] == [30, None, None]
    assert said["welcome"] == WELCOME
