"""The catalogue as it is read and shown, and each rule of the welcome."""

import json
from typing import Any, Final

import pytest
from billing.payments import plans
from billing.payments.plan import Catalogue, Plan, Welcome

PLAN: Final[dict[str, Any]] = {
    "id": "a",
    "name": "A",
    "description": "Some.",
    "amount_minor": 999,
    "currency": "usd",
    "quota": 100,
}
WELCOME: Final[dict[str, Any]] = {
    "units": 25,
    "needs_verified_email": True,
    "daily_max": 100,
}


def _read(plan: dict[str, Any] = PLAN, **members: Any) -> Catalogue:
    return plans.read(json.dumps({"plans": [plan], **members}))


def test_a_plan_is_shown_whole() -> None:
    """Null where its units never expire."""
    shown = {**PLAN, "amount": "9.99", "expires_after_days": None}
    assert _read().plans["a"].as_answer() == shown
    dated = _read({**PLAN, "expires_after_days": 30}).plans["a"]
    assert dated.as_answer() == {**shown, "expires_after_days": 30}


def test_a_welcome_is_shown_whole() -> None:
    """Null where its units never expire."""
    found = _read(welcome=WELCOME).welcome
    assert found == Welcome(25, needs_verified_email=True, daily_max=100)
    assert found.as_answer() == {**WELCOME, "expires_after_days": None}
    dated = _read(welcome={**WELCOME, "expires_after_days": 14}).welcome
    assert dated is not None
    assert dated.as_answer() == {**WELCOME, "expires_after_days": 14}


@pytest.mark.parametrize("given", [{}, {"welcome": None}])
def test_a_catalogue_without_a_welcome_gives_nothing(given: dict[str, Any]) -> None:
    assert _read(**given) == Catalogue({"a": Plan("a", "A", "Some.", 999, "usd", 100)})


def test_a_list_is_a_catalogue_without_a_welcome() -> None:
    """As the first version wrote it. Plans keep the file's order."""
    rows = [{**PLAN, "id": name} for name in ("c", "a", "b")]
    found = plans.read(json.dumps(rows))
    assert list(found.plans) == ["c", "a", "b"]
    assert found.welcome is None
    assert plans.load(json.dumps(rows)) == found.plans


@pytest.mark.parametrize("text", ["{}", '{"plan": []}', '{"plans": [], "more": 1}'])
def test_an_object_has_plans_and_perhaps_a_welcome(text: str) -> None:
    wrong = "an object has exactly: plans, welcome|at least one plan"
    with pytest.raises(ValueError, match=wrong):
        plans.read(text)
    with pytest.raises(ValueError, match=r"plans.json: an object has exactly: plans, welcome"):
        _read(price=1)


UNITS_RULE: Final = "units must be an integer from 1 to 1000000000"
DAILY_RULE: Final = "daily_max must be an integer from 1 to 1000000000"
LIFE_RULE: Final = "expires_after_days must be an integer from 1 to 3650, or left out"


@pytest.mark.parametrize(
    ("member", "right", "wrong", "rule"),
    [
        ("units", [1, 10**9], [0, -1, 10**9 + 1, 1.0, "1", True, None], UNITS_RULE),
        ("daily_max", [1, 10**9], [0, -1, 10**9 + 1, 1.0, "1", True, None], DAILY_RULE),
        (
            "needs_verified_email",
            [True, False],
            [0, 1, "true", None],
            "needs_verified_email must be true or false",
        ),
        ("expires_after_days", [1, 3650], [0, -1, 3651, 1.0, "1", True, None], LIFE_RULE),
    ],
)
def test_each_member_of_a_welcome_has_its_bounds(
    member: str, right: list[Any], wrong: list[Any], rule: str
) -> None:
    """The last value that is allowed, and the first that is not."""
    for value in right:
        found = _read(welcome={**WELCOME, member: value}).welcome
        assert getattr(found, member) == value
    for value in wrong:
        with pytest.raises(ValueError, match=f"^plans.json: welcome: {rule}$"):
            _read(welcome={**WELCOME, member: value})


@pytest.mark.parametrize(("days", "is_right"), [(1, True), (3650, True), (0, False), (3651, False)])
def test_the_units_of_a_plan_live_a_day_to_ten_years(days: int, *, is_right: bool) -> None:
    plan = {**PLAN, "expires_after_days": days}
    if is_right:
        assert _read(plan).plans["a"].expires_after_days == days
        return
    with pytest.raises(ValueError, match=f"^plans.json: plan 1: {LIFE_RULE}$"):
        _read(plan)


@pytest.mark.parametrize(
    "welcome",
    [
        {name: value for name, value in WELCOME.items() if name != "units"},
        {**WELCOME, "unit": 1},
        [],
        "25",
        0,
    ],
)
def test_a_welcome_has_these_members_and_no_others(welcome: Any) -> None:
    """A misspelled member is no default."""
    exact = "daily_max, needs_verified_email, units, and perhaps expires_after_days"
    with pytest.raises(ValueError, match=f"^plans.json: welcome must have exactly: {exact}$"):
        _read(welcome=welcome)


def test_faults_of_plans_and_welcome_are_reported_together() -> None:
    wrong = r"^plans.json: plan 1: quota must be .*; welcome: units must be .*; welcome: daily_max"
    with pytest.raises(ValueError, match=wrong):
        _read({**PLAN, "quota": 0}, welcome={**WELCOME, "units": 0, "daily_max": 0})


def test_a_plan_is_found_by_its_id() -> None:
    """The three of the seed, to the last member."""
    shown = [plans.find(name).as_answer() for name in ("starter", "pro", "enterprise")]
    assert [list(plan) for plan in shown] == [list(shown[0])] * 3
    assert [(plan["amount"], plan["currency"], plan["quota"]) for plan in shown] == [
        ("9.99", "usd", 100),
        ("49.99", "usd", 1000),
        ("299.99", "usd", 10000),
    ]
    assert plans.whole_catalogue().plans == plans.catalogue()
