"""A server that answers every connection with bytes as they are, to see what clients make of them."""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from itertools import repeat

Answer = Callable[[], Iterator[bytes]]

GOOD = json.dumps({"Mine": {"input": {"required": {"x": ["INT", {}]}}, "output": ["INT"]}}).encode()
OK = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"


def whole(body: bytes, *headers: bytes) -> bytes:
    head = b"".join(header + b"\r\n" for header in headers)
    return OK + head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def chunked(*chunks: bytes) -> bytes:
    return OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(chunks)


def many_headers(count: int) -> bytes:
    return OK + b"".join(b"X-%d: a\r\n" % number for number in range(count)) + b"\r\n{}"


ONCE: dict[str, bytes] = {
    "nothing": b"",
    "not HTTP": b"SSH-2.0-OpenSSH_9.6\r\n",
    "zeros": bytes(4096),
    "a line without end": b"HTTP/1.1 " + b"A" * 200_000,
    "a long status": b"HTTP/1.1 200 " + b"A" * 100_000 + b"\r\n\r\n{}",
    "a status that is not a number": b"HTTP/1.1 many OK\r\n\r\n{}",
    "a status of many digits": b"HTTP/1.1 " + b"2" * 400 + b" OK\r\n\r\n{}",
    "a header without end": OK + b"X: " + b"a" * 200_000,
    "a long header": OK + b"X: " + b"a" * 100_000 + b"\r\n\r\n{}",
    "a header without colon": OK + b"X\r\n\r\n{}",
    "200 headers": many_headers(200),
    "100,000 headers": many_headers(100_000),
    "a truncated body": OK + b"Content-Length: 5000\r\n\r\n" + GOOD,
    "a negative length": OK + b"Content-Length: -1\r\n\r\n" + GOOD,
    "a length that is not a number": OK + b"Content-Length: many\r\n\r\n" + GOOD,
    "a length of many digits": OK + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n" + GOOD,
    "two lengths": OK + b"Content-Length: 5\r\nContent-Length: 7\r\n\r\n" + GOOD,
    "a chunk that is not a number": chunked(b"zz\r\n{}\r\n0\r\n\r\n"),
    "a chunk cut off": chunked(b"%x\r\n" % 5000, GOOD),
    "a chunk without end": chunked(b"2\r\n{}\r\n"),
    "a chunk of negative size": chunked(b"-5\r\n{}\r\n0\r\n\r\n"),
    "a chunk of huge size": chunked(b"f" * 60 + b"\r\n{}\r\n0\r\n\r\n"),
    "gzip cut off": whole(gzip.compress(GOOD)[:-9], b"Content-Encoding: gzip"),
    "a gzip bomb": whole(gzip.compress(bytes(64 << 20)), b"Content-Encoding: gzip"),
    "an unknown encoding": whole(b"\1\2\3", b"Content-Encoding: br, x-what"),
    "deep JSON": whole(b"[" * 1_000_000),
    "deep JSON in an entry": whole(b'{"a":' * 200_000),
    "a list": whole(b"[]"),
    "null": whole(b"null"),
    "a number of many digits": whole(b"1" * 100_000),
    "an empty body": whole(b""),
    "a page": whole(b"<html></html>"),
    "half of a letter": whole(b'{"a\xc3": {}}'),
    "entries that are none": whole(b'{"a": 3, "b": []}'),
    "status 404": b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}",
    "status 500": b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n",
    "status 204": b"HTTP/1.1 204 No Content\r\n\r\n",
    "status 101": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "status 407": b"HTTP/1.1 407 Proxy\r\nContent-Length: 0\r\n\r\n",
    "a redirection to itself": b"HTTP/1.1 302 Found\r\nLocation: /object_info\r\nContent-Length: 0\r\n\r\n",
    "a redirection to a file": b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n",
    "a redirection to nowhere": b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n",
    "a redirection that is not an address": b"HTTP/1.1 302 Found\r\nLocation: http://[::\r\nContent-Length: 0\r\n\r\n",
}
"""Answers that come at once, after which the connection is closed."""


def drops(first: bytes, rest: bytes) -> Answer:
    """Bytes that come one by one, without end."""

    def answer() -> Iterator[bytes]:
        yield first
        for _ in repeat(None):
            for number in range(len(rest)):
                yield rest[number : number + 1]
                threading.Event().wait(0.02)

    return answer


def endless(first: bytes, rest: bytes) -> Answer:
    """Bytes that come as fast as they are read, without end."""

    def answer() -> Iterator[bytes]:
        yield first
        yield from repeat(rest)

    return answer


def silence() -> Iterator[bytes]:
    """Nothing, for long."""
    yield OK
    threading.Event().wait(60)


ENDLESS: dict[str, Answer] = {
    "drops of a body": drops(OK + b"Content-Length: 9999999\r\n\r\n", b" "),
    "drops of headers": drops(OK, b"X: a\r\n"),
    "drops of a line": drops(b"HTTP/1.1 200 ", b"A"),
    "headers": endless(OK, b"X: a\r\n"),
    "continue": endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "chunks": endless(chunked(), b"10000\r\n" + b" " * 65536 + b"\r\n"),
    "a body": endless(OK + b"\r\n", b" " * 65536),
    "silence": silence,
}
"""Answers that never end."""


def comfyui(answers: Mapping[str, Answer], messages: Answer = lambda: iter(())) -> Callable[[bytes], Iterator[bytes]]:
    """Answers of what looks like a ComfyUI: by the beginning of the path, status 404 else.

    Its websocket is a real one, and sends `messages` (bytes of frames) once it is open.
    """
    classes = {"EmptyImage": {"input": {"required": {"width": ["INT", {}]}}, "output": ["IMAGE"]}}
    known: dict[str, Answer] = {"/object_info": lambda: iter([whole(json.dumps(classes).encode())]), **answers}

    def answer(asked: bytes) -> Iterator[bytes]:
        path = asked.split(b" ", 2)[1].decode() if b" " in asked else ""
        if path.startswith("/ws"):
            key = next(line.split(b":")[1].strip() for line in asked.split(b"\r\n") if b"websocket-key" in line.lower())
            accepted = base64.b64encode(hashlib.sha1(key + _WEBSOCKET).digest())
            head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            yield head + b"Sec-WebSocket-Accept: " + accepted + b"\r\n\r\n"
            yield from messages()
            threading.Event().wait(30)
            return
        found = next((made for start, made in known.items() if path.startswith(start)), None)
        if found is None:
            yield b"HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        else:
            yield from found()

    return answer


_WEBSOCKET = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def frame(text: bytes) -> bytes:
    """A websocket message."""
    if len(text) < 126:
        return bytes([0x81, len(text)]) + text
    return bytes([0x81, 127]) + len(text).to_bytes(8, "big") + text


def _request(connection: socket.socket) -> bytes:
    """Return a whole request: what is closed with something unread resets the connection."""
    asked = connection.recv(65536)
    while part := b"" if _is_whole(asked) else connection.recv(65536):
        asked += part
    return asked


def _is_whole(asked: bytes) -> bool:
    head, end, body = asked.partition(b"\r\n\r\n")
    lengths = [line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    return bool(end) and len(body) >= sum(map(int, lengths))


@contextlib.contextmanager
def serving(answer: Answer | None = None, by_path: Callable[[bytes], Iterator[bytes]] | None = None) -> Iterator[str]:
    """Answer every connection so, once something was asked; the address is http://127.0.0.1:PORT.

    `by_path` is asked with each request instead, as `comfyui` makes it.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def talk(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            asked = _request(connection)
            if not _is_whole(asked):  # the client went away
                return
            for part in by_path(asked) if by_path is not None else answer() if answer is not None else ():
                if ended.is_set():
                    return
                connection.sendall(part)

    def listen() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=talk, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        ended.set()
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)
