"""Under which names a ComfyUI server answers to Discomfort's routes: a defence against DNS rebinding.

A web page can make its own host name resolve to 127.0.0.1 and then read what a local server answers. The browser still
sends that name as `Host`, so a server that only answers to its own names gives such a page nothing.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
import sys
from collections.abc import Iterable

HOSTS_VARIABLE = "DISCOMFORT_HOSTS"
"""Names what a reverse proxy is reached by: `comfy.example.com *.lan`, separated by commas or spaces."""

_AUTHORITY = re.compile(r"(?:\[([0-9a-f:.]{2,45})\]|([a-z0-9._-]{1,253}))(?::[0-9]{1,5})?", re.ASCII)


def host_name(authority: str) -> str | None:
    """Return the host in `host`, `host:port` or `[IPv6]:port`, in lower case; None where it is none of these."""
    match = _AUTHORITY.fullmatch(authority.strip().lower())
    return (match[1] or match[2]) if match else None


def is_loopback(name: str) -> bool:
    """Return whether a host name or address is this machine's own: `localhost`, `127.0.0.0/8`, `::1`."""
    address = _address(name)
    return name.lower() == "localhost" if address is None else address.is_loopback


def listed(text: str) -> tuple[str, ...]:
    """Return the entries of a list separated by commas or spaces, in lower case."""
    return tuple(text.lower().replace(",", " ").split())


class AllowedHosts:
    """The names of one server: loopback names, the addresses it listens on, and those that its owner lists."""

    def __init__(self, listen: str = "127.0.0.1", names: str = "") -> None:
        """Take ComfyUI's `--listen` (addresses separated by commas) and the value of DISCOMFORT_HOSTS."""
        self._listen = {_plain(address) for address in listed(listen)}
        self._names = {name for name in listed(names) if not name.startswith("*.")}
        self._suffixes = tuple(name[1:] for name in listed(names) if name.startswith("*."))
        wildcard = any(_is_wildcard(address) for address in self._listen)
        self._any_address = wildcard  # an address is never what a page's own name is, so it cannot be rebound
        if not all(is_loopback(address) for address in self._listen):
            self._names.add(socket.gethostname().lower())

    @classmethod
    def of_this_server(cls) -> AllowedHosts:
        """Return the names of the ComfyUI that runs in this process."""
        arguments = getattr(sys.modules.get("comfy.cli_args"), "args", None)
        listen = str(getattr(arguments, "listen", None) or "127.0.0.1")
        return cls(listen, os.environ.get(HOSTS_VARIABLE, ""))

    def accepts(self, authority: str) -> bool:
        """Return whether `host` or `host:port` names this server; the port is not looked at, since it may be mapped."""
        name = host_name(authority)
        if name is None:
            return False
        if is_loopback(name) or _plain(name) in self._listen or name in self._names or name.endswith(self._suffixes):
            return True
        return self._any_address and _address(name) is not None

    def problem(self, hosts: Iterable[str], origins: Iterable[str]) -> str | None:
        """Return why a request with these `Host` and `Origin` headers is refused, None where it is not."""
        hosts = list(hosts)
        if len(hosts) != 1:
            return "a request needs exactly one Host header"
        for authority in (hosts[0], *(origin.partition("://")[2] for origin in origins)):
            if not self.accepts(authority):
                return (
                    f"{authority[:300]!r} is not a name of this ComfyUI server; if it is the name of your machine or "
                    f"reverse proxy, add it to {HOSTS_VARIABLE} in the server's environment"
                )
        return None


def _plain(name: str) -> str:
    """Return an address as Python writes it, and another name as it is."""
    address = _address(name)
    return name if address is None else str(address)


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return None


def _is_wildcard(name: str) -> bool:
    address = _address(name)
    return address is not None and address.is_unspecified
