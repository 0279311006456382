"""A ticket is good for one run of one prompt, and forgotten afterwards."""

from __future__ import annotations

import copy
import json
import math
import random
import sys
import time
import uuid
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discomfort.server_access.protocol import prompt_digest
from discomfort_nodes import tickets
from discomfort_nodes.nodes.context_values import DiscomfortContextLoader, DiscomfortContextSaver
from discomfort_nodes.tickets import EXPIRY_SECONDS, MAX_TICKETS, Ticket, Tickets
from tests.comfy_nodes.routes_client import prompt_server

PROMPT = {"1": {"class_type": "X", "inputs": {"a": 1.5, "b": ["2", 0]}}}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters()), inner, max_size=3),
    max_leaves=10,
)


class Server:
    """A ComfyUI that runs prompts when it is asked to."""

    def __init__(self, instance: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.instance = instance
        self.waiting: list[Any] = []
        self.prompt_id = ""
        self.runs = 0
        queue = instance.prompt_queue
        queue.get_current_queue_volatile = lambda: (list(queue.currently_running.values()), list(self.waiting))
        asking = {
            "get_executing_context": lambda: SimpleNamespace(prompt_id=self.prompt_id) if self.prompt_id else None
        }
        monkeypatch.setitem(sys.modules, "comfy_execution.utils", SimpleNamespace(**asking))

    def start(self, prompt_id: str) -> int:
        self.runs += 1
        self.prompt_id = prompt_id
        self.instance.prompt_queue.currently_running[self.runs] = (self.runs, prompt_id, {}, {}, [])
        return self.runs

    def end(self, run: int) -> None:
        del self.instance.prompt_queue.currently_running[run]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with prompt_server() as instance:
        yield Server(instance, monkeypatch)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, to be set."""
    clock = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    return clock


def ticket(key: str = "k", prompt: Any = PROMPT) -> Ticket:
    return Ticket(key, prompt_digest(prompt), {"d1"}, {"out"})


def arrived(made: Tickets, prompt: Any = PROMPT) -> str:
    """Register a prompt and let it arrive; return its id."""
    prompt_id = str(uuid.uuid4())
    made.register(prompt_id, ticket(prompt=prompt))
    assert made.arrive({"prompt_id": prompt_id, "prompt": prompt})["prompt_id"] == prompt_id
    return prompt_id


def test_a_prompt_that_arrived_has_its_ticket_while_it_runs(server: Server) -> None:
    made = Tickets()
    prompt_id = arrived(made)
    run = server.start(prompt_id)
    for _ in range(3):
        assert made.of_running_prompt().names == {"out"}
    server.end(run)
    with pytest.raises(LookupError, match="not registered"):
        made.of_running_prompt()


def test_a_second_run_of_the_id_has_none(server: Server) -> None:
    """Whatever put it into the queue."""
    made = Tickets()
    prompt_id = arrived(made)
    run = server.start(prompt_id)
    made.of_running_prompt()
    server.end(run)
    server.start(prompt_id)
    with pytest.raises(LookupError, match="has run already"):
        made.of_running_prompt()


def test_a_prompt_that_did_not_arrive_has_none(server: Server) -> None:
    made = Tickets()
    prompt_id = str(uuid.uuid4())
    made.register(prompt_id, ticket())
    server.start(prompt_id)
    with pytest.raises(LookupError, match="has not arrived"):
        made.of_running_prompt()


def test_the_second_arrival_gets_another_id(server: Server) -> None:
    made = Tickets()
    prompt_id = arrived(made)
    prompts: list[Any] = [PROMPT, {}, None, {"other": {}}]
    for prompt in prompts:
        message = {"prompt_id": prompt_id, "prompt": prompt, "front": True}
        taken = made.arrive(message)
        assert taken["prompt_id"] not in (prompt_id, None)
        assert uuid.UUID(taken["prompt_id"]).version == 4
        assert {**taken, "prompt_id": prompt_id} == message


@pytest.mark.parametrize(
    "changed", [{}, None, [], "x", {**PROMPT, "2": {}}, {"1": {**PROMPT["1"], "is_changed": [""]}}]
)
def test_a_prompt_that_was_changed_has_none(server: Server, changed: Any) -> None:
    made = Tickets()
    prompt_id = str(uuid.uuid4())
    made.register(prompt_id, ticket())
    made.arrive({"prompt_id": prompt_id, "prompt": changed})
    server.start(prompt_id)
    with pytest.raises(LookupError, match="not the one that was registered"):
        made.of_running_prompt()


def test_what_others_do_to_the_prompt_after_its_arrival_is_the_servers_matter(server: Server) -> None:
    """Packs fill in wildcards, and ComfyUI replaces classes; the digest is that of what the client sent."""
    made = Tickets()
    prompt_id, prompt = str(uuid.uuid4()), json.loads(json.dumps(PROMPT))
    made.register(prompt_id, ticket())
    made.arrive({"prompt_id": prompt_id, "prompt": prompt})
    prompt["1"]["inputs"]["a"] = 2
    server.start(prompt_id)
    assert made.of_running_prompt().key == "k"


def test_only_its_own_client_may_register_a_prompt_again_and_only_what_is_not_queued(server: Server) -> None:
    made = Tickets()
    prompt_id = arrived(made)
    with pytest.raises(ValueError, match="already"):
        made.register(prompt_id, ticket("another"))
    made.register(prompt_id, ticket())
    made.arrive({"prompt_id": prompt_id, "prompt": PROMPT})
    server.waiting.append((0, prompt_id, PROMPT, {}, []))
    with pytest.raises(ValueError, match="already"):
        made.register(prompt_id, ticket())


def test_tickets_of_a_context_end_with_it(server: Server) -> None:
    made = Tickets()
    server.start(arrived(made))
    made.revoke("another")
    assert made.of_running_prompt()
    made.revoke("k")
    with pytest.raises(LookupError, match="not registered"):
        made.of_running_prompt()
    assert len(made) == 0


def test_tickets_are_forgotten(server: Server, now: list[float]) -> None:
    made = Tickets()
    ended, deleted, waiting = arrived(made), arrived(made), arrived(made)
    coming = str(uuid.uuid4())
    made.register(coming, ticket())
    run = server.start(ended)
    made.of_running_prompt()
    server.end(run)
    server.waiting = [(0, waiting, PROMPT, {}, [])]
    now[0] += 1
    made.clean()
    assert set(made._tickets) == {deleted, waiting, coming}
    now[0] += 100
    made.clean()
    assert set(made._tickets) == {waiting, coming}
    now[0] += EXPIRY_SECONDS - 200
    made.keep("k")
    now[0] += 200
    made.clean()
    assert set(made._tickets) == {waiting, coming}
    now[0] += EXPIRY_SECONDS + 1
    made.clean()
    assert set(made._tickets) == {waiting}


def test_ten_thousand_runs_leave_next_to_nothing(server: Server, now: list[float]) -> None:
    made = Tickets()
    most = 0
    for _ in range(10_000):
        now[0] += 0.01
        run = server.start(arrived(made))
        made.of_running_prompt()
        server.end(run)
        most = max(most, len(made))
    assert most < 200


def test_there_is_an_end_to_what_can_be_registered(server: Server) -> None:
    made = Tickets()
    made._tickets = dict.fromkeys(map(str, range(MAX_TICKETS)), ticket())
    with pytest.raises(ValueError, match="registered already"):
        made.register(str(uuid.uuid4()), ticket())


@pytest.mark.parametrize("what", ["no ComfyUI", "an old ComfyUI", "no prompt"])
def test_outside_of_a_prompt_there_is_none(server: Server, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    if what == "no ComfyUI":
        monkeypatch.delitem(sys.modules, "comfy_execution.utils")
    elif what == "an old ComfyUI":
        monkeypatch.setitem(sys.modules, "comfy_execution.utils", SimpleNamespace())
    with pytest.raises(LookupError, match="update it" if "ComfyUI" in what else "no prompt is running"):
        Tickets().of_running_prompt()


def test_the_loader_answers_what_never_is_the_same_where_it_may_not_read(server: Server) -> None:
    answers = [DiscomfortContextLoader.IS_CHANGED(digest="d1") for _ in range(2)]
    assert all(isinstance(answer, float) and math.isnan(answer) for answer in answers)
    assert [answers[0]] != [answers[1]]
    with pytest.raises(RuntimeError, match=r"DiscomfortContextLoader.*plan\.run"):
        DiscomfortContextLoader().load("d1", "*")
    with pytest.raises(RuntimeError, match=r"DiscomfortContextSaver.*plan\.run"):
        DiscomfortContextSaver().save([1], ["out"])


def test_what_it_answers_where_it_may_read_equals_nothing_that_json_can_hold(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Tickets()
    monkeypatch.setattr("discomfort_nodes.nodes.context_values.TICKETS", made)
    server.start(arrived(made))
    granted = DiscomfortContextLoader.IS_CHANGED(digest="d1")
    assert granted == DiscomfortContextLoader.IS_CHANGED(digest="d1")
    assert {granted} == {copy.deepcopy(granted)}
    assert isinstance(DiscomfortContextLoader.IS_CHANGED(digest="d2"), float)
    plain: Any = json.loads(json.dumps(granted))
    assert plain == str.__str__(granted)
    assert granted != plain
    assert plain != granted
    assert len({granted, plain}) == 2
    assert frozenset([(0, granted)]) != frozenset([(0, plain)])


@given(JSON)
def test_a_digest_survives_the_journey(prompt: Any) -> None:
    assert prompt_digest(json.loads(json.dumps(prompt))) == prompt_digest(prompt)


@given(JSON)
def test_no_message_is_a_crash(message: Any) -> None:
    made = Tickets()
    made._tickets["x"] = ticket()
    assert made.arrive(message) is message
    taken = made.arrive({"prompt_id": "x", "prompt": message})
    assert taken["prompt"] is message


def test_a_prompt_that_is_too_deep_has_none() -> None:
    deep: Any = []
    for _ in range(random.Random(1).randrange(100_000, 200_000)):
        deep = [deep]
    made = Tickets()
    made._tickets["x"] = ticket()
    made.arrive({"prompt_id": "x", "prompt": deep})
    assert "registered" in made._tickets["x"].problem
    while deep:
        deep = deep.pop()


def test_arrivals_are_seen_before_other_packs_change_them() -> None:
    with prompt_server() as instance:
        instance.on_prompt_handlers.append("another pack's")
        tickets.watch_arrivals()
        assert instance.on_prompt_handlers == [tickets.TICKETS.arrive, "another pack's"]
