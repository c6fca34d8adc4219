"""Takes the README's two pictures from a stand, in a real browser, with ``make docs``."""

import sys
from typing import Final

from browser.conftest import FLAGS, USUAL, browser_path
from browser.visitor import Visitor
from playwright.sync_api import expect, sync_playwright
from support.stand import Stand, running

from infra.local.paths import ROOT

FOLDER: Final = ROOT / "docs" / "images"


def _prepare(stand: Stand) -> None:
    """A customer with a history: used calls, a refund, a card that was declined."""
    stand.purchase("alice")
    refunded = stand.purchase("alice", "pro")
    session = stand.stripe.v1.checkout.sessions.retrieve(refunded["session_id"])
    stand.stripe.v1.refunds.create({"payment_intent": str(session.payment_intent), "amount": 2000})
    stand.control("idle")
    declined = stand.buy("alice")
    stand.pay(declined["session_id"], "declined")


def _take(visitor: Visitor) -> None:
    visitor.spend(137)
    visitor.enter()
    expect(visitor.page.locator(".figure")).to_contain_text("calls left")
    visitor.page.screenshot(path=FOLDER / "overview.png")
    visitor.go("payments")
    expect(visitor.page.locator(".row")).to_have_count(3)
    visitor.page.mouse.move(0, 0)
    visitor.page.screenshot(path=FOLDER / "payments.png")


def main() -> None:
    """Write both."""
    path = browser_path() or sys.exit(
        "a browser is needed: apt-get install chromium-headless-shell, or chromium"
    )
    with running() as stand, sync_playwright() as playwright:
        _prepare(stand)
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        visitor = Visitor(stand, browser.new_context(**USUAL), "alice")
        visitor.recognise()
        _take(visitor)
        browser.close()
    sys.stdout.write(f"{FOLDER.relative_to(ROOT)} has two new pictures\n")


if __name__ == "__main__":
    main()
