"""One customer at one browser, and what the seller and Stripe do meanwhile."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

from browser.returning import issuer_of, way_back
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Route, expect
from support.stand import Stand

from infra.local.sign_in_page import COOKIE, session_of

ROOT: Final = Path(__file__).parents[2]
LOOK_MS: Final = 50
LOOKS_MAX: Final = 600
SCREENS: Final = ROOT / ".local" / "screens"


class Visitor:
    """A customer of the stand. Faults of the page's own script are collected in ``faults``."""

    def __init__(self, stand: Stand, context: BrowserContext, name: str) -> None:
        """Nothing is opened yet."""
        self.stand = stand
        self.context = context
        self.name = name
        self.faults: list[str] = []
        self.said: Mapping[str, object] = {}
        self.claims: Mapping[str, Any] = {}
        self._is_misled = False
        self.asked: list[dict[str, str]] = []
        self.page: Page = context.new_page()
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", self._note_breaches)

    def _note_breaches(self, line: ConsoleMessage) -> None:
        if "Content Security Policy" in line.text:
            self.faults.append(line.text)

    def recognise(self) -> None:
        """Let the issuer know this customer: it does not ask who somebody is that has signed in
        before.
        """
        self.context.add_cookies(
            [
                {
                    "name": COOKIE,
                    "value": session_of(self.name),
                    "url": self.stand.facts["issuer_url"],
                }
            ]
        )

    def mislead(self, said: Mapping[str, object], **claims: Any) -> None:
        """From now on the issuer's answers have this in them, and its id tokens these claims;
        ``asked`` collects the forms it was sent.

        A browser whose requests are intercepted keeps no file: others do without.
        """
        self.said, self.claims = said, claims
        if self._is_misled:
            return
        self._is_misled = True
        issuer = issuer_of(self.stand.api_url)
        nonces: list[str] = []

        def authorize(route: Route) -> None:
            asked = parse_qs(urlsplit(route.request.url).query)
            nonces.append(asked["nonce"][0])
            back = urlencode({"code": "a-code", "state": asked["state"][0]})
            route.fulfill(status=302, headers={"location": f"{asked['redirect_uri'][0]}?{back}"})

        def exchange(route: Route) -> None:
            self.asked.append(
                {
                    name: values[0]
                    for name, values in parse_qs(route.request.post_data or "").items()
                }
            )
            proof = self.stand.token(self.name, **{"nonce": nonces[-1], **self.claims})
            usual = {
                "access_token": self.stand.token(self.name),
                "id_token": proof,
                "token_type": "Bearer",
                "expires_in": 3600,
            }
            tokens = {**usual, **self.said}
            route.fulfill(
                headers={"access-control-allow-origin": "*"},
                content_type="application/json",
                body=json.dumps(tokens),
            )

        self.context.route(re.compile(re.escape(issuer["authorization_endpoint"])), authorize)
        self.context.route(re.compile(re.escape(issuer["token_endpoint"])), exchange)

    def wait(self, true: Callable[[], object]) -> None:
        """Until it is so. What Playwright tells, as of a request that it holds,
        it tells meanwhile.
        """
        for _ in range(LOOKS_MAX):
            if true():
                return
            self.page.wait_for_timeout(LOOK_MS)
        raise AssertionError("it did not happen in time")

    def sign_in(self, view: str = "") -> "Visitor":
        """Press the page's button and wait for the page."""
        self.page.goto(f"{self.stand.api_url}/{view}")
        self.page.locator("button.primary").first.click()
        return self._is_in()

    def enter(self, view: str = "") -> "Visitor":
        """Come back from the issuer, and wait for the page to sign in.

        That it is left for there, ``sign_in`` shows: a page load less.
        """
        address, script = way_back(self.stand.api_url, self.name, view)
        self.page.add_init_script(script)
        self.page.goto(address)
        return self._is_in()

    def _is_in(self) -> "Visitor":
        expect(self.page.locator("#account button")).to_be_visible()
        return self

    def go(self, view: str) -> None:
        """Follow a link of the navigation."""
        self.page.locator(f'nav a[href="#/{view}"]').click()
        expect(self.page.locator("main h1")).to_be_focused()

    def to_stripe(self, plan: str = "Starter Pack") -> str:
        """Press Buy. Return the session's id, read from the address of Stripe's page."""
        self.page.get_by_role("button", name=f"Buy {plan}").click()
        self.page.wait_for_url(re.compile("/c/pay/"))
        return urlsplit(self.page.url).path.rpartition("/")[2]

    def pay(self, way: str = "card") -> None:
        """Press a button of Stripe's page: card, declined, delayed or cancel."""
        self.page.locator(f'button[value="{way}"]').first.click()

    def spend(self, units: int) -> None:
        """Let the seller's backend debit this customer."""
        body = {"user_id": self.name, "units": units}
        answer = self.stand.call(
            "POST", "/quota/debits", sub="backend", scope="quota.write", body=body
        )
        assert answer.status_code == 200, answer.text

    def charge(self, bought: dict[str, Any]) -> str:
        """The charge behind a purchase: what banks and the seller take back."""
        session = self.stand.stripe.v1.checkout.sessions.retrieve(
            bought["session_id"], {"expand": ["payment_intent"]}
        )
        intent: Any = session.payment_intent
        return str(intent.latest_charge)

    def refund(self, bought: dict[str, Any], amount: int | None = None) -> None:
        """Let the seller give money back, all of it where no amount is said.

        Returns when it has been settled.
        """
        self.stand.stripe.v1.refunds.create(
            {"charge": self.charge(bought), **({"amount": amount} if amount else {})}
        )
        self.stand.control("idle")

    def listen(self) -> Callable[[], list[str]]:
        """From now on, note what a screen reader is given to say by itself: texts put into live
        regions.
        """
        self.page.evaluate(
            """() => {
              window.heard = [];
              const live = '[role=status], [role=alert], [aria-live]:not([aria-live=off])';
              new MutationObserver((changes) => {
                const places = changes
                    .map(({ target }) =>
                        (target.closest ? target : target.parentElement)?.closest(live))
                    .filter(Boolean);
                for (const place of new Set(places)) {
                    const text = place.textContent.trim();
                    if (text) window.heard.push(text);
                }
              }).observe(document.body, { subtree: true, childList: true, characterData: true });
            }"""
        )
        return lambda: list(self.page.evaluate("window.heard"))

    def snap(self, name: str) -> None:
        """Keep a picture for people to look at."""
        SCREENS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENS / f"{name}.png", full_page=True)


Arrive = Callable[..., Visitor]
"""Makes a new customer, known to the issuer; with ``None`` a stranger.

Keywords are options of Playwright's contexts.
"""
