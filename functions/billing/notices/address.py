"""Checks the address that events are sent to, so that it cannot lead into a private network.

The address is resolved once, checked, and connected to as it was checked. A name that resolves to
another address a moment later (DNS rebinding) gains nothing.
https://cheatsheetseries.owasp.org/cheatsheets/Server_Side_Request_Forgery_Prevention_Cheat_Sheet.html
"""

import ipaddress
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
"""Carries an IPv4 address in its last 32 bits: https://www.rfc-editor.org/rfc/rfc6052#section-2.1"""
Resolve = Callable[..., Sequence[Any]]
IP = ipaddress.IPv4Address | ipaddress.IPv6Address


class AddressError(Exception):
    """Events must not be sent to this address. The message says why."""


@dataclass(frozen=True, slots=True)
class Address:
    """The parts of the address in NotifyUrl."""

    is_https: bool
    host: str
    port: int
    target: str
    """Path and query."""
    may_be_private: bool
    """Only on the local stack."""


def parse(url: str, *, is_local: bool) -> Address:
    """Return the parts of an address.

    Raises AddressError for every address that the template's pattern refuses.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise AddressError("NotifyUrl is no address") from error
    if parts.scheme != "https" and not (is_local and parts.scheme == "http"):
        raise AddressError("NotifyUrl must begin with https://")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise AddressError("NotifyUrl must have no credentials and no fragment")
    if not parts.hostname:
        raise AddressError("NotifyUrl names no host")
    is_https = parts.scheme == "https"
    query = f"?{parts.query}" if parts.query else ""
    usual = 443 if is_https else 80
    target = f"{parts.path or '/'}{query}"
    return Address(is_https, parts.hostname, port or usual, target, is_local)


def resolve(
    address: Address, getaddrinfo: Resolve = socket.getaddrinfo
) -> list[str]:
    """Return the IP addresses of the host. Raises AddressError if one of them is not public."""
    try:
        found = getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise AddressError(f"{address.host} cannot be resolved") from error
    numbers = [str(row[4][0]) for row in found]
    if not numbers:
        raise AddressError(f"{address.host} has no address")
    if not address.may_be_private:
        for number in numbers:
            if not is_public(number):
                raise AddressError(
                    f"{address.host} is at {number}, which is not public"
                )
    return numbers


def is_public(number: str) -> bool:
    """Return whether an IP address is public, also if it embeds another address."""
    try:
        found = ipaddress.ip_address(number.partition("%")[0])
    except ValueError:
        return False
    return all(one.is_global and not one.is_multicast for one in _with_inner(found))


def _with_inner(found: IP) -> list[IP]:
    if isinstance(found, ipaddress.IPv4Address):
        return [found]
    if found.ipv4_mapped:
        return [found.ipv4_mapped]
    inner = [found.sixtofour, *(found.teredo or ())]
    if found in NAT64:
        inner.append(ipaddress.IPv4Address(int(found) & 0xFFFFFFFF))
    return [found, *(one for one in inner if one)]
