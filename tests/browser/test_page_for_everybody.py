"""By keyboard, by ear, in Chinese, in the dark, on a phone, without a network, and when things
fail.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from browser.visitor import ROOT, Arrive, Visitor
from playwright.sync_api import Route, expect
from support.programs import lacking

AXE = ROOT / ".local" / "npm" / "node_modules" / "axe-core" / "axe.min.js"
PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True}
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@pytest.fixture(scope="session")
def axe() -> str:
    """The rules of axe-core (https://github.com/dequelabs/axe-core), a development dependency from
    npm.
    """
    if not AXE.exists():
        lacking(
            f"axe-core is not at {AXE.relative_to(ROOT)}: `make setup` installs it where npm exists"
        )
    return Path(AXE).read_text(encoding="utf-8")


def findings(visitor: Visitor, axe: str) -> list[str]:
    """Every violation on the page as it is now."""
    visitor.page.evaluate(axe)
    found = visitor.page.evaluate("tags => axe.run({runOnly: tags})", RULES)
    return [
        f"{one['id']} ({one['impact']}): {[node['target'] for node in one['nodes']]}"
        for one in found["violations"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_any_view(arrive: Arrive, axe: str, scheme: str) -> None:
    """Contrast, names, roles and order, with a payment, a key and a message on the page."""
    visitor = arrive(color_scheme=scheme)
    visitor.page.goto(visitor.stand.api_url)
    expect(visitor.page.locator(".price")).to_have_count(3)
    seen = {"welcome": findings(visitor, axe)}
    visitor.enter()
    visitor.to_stripe()
    visitor.pay()
    expect(visitor.page.locator(".figure")).to_have_text("100 calls left")
    visitor.spend(7)
    visitor.page.get_by_role("button", name="Refresh").click()
    expect(visitor.page.locator(".chart")).to_be_visible()
    seen["overview"] = findings(visitor, axe)
    visitor.snap(f"overview-{scheme}")
    for view, waits in (("payments", ".row"), ("history", "tbody tr"), ("keys", "form")):
        visitor.go(view)
        expect(visitor.page.locator(waits).first).to_be_visible()
        seen[view] = findings(visitor, axe)
    visitor.page.get_by_label("Name of the key").fill("laptop")
    visitor.page.keyboard.press("Enter")
    visitor.page.get_by_role("button", name="Revoke laptop").click()
    seen["dialog"] = findings(visitor, axe)
    assert seen == {view: [] for view in seen}


def test_everything_can_be_done_by_keyboard(arrive: Arrive) -> None:
    """Skip link, navigation, a purchase: with Tab and Enter only."""
    visitor = arrive().enter()
    page = visitor.page
    page.reload()
    expect(page.locator(".price")).to_have_count(3)
    page.keyboard.press("Tab")
    expect(page.locator("#skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    expect(page.locator(".figure")).to_be_visible()
    tab_to(visitor, "Buy Starter Pack")
    page.keyboard.press("Enter")
    page.wait_for_url("**/c/pay/**")
    visitor.pay()
    expect(page.locator("#notices")).to_be_focused()
    expect(page.locator(".figure")).to_contain_text(
        "100"
    )  # what is credited draws the view once more
    tab_to(visitor, "See your payments")
    page.keyboard.press("Enter")
    expect(page.locator("main h1")).to_be_focused()
    expect(page.locator("main h1")).to_have_text("Payments")


def tab_to(visitor: Visitor, name: str) -> None:
    """Press Tab until the thing of this name has the focus; what has it is always outlined."""
    for _ in range(30):
        visitor.page.keyboard.press("Tab")
        words, outline = visitor.page.evaluate(
            "[document.activeElement.textContent,"
            " getComputedStyle(document.activeElement).outlineStyle]"
        )
        assert outline == "solid", f"{words!r} has the focus and does not show it"
        if words == name:
            return
    pytest.fail(f"{name} cannot be reached by Tab")


def test_amounts_are_written_as_the_browser_writes_them(arrive: Arrive) -> None:
    """Digits come from the currency: yen have none, and nothing is computed with floats."""
    visitor = arrive(locale="de-DE")
    plan = {
        "id": "yen",
        "name": "Yen",
        "description": "",
        "amount_minor": 123456,
        "amount": "123456",
        "currency": "jpy",
        "quota": 1000,
    }
    euro = {**plan, "id": "euro", "amount": "1234.56", "currency": "eur"}
    visitor.context.route(
        "**/api/v1/plans", lambda route: route.fulfill(json={"plans": [plan, euro]})
    )
    visitor.page.goto(visitor.stand.api_url)
    expect(visitor.page.locator(".price")).to_have_text(["123.456 ¥", "1.234,56 €"])


def test_dark_is_dark(arrive: Arrive) -> None:
    grounds = []
    for scheme in ("light", "dark"):
        visitor = arrive(color_scheme=scheme)
        visitor.page.goto(visitor.stand.api_url)
        grounds.append(
            visitor.page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        )
    assert grounds == ["rgb(248, 247, 244)", "rgb(20, 21, 19)"]


def test_nothing_is_wider_than_a_phone(arrive: Arrive) -> None:
    """No view scrolls sideways, and what is pressed is large enough to press."""
    visitor = arrive(**PHONE).enter()
    visitor.to_stripe()
    visitor.pay()
    expect(visitor.page.locator(".figure")).to_have_text("100 calls left")
    visitor.spend(3)
    for view in ("payments", "history", "keys", ""):
        visitor.go(view)
        expect(visitor.page.locator(".skeleton")).to_have_count(0)
        visitor.snap(f"phone-{view or 'overview'}")
        assert visitor.page.evaluate("document.documentElement.scrollWidth") <= 360
        low = visitor.page.evaluate(
            "[...document.querySelectorAll('button')]"
            ".filter(b => b.offsetHeight < 44).map(b => b.textContent)"
        )
        assert low == []


def test_offline_the_older_figures_stay_and_say_how_old_they_are(visitor: Visitor) -> None:
    """Back online the page is fresh again by itself."""
    expect(visitor.page.locator(".figure")).to_be_visible()
    visitor.context.set_offline(True)
    expect(visitor.page.locator("#connection")).to_contain_text("You are offline")
    visitor.page.get_by_role("button", name="Refresh").click()
    expect(visitor.page.locator("#notices")).to_contain_text("You seem to be offline")
    expect(visitor.page.locator(".figure")).to_have_text("0 calls left")
    visitor.snap("offline")
    visitor.stand.purchase(visitor.name)
    visitor.context.set_offline(False)
    expect(visitor.page.locator("#connection")).to_be_empty()
    expect(visitor.page.locator(".figure")).to_have_text("100 calls left")


def test_what_was_out_of_sight_for_long_is_fresh_when_it_is_seen_again(visitor: Visitor) -> None:
    """A tab of yesterday shows no balance of yesterday."""
    expect(visitor.page.locator(".figure")).to_have_text("0 calls left")
    visitor.stand.purchase(visitor.name)
    visitor.page.clock.set_fixed_time(datetime.now(UTC) + timedelta(minutes=1))
    visitor.page.evaluate(
        "document.dispatchEvent(new Event('visibilitychange', { bubbles: true }))"
    )  # no browser here hides a tab
    expect(visitor.page.locator(".figure")).to_have_text("100 calls left")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"status": 500, "json": {"code": "internal_error"}}, "A fault on our side"),
        ({"status": 503, "json": {"code": "outcome_unknown"}}, "Nothing has changed"),
        ({"status": 503, "json": {"message": "Service Unavailable"}}, "Nothing has changed"),
        ({"status": 429, "json": {"message": "Too Many Requests"}}, "Wait a moment"),
        ({"status": 418, "json": {"code": "never_heard_of"}}, "A fault on our side"),
        ({"status": 200, "body": "<html>not json"}, "A fault on our side"),
    ],
)
def test_an_error_is_shown_in_words_and_can_be_retried(
    arrive: Arrive, answer: dict[str, object], words: str
) -> None:
    """Whatever shape it comes in, nothing of it goes into the page but our own words."""
    visitor = arrive()
    visitor.context.route("**/api/v1/quota", lambda route: route.fulfill(**answer))
    visitor.enter()
    expect(visitor.page.get_by_role("alert")).to_contain_text(words)
    expect(
        visitor.page.locator(".use")
    ).to_be_hidden()  # one trouble is told once, and nothing stands empty beside it
    visitor.context.unroute("**/api/v1/quota")
    visitor.page.get_by_role("button", name="Try again").click()
    expect(visitor.page.locator(".figure")).to_have_text("0 calls left")


def test_markup_in_answers_stays_text(arrive: Arrive) -> None:
    """Nothing that the API says becomes an element."""
    visitor = arrive()
    evil = "<img src=x onerror=alert(1)>"
    payment = {
        "payment_id": evil,
        "session_id": evil,
        "plan": evil,
        "quota": 1,
        "amount_minor": 1,
        "amount": evil,
        "currency": "usd",
        "status": evil,
        "created_at": "2026-01-02T03:04:05Z",
        "completed_at": None,
        "refunded_minor": 0,
        "units_clawed_back": 0,
        "failure_code": evil,
    }

    def answer(route: Route) -> None:
        route.fulfill(json={"payments": [payment], "next_cursor": None})

    visitor.context.route("**/api/v1/payments**", answer)
    visitor.enter("#/payments")
    expect(visitor.page.locator(".row .state")).to_have_text(evil)
    expect(visitor.page.locator("main img")).to_have_count(0)
