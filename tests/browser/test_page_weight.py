"""What the page weighs on its way: counted by the browser, through the stand's
gateway and front.
"""

from typing import Any
from urllib.parse import urlsplit

from browser.visitor import Arrive, Visitor
from playwright.sync_api import expect

WEIGHT_BYTES_MAX = 54_000
"""3.4 kB of it are automatic top-ups: their terms, and why they are paused, in two languages."""


class Scales:
    """Bytes as they came over the wire, headers included, by address."""

    def __init__(self, visitor: Visitor) -> None:
        """Weigh from now on."""
        self._urls: dict[str, str] = {}
        self.bytes: dict[str, int] = {}
        self.encodings: dict[str, str] = {}
        wire = visitor.context.new_cdp_session(visitor.page)
        wire.on("Network.responseReceived", self._began)
        wire.on("Network.loadingFinished", self._ended)
        wire.send("Network.enable")

    def _began(self, said: dict[str, Any]) -> None:
        self._urls[said["requestId"]] = said["response"]["url"]
        headers = {name.lower(): value for name, value in said["response"]["headers"].items()}
        self.encodings[said["response"]["url"]] = headers.get("content-encoding", "")

    def _ended(self, said: dict[str, Any]) -> None:
        url = self._urls[said["requestId"]]
        self.bytes[url] = self.bytes.get(url, 0) + int(said["encodedDataLength"])


def test_everything_together_is_light_over_the_wire(arrive: Arrive) -> None:
    """The page, its files, signing in, and the first answers of the API, for somebody who was never
    here.
    """
    stranger = arrive(
        None
    )  # of whom Playwright intercepts nothing: a browser that is intercepted keeps no file
    scales = Scales(stranger)
    stranger.page.goto(stranger.stand.api_url)
    stranger.page.get_by_role("button", name="Sign in").click()
    stranger.page.get_by_role("button", name="Sign in as bob").click()
    expect(stranger.page.locator(".figure")).to_be_visible()
    expect(stranger.page.locator(".price")).to_have_count(3)
    files = [url for url in scales.bytes if "/site/" in url]
    assert len(files) == 1
    assert {scales.encodings[url] for url in files} == {"gzip"}
    assert sum(scales.bytes.values()) < WEIGHT_BYTES_MAX, scales.bytes


def test_a_first_visit_takes_three_requests_and_a_second_one_two(arrive: Arrive) -> None:
    """A new account runs ten functions at a time: the page, its script, the plans.

    The script is kept for good.
    """
    stranger = arrive(None)
    asked: list[str] = []
    stranger.context.on("requestfinished", lambda request: asked.append(urlsplit(request.url).path))
    stranger.page.goto(stranger.stand.api_url)
    expect(stranger.page.locator(".price")).to_have_count(3)
    stranger.page.wait_for_load_state("networkidle")
    assert sorted(asked) == ["/", "/api/v1/plans", "/site/app.js"]
    scales = Scales(stranger)
    stranger.page.goto(f"{stranger.stand.api_url}/?again")
    expect(stranger.page.locator(".price")).to_have_count(3)
    stranger.page.wait_for_load_state("networkidle")
    assert sorted(urlsplit(url).path for url, weight in scales.bytes.items() if weight) == [
        "/",
        "/api/v1/plans",
    ]
