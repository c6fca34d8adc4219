"""Who is here: the issuer is asked, tokens stay in memory, and nobody is asked twice."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from browser.visitor import Arrive, Visitor
from playwright.sync_api import Route, expect
from public import return_from_sign_in
from support.stand import Stand

MOMENT_MS = 500
"""Signing out is under way by then, and what is asked then has been asked after another: that
nothing happens can only be waited for."""


def test_a_stranger_sees_the_plans_and_their_prices(arrive: Arrive) -> None:
    """Prices are public; only the balance needs a name."""
    stranger = arrive(None)
    stranger.page.goto(stranger.stand.api_url)
    expect(stranger.page.locator(".price")).to_have_text(["$9.99", "$49.99", "$299.99"])
    expect(stranger.page.locator(".figure")).to_have_count(0)
    stranger.snap("welcome")


def test_signing_in_at_the_issuer_shows_the_quota_and_keeps_no_token_in_storage(
    arrive: Arrive,
) -> None:
    """The whole way through the issuer's own page."""
    stranger = arrive(None)
    stranger.page.goto(stranger.stand.api_url)
    stranger.page.get_by_role("button", name="Sign in").click()
    stranger.page.get_by_role("button", name="Sign in as bob").click()
    expect(stranger.page.locator(".who")).to_contain_text("bob")
    expect(stranger.page.locator(".figure")).to_be_visible()
    kept = stranger.page.evaluate(
        "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])"
    )
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


def test_signing_out_ends_the_session(arrive: Arrive) -> None:
    """Also at the issuer: the next sign-in asks again who is there."""
    stranger = arrive(None)
    stranger.page.goto(stranger.stand.api_url)
    stranger.page.get_by_role("button", name="Sign in").click()
    stranger.page.get_by_role("button", name="Sign in as bob").click()
    stranger.page.get_by_role("button", name="Sign out").click()
    stranger.page.get_by_role("button", name="Sign in", exact=True).click()
    expect(stranger.page.get_by_role("button", name="Sign in as bob")).to_be_visible()


def test_signing_out_is_not_undone_by_what_the_page_still_asks(visitor: Visitor) -> None:
    """The way out takes a moment: a question that finds no token meanwhile must
    not sign in again.
    """
    expect(visitor.page.locator(".figure")).to_be_visible()
    held: list[Route] = []

    def hold(route: Route) -> None:
        """Playwright counts the parameters, which a builtin method does not have."""
        held.append(route)

    visitor.context.route(f"{visitor.stand.facts['issuer_url']}/logout?**", hold)
    refresh = visitor.page.get_by_role("button", name="Refresh").element_handle()
    visitor.page.evaluate(
        "([button, after]) => setTimeout(() => button.click(), after)", [refresh, MOMENT_MS]
    )
    visitor.page.get_by_role("button", name="Sign out").click(no_wait_after=True)
    visitor.wait(lambda: held)
    visitor.page.wait_for_timeout(2 * MOMENT_MS)
    held[0].continue_()
    expect(visitor.page.get_by_role("button", name="Sign in", exact=True)).to_be_visible()


def test_a_forged_way_back_is_refused(visitor: Visitor) -> None:
    """A code that this tab did not ask for could sign a victim in as somebody else."""
    visitor.page.goto(f"{visitor.stand.api_url}/?code=stolen&state=guessed")
    expect(visitor.page.locator("#notices")).to_contain_text("Signing in did not work")
    expect(visitor.page.locator("#account button")).to_have_count(0)


def test_a_silent_issuer_is_reported_and_the_plans_still_show(arrive: Arrive) -> None:
    """While nobody can sign in, the page says that nothing is lost."""
    stranger = arrive(None)

    def without_endpoints(route: Route) -> None:
        page = route.fetch()
        route.fulfill(response=page, body=page.text().replace("authorization_endpoint", "nothing"))

    stranger.context.route(f"{stranger.stand.api_url}/", without_endpoints)
    stranger.page.goto(stranger.stand.api_url)
    expect(stranger.page.locator("#notices")).to_contain_text(
        "Signing in is not possible right now"
    )
    expect(stranger.page.locator(".price")).to_have_count(3)


def test_a_refused_token_does_not_send_the_browser_round_in_circles(arrive: Arrive) -> None:
    """An issuer whose tokens the API does not take is a fault to be told, not a loop."""
    odd = arrive()
    rounds: list[str] = []

    def refuse(route: Route) -> None:
        rounds.append(route.request.url)
        route.fulfill(status=401, json={"message": "Unauthorized"})

    odd.context.route("**/api/v1/quota**", refuse)
    odd.sign_in()
    expect(odd.page.locator(".quota")).to_contain_text("does not accept your sign-in")
    assert len(rounds) == len(set(rounds)), "something was asked twice"


@pytest.mark.parametrize(
    "claims", [{}, {"nonce": "another"}, {"nonce": ""}], ids=["none", "another", "empty"]
)
def test_an_id_token_without_this_sign_ins_nonce_does_not_sign_in(
    arrive: Arrive, claims: dict[str, Any]
) -> None:
    """It was made for another sign-in, or stolen from one (OpenID Connect Core, 3.1.3.7)."""
    victim = arrive()
    victim.mislead({"id_token": victim.stand.token(victim.name, **claims)})
    victim.page.goto(victim.stand.api_url)
    victim.page.get_by_role("button", name="Sign in").click()
    expect(victim.page.locator("#notices")).to_contain_text("Signing in did not work")
    expect(victim.page.locator("#account button")).to_have_count(0)


def test_an_answer_without_an_id_token_does_not_sign_in(arrive: Arrive) -> None:
    victim = arrive()
    victim.mislead({"id_token": None})
    victim.page.goto(victim.stand.api_url)
    victim.page.get_by_role("button", name="Sign in").click()
    expect(victim.page.locator("#notices")).to_contain_text("Signing in did not work")


@pytest.mark.parametrize(
    "whose",
    [{"audience": "another-page"}, {"iss": "https://elsewhere.example"}],
    ids=["page", "issuer"],
)
def test_an_id_token_for_another_page_or_of_another_issuer_does_not_sign_in(
    arrive: Arrive, whose: dict[str, Any]
) -> None:
    victim = arrive()
    victim.mislead({}, **whose)
    victim.page.goto(victim.stand.api_url)
    victim.page.get_by_role("button", name="Sign in").click()
    expect(victim.page.locator("#notices")).to_contain_text("Signing in did not work")


def test_a_token_is_renewed_before_it_ends(arrive: Arrive) -> None:
    """Half a minute before, by the refresh token, without a word."""
    visitor = arrive()
    visitor.mislead({"expires_in": 20, "refresh_token": "the-refresh-token"})
    visitor.sign_in()
    expect(visitor.page.locator(".figure")).to_be_visible()
    assert [form["grant_type"] for form in visitor.asked[:2]] == [
        "authorization_code",
        "refresh_token",
    ]
    assert visitor.asked[1]["refresh_token"] == "the-refresh-token"


def test_a_token_that_is_refused_is_renewed_and_the_question_asked_again(arrive: Arrive) -> None:
    """The issuer may end it early; the customer sees the answer, not the refusal."""
    visitor = arrive()
    visitor.mislead({"refresh_token": "the-refresh-token"})
    visitor.sign_in()
    expect(visitor.page.locator(".figure")).to_be_visible()
    visitor.page.clock.set_fixed_time(datetime.now(UTC) + timedelta(minutes=10))
    visitor.context.route(
        "**/api/v1/quota",
        lambda route: route.fulfill(status=401, json={"message": "Unauthorized"}),
        times=1,
    )
    before = visitor.page.locator(".asof").inner_text()
    visitor.page.get_by_role("button", name="Refresh").click()
    expect(visitor.page.locator(".asof")).not_to_have_text(before)
    expect(visitor.page.get_by_role("alert")).to_have_count(0)
    assert visitor.asked[-1]["grant_type"] == "refresh_token"


def test_a_renewal_that_answers_with_another_user_is_refused(arrive: Arrive) -> None:
    """OpenID Connect Core, 12.2: it must be the same user."""
    visitor = arrive()
    visitor.mislead({"refresh_token": "the-refresh-token"})
    visitor.sign_in()
    expect(visitor.page.locator(".figure")).to_be_visible()
    visitor.mislead({"id_token": visitor.stand.token("mallory")})
    visitor.page.clock.set_fixed_time(datetime.now(UTC) + timedelta(hours=2))
    visitor.page.get_by_role("button", name="Refresh").click()
    expect(visitor.page.locator("#notices")).to_contain_text("Signing in did not work")


TOLD = """
new MutationObserver((_, observer) => {
  const meta = document.querySelector('meta[name="sign-in"]');
  if (!meta) return;
  observer.disconnect();
  meta.content = JSON.stringify({ ...JSON.parse(meta.content), redirect_uri: "ADDRESS" });
}).observe(document, { childList: true, subtree: true });
"""
"""Puts the address into the page's settings, before it reads them.

Playwright shows no redirected request to a route.
"""


@pytest.fixture
def sign_in_api(monkeypatch: pytest.MonkeyPatch, stand: Stand) -> Iterator[str]:
    """The address that leads back to the page, as API Gateway serves it."""
    monkeypatch.setenv("PAGE_URL", stand.api_url)

    class Gateway(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            query = dict(parse_qsl(urlsplit(self.path).query))
            answer = return_from_sign_in.handler({"queryStringParameters": query}, None)
            self.send_response(answer["statusCode"])
            for name, value in answer["headers"].items():
                self.send_header(name, value)
            self.end_headers()

    with ThreadingHTTPServer(("127.0.0.1", 0), Gateway) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://localhost:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_signing_in_by_an_address_that_leads_to_the_page(arrive: Arrive, sign_in_api: str) -> None:
    """What the stack has whose page has no address of its own: there, back, after a reload, and out
    again.
    """
    stranger = arrive(None)

    stranger.context.add_init_script(TOLD.replace("ADDRESS", sign_in_api))
    seen: list[str] = []
    stranger.page.on("request", lambda request: seen.append(request.url))
    stranger.page.goto(stranger.stand.api_url)
    stranger.page.get_by_role("button", name="Sign in").click()
    stranger.page.get_by_role("button", name="Sign in as bob").click()
    expect(stranger.page.locator(".figure")).to_be_visible()
    assert [url for url in seen if url.startswith(f"{sign_in_api}?code=")]
    assert stranger.page.url.rstrip("/") == stranger.stand.api_url.rstrip("/")
    stranger.page.reload()
    expect(stranger.page.locator(".who")).to_contain_text("bob")
    stranger.page.get_by_role("button", name="Sign out").click()
    expect(stranger.page.get_by_role("button", name="Sign in", exact=True)).to_be_visible()
    assert seen.count(sign_in_api) == 1, "signed out by the same address"
