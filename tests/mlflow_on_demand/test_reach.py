"""Which addresses may be asked: every kind there is, by number and by name."""

import socket
from ipaddress import ip_address
from urllib.parse import urlsplit

import pytest

from mlflow_on_demand.errors import AddressRefused, StoreUnavailable
from mlflow_on_demand.reach import PRIVATE_HOSTS, Reach, not_public


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("169.254.169.254", "link-local"),
        ("fe80::1", "link-local"),
        ("127.0.0.1", "loopback"),
        ("127.8.9.10", "loopback"),
        ("::1", "loopback"),
        ("0.0.0.0", "unspecified"),
        ("::", "unspecified"),
        ("10.96.0.1", "private"),
        ("172.16.0.1", "private"),
        ("192.168.1.1", "private"),
        ("100.64.0.1", "private"),
        ("fd00::1", "private"),
        ("224.0.0.1", "multicast"),
        ("255.255.255.255", "private"),
        # one address in another
        ("::ffff:127.0.0.1", "loopback"),
        ("::ffff:169.254.169.254", "link-local"),
        ("64:ff9b::10.0.0.1", "private"),
        ("2002:7f00:1::", "loopback"),
        ("188.184.100.1", None),
        ("2001:1458:201:1::1", None),
        ("64:ff9b::188.184.100.1", None),
    ],
)
def test_kinds_of_addresses(address: str, kind: str | None) -> None:
    assert not_public(ip_address(address)) == kind


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST", "2130706433", "0x7f.1", "127.1", "[::1]", "0"])
def test_a_host_at_home_is_refused_however_it_is_spelled(host: str) -> None:
    with pytest.raises(AddressRefused, match=PRIVATE_HOSTS):
        Reach.from_env({})(urlsplit(f"http://{host}:8080/x"))


@pytest.mark.parametrize("listed", ["localhost", " other , LOCALHOST:8080"])
def test_one_that_is_listed_is_asked_at_its_address(listed: str) -> None:
    reach = Reach.from_env({PRIVATE_HOSTS: listed})
    assert reach(urlsplit("http://localhost:8080/x")) == "127.0.0.1"
    with pytest.raises(AddressRefused):
        reach(urlsplit("http://127.0.0.1:8080/x"))  # what the name means is not listed as a number


def test_a_port_is_part_of_what_is_listed() -> None:
    reach = Reach.from_env({PRIVATE_HOSTS: "localhost:8080,[::1]:9"})
    with pytest.raises(AddressRefused):
        reach(urlsplit("http://localhost:8081/x"))
    assert reach(urlsplit("http://[::1]:9/x")) == "::1"


def test_public_addresses_pass_and_names_that_are_none_are_told() -> None:
    assert Reach.from_env({})(urlsplit("https://188.184.100.1/x")) == "188.184.100.1"
    with pytest.raises(StoreUnavailable, match=r"'nowhere\.invalid' cannot be resolved"):
        Reach.from_env({})(urlsplit("https://nowhere.invalid/x"))


def test_a_name_with_one_private_address_is_refused_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """What no name server of a test's machine answers: a name with two addresses."""
    addresses = ["188.184.100.1", "10.0.0.1"]
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, 443)) for one in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(AddressRefused, match="private"):
        Reach.from_env({})(urlsplit("https://two.example.org/x"))
