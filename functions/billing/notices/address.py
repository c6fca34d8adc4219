"""Checks the seller's address for events, so that it is no private address.

The host name is resolved once, the IP address is checked, and the connection
goes to that IP address. So it does not help an attacker if the name resolves
to another address a moment later (DNS rebinding).
https://cheatsheetseries.owasp.org/cheatsheets/Server_Side_Request_Forgery_Prevention_Cheat_Sheet.html
"""

import ipaddress
import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

HOST_NAME: Final = re.compile(
    r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]"
)
"""A host name, and no IP address: the last part starts with a letter, as in
every domain name on the internet
(https://www.rfc-editor.org/rfc/rfc3696#section-2).
"""
VISIBLE: Final = re.compile("[!-~]+")
NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
"""The range of IPv6 addresses that have an IPv4 address in their last 32 bits:
https://www.rfc-editor.org/rfc/rfc6052#section-2.1
"""
Resolve = Callable[..., Sequence[Any]]
IP = ipaddress.IPv4Address | ipaddress.IPv6Address


class AddressError(Exception):
    """Events must not be sent to this address. The message says why."""


@dataclass(frozen=True, slots=True)
class Address:
    """The parts of the URL to which events to the seller are sent.

    The seller sets it as the template's parameter NotifyUrl.
    """

    is_https: bool
    host: str
    port: int
    target: str
    """The path and the query of the URL."""
    may_be_private: bool
    """True only on the local stack."""


def parse(url: str, *, is_local: bool) -> Address:
    """Return the parts of ``url``, the seller's address for events.

    Raises AddressError unless it is an https URL whose host is a domain name,
    without credentials or fragment. With ``is_local``, http and every host
    are allowed too.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise AddressError("NotifyUrl is no address") from error
    if fault := _fault(url, parts, is_local=is_local):
        raise AddressError(f"NotifyUrl {fault}")
    is_https = parts.scheme == "https"
    query = f"?{parts.query}" if parts.query else ""
    usual = 443 if is_https else 80
    target = f"{parts.path or '/'}{query}"
    return Address(
        is_https, parts.hostname or "", port or usual, target, is_local
    )


def _fault(url: str, parts: SplitResult, *, is_local: bool) -> str:
    if not VISIBLE.fullmatch(url):
        return "has a space, or a character that is not ASCII"
    if parts.scheme != "https" and not (is_local and parts.scheme == "http"):
        return "must begin with https://"
    if (
        parts.username is not None
        or parts.password is not None
        or parts.fragment
    ):
        return "must have no credentials and no fragment"
    if not parts.hostname or parts.port == 0:
        return "names no host, or port 0"
    if not is_local and not HOST_NAME.fullmatch(parts.hostname):
        return "must name a host with a domain, and no address in figures"
    return ""


def resolve(
    address: Address, getaddrinfo: Resolve = socket.getaddrinfo
) -> list[str]:
    """Return the IP addresses of the host.

    Raises AddressError if the host cannot be resolved, or if one of its
    addresses is not public.
    """
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
    """Return whether an IP address is public.

    If it embeds another IP address, that one must be public too.
    """
    try:
        found = ipaddress.ip_address(number.partition("%")[0])
    except ValueError:
        return False
    return all(
        one.is_global and not one.is_multicast for one in _with_inner(found)
    )


def _with_inner(found: IP) -> list[IP]:
    if isinstance(found, ipaddress.IPv4Address):
        return [found]
    if found.ipv4_mapped:
        return [found.ipv4_mapped]
    inner = [found.sixtofour]
    if found in NAT64:
        inner.append(ipaddress.IPv4Address(int(found) & 0xFFFFFFFF))
    return [found, *(one for one in inner if one)]
