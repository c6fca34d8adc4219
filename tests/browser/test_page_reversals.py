"""Money that goes back, by the seller or by the bank: what a customer reads of it, and what it does
to the quota.
"""

from browser.visitor import Arrive, Visitor
from playwright.sync_api import expect


def test_a_part_refund_is_seen_in_payments_history_and_balance(arrive: Arrive) -> None:
    """Half the money back takes half of the calls back."""
    visitor = arrive()
    visitor.refund(visitor.stand.purchase(visitor.name), 500)
    visitor.enter()
    expect(visitor.page.locator(".figure")).to_have_text("50 calls left")
    visitor.go("payments")
    expect(visitor.page.locator(".row .state")).to_have_text("Partly refunded")
    expect(visitor.page.locator(".row")).to_contain_text(
        "$5.00 went back to you and 50 calls were taken back"
    )
    visitor.go("history")
    expect(visitor.page.locator("tbody .count")).to_have_text(["-50", "50", "+100", "100"])
    visitor.snap("history")


def test_a_full_refund_says_how_much_and_how_long_banks_take(arrive: Arrive) -> None:
    visitor = arrive()
    visitor.refund(visitor.stand.purchase(visitor.name))
    visitor.enter("#/payments")
    expect(visitor.page.locator(".row .state")).to_have_text("Refunded")
    expect(visitor.page.locator(".row")).to_contain_text(
        "$9.99 went back to you and 100 calls were taken back. Banks take 5 to 10 days"
    )
    expect(visitor.page.locator(".row").get_by_role("button", name="Receipt")).to_be_visible()
    visitor.snap("refunded")


def test_a_dispute_is_explained_and_what_it_took_comes_back_when_it_is_won(arrive: Arrive) -> None:
    """With what to do when it is a mistake."""
    visitor = arrive()
    charge = visitor.charge(visitor.stand.purchase(visitor.name))
    dispute = visitor.stand.control(f"charges/{charge}/dispute")["id"]
    visitor.stand.control("idle")
    visitor.enter("#/payments")
    expect(visitor.page.locator(".row .state")).to_have_text("Disputed")
    words = (
        "Your bank is asking for this payment back; 100 calls are set aside until it decides."
        " If that is a mistake, tell your bank."
    )
    expect(visitor.page.locator(".row .about")).to_have_text(words)
    visitor.snap("disputed")
    visitor.stand.control(f"disputes/{dispute}/reinstate")
    visitor.stand.control(f"disputes/{dispute}/close", status="won")
    visitor.stand.control("idle")
    visitor.go("history")
    expect(visitor.page.locator("tbody tr td:first-child")).to_contain_text(
        ["Given back", "Taken back", "Bought"]
    )
    visitor.go("payments")
    expect(visitor.page.locator(".row .state")).to_have_text("Paid")


def test_a_lost_dispute_is_not_reported_as_a_refund(arrive: Arrive) -> None:
    """The bank gave the money back, not the seller: no amount of ours, and none of nothing."""
    visitor = arrive()
    charge = visitor.charge(visitor.stand.purchase(visitor.name))
    dispute = visitor.stand.control(f"charges/{charge}/dispute")["id"]
    visitor.stand.control(f"disputes/{dispute}/close", status="lost")
    visitor.stand.control("idle")
    visitor.enter("#/payments")
    expect(visitor.page.locator(".row .state")).to_have_text("Refunded")
    expect(visitor.page.locator(".row .about")).to_have_text(
        "Your bank returned the money to you and 100 calls were taken back."
    )


def test_the_page_shows_calls_that_are_owed_and_what_covers_them(arrive: Arrive) -> None:
    """They were used before their payment was taken back."""
    visitor = arrive()
    bought = visitor.stand.purchase(visitor.name)
    visitor.spend(60)
    visitor.refund(bought)
    visitor.enter()
    expect(visitor.page.locator(".figure")).to_have_text("0 calls left")
    expect(visitor.page.locator(".quota .notice")).to_contain_text("60 calls are owed")
    expect(visitor.page.locator(".quota .notice")).to_contain_text(
        "Your next purchase covers them first"
    )
    visitor.snap("debt")


def test_when_all_calls_are_used_the_page_shows_the_next_step(arrive: Arrive) -> None:
    """Calls are refused until more are bought."""
    visitor = arrive()
    visitor.stand.purchase(visitor.name)
    visitor.spend(100)
    visitor.enter()
    expect(visitor.page.locator(".quota .notice")).to_contain_text("All calls are used")
    expect(visitor.page.locator(".quota .notice")).to_contain_text("until you buy more below")


def test_calls_set_aside_are_a_part_of_the_bar(visitor: Visitor) -> None:
    """Neither left nor used: 40 of 100."""
    visitor.stand.purchase(visitor.name)
    body = {"user_id": visitor.name, "units": 40, "expires_in_seconds": 600}
    assert (
        visitor.stand.call(
            "POST", "/quota/holds", sub="backend", scope="quota.write", body=body
        ).status_code
        == 201
    )
    visitor.page.get_by_role("button", name="Refresh").click()
    expect(visitor.page.locator(".legend li")).to_have_text(
        ["60 left", "40 set aside for calls under way", "0 used"]
    )
    widths = (
        "['.left', '.held', ''].map((part) =>"
        " document.querySelector(`.quota > .bar ${part}`).getBoundingClientRect().width)"
    )
    left, held, whole = visitor.page.evaluate(widths.replace("${part}`", "${part}`.trim()"))
    assert (round(left / whole, 2), round(held / whole, 2)) == (0.6, 0.4)
