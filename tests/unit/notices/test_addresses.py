"""Which addresses events are sent to."""

from dataclasses import replace
from typing import Any

import pytest
from billing.notices import address
from billing.notices.address import AddressError

PRIVATE = [
    *("127.0.0.1", "127.9.9.9", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254"),
    *("0.0.0.0", "100.64.0.1", "224.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1"),
    *("::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1"),
    *(
        "::ffff:10.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::a00:1",
        "2002:a00:1::1",
        "2001:db8::1",
    ),
    "not an address",
]
PUBLIC = ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]


def _answering(*numbers: str) -> Any:
    return lambda *_, **__: [(2, 1, 6, "", (number, 443)) for number in numbers]


@pytest.mark.parametrize("number", PRIVATE)
def test_a_name_of_a_private_address_is_refused(number: str) -> None:
    """Also where only one of several is private."""
    parsed = address.parse("https://hooks.example.com/topup", is_local=False)
    with pytest.raises(AddressError, match="not public"):
        address.resolve(parsed, _answering(number))
    with pytest.raises(AddressError, match="not public"):
        address.resolve(parsed, _answering("8.8.8.8", number))


@pytest.mark.parametrize("number", PUBLIC)
def test_a_public_address_is_connected_to_as_it_was_checked(number: str) -> None:
    parsed = address.parse("https://hooks.example.com/topup?a=1", is_local=False)
    assert address.resolve(parsed, _answering(number)) == [number]
    assert (parsed.host, parsed.port, parsed.target) == ("hooks.example.com", 443, "/topup?a=1")


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "http://127.0.0.1:8081/_events",
        "https://user:secret@example.com/",
        "https://user@example.com/",
        "https://example.com/#part",
        "https://",
        "https:///path",
        "ftp://example.com/",
        "https://example.com:99999/",
        "https://[::1/",
        "",
    ],
)
def test_other_addresses_are_refused_outside_the_local_stack(url: str) -> None:
    with pytest.raises(AddressError):
        address.parse(url, is_local=False)


LITERALS = [
    *("127.0.0.1", "127.1", "[::1]", "169.254.169.254", "10.1.2.3", "localhost", "8.8.8.8"),
    *("0x7f000001", "0x7f.1", "0177.0.0.1", "2130706433", "[::ffff:10.0.0.1]", "127.0.0.1."),
]


@pytest.mark.parametrize("host", LITERALS)
def test_an_address_in_figures_is_refused_however_it_is_written(host: str) -> None:
    with pytest.raises(AddressError):
        address.parse(f"https://{host}/", is_local=False)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0x7f000001", "2130706433"])
def test_what_the_resolver_makes_of_figures_is_refused_too(host: str) -> None:
    """The real one reads numbers of any base, and has the machine's own names."""
    parsed = replace(address.parse("https://example.com/", is_local=False), host=host)
    with pytest.raises(AddressError):
        address.resolve(parsed)


def test_the_local_stack_may_use_its_own_machine() -> None:
    parsed = address.parse("http://127.0.0.1:8081/_events", is_local=True)
    assert address.resolve(parsed) == ["127.0.0.1"]
