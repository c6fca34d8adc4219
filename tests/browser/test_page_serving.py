"""How the page is served: small, cached rightly, guarded, and nothing but itself."""

import base64
import gzip
import json
import re
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from billing.api.issuer import discover, origin
from billing.errors import SettingsError
from browser.returning import settings_of
from public import serve_site

SITE = Path(__file__).parents[2] / "functions" / "site"
WEIGHT_BYTES_MAX = 40_000


@pytest.fixture(autouse=True)
def issuer(monkeypatch: pytest.MonkeyPatch) -> None:
    """An issuer that refuses every connection; discovery has its own tests through the stand."""
    monkeypatch.setenv("JWT_ISSUER", "http://127.0.0.1:9/pool")
    monkeypatch.setenv("JWT_CLIENT_ID", "a-client")
    discover.cache_clear()


def ask(
    file: str | None = None, query: dict[str, str] | None = None, **headers: str
) -> dict[str, Any]:
    """Call the handler as API Gateway does."""
    return serve_site.handler(
        {
            "routeKey": "GET /" if file is None else "GET /site/{file}",
            "headers": {name.replace("_", "-"): value for name, value in headers.items()},
            "pathParameters": {"file": file} if file is not None else None,
            "queryStringParameters": query,
            "requestContext": {"requestId": "req-1", "http": {"method": "GET"}},
        },
        None,
    )


def content(said: dict[str, Any]) -> bytes:
    """Return the bytes that a browser sees."""
    raw = base64.b64decode(said["body"])
    return gzip.decompress(raw) if said["headers"].get("content-encoding") == "gzip" else raw


def test_the_page_is_never_kept_without_asking_and_its_script_is_kept_for_good() -> None:
    """The script is named with its digest, so that no browser mixes two versions."""
    page = ask()
    assert page["headers"]["cache-control"] == "no-cache"
    ((name, version),) = re.findall(r'"/site/([\w.]+)\?v=(\w+)"', content(page).decode())
    assert "immutable" in ask(name, {"v": version})["headers"]["cache-control"]
    assert ask(name, {"v": "older"})["headers"]["cache-control"] == "no-cache"
    assert ask(None, {"v": version})["headers"]["cache-control"] == "no-cache"


def test_the_page_asks_for_its_script_and_for_no_other_file() -> None:
    """Styles, icon and settings are in it: each file would be another function in an account that
    runs ten.
    """
    text = content(ask()).decode()
    asked = re.findall(r'(?:src|href)="(?!data:|[/]?#|/#)([^"]+)"', text)
    assert [address.split("?")[0] for address in asked] == ["/site/app.js"]
    assert "url(" not in text
    assert "@import" not in text


def test_the_script_is_all_modules_and_asks_for_none() -> None:
    """Each is there once, and none is left out."""
    script = content(ask("app.js")).decode()
    assert not re.findall(r"^(?:import|export) |import\(", script, re.MULTILINE)
    for path in SITE.glob("*.js"):
        longest = max(
            (line for line in path.read_text().splitlines() if "import" not in line[:6]), key=len
        )
        assert script.count(longest.removeprefix("export ")) == 1, path.name


@pytest.mark.parametrize("file", [None, "app.js"])
def test_what_the_browser_has_is_not_sent_again(file: str | None) -> None:
    """304 with the same tag and policy; another tag gets the whole."""
    first = ask(file, accept_encoding="gzip")
    tag = first["headers"]["etag"]
    again = ask(file, accept_encoding="gzip", if_none_match=f'"other", W/{tag}')
    assert (again["statusCode"], again["body"]) == (304, "")
    assert again["headers"]["etag"] == tag
    assert (
        again["headers"]["content-security-policy"] == first["headers"]["content-security-policy"]
    )
    assert ask(file, if_none_match=tag)["statusCode"] == 200, (
        "the plain form is another representation"
    )


@pytest.mark.parametrize(
    ("accepts", "encoding"), [("gzip, br", "gzip"), ("br;q=1.0, gzip;q=0", None), ("", None)]
)
def test_it_is_compressed_for_those_who_take_it(accepts: str, encoding: str | None) -> None:
    said = ask("app.js", accept_encoding=accepts)
    assert said["headers"].get("content-encoding") == encoding
    assert content(said) == serve_site.ASSETS["app.js"].plain
    assert said["headers"]["vary"] == "accept-encoding"


@pytest.mark.parametrize(
    "name",
    [
        "nope.js",
        "dom.js",
        "index.html",
        "../serve_site.py",
        "..%2Fserve_site.py",
        "/etc/passwd",
        "",
        ".",
        "a" * 5000,
        "app.js\0.html",
    ],
)
def test_any_other_name_is_not_found(name: str) -> None:
    """Names are looked up, never opened."""
    said = ask(name)
    assert said["statusCode"] == 404
    assert said["headers"]["content-type"] == "application/problem+json"
    assert json.loads(said["body"])["code"] == "not_found"
    assert said["headers"]["x-request-id"] == "req-1"


@pytest.mark.parametrize("file", [None, "app.js", "nope"])
def test_every_answer_is_guarded(file: str | None) -> None:
    """HSTS only where there is TLS (RFC 6797, section 7.2)."""
    said = ask(file)
    headers = said["headers"]
    assert said["statusCode"] == 404 or headers["content-security-policy"].startswith(
        "default-src 'none'"
    )
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-request-id"] == "req-1"
    assert "permissions-policy" in headers
    assert "strict-transport-security" not in headers
    assert "strict-transport-security" in ask(file, x_forwarded_proto="https")["headers"]


def test_the_policy_names_ours_and_the_issuer_and_nothing_else() -> None:
    """No inline script, no style but the page's own, no frame, no other address."""
    page = ask()
    rules = dict(
        rule.strip().split(" ", 1) for rule in page["headers"]["content-security-policy"].split(";")
    )
    (style,) = re.findall(r"<style>(.*?)</style>", content(page).decode(), re.DOTALL)
    assert rules == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": f"'sha256-{base64.b64encode(sha256(style.encode()).digest()).decode()}'",
        "img-src": "data:",
        "connect-src": "'self' http://127.0.0.1:9",
        "form-action": "'none'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
    }


@pytest.mark.parametrize(
    "url",
    ["https://a.example; script-src *", "javascript:alert(1)", "https://a b", "//host", 7, None],
)
def test_an_odd_endpoint_never_gets_into_the_policy(url: object) -> None:
    """What an issuer says about itself is not trusted to be an address."""
    assert origin(url) == ""


def test_without_an_issuer_that_answers_the_settings_have_no_endpoints() -> None:
    """The page then says so; the rest of it still works."""
    settings = settings_of(content(ask()).decode())
    own = {"issuer": "http://127.0.0.1:9/pool", "client_id": "a-client", "scope": "openid profile"}
    assert settings == {**own, "audience": "", "redirect_uri": ""}


def test_the_page_gets_another_return_address_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else it is the page itself."""
    monkeypatch.setenv("SIGN_IN_RETURN_URL", "https://abc.execute-api.eu-west-1.amazonaws.com/")
    settings = settings_of(content(ask()).decode())
    assert settings["redirect_uri"] == "https://abc.execute-api.eu-west-1.amazonaws.com/"


def test_a_missing_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rather a stop than a page that cannot sign anybody in."""
    monkeypatch.delenv("JWT_CLIENT_ID")
    with pytest.raises(SettingsError, match="JWT_CLIENT_ID"):
        ask()


def test_the_whole_page_is_light() -> None:
    """Everything together, as it goes over the wire."""
    answers = [ask(file, accept_encoding="gzip") for file in (None, *serve_site.ASSETS)]
    assert sum(len(base64.b64decode(said["body"])) for said in answers) < WEIGHT_BYTES_MAX


def test_the_page_needs_no_aws_and_no_stripe() -> None:
    script = (
        "import public.serve_site, sys;"
        " print(sorted({'boto3', 'botocore.session', 'stripe', 'pynamodb'} & set(sys.modules)))"
    )
    folder = Path(serve_site.__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_both_languages_have_the_same_words_and_each_is_used() -> None:
    """A forgotten translation, or a word that nobody shows, is found here."""
    english, chinese = (
        dict(re.findall(r"^  (\w+): (.+),$", (SITE / f"words.{tag}.js").read_text(), re.MULTILINE))
        for tag in ("en", "zh")
    )
    assert english.keys() == chinese.keys()
    assert len(english) > 100
    places = {name: set(re.findall(r"\{(\w+)\}", text)) for name, text in english.items()}
    assert places == {name: set(re.findall(r"\{(\w+)\}", text)) for name, text in chinese.items()}
    script = "".join(
        path.read_text() for path in SITE.glob("*.js") if not path.name.startswith("words.")
    )
    by_code = re.compile(
        r"(status|fail|error|entry|per|topup_paused)_|key_limit_(day|month|total)$"
    )
    assert [name for name in english if f'"{name}"' not in script and not by_code.match(name)] == []


def test_no_file_makes_markup_of_text() -> None:
    """Elements are made one by one; text is text."""
    for path in SITE.glob("*.js"):
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function",
            path.read_text(),
        ), path.name
