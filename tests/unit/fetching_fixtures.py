"""Fixtures of tests that fetch: servers, names and ports of this machine, and a guard against any other."""

import ipaddress
import socket

import pytest
from misbehaving_server import MisbehavingServer

from fit.images import addresses
from fit.images.fetch import Fetcher


@pytest.fixture
def loopback_only(monkeypatch):
    """Whatever else is broken, no test connects to anything but this machine."""
    open_socket = Fetcher._open_socket

    def guarded(self, address_info):
        opened = open_socket(self, address_info)
        if not ipaddress.ip_address(address_info[-1][0]).is_loopback:
            opened.close()
            raise AssertionError(f"a test would have connected to {address_info[-1]}")
        return opened

    monkeypatch.setattr(Fetcher, "_open_socket", guarded)


@pytest.fixture
def server():
    with MisbehavingServer() as running:
        yield running


@pytest.fixture
def names(monkeypatch):
    """Addresses by host name, in place of DNS; every name that was looked up is in `names.asked`."""

    class Names(dict):
        def __init__(self):
            self.asked = []

        def __call__(self, host):
            self.asked.append(host)
            found = self.get(host, socket.gaierror(socket.EAI_NONAME, "Name or service not known"))
            if isinstance(found, Exception):
                raise found
            return found

    names = Names()
    monkeypatch.setattr(addresses, "look_up", names)
    return names


@pytest.fixture
def silent_port():
    """A port where connections are taken and nothing is ever said."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@pytest.fixture
def closed_port():
    """A port where nobody listens, and nobody else may while the test runs."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]
