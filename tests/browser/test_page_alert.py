"""A low balance on the page: the warning with the way to buy, and the customer's own threshold."""

import json
from typing import Any

import pytest
from browser.visitor import Arrive, Visitor
from playwright.sync_api import Route, expect


class Account:
    """The API's balance and threshold, as the page sees and sets them."""

    def __init__(self, visitor: Visitor, remaining: int, low_at: int) -> None:
        """Answer for these from now on."""
        self.low_at = low_at
        self.sent: list[Any] = []
        quota = {
            "user_id": visitor.name,
            "total": 100,
            "used": 100 - remaining,
            "held": 0,
            "remaining": remaining,
            "debt": 0,
            "updated_at": "2026-01-02T03:04:05Z",
        }
        visitor.context.route("**/api/v1/quota", lambda route: route.fulfill(json=quota))
        visitor.context.route("**/api/v1/quota/alert", self._answer)

    def _answer(self, route: Route) -> None:
        if route.request.method == "PUT":
            self.sent.append(json.loads(route.request.post_data or "null"))
            self.low_at = self.sent[-1]["low_at"]
        route.fulfill(json={"low_at": self.low_at, "is_default": not self.sent})


def test_a_low_balance_is_shown_before_it_is_empty_with_the_way_to_buy(arrive: Arrive) -> None:
    visitor = arrive()
    Account(visitor, remaining=20, low_at=25)
    visitor.enter()
    shown = visitor.page.locator(".quota .notice")
    expect(shown).to_contain_text("Only 20 calls are left")
    expect(visitor.page.locator(".price")).to_have_count(3)
    shown.get_by_role("button", name="See the plans").click()
    expect(visitor.page.get_by_role("button", name="Buy Starter")).to_be_focused()


@pytest.mark.parametrize(("remaining", "low_at"), [(25, 25), (20, 0)])
def test_nothing_is_said_from_the_threshold_on_or_without_one(
    arrive: Arrive, remaining: int, low_at: int
) -> None:
    visitor = arrive()
    Account(visitor, remaining, low_at)
    visitor.enter()
    expect(visitor.page.locator("#alert")).to_be_visible()
    expect(visitor.page.locator(".quota .notice")).to_have_count(0)


def test_customers_set_their_own_threshold_there(arrive: Arrive) -> None:
    """A wrong number is said beside the field, and nothing is sent."""
    visitor = arrive()
    account = Account(visitor, remaining=20, low_at=0)
    visitor.enter()
    page = visitor.page
    page.get_by_text("You are not warned before all calls are used").click()
    field = page.get_by_label("Warn me below so many calls")
    for wrong in ("-1", "1.5", ""):
        field.fill(wrong)
        page.get_by_role("button", name="Save").click()
        expect(page.locator("#low-at-wrong")).to_contain_text("from 0 to 1,000,000,000")
        expect(field).to_be_focused()
    assert account.sent == []
    field.fill("30")
    field.press("Enter")
    expect(page.locator("#alert summary")).to_have_text("You are warned below 30 calls")
    expect(page.locator(".quota .notice")).to_contain_text("Only 20 calls are left")
    assert account.sent == [{"low_at": 30}]


def test_the_threshold_is_the_apis_own(arrive: Arrive) -> None:
    """Set on the page, kept by the stack, there when the page is loaded again."""
    visitor = arrive()
    visitor.enter()
    page = visitor.page
    page.locator("#alert summary").click()
    page.get_by_label("Warn me below so many calls").fill("7")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#alert summary")).to_have_text("You are warned below 7 calls")
    answer = visitor.stand.call("GET", "/quota/alert", sub=visitor.name)
    assert answer.json() == {"low_at": 7, "is_default": False}


def test_a_balance_is_shown_though_its_threshold_cannot_be_had(arrive: Arrive) -> None:
    visitor = arrive()
    Account(visitor, remaining=20, low_at=25)
    visitor.context.route("**/api/v1/quota/alert", lambda route: route.fulfill(status=503))
    visitor.enter()
    expect(visitor.page.locator(".figure")).to_contain_text("20")
    expect(visitor.page.locator("#alert")).to_have_count(0)


def test_the_warning_is_in_chinese_too(arrive: Arrive) -> None:
    visitor = arrive(locale="zh-CN")
    Account(visitor, remaining=20, low_at=25)
    visitor.enter()
    expect(visitor.page.locator(".quota .notice")).to_contain_text("只剩 20 次调用")
    expect(visitor.page.locator("#alert summary")).to_have_text("剩余少于 25 次时提醒您")
