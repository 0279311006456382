"""Which token belongs to which server: none is used for a server that it was not meant for."""

from __future__ import annotations

import os
import urllib.parse
from dataclasses import dataclass

from discomfort.server_access.hosts import host_name, is_loopback, listed
from discomfort.server_access.tokens import TOKEN_VARIABLE, read_token

TOKEN_HOSTS_VARIABLE = "DISCOMFORT_TOKEN_HOSTS"
"""Names the servers beyond this machine that DISCOMFORT_TOKEN is for: `gpu-box 10.0.0.5:8188`."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """The `token` for a server, or None, and the `advice` for a user whose token the server does not accept."""

    token: str | None
    advice: str


def find_credentials(url: str, given: str | None, server_name: str) -> Credentials:
    """Return the token for the server at `url`.

    That is `given`, which was named together with the URL; or, on this machine, what the server with this name left
    for its own user; or DISCOMFORT_TOKEN, for servers on this machine and those that DISCOMFORT_TOKEN_HOSTS names.
    """
    if given:
        return Credentials(given, "the token given as token=… is not the one of the server")
    parts = urllib.parse.urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    local = is_loopback(host)
    if local and (left := read_token(server_name, port)) is not None:
        return Credentials(left, "the token that the server left for programs of its user is no longer valid")
    token = os.environ.get(TOKEN_VARIABLE)
    if token and (local or _is_named(host, port)):
        return Credentials(token, f"{TOKEN_VARIABLE} in our environment is not the one of the server")
    advice = f"give it as token=…, the value of {TOKEN_VARIABLE} in the server's environment"
    if token:
        advice += (
            f"; {TOKEN_VARIABLE} in our environment is used for servers on this machine only: to use it for {host}, "
            f"name {host} in {TOKEN_HOSTS_VARIABLE}"
        )
    return Credentials(None, advice)


def _is_named(host: str, port: int) -> bool:
    """Return whether DISCOMFORT_TOKEN_HOSTS names a host, or this port of it."""
    for entry in listed(os.environ.get(TOKEN_HOSTS_VARIABLE, "")):
        name = host_name(entry)
        if name == host.lower() and entry in (name, f"[{name}]", f"{name}:{port}", f"[{name}]:{port}"):
            return True
    return False
