"""A double of a ComfyUI server: the protocol as observed on 0.3.64 and 0.33.0, with faults on demand.

Runs as the `main.py` of a checkout. It loads custom nodes as ComfyUI does, so our real nodes and routes run in it, and
executes prompts in a worker thread with a cache by content, on the few node classes of `double_nodes.py`. Faults are
set by `POST /double` (see `Faults`).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import copy
import heapq
import importlib.util
import json
import sys
import tempfile
import threading
import traceback
import types
import uuid
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

from aiohttp import WSMsgType, web

sys.path.insert(0, str(Path(__file__).parent))
import double_nodes  # type: ignore[import-not-found]
from double_validation import Validation, is_link  # type: ignore[import-not-found]


@dataclass
class Faults:
    """What goes wrong next; counts go down with each time."""

    http_500: int = 0
    http_503: int = 0
    http_413: int = 0
    fail_on_arrival: int = 0  # /prompt answers 500 once it has read the prompt, which is lost
    fail_when_queued: int = 0  # /prompt answers 500 though it has queued the prompt
    garbage: int = 0  # messages that are none, before each good one
    cut_sockets: int = 0  # websockets are closed when the next node starts
    lose_answer: int = 0  # /prompt takes the prompt, and the connection breaks before the answer
    slow_seconds: float = 0.0  # every answer takes this long
    silent: int = 0  # no websocket messages at all
    no_jobs: int = 0  # a server from before the jobs API
    chatter: int = 0  # a custom node sends messages about the machine to every client all the time
    strange_queue: int = 0  # /queue answers with JSON that is not a queue
    forget_running: int = 0  # what runs is no longer in the queue, though its worker died


class PromptServer:
    """The server object that custom nodes find as `server.PromptServer.instance`."""

    instance: PromptServer

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        PromptServer.instance = self
        self.loop = loop
        self.routes = web.RouteTableDef()
        self.sockets: dict[str, web.WebSocketResponse] = {}
        self.prompt_queue = PromptQueue()
        self.client_id: str | None = None
        self.on_prompt_handlers: list[Any] = []
        self.faults = Faults()

    def add_on_prompt_handler(self, handler: Any) -> None:
        self.on_prompt_handlers.append(handler)

    def trigger_on_prompt(self, message: Any) -> Any:
        for handler in self.on_prompt_handlers:
            message = handler(message)
        return message

    def send_sync(self, kind: str, data: dict[str, Any], client: str | None) -> None:
        asyncio.run_coroutine_threadsafe(self._send(kind, data, client), self.loop)

    async def _send(self, kind: str, data: dict[str, Any], client: str | None) -> None:
        targets = [self.sockets[client]] if client in self.sockets else []
        for socket in targets if client is not None else list(self.sockets.values()):
            if self.faults.silent or socket.closed:
                continue
            if self.faults.garbage:
                for junk in ("not json", "[]", '{"type": 3}', '{"type": "executing", "data": null}', "{}"):
                    await socket.send_str(junk)
                await socket.send_bytes(b"\x00\x00\x00\x01junk")
            await socket.send_str(json.dumps({"type": kind, "data": data}))

    def cut_sockets(self) -> None:
        async def cut() -> None:
            for socket in list(self.sockets.values()):
                transport = socket._req.transport if socket._req is not None else None
                if transport is not None:
                    transport.abort()

        asyncio.run_coroutine_threadsafe(cut(), self.loop).result()


class PromptQueue:
    """Pending, running and finished prompts."""

    def __init__(self) -> None:
        self.condition = threading.Condition()
        self.queue: list[tuple[Any, ...]] = []
        self.currently_running: dict[int, tuple[Any, ...]] = {}
        self.history: dict[str, dict[str, Any]] = {}
        self.interrupted = False
        self.number = 0
        self.runs = 0

    def put(self, item: tuple[Any, ...]) -> None:
        with self.condition:
            heapq.heappush(self.queue, item)
            self.condition.notify()

    def get(self) -> tuple[tuple[Any, ...], int]:
        with self.condition:
            while not self.queue:
                self.condition.wait()
            item = heapq.heappop(self.queue)
            self.interrupted = False
            self.runs += 1
            self.currently_running[self.runs] = copy.deepcopy(item)
            return item, self.runs

    def done(self, run: int, entry: dict[str, Any]) -> None:
        with self.condition:
            item = self.currently_running.pop(run)
            self.history[item[1]] = {"prompt": item, **entry}

    def get_current_queue_volatile(self) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
        with self.condition:
            return list(self.currently_running.values()), list(self.queue)

    def delete(self, prompt_id: str) -> bool:
        with self.condition:
            kept = [item for item in self.queue if item[1] != prompt_id]
            found, self.queue = len(kept) < len(self.queue), kept
            heapq.heapify(self.queue)
            return found

    def interrupt(self, prompt_id: str | None) -> bool:
        """Interrupt the prompt where it runs (None: whatever runs)."""
        with self.condition:
            running = [item[1] for item in self.currently_running.values()]
            self.interrupted = self.interrupted or prompt_id is None or prompt_id in running
            return prompt_id in running


class Interrupted(Exception):
    pass


class Worker:
    """Runs prompts one after another; keeps results by what they were made of."""

    def __init__(self, server: PromptServer, classes: dict[str, type]) -> None:
        self.server = server
        self.classes = classes
        self.cache: dict[int, Any] = {}
        self.keys: dict[Any, int] = {}
        self.runs: dict[str, int] = {}

    def prompt_worker(self) -> None:
        while True:
            item, run = self.server.prompt_queue.get()
            _, prompt_id, prompt, extra, outputs = item
            self.server.client_id = extra.get("client_id")
            messages, ui, status = self.execute(prompt_id, prompt, outputs)
            state = {"status_str": status, "completed": status == "success", "messages": messages}
            self.server.prompt_queue.done(run, {"outputs": ui, "status": state})
            self.server.send_sync("executing", {"node": None, "prompt_id": prompt_id}, self.server.client_id)

    def execute(self, prompt_id: str, prompt: dict[str, Any], outputs: list[str]) -> tuple[list[Any], Any, str]:
        messages: list[Any] = []
        ui: dict[str, Any] = {}

        def send(kind: str, note: bool = True, **data: Any) -> None:
            data["prompt_id"] = prompt_id
            if note:
                messages.append([kind, data])
            self.server.send_sync(kind, data, self.server.client_id)

        order = self.order(prompt, outputs)
        keys: dict[str, int] = {}
        for node in order:
            keys[node] = self.key(prompt_id, node, prompt[node], keys)
        cached = [node for node in order if keys[node] in self.cache]
        send("execution_start")
        send("execution_cached", nodes=cached)
        results: dict[str, Any] = {}
        for node in order:
            try:
                if keys[node] in self.cache:
                    results[node] = self.cache[keys[node]]
                    if "ui" in results[node]:
                        ui[node] = results[node]["ui"]
                        send("executed", note=False, node=node, display_node=node, output=ui[node])
                    continue
                send("executing", note=False, node=node, display_node=node)
                with executing(prompt_id, node):
                    self.run_node(node, prompt[node], results, send)
                self.cache[keys[node]] = results[node]
                if "ui" in results[node]:
                    ui[node] = results[node]["ui"]
                    send("executed", note=False, node=node, display_node=node, output=ui[node])
            except Interrupted:
                send("execution_interrupted", node_id=node, node_type=prompt[node]["class_type"], executed=[])
                return messages, ui, "error"
            except Exception as error:  # noqa: BLE001  (a server reports whatever a node raises)
                send(
                    "execution_error",
                    node_id=node,
                    node_type=prompt[node]["class_type"],
                    exception_type=f"{type(error).__module__}.{type(error).__name__}".removeprefix("builtins."),
                    exception_message=f"{error}\n",
                    traceback=traceback.format_tb(error.__traceback__),
                    executed=list(results),
                )
                return messages, ui, "error"
        send("execution_success")
        return messages, ui, "success"

    def run_node(self, node: str, spec: dict[str, Any], results: dict[str, Any], send: Any) -> None:
        faults = self.server.faults
        if faults.cut_sockets:
            faults.cut_sockets -= 1
            self.server.cut_sockets()
        queue = self.server.prompt_queue
        if queue.interrupted:
            raise Interrupted
        made = self.classes[spec["class_type"]]()
        declared = {name for group in made.INPUT_TYPES().values() for name in group}
        given = {name: value for name, value in spec["inputs"].items() if name in declared}
        inputs = {name: resolve(value, results) for name, value in given.items()}
        made.interrupted = lambda: queue.interrupted
        made.progress = lambda value, maximum: send("progress", note=False, value=value, max=maximum, node=node)
        self.runs[spec["class_type"]] = self.runs.get(spec["class_type"], 0) + 1
        answers = [getattr(made, made.FUNCTION)(**arguments) for arguments in calls(made, inputs)]
        if queue.interrupted:
            raise Interrupted
        results[node] = joined(made, answers)

    def order(self, prompt: dict[str, Any], outputs: list[str]) -> list[str]:
        order: dict[str, None] = {}
        stack = [(node, False) for node in reversed(outputs)]
        while stack:
            node, ready = stack.pop()
            if ready:
                order[node] = None
            elif node not in order:
                stack.append((node, True))
                stack += [(str(value[0]), False) for value in prompt[node]["inputs"].values() if is_link(value)]
        return list(order)

    def key(self, prompt_id: str, node: str, spec: dict[str, Any], keys: dict[str, int]) -> int:
        """Return a number that is equal where class, inputs and what IS_CHANGED says are, as ComfyUI compares them."""
        changed = getattr(self.classes[spec["class_type"]], "IS_CHANGED", None)
        literals = {name: value for name, value in spec["inputs"].items() if not is_link(value)}
        literals.pop("discomfort_files", None)  # no class declares it, so no class gets it
        if changed is not None and "is_changed" not in spec:
            with executing(prompt_id, node):
                spec["is_changed"] = [changed(**literals)]
        inputs = frozenset(
            (name, keys[str(value[0])], value[1]) if is_link(value) else (name, json.dumps(value))
            for name, value in spec["inputs"].items()
        )
        said = hashable(spec["is_changed"]) if changed is not None else False
        return self.keys.setdefault((spec["class_type"], said, inputs), len(self.keys))


def hashable(value: Any) -> Any:
    if isinstance(value, list):
        return frozenset(enumerate(map(hashable, value)))
    return json.dumps(value) if isinstance(value, dict) else value


class ExecutionContext(NamedTuple):
    prompt_id: str
    node_id: str


_executing: ContextVar[ExecutionContext | None] = ContextVar("executing", default=None)


@contextlib.contextmanager
def executing(prompt_id: str, node: str) -> Iterator[None]:
    """Say which prompt and node our code is called for, as ComfyUI does."""
    token = _executing.set(ExecutionContext(prompt_id, node))
    try:
        yield
    finally:
        _executing.reset(token)


def resolve(value: Any, results: dict[str, Any]) -> list[Any]:
    """Return the values that arrive at an input: a list, as every output is one."""
    return list(results[str(value[0])]["result"][value[1]]) if is_link(value) else [value]


def calls(made: Any, inputs: dict[str, list[Any]]) -> list[dict[str, Any]]:
    """Return the arguments of each call: one a value of the longest list, shorter ones repeat their last."""
    if getattr(made, "INPUT_IS_LIST", False):
        return [inputs]
    count = max(map(len, inputs.values()), default=1)
    return [{name: values[min(index, len(values) - 1)] for name, values in inputs.items()} for index in range(count)]


def joined(made: Any, answers: list[Any]) -> dict[str, Any]:
    """Return what several calls of a node gave as one answer, each output a list of values."""
    listed = getattr(made, "OUTPUT_IS_LIST", None) or [False] * len(made.RETURN_TYPES)
    outputs: list[list[Any]] = [[] for _ in made.RETURN_TYPES]
    answer: dict[str, Any] = {"result": outputs}
    for one in answers:
        shown = one if isinstance(one, dict) else {"result": one}
        for name, entries in shown.get("ui", {}).items():
            answer.setdefault("ui", {}).setdefault(name, []).extend(entries)
        for slot, value in enumerate(shown.get("result", ())):
            outputs[slot] += value if listed[slot] else [value]
    return answer


def describe(name: str, made: Any) -> dict[str, Any]:
    """Return one entry of `/object_info`."""
    inputs = made.INPUT_TYPES()
    return {
        "input": inputs,
        "input_order": {group: list(items) for group, items in inputs.items()},
        "output": list(made.RETURN_TYPES),
        "output_is_list": list(getattr(made, "OUTPUT_IS_LIST", None) or [False] * len(made.RETURN_TYPES)),
        "output_name": list(getattr(made, "RETURN_NAMES", made.RETURN_TYPES)),
        "name": name,
        "display_name": name,
        "description": "",
        "python_module": "nodes",
        "category": getattr(made, "CATEGORY", ""),
        "output_node": bool(getattr(made, "OUTPUT_NODE", False)),
    }


def load_custom_nodes(configs: list[str]) -> tuple[dict[str, type], list[str]]:
    """Import every package in the `custom_nodes` folders that the configurations name, as ComfyUI does."""
    classes: dict[str, type] = {}
    web_folders = []
    for config in configs:
        for line in Path(config).read_text("utf-8").splitlines():
            name, _, value = line.strip().partition(": ")
            if name != "custom_nodes":
                continue
            for package in Path(json.loads(value)).iterdir():
                if not (package / "__init__.py").exists():
                    continue
                spec = importlib.util.spec_from_file_location(
                    str(package).replace(".", "_x_"), package / "__init__.py", submodule_search_locations=[str(package)]
                )
                assert spec is not None
                assert spec.loader is not None
                module = importlib.util.module_from_spec(spec)
                sys.modules[spec.name] = module
                spec.loader.exec_module(module)
                classes.update(module.NODE_CLASS_MAPPINGS)
                web_folders.append(str(Path(package) / module.WEB_DIRECTORY))
    return classes, web_folders


def add_websocket(server: PromptServer) -> None:
    routes, queue = server.routes, server.prompt_queue

    @routes.get("/ws")
    async def websocket(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        client = request.query.get("clientId", "")
        server.sockets[client] = socket
        status = {"exec_info": {"queue_remaining": len(queue.queue)}}
        await socket.send_str(json.dumps({"type": "status", "data": {"status": status, "sid": client}}))
        try:
            async for message in socket:
                if message.type is WSMsgType.ERROR:
                    break
        finally:
            if server.sockets.get(client) is socket:
                del server.sockets[client]
        return socket


def add_facts(server: PromptServer, worker: Worker) -> None:
    routes, faults = server.routes, server.faults

    @routes.get("/system_stats")
    async def system_stats(_: web.Request) -> web.Response:
        return web.json_response({"system": {"argv": sys.argv, "comfyui_version": "double"}, "devices": []})

    @routes.get("/object_info")
    async def object_info(_: web.Request) -> web.Response:
        return web.json_response({name: describe(name, made) for name, made in worker.classes.items()})

    @routes.get("/double")
    async def observe(_: web.Request) -> web.Response:
        return web.json_response({"runs": worker.runs, "sockets": len(server.sockets)})

    @routes.post("/double")
    async def set_faults(request: web.Request) -> web.Response:
        names = {item.name for item in fields(Faults)}
        for name, value in (await request.json()).items():
            assert name in names, name
            setattr(faults, name, value)
        if faults.forget_running:
            server.prompt_queue.currently_running.clear()
        return web.Response()


def add_submission(server: PromptServer, worker: Worker) -> None:
    routes, queue, faults = server.routes, server.prompt_queue, server.faults

    @routes.post("/prompt")
    async def prompt(request: web.Request) -> web.Response:
        asked = server.trigger_on_prompt(await request.json())
        if faults.fail_on_arrival:
            faults.fail_on_arrival -= 1
            return web.Response(status=500)
        prompt_id = asked.get("prompt_id") or str(uuid.uuid4())
        if str(uuid.UUID(prompt_id)) != prompt_id:
            return web.json_response({"error": {"type": "invalid_prompt_id"}, "node_errors": {}}, status=400)
        valid, error, outputs, errors = await sys.modules["execution"].validate_prompt(
            prompt_id, asked["prompt"], asked.get("partial_execution_targets")
        )
        if not valid:
            return web.json_response({"error": error, "node_errors": errors}, status=400)
        extra = {**asked.get("extra_data", {}), "client_id": asked.get("client_id")}
        number = float(asked["number"]) if "number" in asked else queue.number * (-1 if asked.get("front") else 1)
        queue.number += "number" not in asked
        queue.put((number, prompt_id, asked["prompt"], extra, outputs))
        if faults.fail_when_queued:
            faults.fail_when_queued -= 1
            return web.Response(status=500)
        if faults.lose_answer:
            faults.lose_answer -= 1
            assert request.transport is not None
            request.transport.abort()
        return web.json_response({"prompt_id": prompt_id, "number": number, "node_errors": errors})


def add_queue(server: PromptServer) -> None:
    routes, queue, faults = server.routes, server.prompt_queue, server.faults

    @routes.get("/queue")
    async def show_queue(_: web.Request) -> web.Response:
        if faults.strange_queue:
            return web.json_response(["what", "is", "this"])
        running, pending = queue.get_current_queue_volatile()
        return web.json_response({"queue_running": running, "queue_pending": pending})

    @routes.post("/queue")
    async def change_queue(request: web.Request) -> web.Response:
        for prompt_id in (await request.json()).get("delete", ()):
            queue.delete(prompt_id)
        return web.Response()

    @routes.post("/interrupt")
    async def interrupt(request: web.Request) -> web.Response:
        queue.interrupt((await request.json()).get("prompt_id"))
        return web.Response()

    @routes.post("/api/jobs/{prompt_id}/cancel")
    async def cancel_job(request: web.Request) -> web.Response:
        if faults.no_jobs:
            return web.Response(status=404)
        prompt_id = request.match_info["prompt_id"]
        cancelled = queue.interrupt(prompt_id) or queue.delete(prompt_id)
        return web.json_response({"cancelled": cancelled})

    @routes.get("/history")
    async def whole_history(_: web.Request) -> web.Response:
        return web.json_response(queue.history)

    @routes.get("/history/{prompt_id}")
    async def history(request: web.Request) -> web.Response:
        prompt_id = request.match_info["prompt_id"]
        known = {prompt_id: queue.history[prompt_id]} if prompt_id in queue.history else {}
        return web.json_response(known)


def add_files(server: PromptServer, base: Path) -> None:
    routes = server.routes

    @routes.post("/upload/image")
    async def upload(request: web.Request) -> web.Response:
        form = await request.post()
        image: Any = form["image"]
        folder = base / "input" / str(form.get("subfolder", ""))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / image.filename).write_bytes(image.file.read())
        return web.json_response({"name": image.filename, "subfolder": form.get("subfolder", ""), "type": "input"})

    @routes.get("/view")
    async def view(request: web.Request) -> web.StreamResponse:
        return web.FileResponse(base / request.query["type"] / request.query["filename"])


def fault_middleware(faults: Faults) -> Any:
    @web.middleware
    async def middleware(request: web.Request, handler: Any) -> web.StreamResponse:
        if request.path in ("/ws", "/double", "/system_stats"):
            return await handler(request)  # type: ignore[no-any-return]
        if faults.slow_seconds:
            await asyncio.sleep(faults.slow_seconds)
        for name, status in (("http_500", 500), ("http_503", 503), ("http_413", 413)):
            if getattr(faults, name) and request.path == "/prompt":
                setattr(faults, name, getattr(faults, name) - 1)
                return web.Response(status=status, text="a fault was requested")
        return await handler(request)  # type: ignore[no-any-return]

    return middleware


def leave_module(name: str, **content: Any) -> None:
    """Leave one of ComfyUI's modules where custom nodes find it."""
    sys.modules[name] = types.ModuleType(name)
    vars(sys.modules[name]).update(content)


async def serve(arguments: argparse.Namespace) -> None:
    server = PromptServer(asyncio.get_running_loop())
    leave_module("server", PromptServer=PromptServer)
    leave_module("comfy.cli_args", args=arguments)
    leave_module("comfy_execution.utils", get_executing_context=lambda: _executing.get())
    base = Path(arguments.base_directory)
    double_nodes.BASE = base
    classes = dict(double_nodes.NODE_CLASS_MAPPINGS)
    for made in classes.values():
        made.RELATIVE_PYTHON_MODULE = "nodes"
    if not arguments.no_nodes:
        classes.update(load_custom_nodes([path for paths in arguments.extra_model_paths_config for path in paths])[0])
    worker = Worker(server, classes)
    leave_module("execution", validate_prompt=Validation(worker.classes).validate_prompt)
    leave_module("nodes", NODE_CLASS_MAPPINGS=worker.classes)
    folders: dict[str, tuple[list[str], set[str]]] = {
        kind: ([str(base / "models" / kind)], set()) for kind in ("vae", "loras")
    }
    leave_module(
        "folder_paths",
        get_input_directory=lambda: str(base / "input"),
        get_user_directory=lambda: str(base / "user"),
        annotated_filepath=lambda name: (name, None),
        folder_names_and_paths=folders,
    )
    server.add_on_prompt_handler(double_nodes.fill_in)
    add_websocket(server)
    add_facts(server, worker)
    add_submission(server, worker)
    add_queue(server)
    add_files(server, base)
    app = web.Application(middlewares=[fault_middleware(server.faults)], client_max_size=100 * 2**20)
    app.add_routes(server.routes)
    runner = web.AppRunner(app)
    await runner.setup()
    await asyncio.sleep(arguments.start_seconds)
    await web.TCPSite(runner, arguments.listen, arguments.port).start()
    threading.Thread(target=worker.prompt_worker, daemon=True, name="Thread-1 (prompt_worker)").start()
    while True:
        await asyncio.sleep(0.02)
        if server.faults.chatter:
            await server._send("monitor", {"cpu_utilization": 12.5}, None)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--listen", default="127.0.0.1")
    parser.add_argument("--extra-model-paths-config", action="append", nargs="+", default=[])
    parser.add_argument("--base-directory", default=tempfile.mkdtemp(prefix="double-"))
    parser.add_argument("--disable-auto-launch", action="store_true")
    parser.add_argument("--no-nodes", action="store_true", help="a server without our nodes")
    parser.add_argument("--start-seconds", type=float, default=0.0)
    parser.add_argument("--fail-to-start", action="store_true")
    parser.add_argument("--ignore-sigterm", action="store_true")
    parser.add_argument("--child-file", help="start a child process and write its id there")
    arguments = parser.parse_args()
    if arguments.fail_to_start:
        raise SystemExit("ModuleNotFoundError: No module named 'a_missing_requirement'")
    double_nodes.prepare_process(arguments.ignore_sigterm, arguments.child_file)
    asyncio.run(serve(arguments))


if __name__ == "__main__":
    main()
