"""Who is here: the issuer is asked, tokens stay in memory, and nobody is asked twice."""

import json

from browser.visitor import Arrive, Visitor
from playwright.sync_api import Route, expect


def test_a_stranger_sees_the_plans_and_their_prices(arrive: Arrive) -> None:
    """Prices are public; only the balance needs a name."""
    stranger = arrive(None)
    stranger.page.goto(stranger.stand.api_url)
    expect(stranger.page.locator(".price")).to_have_text(["$9.99", "$49.99", "$299.99"])
    expect(stranger.page.locator(".figure")).to_have_count(0)
    stranger.snap("welcome")


def test_signing_in_at_the_issuer_shows_the_quota_and_keeps_no_token_in_storage(arrive: Arrive) -> None:
    """The whole way through the issuer's own page."""
    stranger = arrive(None)
    stranger.page.goto(stranger.stand.api_url)
    stranger.page.get_by_role("button", name="Sign in").click()
    stranger.page.get_by_role("button", name="Sign in as bob").click()
    expect(stranger.page.locator(".who")).to_contain_text("bob")
    expect(stranger.page.locator(".figure")).to_be_visible()
    kept = stranger.page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
    assert json.loads(kept) == [{}, {"topup.was_signed_in": "1"}, ""]
    assert "code=" not in stranger.page.url


def test_a_reload_signs_in_again_without_a_question(arrive: Arrive) -> None:
    """The issuer's session is enough: it is asked without a word."""
    stranger = arrive(None)
    stranger.page.goto(stranger.stand.api_url)
    stranger.page.get_by_role("button", name="Sign in").click()
    stranger.page.get_by_role("button", name="Sign in as bob").click()
    expect(stranger.page.locator(".figure")).to_be_visible()
    stranger.page.reload()
    expect(stranger.page.locator(".who")).to_contain_text("bob")
    stranger.page.goto(f"{stranger.stand.api_url}/#/history")
    expect(stranger.page.locator("main h1")).to_have_text("History")


def test_signing_out_leaves_nobody_signed_in(arrive: Arrive) -> None:
    """Also at the issuer: the next sign-in asks again who is there."""
    stranger = arrive(None)
    stranger.page.goto(stranger.stand.api_url)
    stranger.page.get_by_role("button", name="Sign in").click()
    stranger.page.get_by_role("button", name="Sign in as bob").click()
    stranger.page.get_by_role("button", name="Sign out").click()
    stranger.page.get_by_role("button", name="Sign in", exact=True).click()
    expect(stranger.page.get_by_role("button", name="Sign in as bob")).to_be_visible()


def test_a_forged_way_back_is_refused(visitor: Visitor) -> None:
    """A code that this tab did not ask for could sign a victim in as somebody else."""
    visitor.page.goto(f"{visitor.stand.api_url}/?code=stolen&state=guessed")
    expect(visitor.page.locator("#notices")).to_contain_text("Signing in did not work")
    expect(visitor.page.locator("#account button")).to_have_count(0)


def test_a_silent_issuer_is_said_and_the_plans_still_show(arrive: Arrive) -> None:
    """While nobody can sign in, the page says that nothing is lost."""
    stranger = arrive(None)
    stranger.context.route("**/site/config.json", lambda route: route.fulfill(json={"issuer": "x", "client_id": "x"}))
    stranger.page.goto(stranger.stand.api_url)
    expect(stranger.page.locator("#notices")).to_contain_text("Signing in is not possible right now")
    expect(stranger.page.locator(".price")).to_have_count(3)


def test_a_refused_token_does_not_send_the_browser_round_in_circles(arrive: Arrive) -> None:
    """An issuer whose tokens the API does not take is a fault to be told, not a loop."""
    odd = arrive()
    rounds: list[str] = []

    def refuse(route: Route) -> None:
        rounds.append(route.request.url)
        route.fulfill(status=401, json={"message": "Unauthorized"})

    odd.context.route("**/api/v1/quota**", refuse)
    odd.enter()
    expect(odd.page.locator(".quota")).to_contain_text("does not accept your sign-in")
    assert len(rounds) == 1
