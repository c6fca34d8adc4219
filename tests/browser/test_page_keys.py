"""API keys: made, copied this once, revoked."""

from browser.visitor import Arrive, Visitor
from playwright.sync_api import expect


def test_a_key_is_shown_once_copied_and_revoked(arrive: Arrive) -> None:
    """Afterwards the list is empty, and the secret was never in it."""
    visitor = arrive(permissions=["clipboard-read", "clipboard-write"]).enter("#/keys")
    visitor.page.get_by_label("Name of the key").fill("<b>build server</b>")
    visitor.page.get_by_role("button", name="Create key").click()
    secret = visitor.page.get_by_label("Your new key").input_value()
    assert secret.startswith("tk_")
    visitor.page.get_by_role("button", name="Copy").click()
    expect(visitor.page.get_by_role("button", name="Copied")).to_be_visible()
    assert visitor.page.evaluate("navigator.clipboard.readText()") == secret
    visitor.snap("keys")
    visitor.page.reload()
    expect(visitor.page.locator(".row h2")).to_have_text("<b>build server</b>")
    assert secret not in visitor.page.content()
    visitor.page.get_by_role("button", name="Revoke").click()
    visitor.page.get_by_role("button", name="Revoke for good").click()
    expect(visitor.page.locator("#notices")).to_contain_text("works nowhere any more")
    expect(visitor.page.locator("main")).to_contain_text("No keys yet")


def test_a_key_survives_a_change_of_mind(visitor: Visitor) -> None:
    """Escape keeps it, and the focus returns to where it was."""
    visitor.go("keys")
    visitor.page.get_by_label("Name of the key").fill("laptop")
    visitor.page.keyboard.press("Enter")
    visitor.page.get_by_role("button", name="Revoke laptop").click()
    expect(visitor.page.get_by_role("dialog")).to_be_visible()
    visitor.page.keyboard.press("Escape")
    expect(visitor.page.get_by_role("dialog")).to_have_count(0)
    expect(visitor.page.get_by_role("button", name="Revoke laptop")).to_be_focused()


def test_a_key_without_a_name_is_not_sent(visitor: Visitor) -> None:
    """The field says what is missing, and has the focus."""
    visitor.go("keys")
    visitor.page.get_by_role("button", name="Create key").click()
    expect(visitor.page.locator("#key-hint")).to_contain_text("Give the key a name")
    expect(visitor.page.get_by_label("Name of the key")).to_be_focused()
