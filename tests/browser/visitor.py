"""One customer at one browser, and what the seller and Stripe do meanwhile."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Route, expect
from stand import Stand

ROOT: Final = Path(__file__).parents[2]
SCREENS: Final = ROOT / ".local" / "screens"


class Visitor:
    """A customer of the stand. Faults of the page's own script are collected in ``faults``."""

    def __init__(self, stand: Stand, context: BrowserContext, name: str) -> None:
        """Nothing is opened yet."""
        self.stand = stand
        self.context = context
        self.name = name
        self.faults: list[str] = []
        self.page: Page = context.new_page()
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", self._note_breaches)

    def _note_breaches(self, line: ConsoleMessage) -> None:
        if "Content Security Policy" in line.text:
            self.faults.append(line.text)

    def recognise(self) -> None:
        """Let the issuer know this customer: it answers at once, with real tokens of the stand, as if by its cookie."""
        issuer = httpx.get(f"{self.stand.api_url}/site/config.json", timeout=30).json()

        def authorize(route: Route) -> None:
            asked = parse_qs(urlsplit(route.request.url).query)
            back = urlencode({"code": "a-code", "state": asked["state"][0]})
            route.fulfill(status=302, headers={"location": f"{asked['redirect_uri'][0]}?{back}"})

        def exchange(route: Route) -> None:
            token = self.stand.token(self.name)
            tokens = {"access_token": token, "id_token": token, "token_type": "Bearer", "expires_in": 3600}
            route.fulfill(headers={"access-control-allow-origin": "*"}, content_type="application/json", body=json.dumps(tokens))

        self.context.route(re.compile(re.escape(issuer["authorization_endpoint"])), authorize)
        self.context.route(re.compile(re.escape(issuer["token_endpoint"])), exchange)

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

    def to_stripe(self, plan: str = "Starter") -> str:
        """Press Buy. Return the session's id, read from the address of Stripe's page."""
        self.page.get_by_role("button", name=f"Buy {plan}").click()
        self.page.wait_for_url(re.compile("/c/pay/"))
        return urlsplit(self.page.url).path.rpartition("/")[2]

    def pay(self, way: str = "card") -> None:
        """Press a button of Stripe's page: card, declined, delayed or cancel."""
        self.page.locator(f'button[value="{way}"]').click()

    def spend(self, units: int) -> None:
        """Let the seller's backend debit this customer."""
        body = {"user_id": self.name, "units": units}
        answer = self.stand.call("POST", "/quota/debits", sub="backend", scope="quota.write", body=body)
        assert answer.status_code == 200, answer.text

    def snap(self, name: str) -> None:
        """Keep a picture for people to look at."""
        SCREENS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENS / f"{name}.png", full_page=True)


Arrive = Callable[..., Visitor]
"""Makes a new customer, known to the issuer; with ``None`` a stranger. Keywords are options of Playwright's contexts."""
