"""Which addresses an HTTP source may be asked at: public ones, and what the deployment names as private of its own.

An event names the source, a server may send us on, and a name may mean another address at any time. So each request and
each redirect comes by here, with the address that is connected to being the one that was looked at: between the two no
name is resolved again (DNS rebinding). A host has private addresses in this deployment's sense only if
BIGPANDA_PRIVATE_HOSTS lists it.
"""

import socket
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final
from urllib.parse import SplitResult

from mlflow_on_demand.allowed import PORTS
from mlflow_on_demand.errors import AddressRefused, StoreUnavailable

PRIVATE_HOSTS: Final = "BIGPANDA_PRIVATE_HOSTS"
"""Host names, or host:port, separated by commas."""
_NAT64 = IPv6Network("64:ff9b::/96")

Address = IPv4Address | IPv6Address


class Reach:
    """A check of addresses, as `http_client` takes it."""

    def __init__(self, private_hosts: frozenset[str]) -> None:
        self._private = private_hosts

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Reach":
        """That of this process's deployment."""
        names = (
            name.strip().lower().replace("[", "").replace("]", "") for name in env.get(PRIVATE_HOSTS, "").split(",")
        )
        return cls(frozenset(filter(None, names)))

    def __call__(self, address: SplitResult) -> str:
        """The IP address to connect to; AddressRefused, StoreUnavailable if the name has none."""
        host, port = (address.hostname or "").lower(), address.port or PORTS.get(address.scheme, 0)
        found = _resolve(host, port)
        if not self._private & {host, f"{host}:{port}"}:
            for one in found:
                if (kind := not_public(one)) is not None:
                    raise AddressRefused(f"'{host}' has a {kind} address, and {PRIVATE_HOSTS} does not list it")
        return str(found[0])


def not_public(address: Address) -> str | None:
    """What kind of address it is if no public one, else None. Addresses that carry another are that one."""
    inner = _inner(address)
    kinds = {
        "unspecified": inner.is_unspecified,
        "loopback": inner.is_loopback,
        "link-local": inner.is_link_local,
        "multicast": inner.is_multicast,
        "private": not inner.is_global,
    }
    return next((kind for kind, holds in kinds.items() if holds), None)


def _inner(address: Address) -> Address:
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _resolve(host: str, port: int) -> list[Address]:
    try:
        found = {str(info[4][0]).partition("%")[0] for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError):
        raise StoreUnavailable(f"the name '{host}' cannot be resolved") from None
    # IPv4 first: a Pod without IPv6 is more common than one without the other.
    return sorted((ip_address(one) for one in found), key=lambda one: (one.version, int(one)))
