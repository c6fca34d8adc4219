"""Use over time: a bar a day, the same as a table, and use of the day that is no line of the ledger
yet.
"""

from datetime import UTC, date, datetime, timedelta

import pytest
from browser.visitor import Arrive, Visitor
from playwright.sync_api import Locator, expect


def _today() -> date:
    """The day of the test, which may begin after midnight though its run did not."""
    return datetime.now(UTC).date()


def heights(visitor: Visitor) -> list[float]:
    """The bars' heights, oldest day first."""
    expect(visitor.page.locator(".drawing rect")).to_have_count(30)
    found: list[float] = visitor.page.locator(".drawing rect").evaluate_all(
        "bars => bars.map((bar) => bar.getBBox().height)"
    )
    return found


def table(visitor: Visitor) -> Locator:
    """The rows behind "Day by day", unfolded with the keyboard."""
    visitor.page.locator(".use summary").focus()
    visitor.page.keyboard.press("Enter")
    return visitor.page.locator("details tbody tr")


def test_calls_used_today_are_in_the_bar_the_chart_and_the_history(arrive: Arrive) -> None:
    """The day is not over, and its line says so."""
    visitor = arrive()
    visitor.stand.purchase(visitor.name)
    visitor.spend(30)
    visitor.enter()
    expect(visitor.page.locator(".figure")).to_have_text("70 calls left")
    expect(visitor.page.get_by_role("meter")).to_have_attribute(
        "aria-valuetext", "70 of 100 calls left"
    )
    expect(visitor.page.locator("figcaption")).to_contain_text("30 calls used")
    *before, today = heights(visitor)
    assert today > 100
    assert set(before) == {1.0}
    visitor.go("history")
    expect(visitor.page.locator("tbody tr.open .count")).to_have_text(["-30", "70"])
    expect(visitor.page.locator("tbody tr.open")).to_contain_text(", so far")


@pytest.mark.parametrize("ago", [3, 45])
def test_use_counts_on_its_own_day_however_long_ago(arrive: Arrive, ago: int) -> None:
    """Only the next day's first call makes a line of it; a customer who never came back used
    nothing in these 30 days.
    """
    visitor = arrive()
    visitor.stand.purchase(visitor.name)
    visitor.spend(30)
    key = {"user_id": {"S": visitor.name}, "item": {"S": "quota"}}
    change = {"use_day": {"Value": {"S": (_today() - timedelta(days=ago)).isoformat()}}}
    visitor.stand.boto("dynamodb").update_item(
        TableName=visitor.stand.resources()["QuotasTable"], Key=key, AttributeUpdates=change
    )
    visitor.enter()
    expect(visitor.page.locator(".figure")).to_have_text("70 calls left")
    if ago > 30:
        expect(visitor.page.locator(".use")).to_contain_text("Nothing used in the last 30 days")
    else:
        assert [number for number, height in enumerate(heights(visitor)) if height > 1] == [
            29 - ago
        ]
    visitor.go("history")
    expect(visitor.page.locator("tbody tr.open .count")).to_have_text(["-30", "70"])
    expect(visitor.page.locator("tbody tr.open")).not_to_contain_text("so far")


def test_bars_are_as_high_as_their_days_and_the_table_says_the_same(arrive: Arrive) -> None:
    """Days of one size are bars of one size; the table has the days with use, newest first, and is
    reached by keyboard.
    """
    visitor = arrive()
    days = [_today() - timedelta(days=ago) for ago in (1, 4, 9)]
    line = {
        "id": "1",
        "type": "consumed",
        "balance_after": 1,
        "reference_type": "day",
        "booked_at": "2026-01-02T03:04:05Z",
    }
    entries = [
        {**line, "units": -units, "reference_id": day.isoformat()}
        for day, units in zip(days, (40, 10, 20), strict=True)
    ]
    visitor.context.route(
        "**/api/v1/quota/ledger**",
        lambda route: route.fulfill(json={"entries": entries, "next_cursor": None}),
    )
    visitor.enter()
    found = heights(visitor)
    most, quarter, half = (found[29 - ago] for ago in (1, 4, 9))
    assert (round(quarter / most, 3), round(half / most, 3)) == (0.25, 0.5)
    assert found.count(1.0) == 27
    expect(visitor.page.locator(".drawing svg")).to_have_accessible_name(
        f"70 calls used. Most on {_written(days[0])}: 40"
    )
    expect(table(visitor)).to_have_text(
        [f"{_written(day)}{units}" for day, units in zip(days, (40, 10, 20), strict=True)]
    )
    heard = visitor.listen()
    visitor.page.get_by_role("button", name="Refresh").click()
    visitor.stand.until(lambda: bool(heard()))  # the figures are new
    expect(visitor.page.locator(".use details")).to_have_attribute("open", "")


def _written(day: object) -> str:
    return f"{day:%b} {day:%d}, {day:%Y}".replace(" 0", " ")
