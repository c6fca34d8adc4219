"""By keyboard and by ear: what is replaced keeps the focus, nobody is torn from what they do, and
nothing is said twice.
"""

import pytest
from browser.visitor import Arrive, Visitor
from playwright.sync_api import Route, expect


def waiting(visitor: Visitor) -> str:
    """Leave the customer before a delayed payment that is being watched. Return its session."""
    session = visitor.to_stripe()
    visitor.pay("delayed")
    expect(visitor.page.locator("#notices")).to_contain_text("On its way")
    expect(visitor.page.locator(".figure")).to_be_visible()
    return session


def test_while_a_payment_is_watched_its_button_keeps_the_focus_and_nothing_is_repeated(
    visitor: Visitor,
) -> None:
    """Heard is what was asked for, and the end."""
    session = waiting(visitor)
    expect(
        visitor.page.locator("#notices")
    ).to_be_focused()  # the message took it when it came, and nobody else had it
    button = visitor.page.locator("#notices").get_by_role("button", name="Check now")
    clock = visitor.page.locator("#notices .faint")
    button.focus()
    heard = visitor.listen()
    before = clock.inner_text()
    expect(clock).not_to_have_text(before)  # it has asked again, by itself
    expect(button).to_be_focused()
    assert heard() == []
    visitor.page.keyboard.press("Enter")
    visitor.stand.until(lambda: len(heard()) == 1)
    assert "Checked at" in heard()[0]
    expect(button).to_be_focused()
    visitor.stand.control(f"sessions/{session}/settle", outcome="succeeded")
    visitor.page.keyboard.press("Enter")
    expect(visitor.page.locator("#notices")).to_contain_text("Payment received")
    expect(visitor.page.locator("#notices")).to_be_focused()  # the button is gone
    assert [words for words in heard() if "Payment received" in words] == [heard()[-1]]


def test_a_payment_that_arrives_does_not_take_the_focus_from_a_customer_who_types(
    visitor: Visitor,
) -> None:
    session = waiting(visitor)
    visitor.go("keys")
    visitor.page.get_by_label("Name of the key").focus()
    heard = visitor.listen()
    visitor.page.keyboard.type("production ")
    visitor.stand.control(f"sessions/{session}/settle", outcome="succeeded")
    expect(visitor.page.locator("#notices")).to_contain_text("Payment received")
    visitor.page.keyboard.type("server")
    expect(visitor.page.get_by_label("Name of the key")).to_have_value("production server")
    assert [
        words
        for words in heard()
        if words.startswith("Payment received, thank you 100 calls have been added")
    ] == heard()


def test_refresh_keeps_the_focus_and_is_answered(visitor: Visitor) -> None:
    """The figures are new, the button is where it was."""
    visitor.stand.purchase(visitor.name)
    heard = visitor.listen()
    visitor.page.get_by_role("button", name="Refresh").focus()
    visitor.page.keyboard.press("Enter")
    expect(visitor.page.locator(".figure")).to_have_text("100 calls left")
    expect(visitor.page.get_by_role("button", name="Refresh")).to_be_focused()
    visitor.stand.until(lambda: bool(heard()))
    assert [words for words in heard() if words.startswith("As of")] == heard()


def test_the_heading_of_a_view_keeps_the_focus_when_its_figures_come(visitor: Visitor) -> None:
    """It has it from the link that led there: the next Tab is the first button below it."""
    visitor.go("payments")
    held: list[Route] = []
    visitor.context.route("**/api/v1/quota", lambda route: held.append(route))  # noqa: PLW0108 - Playwright counts the parameters
    visitor.go("")
    visitor.wait(lambda: held)
    held[0].continue_()
    expect(visitor.page.locator(".figure")).to_be_visible()
    expect(visitor.page.locator("main h1")).to_be_focused()


@pytest.mark.parametrize(
    ("view", "path", "size"), [("history", "quota/ledger", 50), ("payments", "payments", 20)]
)
def test_more_lines_are_read_from_where_they_begin(
    arrive: Arrive, view: str, path: str, size: int
) -> None:
    """The next page is appended, the first of its lines has the focus, and the button goes when
    there is no more.
    """
    visitor = arrive()
    entry = {
        "type": "funded",
        "units": 1,
        "balance_after": 1,
        "reference_type": "payment",
        "reference_id": "cs_1",
    }
    payment = {
        "plan": "pro",
        "quota": 1,
        "amount": "0.01",
        "amount_minor": 1,
        "currency": "usd",
        "status": "completed",
        "refunded_minor": 0,
    }
    row = {
        **entry,
        **payment,
        "booked_at": "2026-01-02T03:04:05Z",
        "created_at": "2026-01-02T03:04:05Z",
    }

    def answer(route: Route) -> None:
        start, number = (size, 3) if "cursor=two" in route.request.url else (0, size)
        rows = [
            {**row, "id": f"{start + i}", "payment_id": f"pay_{start + i}", "session_id": "cs_1"}
            for i in range(number)
        ]
        route.fulfill(
            json={"entries": rows, "payments": rows, "next_cursor": None if start else "two"}
        )

    visitor.context.route(f"**/api/v1/{path}?**", answer)
    visitor.enter(f"#/{view}")
    lines = visitor.page.locator("tbody tr, .rows > li")
    expect(lines).to_have_count(size)
    visitor.page.get_by_role("button", name="Show more").focus()
    visitor.page.keyboard.press("Enter")
    expect(lines).to_have_count(size + 3)
    expect(lines.nth(size)).to_be_focused()
    expect(visitor.page.get_by_role("button", name="Show more")).to_have_count(0)


def test_a_payment_that_is_asked_about_keeps_the_focus(visitor: Visitor) -> None:
    """On its button while it is under way, on its name when there is nothing more to ask."""
    session = visitor.to_stripe()
    visitor.pay("delayed")
    expect(visitor.page.locator("#notices")).to_contain_text("On its way")
    visitor.page.goto(f"{visitor.stand.api_url}/#/payments")
    check = visitor.page.locator(".row").get_by_role("button", name="Check now")
    check.focus()
    heard = visitor.listen()
    visitor.page.keyboard.press("Enter")
    visitor.stand.until(lambda: bool(heard()))
    assert heard()[-1].startswith("On its way.")
    expect(check).to_be_focused()
    visitor.stand.control(f"sessions/{session}/settle", outcome="failed")
    visitor.page.keyboard.press("Enter")
    expect(visitor.page.locator(".row .state")).to_have_text("Not paid")
    expect(visitor.page.locator(".row h2")).to_be_focused()


def test_what_failed_on_request_is_brought_before_the_one_who_asked(visitor: Visitor) -> None:
    """From a button far below: the message has the focus, and trying again is the next Tab."""
    visitor.context.route(
        "**/api/v1/payments/checkout",
        lambda route: route.fulfill(status=502, json={"code": "stripe_unavailable"}),
    )
    visitor.page.get_by_role("button", name="Buy Enterprise Pack").click()
    expect(visitor.page.locator("#notices")).to_be_focused()
    visitor.page.keyboard.press("Tab")
    expect(visitor.page.get_by_role("button", name="Try again")).to_be_focused()
