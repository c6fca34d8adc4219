"""A key's limit and use, and the chart of use by key. But for the last test the API's answers are
written here.
"""

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from browser.visitor import Arrive, Visitor
from playwright.sync_api import Locator, Route, expect


def _today() -> date:
    """The day of the test, which may begin after midnight though its run did not."""
    return datetime.now(UTC).date()


def key(number: int = 1, **members: Any) -> dict[str, Any]:
    """A key as the API lists it."""
    return {
        "key_id": f"key_{number}",
        "name": f"server {number}",
        "created_at": "2026-01-02T03:04:05Z",
        "limit": None,
        "limit_remaining": None,
        "resets_at": None,
        "used_today": 0,
        "used_this_month": 0,
        "used_total": 0,
        **members,
    }


class Keys:
    """The API's keys, as the page sees and changes them."""

    def __init__(self, visitor: Visitor, *keys: dict[str, Any]) -> None:
        """Answer for these from now on."""
        self.keys = list(keys)
        self.sent: list[tuple[str, str, Any]] = []
        visitor.context.route("**/api/v1/keys", self._answer)
        visitor.context.route("**/api/v1/keys/*", self._answer)

    def _answer(self, route: Route) -> None:
        request = route.request
        body = json.loads(request.post_data or "null")
        if request.method == "GET":
            route.fulfill(json={"keys": self.keys})
            return
        self.sent.append((request.method, request.url.rpartition("/")[2], body))
        if request.method == "POST":
            self.keys.append(key(len(self.keys) + 1, **body))
            route.fulfill(status=201, json={**self.keys[-1], "key": "tk_secret"})
            return
        self.keys[0].update(body)
        route.fulfill(json=self.keys[0])


def _row(visitor: Visitor, number: int) -> Locator:
    return visitor.page.locator(f"#key_{number}")


def test_each_key_shows_its_use_and_its_limit_with_a_bar(arrive: Arrive) -> None:
    """What open calls have set aside is in the bar, and not in the use."""
    visitor = arrive()
    Keys(
        visitor,
        key(1, used_today=3, used_this_month=1234, used_total=5000),
        key(
            2,
            used_today=30,
            used_this_month=250,
            used_total=251,
            limit={"units": 1000, "per": "month"},
            limit_remaining=700,
            resets_at="2026-02-01T00:00:00Z",
        ),
        key(3, used_total=1, limit={"units": 1, "per": "total"}, limit_remaining=0),
    )
    visitor.enter("#/keys")
    plain, monthly, full = (_row(visitor, number) for number in (1, 2, 3))
    expect(plain).to_contain_text("3 calls today")
    expect(plain).to_contain_text("1,234 calls this month")
    expect(plain).to_contain_text("No limit")
    expect(plain.get_by_role("meter")).to_have_count(0)
    expect(monthly).to_contain_text("250 of 1,000 calls this month, 700 left")
    expect(monthly).to_contain_text("Begins again Feb 1, 2026")
    meter = monthly.get_by_role("meter", name="Limit of server 2")
    expect(meter).to_have_attribute("aria-valuenow", "300")
    expect(meter).to_have_attribute("aria-valuemax", "1000")
    part = meter.locator("span").evaluate("one => one.getBoundingClientRect().width")
    whole = meter.evaluate("one => one.getBoundingClientRect().width")
    assert round(part / whole, 2) == 0.3
    expect(full).to_contain_text("1 of 1 call in all, 0 left")
    expect(full.locator("time.faint")).to_have_count(0)
    visitor.snap("limits")


def test_a_key_is_made_with_a_limit_and_without_one(arrive: Arrive) -> None:
    """Nothing is said of a limit where none is chosen."""
    visitor = arrive()
    keys = Keys(visitor)
    visitor.enter("#/keys")
    page = visitor.page
    expect(page.get_by_label("Calls at most")).to_be_hidden()
    page.get_by_label("Name of the key").fill("laptop")
    page.get_by_role("button", name="Create key").click()
    expect(_row(visitor, 1)).to_contain_text("laptop")
    page.get_by_label("Name of the key").fill("robot")
    page.get_by_label("Limit", exact=True).select_option("A day (UTC)")
    page.get_by_label("Calls at most").fill("500")
    page.get_by_role("button", name="Create key").click()
    expect(_row(visitor, 2)).to_contain_text("robot")
    expect(page.get_by_label("Calls at most")).to_be_hidden()
    assert keys.sent == [
        ("POST", "keys", {"name": "laptop"}),
        ("POST", "keys", {"name": "robot", "limit": {"units": 500, "per": "day"}}),
    ]


@pytest.mark.parametrize("units", ["", "0", "-1", "1.5", "1000000001"])
def test_a_limit_that_is_no_number_of_calls_is_not_sent(arrive: Arrive, units: str) -> None:
    """The field says what is wanted, and has the focus."""
    visitor = arrive()
    keys = Keys(visitor)
    visitor.enter("#/keys")
    page = visitor.page
    page.get_by_label("Name of the key").fill("robot")
    page.get_by_label("Limit", exact=True).select_option("In all")
    page.get_by_label("Calls at most").fill(units)
    page.get_by_role("button", name="Create key").click()
    expect(page.get_by_role("alert")).to_have_text("Give a whole number from 1 to 1,000,000,000.")
    expect(page.get_by_label("Calls at most")).to_be_focused()
    assert keys.sent == []


def test_a_limit_is_set_changed_and_cleared_later(arrive: Arrive) -> None:
    """The fields begin with what holds now, and the focus returns to the button."""
    visitor = arrive()
    keys = Keys(visitor, key(1))
    visitor.enter("#/keys")
    page = visitor.page
    page.get_by_role("button", name="Limit of server 1").click()
    dialog = page.get_by_role("dialog", name="Limit of “server 1”")
    expect(dialog.get_by_label("Limit", exact=True)).to_have_value("none")
    dialog.get_by_label("Limit", exact=True).select_option("A month (UTC)")
    dialog.get_by_label("Calls at most").fill("20")
    keys.keys[0].update(limit_remaining=20, resets_at="2026-02-01T00:00:00Z")
    dialog.get_by_role("button", name="Save").click()
    expect(page.locator("#notices")).to_contain_text("The limit of “server 1” is set.")
    expect(_row(visitor, 1)).to_contain_text("0 of 20 calls this month, 20 left")
    page.get_by_role("button", name="Limit of server 1").click()
    expect(dialog.get_by_label("Limit", exact=True)).to_have_value("month")
    expect(dialog.get_by_label("Calls at most")).to_have_value("20")
    dialog.get_by_label("Limit", exact=True).select_option("No limit")
    dialog.get_by_role("button", name="Save").click()
    expect(page.locator("#notices")).to_contain_text("“server 1” has no limit any more.")
    expect(_row(visitor, 1).get_by_role("meter")).to_have_count(0)
    assert keys.sent == [
        ("PATCH", "key_1", {"limit": {"units": 20, "per": "month"}}),
        ("PATCH", "key_1", {"limit": None}),
    ]


def test_an_older_service_shows_no_use_and_takes_no_limit(arrive: Arrive) -> None:
    """The list works without the members that it does not know."""
    visitor = arrive()
    names = ("key_id", "name", "created_at")
    Keys(visitor, {name: value for name, value in key(1).items() if name in names})
    visitor.enter("#/keys")
    expect(_row(visitor, 1)).to_contain_text("server 1")
    expect(_row(visitor, 1)).not_to_contain_text("today")
    expect(_row(visitor, 1).get_by_role("button")).to_have_text(["Revoke"])


def test_a_chinese_browser_reads_of_limits_in_chinese(arrive: Arrive) -> None:
    visitor = arrive(locale="zh-CN")
    limit = {"units": 1000, "per": "day"}
    Keys(visitor, key(1, used_today=30, limit=limit, limit_remaining=970))
    visitor.enter("#/keys")
    for words in ("今日已用 30 次", "上限 1,000 次", "剩余 970"):
        expect(_row(visitor, 1)).to_contain_text(words)
    expect(_row(visitor, 1).get_by_role("button")).to_have_text(["上限", "撤销"])


def _entry(ago: int, units: int, **members: Any) -> dict[str, Any]:
    """A day of use in the ledger."""
    return {
        "id": str(ago),
        "type": "consumed",
        "units": -units,
        "balance_after": 1,
        "reference_type": "day",
        "reference_id": (_today() - timedelta(days=ago)).isoformat(),
        "booked_at": datetime.now(UTC).isoformat(),
        **members,
    }


def _ledger(visitor: Visitor, *entries: dict[str, Any], **members: Any) -> None:
    answer = {"entries": list(entries), "next_cursor": None, **members}
    visitor.context.route("**/api/v1/quota/ledger?**", lambda route: route.fulfill(json=answer))


def _day(ago: int) -> str:
    day = _today() - timedelta(days=ago)
    return f"{day:%b} {day:%d}, {day:%Y}".replace(" 0", " ")


def test_the_chart_of_use_is_split_by_key(arrive: Arrive) -> None:
    """In the drawing, in words, and in the table; days that the ledger does not split stay whole,
    and what a revoked key used is still there.
    """
    visitor = arrive()
    Keys(visitor, key(1, used_today=4), key(2))
    _ledger(
        visitor,
        _entry(1, 40, by_key={"key_1": 30, "key_gone": 6}),
        _entry(2, 20, by_key={"key_2": 20}),
        _entry(3, 10),
        not_itemised={"day": _today().isoformat(), "units": 5},
    )
    visitor.enter()
    page = visitor.page
    expect(page.locator(".drawing rect")).to_have_count(30)
    toggle = page.get_by_role("button", name="Split by key")
    expect(toggle).to_have_attribute("aria-pressed", "false")
    toggle.click()
    expect(toggle).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".use .legend li")).to_have_text(
        ["server 1", "server 2", "Revoked key key_gone", "Without a key", "Not recorded by key"]
    )
    page.locator(".use summary").click()
    rows = page.locator("details tbody tr")
    expect(rows).to_have_text(
        [
            f"{_day(0)}server 14",
            f"{_day(0)}Without a key1",
            f"{_day(1)}server 130",
            f"{_day(1)}Revoked key key_gone6",
            f"{_day(1)}Without a key4",
            f"{_day(2)}server 220",
            f"{_day(3)}Not recorded by key10",
        ]
    )
    heights = page.locator(".drawing rect.bar:not(.none)").evaluate_all(
        "bars => bars.map((bar) => bar.getBBox().height)"
    )
    most = sum(heights[2:5])
    assert [round(height / most * 40) for height in heights] == [10, 20, 30, 6, 4, 4, 1]
    visitor.snap("split")
    page.get_by_role("button", name="Refresh").click()
    expect(page.locator(".use .legend li")).to_have_count(5)
    toggle.click()
    expect(page.locator(".use .legend")).to_have_count(0)
    expect(page.locator(".drawing rect")).to_have_count(30)


def test_a_day_that_is_no_entry_yet_is_split_as_the_ledger_says(arrive: Arrive) -> None:
    """It may be an earlier day than today, and have use of a key that is revoked."""
    visitor = arrive()
    Keys(visitor, key(1, used_today=0))
    day = (_today() - timedelta(days=2)).isoformat()
    _ledger(visitor, not_itemised={"day": day, "units": 9, "by_key": {"key_1": 5, "key_x": 3}})
    visitor.enter()
    visitor.page.get_by_role("button", name="Split by key").click()
    expect(visitor.page.locator(".use .legend li")).to_have_text(
        ["server 1", "Revoked key key_x", "Without a key"]
    )


def test_many_keys_share_a_part_of_the_chart(arrive: Arrive) -> None:
    """The three largest are shown by themselves."""
    visitor = arrive()
    Keys(visitor, *(key(number) for number in range(1, 7)))
    uses = {f"key_{number}": number for number in range(1, 7)}
    _ledger(visitor, _entry(1, 21, by_key=uses))
    visitor.enter()
    visitor.page.get_by_role("button", name="Split by key").click()
    expect(visitor.page.locator(".use .legend li")).to_have_text(
        ["server 6", "server 5", "server 4", "Other keys"]
    )


def test_a_chart_that_cannot_be_split_stays_whole(arrive: Arrive) -> None:
    """The keys do not come: it is said, and the figures stay."""
    visitor = arrive()
    _ledger(visitor, _entry(1, 40, by_key={"key_1": 40}))
    visitor.context.route("**/api/v1/keys", lambda route: route.fulfill(status=503, json={}))
    visitor.enter()
    toggle = visitor.page.get_by_role("button", name="Split by key")
    toggle.click()
    expect(visitor.page.locator("#notices")).to_contain_text("The service does not answer")
    expect(toggle).to_have_attribute("aria-pressed", "false")
    expect(visitor.page.locator(".drawing rect")).to_have_count(30)


def test_a_limit_that_is_set_on_the_page_holds_in_the_service(arrive: Arrive) -> None:
    """Nothing is written here: the page, the functions and the books of the stand."""
    visitor = arrive()
    stand, name = visitor.stand, visitor.name
    stand.purchase(name)
    visitor.enter("#/keys")
    page = visitor.page
    page.get_by_label("Name of the key").fill("robot")
    page.get_by_label("Limit", exact=True).select_option("In all")
    page.get_by_label("Calls at most").fill("5")
    page.get_by_role("button", name="Create key").click()
    secret = page.get_by_label("Your new key").input_value()
    (made,) = stand.call("GET", "/keys", sub=name).json()["keys"]
    row = page.locator(f"#{made['key_id']}")
    expect(row).to_contain_text("0 of 5 calls in all, 5 left")

    def debit(units: int) -> int:
        body = {"user_id": name, "units": units, "key_id": made["key_id"]}
        path, scope = "/quota/debits", "quota.write"
        return stand.call("POST", path, sub="backend", scope=scope, body=body).status_code

    assert [debit(4), debit(2)] == [200, 402]
    page.reload()
    expect(row).to_contain_text("4 of 5 calls in all, 1 left")
    page.get_by_role("button", name="Limit of robot").click()
    dialog = page.get_by_role("dialog", name="Limit of “robot”")
    dialog.get_by_label("Calls at most").fill("6")
    dialog.get_by_role("button", name="Save").click()
    expect(row).to_contain_text("4 of 6 calls in all, 2 left")
    assert [debit(2), debit(1)] == [200, 402]
    held = stand.call("GET", "/key", x_api_key=secret).json()
    assert (held["limit_remaining"], held["remaining"]) == (0, 94)
    page.get_by_role("link", name="Overview").click()
    page.get_by_role("button", name="Split by key").click()
    expect(page.locator(".use .legend li")).to_have_text(["robot"])
