"""A real browser in front of the stand: Debian's chromium, driven by Playwright."""

import secrets
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from browser.visitor import Arrive, Visitor
from playwright.sync_api import Browser, BrowserContext, expect, sync_playwright
from support.programs import lacking
from support.stand import Stand

BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
"""The first is the same Chromium without the windows that nobody sees: it takes a third of the
processor's time."""
WAIT_MS = 30_000
"""A cold function on a busy machine; nothing is asserted about time."""
FLAGS = [
    "--no-sandbox",  # containers give root no user namespaces, and the only pages here are ours
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--in-process-gpu",
    "--enable-features=NetworkServiceInProcess2",
    "--disable-site-isolation-trials",
    "--renderer-process-limit=1",
]
USUAL: dict[str, Any] = {
    "locale": "en-US",
    "timezone_id": "UTC",
    "viewport": {"width": 1180, "height": 900},
    # nobody watches: each frame that is drawn takes the others' processor
    "reduced_motion": "reduce",
}


def browser_path() -> str | None:
    """The first that is here."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser process for each file.

    Longer would leave Playwright's event loop in the way of tests that start one of their own. A
    folder without __init__.py has no scope of its own:
    https://docs.pytest.org/en/stable/how-to/fixtures.html#fixture-scopes
    """
    path = browser_path()
    if path is None:
        lacking("these tests need a browser: apt-get install chromium-headless-shell, or chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def usual(chromium: Browser) -> BrowserContext:
    """Most customers' browser, which has been here before: it keeps the page's files from one test
    to the next, and nothing else.
    """
    return chromium.new_context(**USUAL)


def _forget(context: BrowserContext) -> None:
    """All but the files. What the page itself keeps goes with its tab."""
    for page in context.pages:
        page.close()
    context.unroute_all(behavior="ignoreErrors")
    context.set_offline(False)
    context.clear_cookies()


@pytest.fixture
def arrive(stand: Stand, chromium: Browser, usual: BrowserContext) -> Iterator[Arrive]:
    """Make visitors. None of their pages may have a script that failed."""
    made: list[Visitor] = []

    def make(name: str | None = "", **options: Any) -> Visitor:
        is_usual = (
            name is not None
            and not options
            and all(visitor.context is not usual for visitor in made)
        )
        context = usual if is_usual else chromium.new_context(**{**USUAL, **options})
        context.set_default_timeout(WAIT_MS)
        visitor = Visitor(stand, context, name or f"visitor-{secrets.token_hex(6)}")
        if name is not None:
            visitor.recognise()
        made.append(visitor)
        return visitor

    expect.set_options(timeout=WAIT_MS)
    yield make
    faults = [fault for visitor in made for fault in visitor.faults]
    for visitor in made:
        if visitor.context is usual:
            _forget(usual)
        else:
            visitor.context.close()
    assert not faults, f"the page's script failed: {faults}"


@pytest.fixture
def visitor(arrive: Arrive) -> Visitor:
    """A new customer, signed in."""
    return arrive().enter()
