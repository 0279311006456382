"""The names by which a server may be reached."""

from __future__ import annotations

import socket
import sys
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discomfort.server_access.hosts import AllowedHosts, host_name

LOOPBACK = ["localhost", "LocalHost:8188", "127.0.0.1", "127.0.0.1:8188", "127.2.3.4:1", "[::1]", "[::1]:8188"]
EVIL = [
    "evil.example",
    "evil.example:8188",
    "127.0.0.1.evil.example",
    "localhost.evil.example:8188",
    "localhost:8188@evil.example",
    "evil.example#localhost",
    "evil.example/localhost",
    "127.0.0.1:8188,evil.example",
    "127.0.0.1 evil.example",
    "notlocalhost",
    "localhost.",
    "",
    ":8188",
    "[::1",
    "::1",
    "127.0.0.1:port",
    "127.0.0.1:999999",
    "0x7f.1",
    "2130706433",
    "127.1",
    "lócalhost",
    "localhost\x00",
    "null",
]


@pytest.mark.parametrize("listen", ["127.0.0.1", "0.0.0.0,::", "192.168.1.5", "::", ""])
def test_loopback_names_are_always_ours_and_names_of_others_never(listen: str) -> None:
    hosts = AllowedHosts(listen)
    assert [name for name in LOOPBACK if not hosts.accepts(name)] == []
    assert [name for name in EVIL if hosts.accepts(name)] == []


def test_the_addresses_that_it_listens_on_are_ours() -> None:
    assert AllowedHosts("192.168.1.5,fe80::5").accepts("192.168.1.5:8188")
    assert AllowedHosts("192.168.1.5,fe80::5").accepts("[FE80:0::5]:8188")
    assert not AllowedHosts("192.168.1.5").accepts("192.168.1.6:8188")
    assert not AllowedHosts("127.0.0.1").accepts("192.168.1.5:8188")


def test_where_it_listens_everywhere_any_address_is_ours_since_none_can_be_rebound() -> None:
    for listen in ("0.0.0.0", "::", "0.0.0.0,::"):
        assert AllowedHosts(listen).accepts("203.0.113.9:80")
        assert AllowedHosts(listen).accepts("[2001:db8::1]")
        assert AllowedHosts(listen).accepts(socket.gethostname())
    assert not AllowedHosts("127.0.0.1").accepts("some-machine")


def test_its_owner_names_more() -> None:
    hosts = AllowedHosts(names="comfy.example.com, *.lan\tgpu-box")
    for name in ("comfy.example.com", "COMFY.example.com:443", "a.lan:8188", "a.b.lan", "gpu-box:8188"):
        assert hosts.accepts(name)
    for name in ("evil.comfy.example.com", "lan", "xlan", "comfy.example.com.evil", "gpu-box.evil", "*.lan"):
        assert not hosts.accepts(name)


def test_host_and_origin_must_both_be_ours() -> None:
    hosts = AllowedHosts()
    assert hosts.problem(["127.0.0.1:8188"], []) is None
    assert hosts.problem(["127.0.0.1:8188"], ["http://localhost:3000"]) is None
    for wrong, origins in {
        "evil.example": ["http://evil.example"],
        "evil.example:8188": [],
        "127.0.0.1": ["http://evil.example:8188"],
        "localhost": ["null"],
        "localhost:8188": ["http://localhost:8188", "http://evil.example"],
    }.items():
        assert "add it to DISCOMFORT_HOSTS" in str(hosts.problem([wrong], origins))
    assert "exactly one Host" in str(hosts.problem([], []))
    assert "exactly one Host" in str(hosts.problem(["localhost", "evil.example"], []))


def test_it_reads_what_ComfyUI_was_started_with(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = SimpleNamespace(args=SimpleNamespace(listen="10.0.0.5"))
    monkeypatch.setitem(sys.modules, "comfy.cli_args", arguments)
    monkeypatch.setenv("DISCOMFORT_HOSTS", "proxy.example")
    hosts = AllowedHosts.of_this_server()
    assert hosts.accepts("10.0.0.5:8188")
    assert hosts.accepts("proxy.example")
    assert not hosts.accepts("10.0.0.6")


@given(st.text(max_size=60))
def test_no_text_is_a_crash(text: str) -> None:
    name = host_name(text)
    if not AllowedHosts("0.0.0.0", "*.lan x").accepts(text):
        assert AllowedHosts().problem([text], [text])
    assert name is None or name in text.lower()
