"""Put on PYTHONPATH by tests: a connection to anything but this machine fails, and is noted in NETWORK_LOG."""

import ipaddress
import os
import socket

LOOPBACK = ("127.", "localhost", "::1", "0.0.0.0")


def _guarded(name: str):
    original = getattr(socket.socket, name)

    def connect(self: socket.socket, address: object) -> object:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not str(address[0]).startswith(LOOPBACK):
            with open(os.environ["NETWORK_LOG"], "a", encoding="utf-8") as log:
                log.write(f"{address[0]}:{address[1]}\n")
            raise OSError(f"tests allow no connection to {address[0]}")
        return original(self, address)

    return connect


def _is_number(name: str) -> bool:
    """An address needs no name server; `connect` sees it."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


_lookup = socket.getaddrinfo


def _looked_up(host: object, *args: object, **kwargs: object) -> object:
    name = host.decode() if isinstance(host, bytes) else str(host or "localhost")
    if not name.startswith(LOOPBACK) and name != socket.gethostname() and not _is_number(name):
        with open(os.environ["NETWORK_LOG"], "a", encoding="utf-8") as log:
            log.write(f"name of {name}\n")
        raise socket.gaierror(f"tests look up no name: {name}")
    return _lookup(host, *args, **kwargs)


socket.socket.connect, socket.socket.connect_ex = _guarded("connect"), _guarded("connect_ex")
socket.getaddrinfo = _looked_up
