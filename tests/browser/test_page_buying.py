"""From a plan to units and back: what a buyer sees of every way a payment can go."""

import re
from collections.abc import Callable, Iterator

import pytest
from browser.visitor import Arrive, Visitor
from playwright.sync_api import Route, expect
from support.stand import Stand


def until_plans_are_answered(visitor: Visitor) -> None:
    """Everything that the page waits for has come, but for what a test holds back."""
    came = (
        "() => performance.getEntriesByType('resource')"
        ".some((one) => one.name.endsWith('/plans') && one.responseEnd)"
    )
    visitor.page.wait_for_function(came)


def test_a_new_customer_is_shown_where_to_start(visitor: Visitor) -> None:
    """Zeros are an answer, with a next step."""
    expect(visitor.page.locator(".figure")).to_have_text("0 calls left")
    expect(visitor.page.locator(".quota")).to_contain_text("No calls yet")
    expect(visitor.page.locator(".use")).to_contain_text("Nothing used in the last 30 days")
    visitor.go("payments")
    expect(visitor.page.locator("main")).to_contain_text("No payments yet")
    visitor.go("history")
    expect(visitor.page.locator("main")).to_contain_text("Nothing has happened yet")


def test_a_payment_is_confirmed_on_return_while_webhooks_wait(visitor: Visitor) -> None:
    """The page asks by itself: the first balance that it shows has the purchase in it."""
    visitor.stand.control("deliveries", pause=True)
    try:
        visitor.to_stripe()
        visitor.pay()
        expect(visitor.page.locator("#notices")).to_contain_text("100 calls have been added")
        expect(visitor.page.locator(".figure")).to_have_text("100 calls left")
        assert "session_id" not in visitor.page.url
        visitor.snap("paid")
    finally:
        visitor.stand.control("deliveries", pause=False)


def test_no_balance_is_shown_before_the_payment_was_asked_about(visitor: Visitor) -> None:
    """While Stripe is being asked there is no number that could be old."""
    session = visitor.to_stripe()
    held: list[Route] = []
    visitor.context.route("**/confirm", lambda route: held.append(route))  # noqa: PLW0108 - Playwright marks its handlers
    visitor.pay()
    expect(visitor.page.locator("#notices")).to_contain_text("Confirming your payment")
    until_plans_are_answered(visitor)
    expect(visitor.page.locator(".figure")).to_have_count(0)
    expect(visitor.page.locator(".plan")).to_have_count(0)
    visitor.wait(lambda: held)
    assert session in held[0].request.url
    held[0].continue_()
    expect(visitor.page.locator(".figure")).to_have_text("100 calls left")


def test_a_paid_payment_leads_to_its_receipt(visitor: Visitor) -> None:
    """Stripe shows it; one that is not paid has none."""
    visitor.to_stripe()
    visitor.pay("cancel")
    visitor.go("payments")
    expect(visitor.page.locator(".row")).to_have_count(1)
    expect(visitor.page.get_by_role("button", name="Receipt")).to_have_count(0)
    visitor.page.get_by_role("button", name="Continue the checkout").click()
    visitor.page.wait_for_url(re.compile("/c/pay/"))
    visitor.pay()
    expect(visitor.page.locator(".figure")).to_have_text("100 calls left")
    visitor.go("payments")
    visitor.page.get_by_role("button", name="Receipt").click()
    expect(visitor.page.locator("h1")).to_have_text("Receipt")
    expect(visitor.page.locator(".price")).to_contain_text("9.99")


def test_a_declined_card_is_explained_and_can_be_tried_again(visitor: Visitor) -> None:
    """The same checkout stays open; the list says what the bank said and offers another try."""
    visitor.to_stripe()
    visitor.pay("declined")
    visitor.stand.control("idle")  # Stripe has told us
    visitor.pay("cancel")
    expect(visitor.page.locator("#notices")).to_contain_text("Nothing was charged")
    visitor.go("payments")
    expect(visitor.page.locator(".row .state")).to_have_text("Not paid")
    expect(visitor.page.locator(".row")).to_contain_text("Your bank declined the card")
    visitor.snap("declined")
    visitor.page.get_by_role("button", name="Buy again").click()
    visitor.page.wait_for_url(re.compile("/c/pay/"))
    visitor.pay()
    expect(visitor.page.locator(".figure")).to_have_text("100 calls left")


def test_a_delayed_payment_is_watched_until_the_money_arrives(visitor: Visitor) -> None:
    """The page says that it waits, goes on asking, and shows the calls without being reloaded."""
    session = visitor.to_stripe("Pro Pack")
    visitor.pay("delayed")
    expect(visitor.page.locator("#notices")).to_contain_text("On its way")
    expect(visitor.page.locator("#notices")).to_contain_text("Checked at")
    expect(visitor.page.locator(".figure")).to_have_text("0 calls left")
    visitor.snap("processing")
    visitor.stand.control(f"sessions/{session}/settle", outcome="succeeded")
    expect(visitor.page.locator("#notices")).to_contain_text("1,000 calls have been added")
    expect(visitor.page.locator(".figure")).to_have_text("1,000 calls left")


def test_a_delayed_payment_that_fails_says_so_and_charges_nothing(visitor: Visitor) -> None:
    """Seen in the list too, by asking."""
    session = visitor.to_stripe()
    visitor.pay("delayed")
    expect(visitor.page.locator("#notices")).to_contain_text("On its way")
    visitor.page.goto(f"{visitor.stand.api_url}/#/payments")  # nobody follows the payment here
    expect(visitor.page.locator(".row .state")).to_have_text("On its way")
    visitor.stand.control(f"sessions/{session}/settle", outcome="failed")
    visitor.page.locator(".row").get_by_role("button", name="Check now").click()
    expect(visitor.page.locator(".row .state")).to_have_text("Not paid")


def test_a_cancelled_checkout_says_that_nothing_was_charged(visitor: Visitor) -> None:
    """And the address is clean again, so that a reload does not repeat it."""
    visitor.to_stripe()
    visitor.pay("cancel")
    expect(visitor.page.locator("#notices")).to_contain_text("You left the checkout")
    assert visitor.page.url == f"{visitor.stand.api_url}/"
    visitor.go("payments")
    expect(visitor.page.locator(".row .state")).to_have_text("Not paid yet")


def test_a_checkout_that_was_left_is_gone_on_with_and_not_made_again(visitor: Visitor) -> None:
    """From the message, and from the list: the same session.

    Another tab does not know the way, and offers a new one.
    """
    session = visitor.to_stripe()
    visitor.pay("cancel")
    visitor.page.locator("#notices").get_by_role("button", name="Continue the checkout").click()
    visitor.page.wait_for_url(f"**/c/pay/{session}")
    visitor.pay("cancel")
    visitor.go("payments")
    expect(visitor.page.locator(".row")).to_have_count(1)
    visitor.page.locator(".row").get_by_role("button", name="Continue the checkout").click()
    visitor.page.wait_for_url(f"**/c/pay/{session}")
    visitor.page = visitor.context.new_page()
    visitor.enter("#/payments")
    expect(visitor.page.locator(".row button")).to_have_text(["Check now", "Start a new checkout"])


def test_a_checkout_that_is_over_is_not_gone_back_to(visitor: Visitor) -> None:
    """It was paid in another window, and nobody has told us yet: going on with it finds out."""
    visitor.stand.control("deliveries", pause=True)
    try:
        session = visitor.to_stripe()
        visitor.pay("cancel")
        visitor.go("payments")
        expect(visitor.page.locator(".row .state")).to_have_text("Not paid yet")
        visitor.stand.control(f"sessions/{session}/pay", method="card")
        visitor.page.locator(".row").get_by_role("button", name="Continue the checkout").click()
        expect(visitor.page.locator(".row .state")).to_have_text("Paid")
        expect(visitor.page.locator(".row h2")).to_be_focused()
    finally:
        visitor.stand.control("deliveries", pause=False)


def test_an_expired_checkout_offers_a_new_one(visitor: Visitor) -> None:
    """Stripe closes a checkout after a day; nothing was charged."""
    session = visitor.to_stripe()
    visitor.pay("cancel")
    visitor.stand.control(f"sessions/{session}/expire")
    visitor.stand.control("idle")
    visitor.go("payments")
    check = visitor.page.locator(".row").get_by_role("button", name="Check now")
    if check.count():  # the webhook may have told already
        check.click()
    expect(visitor.page.locator(".row .state")).to_have_text("Expired")
    expect(visitor.page.locator(".row").get_by_role("button", name="Buy again")).to_be_visible()


def test_buying_before_signing_in_goes_on_to_stripe_by_itself(arrive: Arrive) -> None:
    stranger = arrive()
    stranger.page.goto(stranger.stand.api_url)
    stranger.to_stripe("Starter Pack")
    stranger.pay()
    expect(stranger.page.locator(".figure")).to_have_text("100 calls left")


@pytest.mark.parametrize("arrives", [True, False], ids=["arrives", "cannot be had"])
def test_no_plan_can_be_pressed_before_what_is_above_it_is_there(
    arrive: Arrive, *, arrives: bool
) -> None:
    """The buttons moved when the balance came: who pressed one just then had pressed nothing.

    Without a balance one can buy too.
    """
    visitor, asked = arrive(), list[Route]()
    visitor.context.route(re.compile("/api/v1/quota$"), lambda route: asked.append(route))  # noqa: PLW0108 - Playwright counts the parameters
    visitor.enter()
    until_plans_are_answered(visitor)
    expect(visitor.page.locator("#plans [aria-busy]").first).to_be_attached()
    expect(visitor.page.locator("#plans button")).to_have_count(0)
    visitor.wait(lambda: asked)
    asked[0].continue_() if arrives else asked[0].abort()
    visitor.to_stripe()


@pytest.fixture
def faulty_stripe(stand: Stand) -> Iterator[Callable[[int], object]]:
    """Lets so many of Stripe's answers to a checkout be 500. None is left for the others' tests."""

    def fail(times: int) -> object:
        return stand.control("faults", route="POST /v1/checkout/sessions", status=500, times=times)

    yield fail
    fail(0)


def test_when_stripe_fails_the_page_says_so_and_the_buyer_tries_again(
    visitor: Visitor, faulty_stripe: Callable[[int], object]
) -> None:
    """Nothing was charged, and the second try is the same purchase."""
    keys: list[str] = []
    visitor.page.on(
        "request",
        lambda sent: keys.extend(
            [sent.headers["idempotency-key"]] if sent.url.endswith("/checkout") else []
        ),
    )
    faulty_stripe(20)
    visitor.page.get_by_role("button", name="Buy Starter Pack").click()
    expect(visitor.page.get_by_role("alert")).to_contain_text(
        "This made no charge; please try again"
    )
    expect(visitor.page.get_by_role("alert")).to_contain_text("Reference")
    expect(visitor.page.get_by_role("button", name="Buy Starter Pack")).to_be_enabled()
    visitor.snap("trouble")
    faulty_stripe(0)
    visitor.page.get_by_role("button", name="Try again").click()
    visitor.page.wait_for_url(re.compile("/c/pay/"))
    assert len(keys) == 2
    assert keys[0] == keys[1]


def test_the_page_offers_no_retry_where_that_cannot_help(visitor: Visitor) -> None:
    """Stripe refused for good: no charge, no button, and the seller knows."""
    refused = {"code": "stripe_refused"}
    visitor.context.route(
        "**/api/v1/payments/checkout", lambda route: route.fulfill(status=502, json=refused)
    )
    visitor.page.get_by_role("button", name="Buy Starter Pack").click()
    expect(visitor.page.get_by_role("alert")).to_contain_text(
        "This made no charge, and trying again does not help"
    )
    expect(visitor.page.get_by_role("button", name="Try again")).to_have_count(0)


def test_another_users_payment_is_not_shown(arrive: Arrive) -> None:
    """Signed in as another, the buyer is told which account this is."""
    buyer, other = arrive().enter(), arrive().enter()
    session = buyer.to_stripe()
    buyer.pay()
    expect(buyer.page.locator(".figure")).to_have_text("100 calls left")
    other.page.goto(f"{other.stand.api_url}/?session_id={session}")
    expect(other.page.locator("#notices")).to_contain_text("This payment is not on your account")
    expect(other.page.locator("#notices")).to_contain_text(other.name)
    expect(other.page.locator(".figure")).to_have_text("0 calls left")


def test_back_from_stripe_by_the_browsers_button_the_page_can_be_used_again(
    visitor: Visitor,
) -> None:
    """The button that opened Stripe is not left busy."""
    visitor.to_stripe()
    visitor.page.go_back()
    expect(visitor.page.get_by_role("button", name="Buy Starter Pack")).to_be_enabled()
    visitor.to_stripe()
