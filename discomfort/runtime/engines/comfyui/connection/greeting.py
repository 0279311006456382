"""Finds out whether a ComfyUI server has our nodes, and prepares to prove to them that we know their token."""

from __future__ import annotations

from discomfort.runtime.engines.comfyui.connection.answers import object_in, parsed_json, shown, text_of
from discomfort.runtime.engines.comfyui.connection.credentials import find_credentials
from discomfort.runtime.engines.comfyui.connection.transport import Transport
from discomfort.runtime.engines.protocol import EngineError
from discomfort.server_access.protocol import PROTOCOL


async def greet_nodes(transport: Transport, token: str | None) -> bool:
    """Return whether the server has our nodes; requests to them prove from now on that we know the token.

    `token` is the one that was named together with the server, if any.

    Raises:
        EngineError: they are of another version, or do not answer to the name by which we reach the server.
        EngineLost: it cannot be reached.
    """
    status, body = await transport.request("GET", "/discomfort/info")
    info = _json_object(body) if status == 200 else {}
    if "protocol" not in info:
        return False
    theirs = info["protocol"]
    if theirs != PROTOCOL:
        older = "ours" if isinstance(theirs, int) and theirs > PROTOCOL else "the server's"
        version = shown(info.get("discomfort"))
        raise EngineError(
            f"ComfyUI at {transport.url} has Discomfort {version} nodes (protocol {shown(theirs)}), this is "
            f"protocol {PROTOCOL}: install the same version on both sides; {older} is older, so update that one"
        )
    transport.authenticate(find_credentials(transport.url, token, text_of(info.get("server"))), info.get("nonce"))
    return True


def _json_object(body: bytes) -> dict[str, object]:
    try:
        return object_in(parsed_json(body))
    except ValueError:
        return {}
