"""A real browser in front of the stand: Debian's chromium, driven by Playwright. One visitor per test, each a new customer."""

import json
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect, sync_playwright

ROOT = Path(__file__).parents[2]
SCREENS = ROOT / ".local" / "screens"
WAIT_MS = 15_000
"""A cold function on a busy machine; nothing is asserted about time."""
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class Stand(Protocol):
    """What these tests use of the session's stand."""

    api_url: str
    stripe_api_base: str
    stripe_secret_key: str

    def token(self, sub: str, scope: str = "") -> str:
        """Make a JWT of the stand's issuer."""


class Visitor:
    """One customer at one browser."""

    def __init__(self, stand: Stand, context: BrowserContext, name: str) -> None:
        """Nothing is opened yet."""
        self.stand = stand
        self.context = context
        self.name = name
        self.faults: list[str] = []
        self.page = self.tab()

    def tab(self) -> Page:
        """Open another tab, whose script errors count against the test."""
        page = self.context.new_page()
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", lambda line: "Content Security Policy" in line.text and self.faults.append(line.text))
        return page

    def enter(self, view: str = "") -> "Visitor":
        """Sign in and wait for the page."""
        self.page.goto(f"{self.stand.api_url}/{view}")
        self.page.locator("button.primary").first.click()
        expect(self.page.locator("#account button")).to_be_visible()
        return self

    def go(self, view: str) -> None:
        """Follow a link of the navigation."""
        self.page.locator(f'nav a[href="#/{view}"]').click()
        expect(self.page.locator("main h1")).to_be_focused()

    def left(self) -> str:
        """Read the big number."""
        return self.page.locator(".figure strong").inner_text()

    def to_stripe(self, plan: str = "Starter") -> str:
        """Press Buy. Return the session's id, read from the address of Stripe's page."""
        self.page.get_by_role("button", name=f"Buy {plan}").click()
        self.page.wait_for_url(re.compile("/c/pay/"))
        return urlsplit(self.page.url).path.rpartition("/")[2]

    def pay(self, way: str = "card") -> None:
        """Press a button of Stripe's page: card, declined, delayed or cancel."""
        self.page.locator(f'button[value="{way}"]').click()

    def notice(self) -> str:
        """Read what the page says."""
        return self.page.locator("#notices").inner_text()

    def snap(self, name: str) -> None:
        """Keep a picture for people to look at."""
        SCREENS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENS / f"{name}.png", full_page=True)

    def control(self, path: str, **body: object) -> None:
        """Move the Stripe simulator."""
        answer = httpx.post(f"{self.stand.stripe_api_base}/_control/{path}", json=body)
        assert answer.is_success, answer.text

    def stripe(self, method: str, path: str, **form: object) -> dict[str, Any]:
        """Do what the seller does in Stripe's dashboard."""
        key = (self.stand.stripe_secret_key, "")
        answer = httpx.request(method, f"{self.stand.stripe_api_base}/v1/{path}", auth=key, data=form or None)
        assert answer.is_success, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def spend(self, units: int) -> None:
        """Let the seller's backend debit this customer."""
        token = self.stand.token("backend", "quota.write")
        body = {"user_id": self.name, "units": units}
        url = f"{self.stand.api_url}/api/v1/quota/debits"
        answer = httpx.post(url, json=body, headers={"authorization": f"Bearer {token}"}, timeout=30)
        assert answer.is_success, answer.text


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """One browser process for all tests."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("these tests need a browser: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


Arrive = Callable[..., Visitor]


@pytest.fixture
def arrive(stand: Stand, chromium: Browser) -> Iterator[Arrive]:
    """Make visitors: new customers known to the issuer, or with ``name=None`` one who must use its sign-in page."""
    made: list[Visitor] = []

    def make(name: str | None = "", **options: Any) -> Visitor:  # noqa: ANN401 - Playwright's own options
        context = chromium.new_context(**{"locale": "en-US", "timezone_id": "UTC", "viewport": {"width": 1180, "height": 900}, **options})
        context.set_default_timeout(WAIT_MS)
        visitor = Visitor(stand, context, name or f"visitor-{secrets.token_hex(6)}")
        if name is not None:
            recognise(visitor)
        made.append(visitor)
        return visitor

    expect.set_options(timeout=WAIT_MS)
    yield make
    faults = [fault for visitor in made for fault in visitor.faults]
    for visitor in made:
        visitor.context.close()
    assert not faults, f"the page's script failed: {faults}"


@pytest.fixture
def visitor(arrive: Arrive) -> Visitor:
    """A new customer, signed in."""
    return arrive().enter()


def recognise(visitor: Visitor) -> None:
    """Let the issuer know this customer: it answers at once, with real tokens of the stand, as if by its cookie."""
    issuer = httpx.get(f"{visitor.stand.api_url}/site/config.json", timeout=30).json()

    def authorize(route: Route) -> None:
        asked = parse_qs(urlsplit(route.request.url).query)
        back = urlencode({"code": "a-code", "state": asked["state"][0]})
        route.fulfill(status=302, headers={"location": f"{asked['redirect_uri'][0]}?{back}"})

    def exchange(route: Route) -> None:
        token = visitor.stand.token(visitor.name)
        tokens = {"access_token": token, "id_token": token, "token_type": "Bearer", "expires_in": 3600}
        route.fulfill(status=200, headers={"access-control-allow-origin": "*"}, content_type="application/json", body=json.dumps(tokens))

    visitor.context.route(re.compile(re.escape(issuer["authorization_endpoint"])), authorize)
    visitor.context.route(re.compile(re.escape(issuer["token_endpoint"])), exchange)
