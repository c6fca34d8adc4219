"""What is written: in both languages, for every state, in the right number, and where it can be
seen.
"""

from typing import get_args

import pytest
from billing.payments.payment import PaymentStatus
from browser.visitor import Arrive, Visitor
from playwright.sync_api import expect
from support.programs import lacking

LANGUAGES = ["en-US", "zh-CN"]
DRAWS_LETTERS = """() => {
  const drawn = (letter) => {
    const pen = document.createElement("canvas").getContext("2d");
    pen.font = "40px sans-serif";
    pen.fillText(letter, 10, 60);
    return pen.canvas.toDataURL();
  };
  return drawn("付") !== drawn("款");
}"""


def payment(**changes: object) -> dict[str, object]:
    """A payment as the API shows it."""
    plan = {
        "plan": "starter",
        "quota": 100,
        "amount_minor": 999,
        "amount": "9.99",
        "currency": "usd",
    }
    times = {"created_at": "2026-01-02T03:04:05Z", "completed_at": None}
    undone = {"refunded_minor": 0, "units_clawed_back": 0, "failure_code": None}
    return {
        "payment_id": "pay_1",
        "session_id": "cs_1",
        "status": "completed",
        **plan,
        **times,
        **undone,
        **changes,
    }


def list_of(visitor: Visitor, *payments: dict[str, object]) -> None:
    """Show these as the visitor's payments."""
    rows = [{**one, "payment_id": f"pay_{number}"} for number, one in enumerate(payments)]
    visitor.context.route(
        "**/api/v1/payments?**",
        lambda route: route.fulfill(json={"payments": rows, "next_cursor": None}),
    )
    visitor.enter("#/payments")
    expect(visitor.page.locator(".row")).to_have_count(len(rows))


def test_a_chinese_browser_reads_chinese(arrive: Arrive) -> None:
    """Words, numbers, dates and the currency's sign; the document says its language, and the
    seller's words theirs.
    """
    visitor = arrive(locale="zh-CN").enter()
    expect(visitor.page.locator(".figure")).to_have_text("0 次调用可用")
    expect(visitor.page.locator("html")).to_have_attribute("lang", "zh-Hans")
    expect(visitor.page.locator(".price").first).to_have_text("US$9.99")
    for words in (visitor.page.locator(".plan h3"), visitor.page.locator(".plan .about")):
        assert words.evaluate_all("found => found.map((one) => one.lang)") == ["en", "en", "en"]
    for view, title in (("payments", "付款"), ("history", "明细"), ("keys", "API 密钥")):
        visitor.go(view)
        expect(visitor.page.locator("main h1")).to_have_text(title)


def test_a_seller_who_writes_chinese_is_heard_in_chinese(arrive: Arrive) -> None:
    """The catalogue's words are not translated; their letters say what they are."""
    visitor = arrive()
    plan = {
        "id": "starter",
        "name": "入门",
        "description": "100 次调用",
        "amount": "9.99",
        "amount_minor": 999,
        "currency": "usd",
        "quota": 100,
    }
    visitor.context.route("**/api/v1/plans", lambda route: route.fulfill(json={"plans": [plan]}))
    visitor.page.goto(visitor.stand.api_url)
    expect(visitor.page.locator(".plan h3")).to_have_attribute("lang", "zh-Hans")
    expect(visitor.page.locator(".plan .about")).to_have_attribute("lang", "zh-Hans")


def test_a_picture_of_the_chinese_page_shows_letters(arrive: Arrive) -> None:
    """For people to look at; a machine without such a font draws every letter as the same box."""
    visitor = arrive(locale="zh-CN").enter()
    expect(visitor.page.locator(".figure")).to_be_visible()
    if not visitor.page.evaluate(DRAWS_LETTERS):
        lacking("Chinese letters would be boxes in the picture: apt-get install fonts-wqy-microhei")
    visitor.snap("chinese")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_state_of_a_payment_has_words_and_is_not_called_by_its_code(
    arrive: Arrive, language: str
) -> None:
    """Two sentences or one, in the reader's language, with nothing left unfilled."""
    visitor = arrive(locale=language)
    list_of(visitor, *(payment(status=status) for status in get_args(PaymentStatus)))
    names = visitor.page.locator(".row .state").all_inner_texts()
    texts = visitor.page.locator(".row .about").all_inner_texts()
    assert len(set(names)) == len(get_args(PaymentStatus))
    assert not set(names) & set(get_args(PaymentStatus))
    assert len(texts) == len(get_args(PaymentStatus))
    for words in texts:
        assert len(words) >= 5
        assert "{" not in words
        assert "undefined" not in words


def test_a_payment_shows_what_was_paid_and_before_that_its_price(arrive: Arrive) -> None:
    """After a discount, for nothing, and not paid yet."""
    visitor = arrive()
    discounted, free = payment(paid_minor=799), payment(paid_minor=0)
    list_of(visitor, discounted, free, payment(status="pending", paid_minor=None))
    amounts = visitor.page.locator(".row-facts strong")
    expect(amounts).to_have_text(["$7.99", "$0.00", "$9.99"])


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("lost_card", "Your bank declined the card."),
        ("insufficient_funds", "The card has not enough money on it."),
        ("tomorrow", "The payment did not go through"),
    ],
)
def test_a_declined_buyer_reads_no_more_than_stripe_lets_us_say(
    arrive: Arrive, code: str, told: str
) -> None:
    """https://docs.stripe.com/declines/codes."""
    visitor = arrive()
    list_of(visitor, payment(status="failed", failure_code=code))
    expect(visitor.page.locator(".row .about")).to_contain_text(told)


def test_numbers_agree_with_their_words(arrive: Arrive) -> None:
    """One call was taken back, two calls were, and none is not spoken of."""
    visitor = arrive()
    refunds = [
        payment(status="partially_refunded", refunded_minor=10, units_clawed_back=units)
        for units in (0, 1, 2)
    ]
    disputes = [payment(status="disputed", units_clawed_back=units) for units in (0, 1, 2)]
    list_of(visitor, *refunds, *disputes, payment(quota=1))
    about = visitor.page.locator(".row .about")
    none, one, two, no_dispute, of_one, of_two, _ = about.all_inner_texts()
    assert none == "$0.10 went back to you. Banks take 5 to 10 days to show it."
    assert one.startswith("$0.10 went back to you and 1 call was taken back.")
    assert two.startswith("$0.10 went back to you and 2 calls were taken back.")
    assert no_dispute.startswith("Your bank is asking for this payment back. ")
    assert "; 1 call is set aside" in of_one
    assert "; 2 calls are set aside" in of_two
    expect(visitor.page.locator(".row h2").last).to_have_text("starter · 1 call")


@pytest.mark.parametrize(
    ("currency", "amount", "shown", "each"),
    [
        ("mga", "45000", "45,000", "450"),
        ("rsd", "450.00", "450.00", "4.50"),
        ("jpy", "450", "450", "4.5"),
    ],
)
def test_an_amount_has_the_digits_that_the_api_gives_it(
    arrive: Arrive, currency: str, amount: str, shown: str, each: str
) -> None:
    """Browsers have tables of their own: Chromium gives RSD no decimals, Firefox gives MGA two, and
    Stripe neither.
    """
    visitor = arrive()
    priced = {
        "amount": amount,
        "amount_minor": int(amount.replace(".", "")),
        "currency": currency,
        "quota": 100,
    }
    plan = {"id": "starter", "name": "Starter Pack", "description": "100 API calls", **priced}
    visitor.context.route("**/api/v1/plans", lambda route: route.fulfill(json={"plans": [plan]}))
    refunded = payment(
        status="refunded", refunded_minor=priced["amount_minor"], units_clawed_back=100
    )
    list_of(visitor, {**refunded, **priced})
    sign = {"jpy": "¥"}.get(currency, f"{currency.upper()}\u00a0")
    expect(visitor.page.locator(".row-facts strong")).to_have_text(f"{sign}{shown}")
    expect(visitor.page.locator(".row .about")).to_contain_text(f"{sign}{shown} went back to you")
    visitor.go("")
    expect(visitor.page.locator(".price")).to_have_text(f"{sign}{shown}")
    expect(visitor.page.locator(".plan .units span")).to_contain_text(f"{sign}{each}")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_whole_navigation_is_seen_on_a_phone(arrive: Arrive, language: str) -> None:
    """In one line, nothing of it cut off, and with it the way out."""
    visitor = arrive(
        "a-customer-with-a-long-name@a-company.example",
        locale=language,
        viewport={"width": 360, "height": 740},
    ).enter()
    boxes = visitor.page.locator("nav a").evaluate_all(
        "links => links.map((link) => link.getBoundingClientRect().toJSON())"
    )
    assert len(boxes) == 4
    assert min(box["left"] for box in boxes) >= 0
    assert max(box["right"] for box in boxes) <= 360
    assert len({box["top"] for box in boxes}) == 1
    out = visitor.page.locator("#account button").bounding_box()
    assert out is not None
    assert out["x"] + out["width"] <= 360
    assert out["height"] <= 48, "it is broken into two lines"


def test_a_name_that_is_cut_off_can_be_read_whole(arrive: Arrive) -> None:
    name = "a-customer-with-a-long-name@a-company.example"
    visitor = arrive(name).enter()
    expect(visitor.page.locator(".who")).to_have_attribute("title", name)


def test_who_waits_for_a_first_payment_is_not_sent_to_buy(visitor: Visitor) -> None:
    """No calls yet, and nothing to do about it."""
    visitor.to_stripe()
    visitor.pay("delayed")
    expect(visitor.page.locator("#notices")).to_contain_text("On its way")
    expect(visitor.page.locator(".quota .notice")).to_contain_text(
        "They are added as soon as your payment arrives"
    )
    visitor.page.reload()
    expect(visitor.page.locator(".quota .notice")).to_contain_text(
        "They are added as soon as your payment arrives"
    )
    expect(visitor.page.locator("main")).not_to_contain_text("Choose a plan")
