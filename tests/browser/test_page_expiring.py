"""What expires when: a line of its own, and in words once it is a week or a day away."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from browser.visitor import Arrive, Visitor
from playwright.sync_api import expect


def _given(visitor: Visitor, units: int, hours: int) -> None:
    """By the seller's backend."""
    at = datetime.now(UTC) + timedelta(hours=hours)
    body = {
        "user_id": visitor.name,
        "units": units,
        "reason": "a gift",
        "expires_at": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    answer = visitor.stand.call(
        "POST",
        "/quota/grants",
        sub="backend",
        scope="quota.grant",
        body=body,
        idempotency_key=uuid.uuid4().hex,
    )
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize(
    ("hours", "words"), [(12, "7 calls expire within a day"), (120, "7 calls expire within a week")]
)
def test_the_page_says_in_words_what_expires_within_a_week_or_a_day(
    arrive: Arrive, hours: int, words: str
) -> None:
    visitor = arrive()
    visitor.stand.purchase(visitor.name)
    _given(visitor, 7, hours)
    visitor.enter()
    expect(visitor.page.locator(".figure")).to_have_text("107 calls left")
    expect(visitor.page.locator(".quota .notice")).to_contain_text(words)
    expect(visitor.page.locator(".quota .notice")).to_contain_text("is used first")
    expect(visitor.page.locator(".quota .expiring")).to_have_count(0)
    visitor.snap("expiring")
    visitor.go("history")
    expect(visitor.page.locator("tbody")).to_contain_text("Given")


def test_what_expires_later_is_a_line_with_a_list_of_all(arrive: Arrive) -> None:
    """Soonest first; what never expires is not among them."""
    visitor = arrive()
    visitor.stand.purchase(visitor.name)
    _given(visitor, 5, 24 * 60)
    _given(visitor, 1, 24 * 30)
    visitor.enter()
    expect(visitor.page.locator(".quota .faint").first).to_contain_text("1 call expires")
    expect(visitor.page.locator(".quota .notice")).to_have_count(0)
    visitor.page.locator(".quota .expiring summary").click()
    rows = visitor.page.locator(".quota .expiring li")
    expect(rows).to_have_count(2)
    expect(rows.nth(0)).to_contain_text("1 call expires")
    expect(rows.nth(1)).to_contain_text("5 calls expire")


def test_a_customer_whose_calls_never_expire_reads_nothing_of_it(arrive: Arrive) -> None:
    visitor = arrive()
    visitor.stand.purchase(visitor.name)
    visitor.enter()
    expect(visitor.page.locator(".figure")).to_have_text("100 calls left")
    expect(visitor.page.locator(".quota")).not_to_contain_text("expire")
