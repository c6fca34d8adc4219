"""The way back from Cognito: what it answered reaches the page, and nothing else leads anywhere."""

from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest
from billing.errors import SettingsError
from public import return_from_sign_in

PAGE = "https://abc123.execute-api.eu-west-1.amazonaws.com"


def _location(query: str) -> str:
    event = {
        "queryStringParameters": dict(parse_qsl(query)),
        "requestContext": {"requestId": "req-1"},
    }
    answer = return_from_sign_in.handler(event, None)
    assert answer["headers"]["x-request-id"] == "req-1"
    assert answer["statusCode"] == 302
    assert answer["headers"]["cache-control"] == "no-store"
    assert answer["headers"]["referrer-policy"] == "no-referrer"
    return str(answer["headers"]["location"])


@pytest.fixture(autouse=True)
def page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the stack says that the page is."""
    monkeypatch.setenv("PAGE_URL", PAGE)


@pytest.mark.parametrize(
    "answered",
    [
        {"code": "4f1c-a+b/c=", "state": "s&t=a#te"},
        {"error": "login_required", "state": "x"},
        {
            "error": "invalid_request",
            "error_description": 'Ungültig "scope"',
            "state": "x",
            "iss": "https://a.example/pool",
        },
    ],
)
def test_what_the_issuer_answers_reaches_the_page_letter_by_letter(
    answered: dict[str, str],
) -> None:
    address = urlsplit(_location(urlencode(answered)))
    assert f"{address.scheme}://{address.netloc}{address.path}" == f"{PAGE}/"
    assert parse_qs(address.query, strict_parsing=True) == {
        name: [value] for name, value in answered.items()
    }


def test_after_signing_out_the_page_is_shown_as_it_is() -> None:
    assert _location("") == f"{PAGE}/"


@pytest.mark.parametrize(
    "query",
    [
        "redirect_uri=https://evil.example/&next=//evil.example",
        "code=1%0d%0aset-cookie:a=b&state=1",
        "state=%23%2F..%2F..%40evil.example",
        "code=@evil.example&%2F%2Fevil.example",
        "=https://evil.example",
        "code=%ff%fe",
        "a" * 8000,
    ],
)
def test_no_request_leads_anywhere_but_to_the_page(query: str) -> None:
    """Where to is the stack's own setting: this is no open redirect, and sets no header."""
    location = _location(query)
    assert location.startswith(f"{PAGE}/")
    address = urlsplit(location)
    assert (address.netloc, address.path, address.fragment) == (urlsplit(PAGE).netloc, "/", "")
    assert set(parse_qs(address.query)) <= set(return_from_sign_in.FORWARDED)
    assert location.isascii()
    assert location.isprintable()


def test_a_function_without_its_setting_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGE_URL", " ")
    with pytest.raises(SettingsError, match="PAGE_URL"):
        return_from_sign_in.handler({}, None)
