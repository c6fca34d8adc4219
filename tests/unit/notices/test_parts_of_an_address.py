"""What an address is taken apart into, and each reason for which one is refused."""

import socket
from typing import Any

import pytest
from billing.notices import address
from billing.notices.address import Address, AddressError


@pytest.mark.parametrize(
    ("url", "is_local", "found"),
    [
        ("https://a.example.com", False, (True, "a.example.com", 443, "/")),
        ("https://a.example.com/", False, (True, "a.example.com", 443, "/")),
        ("https://a.example.com/x?", False, (True, "a.example.com", 443, "/x")),
        ("https://a.example.com?b=1", False, (True, "a.example.com", 443, "/?b=1")),
        ("https://a.example.com:8443/x?b=1&c", False, (True, "a.example.com", 8443, "/x?b=1&c")),
        ("https://A.Example.com:1/x", False, (True, "a.example.com", 1, "/x")),
        ("http://localhost/x", True, (False, "localhost", 80, "/x")),
        ("http://[::1]:8081/x", True, (False, "::1", 8081, "/x")),
        ("https://localhost:443/x", True, (True, "localhost", 443, "/x")),
    ],
)
def test_an_address_has_five_parts(
    url: str, *, is_local: bool, found: tuple[bool, str, int, str]
) -> None:
    assert address.parse(url, is_local=is_local) == Address(*found, may_be_private=is_local)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("https://a.example.com/ x", "NotifyUrl has a space, or a character"),
        ("https://a.example.com/é", "NotifyUrl has a space, or a character"),
        ("http://a.example.com/", "NotifyUrl must begin with https://"),
        ("ftp://a.example.com/", "NotifyUrl must begin with https://"),
        ("https://user@a.example.com/", "NotifyUrl must have no credentials"),
        ("https://:secret@a.example.com/", "NotifyUrl must have no credentials"),
        ("https://@a.example.com/", "NotifyUrl must have no credentials"),
        ("https://a.example.com/#part", "NotifyUrl must have no credentials and no fragment"),
        ("https:///path", "NotifyUrl names no host"),
        ("https://a.example.com:0/", "NotifyUrl names no host, or port 0"),
        ("https://localhost/", "NotifyUrl must name a host with a domain"),
        ("https://8.8.8.8/", "NotifyUrl must name a host with a domain"),
        ("https://a.example.com:65536/", "NotifyUrl is no address"),
        ("https://[::1/", "NotifyUrl is no address"),
    ],
)
def test_an_address_is_refused_with_its_reason(url: str, why: str) -> None:
    with pytest.raises(AddressError) as refused:
        address.parse(url, is_local=False)
    assert str(refused.value).startswith(why)


@pytest.mark.parametrize(
    "url", ["ftp://localhost/", "https://user@localhost/", "http://localhost:0/", "http:///x"]
)
def test_the_local_stack_refuses_what_is_no_http_address(url: str) -> None:
    with pytest.raises(AddressError):
        address.parse(url, is_local=True)


PARSED = Address(
    is_https=True, host="a.example.com", port=8443, target="/", may_be_private=False
)  # fmt: skip


def test_the_resolver_is_asked_for_streams_of_that_host_and_port() -> None:
    """All of its answers are returned, in their order."""
    asked: list[Any] = []

    def getaddrinfo(*args: Any, **options: Any) -> Any:
        asked.append((args, options))
        return [
            (socket.AF_INET, 1, 6, "", ("8.8.8.8", 8443)),
            (socket.AF_INET6, 1, 6, "", ("2606:4700:4700::1111", 8443, 0, 0)),
            (socket.AF_INET, 1, 6, "", ("1.1.1.1", 8443)),
        ]

    found = address.resolve(PARSED, getaddrinfo)
    assert found == ["8.8.8.8", "2606:4700:4700::1111", "1.1.1.1"]
    assert asked == [(("a.example.com", 8443), {"type": socket.SOCK_STREAM})]


@pytest.mark.parametrize(
    "error",
    [socket.gaierror(8, "not known"), TimeoutError(), UnicodeError("label too long")],
)
def test_a_name_that_cannot_be_resolved_is_refused(error: Exception) -> None:
    """https://docs.python.org/3/library/socket.html#socket.getaddrinfo: a name that is too long
    raises UnicodeError.
    """

    def getaddrinfo(*_: Any, **__: Any) -> Any:
        raise error

    with pytest.raises(AddressError, match=r"^a\.example\.com cannot be resolved$"):
        address.resolve(PARSED, getaddrinfo)


def test_a_fault_of_the_resolver_itself_comes_out() -> None:
    def getaddrinfo(*_: Any, **__: Any) -> Any:
        raise RuntimeError("a fault")

    with pytest.raises(RuntimeError):
        address.resolve(PARSED, getaddrinfo)


def test_a_name_without_an_address_is_refused() -> None:
    with pytest.raises(AddressError, match=r"^a\.example\.com has no address$"):
        address.resolve(PARSED, lambda *_, **__: [])


def _answering(*numbers: str) -> Any:
    return lambda *_, **__: [(2, 1, 6, "", (number, 443)) for number in numbers]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_private_address_among_three_refuses_the_name(place: int) -> None:
    """And is named."""
    numbers = ["8.8.8.8", "1.1.1.1", "9.9.9.9"]
    numbers[place] = "10.0.0.1"
    with pytest.raises(AddressError, match=r"is at 10\.0\.0\.1, which is not public"):
        address.resolve(PARSED, _answering(*numbers))


@pytest.mark.parametrize(
    ("number", "is_public"),
    [
        ("8.8.8.8", True),
        ("2606:4700:4700::1111", True),
        ("2606:4700:4700::1111%eth0", True),
        ("fe80::1%eth0", False),
        ("224.0.0.251", False),
        ("232.1.1.1", False),
        ("ff0e::1", False),
        ("::ffff:8.8.8.8", True),
        ("::ffff:127.0.0.1", False),
        ("2002:808:808::1", True),
        ("2002:7f00:1::1", False),
        ("2001:0:808:808::f7f7:f7f7", False),
        ("64:ff9b::808:808", True),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::a9fe:a9fe", False),
        ("nonsense", False),
        ("", False),
    ],
)
def test_an_address_is_public_only_with_all_that_it_embeds(number: str, *, is_public: bool) -> None:
    """IPv4 mapped, 6to4 and NAT64 embed an IPv4 address; no Teredo address is public:
    https://www.iana.org/assignments/iana-ipv6-special-registry/.
    """
    assert address.is_public(number) is is_public
