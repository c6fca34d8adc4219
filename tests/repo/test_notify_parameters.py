"""What the template's parameters for events out take, and what a deployment refuses."""

import re

import pytest
from billing.notices import address
from billing.notices.address import AddressError
from repo.declared import parameters

TAKEN = [
    "",
    "https://example.com",
    "https://hooks.example.com/topup",
    "https://hooks.example.com:8443/topup?tenant=a&b=%20",
    "https://example.com/@name",
    "https://xn--bcher-kva.example/",
    "https://example.com:65535/",
    "https://example.com?a=1",
]
REFUSED = [
    "http://example.com/",
    "http://127.0.0.1:8081/other",
    "http://127.0.0.1/_events",
    "http://localhost:8081/_events",
    "https://user:secret@example.com/",
    "https://user@example.com/",
    "https://example.com/#part",
    "https://example.com/a b",
    "https://",
    "ftp://example.com/",
    "example.com",
    "https://example.com/\nx",
    "https://example.com:65536/",
    "https://example.com:0/",
    "https://10.0.0.1/",
    "https://127.0.0.1:8081/_events",
    "https://169.254.169.254/latest/meta-data",
    "https://8.8.8.8/",
    "https://2130706433/",
    "https://0x7f.1/",
    "https://[::1]/",
    "https://localhost/",
    "https://-example.com/",
    "https://example-.com/",
    "https://example..com/",
]


def _takes(name: str, value: str) -> bool:
    """As CloudFormation does: the whole value must fit the pattern."""
    return bool(re.fullmatch(parameters()[name]["AllowedPattern"], value))


@pytest.mark.parametrize("url", TAKEN)
def test_an_https_address_is_taken_by_template_and_function_alike(url: str) -> None:
    assert _takes("NotifyUrl", url)
    if url:
        assert address.parse(url, is_local=False).is_https


@pytest.mark.parametrize("url", REFUSED)
def test_any_other_address_is_refused_at_deployment_and_by_the_function(url: str) -> None:
    """A stack may have been deployed with an older template."""
    assert not _takes("NotifyUrl", url)
    with pytest.raises(AddressError):
        address.parse(url, is_local=False)


def test_the_local_receivers_address_is_refused_by_the_function_on_aws() -> None:
    """A pattern cannot look at Stage."""
    url = "http://127.0.0.1:8081/_events"
    assert _takes("NotifyUrl", url)
    with pytest.raises(AddressError):
        address.parse(url, is_local=False)


@pytest.mark.parametrize(
    ("bus", "is_taken"),
    [
        ("", True),
        ("default", True),
        ("my-bus_1.x", True),
        ("arn:aws:events:x", False),
        ("a b", False),
    ],
)
def test_a_bus_is_named(bus: str, is_taken: bool) -> None:  # noqa: FBT001 - a column of the table
    assert _takes("NotifyBus", bus) is is_taken


def test_events_out_are_off_by_default() -> None:
    assert (parameters()["NotifyUrl"]["Default"], parameters()["NotifyBus"]["Default"]) == ("", "")
    assert parameters()["LowAtUnits"]["Default"] == 0
