"""Automatic top-ups on the page: agreed to by the customer alone, shown, explained and ended."""

import json
from collections.abc import Mapping
from typing import Any, get_args

import pytest
from billing.charging.charge import Reason
from browser.visitor import Arrive, Visitor
from playwright.sync_api import Locator, Route, expect

CARD = {"brand": "visa", "last4": "4242", "exp_month": 7, "exp_year": 2031}
OFF: Mapping[str, Any] = {
    "on": False,
    "plan": None,
    "when_below": None,
    "max_per_month": None,
    "used_this_month": 0,
    "card": None,
    "agreed_at": None,
    "paused": None,
}
ON: Mapping[str, Any] = {
    "on": True,
    "plan": "starter",
    "when_below": 1500,
    "max_per_month": 4,
    "used_this_month": 1,
    "card": CARD,
    "agreed_at": "2026-01-02T03:04:05Z",
    "paused": None,
}
KEEP = "Let Stripe keep the card"
LANGUAGES = ["en-US", "zh-CN"]


def _answer(visitor: Visitor, status: int = 200, **answer: Any) -> list[tuple[str, str, Any]]:
    """Answer for the service from now on. Returns what the page sends."""
    sent: list[tuple[str, str, Any]] = []

    def fulfil(route: Route) -> None:
        request = route.request
        if request.method != "GET":
            asked = request.url.partition("?")[2]
            sent.append((request.method, asked, json.loads(request.post_data or "null")))
        route.fulfill(status=status, json=answer)

    visitor.context.route("**/api/v1/quota/auto-top-up**", fulfil)
    return sent


def _card(visitor: Visitor) -> Locator:
    return visitor.page.locator(".topup")


def test_a_customer_saves_a_card_agrees_is_topped_up_and_ends_it(visitor: Visitor) -> None:
    """The whole way, with nothing written for the service: from the box to the forgotten card."""
    page = visitor.page
    expect(_card(visitor)).to_contain_text("Off.")
    box = page.get_by_label(KEEP)
    expect(box).not_to_be_checked()
    box.check()
    session = visitor.to_stripe()
    assert visitor.stand.stripe.v1.checkout.sessions.retrieve(session).customer
    visitor.pay()
    expect(page.locator(".figure")).to_have_text("100 calls left")
    page.get_by_role("button", name="Set up automatic top-ups").click()
    dialog = page.get_by_role("dialog", name="Automatic top-ups")
    dialog.get_by_label("When fewer calls are left than").fill("150")
    dialog.get_by_label("At most, a month").fill("1")
    agreed = dialog.get_by_role("checkbox")
    expect(agreed).not_to_be_checked()
    dialog.get_by_role("button", name="Agree and switch on").click()
    expect(dialog.get_by_role("alert")).to_contain_text("Tick the box if you agree")
    expect(agreed).to_be_focused()
    visitor.snap("top_up_terms")
    agreed.check()
    dialog.get_by_role("button", name="Agree and switch on").click()
    expect(page.locator("#notices")).to_contain_text("They are on.")
    expect(_card(visitor)).to_contain_text("Visa ending in 4242")
    visitor.stand.until(lambda: visitor.stand.quota(visitor.name)["remaining"] == 200, seconds=90)
    page.reload()
    expect(page.locator(".figure")).to_have_text("200 calls left")
    expect(_card(visitor)).to_contain_text("Bought this month: 1 of 1 at most")
    visitor.snap("top_up_on")
    page.get_by_role("button", name="Switch off").click()
    expect(page.locator("#notices")).to_contain_text("They are off.")
    page.get_by_role("button", name="Forget the card").click()
    page.get_by_role("dialog").get_by_role("button", name="Forget it").click()
    expect(page.locator("#notices")).to_contain_text("The card is forgotten")
    expect(_card(visitor)).not_to_contain_text("4242")


def test_an_automatic_payment_is_listed_with_its_receipt(arrive: Arrive) -> None:
    """It has no session. One under way is not offered as a checkout to go on with."""
    visitor = arrive()
    payment = {
        "payment_id": "pay_2",
        "session_id": None,
        "status": "completed",
        "plan": "starter",
        "quota": 100,
        "amount_minor": 999,
        "amount": "9.99",
        "currency": "usd",
        "created_at": "2026-01-02T03:04:05Z",
        "refunded_minor": 0,
        "units_clawed_back": 0,
        "failure_code": None,
    }
    rows = [payment, {**payment, "payment_id": "pay_1", "status": "pending"}]
    listed = {"payments": rows, "next_cursor": None}
    visitor.context.route("**/api/v1/payments?**", lambda route: route.fulfill(json=listed))
    asked: list[str] = []
    visitor.context.on("request", lambda request: asked.append(request.url))
    visitor.enter("#/payments")
    expect(visitor.page.locator("#pay_1 .about")).to_contain_text("charging your saved card")
    expect(visitor.page.locator("#pay_1").get_by_role("button")).to_have_count(0)
    visitor.page.locator("#pay_2").get_by_role("button", name="Receipt").click()
    visitor.wait(lambda: any(url.endswith("/payments/pay_2/receipt") for url in asked))


def test_nobody_saves_a_card_by_forgetting_to_say_no(visitor: Visitor) -> None:
    """The box is empty, and a checkout without it keeps nothing."""
    expect(visitor.page.get_by_label(KEEP)).not_to_be_checked()
    session = visitor.to_stripe()
    assert visitor.stand.stripe.v1.checkout.sessions.retrieve(session).customer is None


def test_other_terms_have_to_be_agreed_to_again(arrive: Arrive) -> None:
    """The tick goes with every change, and the words are those of the present fields."""
    visitor = arrive()
    sent = _answer(visitor, **ON)
    visitor.enter()
    expect(_card(visitor)).to_contain_text("With fewer than 1,500 calls left we buy “starter”")
    expect(_card(visitor)).to_contain_text("valid until 07/2031")
    visitor.page.get_by_role("button", name="Change").click()
    dialog = visitor.page.get_by_role("dialog")
    agreed = dialog.get_by_role("checkbox")
    agreed.check()
    dialog.get_by_label("Buy this plan").select_option("pro")
    expect(agreed).not_to_be_checked()
    expect(dialog).to_contain_text("is bought for $49.99 with my saved card, at most 4 times")
    dialog.get_by_label("When fewer calls are left than").fill("0")
    agreed.check()
    dialog.get_by_role("button", name="Agree and switch on").click()
    expect(dialog.get_by_role("alert")).to_contain_text("from 1 to 1,000,000,000")
    assert sent == []
    dialog.get_by_label("When fewer calls are left than").fill("20")
    agreed.check()
    dialog.get_by_role("button", name="Agree and switch on").click()
    expect(visitor.page.locator("#notices")).to_contain_text("They are on.")
    terms = {"plan": "pro", "when_below": 20, "max_per_month": 4, "agreed": True}
    assert sent == [("PUT", "", terms)]


def test_a_customer_without_a_card_is_told_how_to_save_one(visitor: Visitor) -> None:
    page = visitor.page
    page.get_by_role("button", name="Set up automatic top-ups").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("When fewer calls are left than").fill("5")
    dialog.get_by_role("checkbox").check()
    dialog.get_by_role("button", name="Agree and switch on").click()
    expect(page.locator("#notices")).to_contain_text("No card is saved yet.")
    expect(_card(visitor)).to_contain_text("Off.")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_reason_of_a_pause_has_words_and_a_way_on(arrive: Arrive, language: str) -> None:
    """It is not called by its code, and a reason that is new says no less."""
    for reason in (*get_args(Reason), "a_reason_of_next_year"):
        visitor = arrive(locale=language)
        _answer(visitor, **{**ON, "paused": reason})
        visitor.enter()
        told = _card(visitor).locator(".notice")
        expect(told).to_be_visible()
        assert "_" not in reason or reason not in told.inner_text()
        assert len(told.inner_text()) > 15
        expect(_card(visitor).locator("button.primary")).to_have_count(1)
        visitor.context.unroute_all(behavior="ignoreErrors")


def test_where_it_is_not_offered_the_page_says_nothing_of_it(arrive: Arrive) -> None:
    visitor = arrive()
    _answer(visitor, 404, code="not_found")
    visitor.enter()
    expect(visitor.page.locator(".price")).to_have_count(3)
    expect(_card(visitor)).to_be_hidden()
    expect(visitor.page.get_by_label(KEEP)).to_be_hidden()


def test_a_chinese_browser_reads_of_it_in_chinese(arrive: Arrive) -> None:
    visitor = arrive(locale="zh-CN")
    _answer(visitor, **ON)
    visitor.enter()
    for words in ("剩余次数少于 1,500 次时", "本月已购买 1 次", "尾号 4242"):
        expect(_card(visitor)).to_contain_text(words)


def test_a_service_that_does_not_answer_hides_nothing_else(arrive: Arrive) -> None:
    visitor = arrive()
    _answer(visitor, 500, code="internal_error")
    visitor.enter()
    expect(visitor.page.locator(".price")).to_have_count(3)
    expect(_card(visitor).get_by_role("button", name="Try again")).to_be_visible()
    visitor.context.unroute_all(behavior="ignoreErrors")
    _answer(visitor, **OFF)
    _card(visitor).get_by_role("button", name="Try again").click()
    expect(_card(visitor)).to_contain_text("Off.")
