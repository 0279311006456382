"""ComfyUI's node classes, of both its protocols, as classes of the V1 protocol that the embedded scheduler runs.

An adapter declares what its class declares. When it is called it sets ComfyUI's running node, calls the class, and
puts the answer into the scheduler's form: V3's NodeOutput becomes a tuple or a dict, ComfyUI's ExecutionBlocker ours.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Generator, Mapping
from types import CoroutineType
from typing import Any, ClassVar

from discomfort.runtime.engines.embedded.for_node_authors.blocker import ExecutionBlocker
from discomfort.runtime.engines.embedded.for_node_authors.node_api import current
from discomfort.runtime.engines.inprocess.checkout import Checkout
from discomfort.runtime.engines.protocol import PromptInterrupted

_COPIED = (
    "RETURN_TYPES",
    "RETURN_NAMES",
    "OUTPUT_IS_LIST",
    "INPUT_IS_LIST",
    "OUTPUT_NODE",
    "NOT_IDEMPOTENT",
    "ACCEPT_ALL_INPUTS",
    "CATEGORY",
    "DEPRECATED",
    "EXPERIMENTAL",
    "DESCRIPTION",
    "DISCOMFORT_EFFECT",
)


class ComfyCalls:
    """How node functions of one checkout are called: in ComfyUI's own surroundings, answers translated."""

    def __init__(self, checkout: Checkout) -> None:
        import torch

        execution = checkout.module("comfy_execution.graph")
        self.checkout = checkout
        internal = checkout.module("comfy_api.internal")
        self.v3_base: Any = getattr(internal, "_ComfyNodeInternal", None)
        self.locked: Callable[[Any, str, Any], Callable[..., Any]] | None = getattr(
            internal, "make_locked_method_func", None
        )
        self.prompt_id = ""
        self._blocker: type = execution.ExecutionBlocker
        running = checkout.module("comfy_execution.utils")
        self._context_of: Callable[[tuple[str, str, int]], Any] = running.ExecutionContext._make
        self._set_context: Callable[[Any], Any] = running.current_executing_context.set
        builder = checkout.module("comfy_execution.graph_utils").GraphBuilder
        self._set_prefix: Callable[[str, int], None] = builder.set_default_prefix
        self.management: Any = checkout.module("comfy.model_management")
        self._interruption: type[BaseException] = self.management.InterruptProcessingException
        self._is_out_of_memory: Callable[[BaseException], bool] = getattr(
            self.management, "is_oom", lambda error: isinstance(error, self.management.OOM_EXCEPTION)
        )
        self._inference_mode: Callable[[], Any] = torch.inference_mode

    def call(self, function: Callable[..., Any], translate: Callable[[Any], Any], inputs: Mapping[str, Any]) -> Any:
        """Return what `function` gives, or a coroutine of it where the function is asynchronous."""
        running = current.get()
        assert running is not None, "the scheduler calls this"
        node, index = running.node, running.call
        context = self._context_of((self.prompt_id, node, index))
        self._set_prefix(node, index)
        self._set_context(context)
        try:
            returned = function(**inputs)
        except BaseException as error:
            self._handle_oom(error)
            raise
        if type(returned) is CoroutineType:
            return self._awaited(returned, context, translate)
        return translate(returned)

    async def _awaited(self, coroutine: Coroutine[Any, Any, Any], context: Any, translate: Callable[[Any], Any]) -> Any:
        self._set_context(context)
        try:
            returned = await _Stepped(coroutine, self._inference_mode)
        except BaseException as error:
            self._handle_oom(error)
            raise
        return translate(returned)

    def _handle_oom(self, error: BaseException) -> None:
        """Make room where memory ran out.

        Raises:
            PromptInterrupted: a node stopped the prompt, as nodes do that let people choose whether to go on.
        """
        if isinstance(error, self._interruption):
            raise PromptInterrupted("a node interrupted the prompt") from error
        if self._is_out_of_memory(error):
            self.management.unload_all_models()

    def from_v1(self, returned: Any) -> Any:
        """Return what a function of the V1 protocol gave in the scheduler's form."""
        if type(returned) is not tuple and isinstance(returned, dict) and "result" in returned:
            return {**returned, "result": self.blocked(returned["result"])}
        return self.blocked(returned)

    def from_v3(self, returned: Any) -> Any:
        """Return what a function of the V3 protocol gave, a NodeOutput, in the scheduler's form."""
        if returned.block_execution is not None:
            values: Any = ExecutionBlocker(returned.block_execution)
        else:
            values = returned.result
            values = self.blocked(values if type(values) is tuple else tuple(values or ()))
        shown, graph = returned.ui, returned.expand
        if shown is None and graph is None:
            return values
        if shown is not None and not isinstance(shown, dict):
            shown = shown.as_dict()
        return {"result": values, "ui": shown, "expand": graph}

    def blocked(self, value: Any) -> Any:
        """Return `value`, ComfyUI's ExecutionBlocker in it (alone, or in lists) as ours."""
        kind, blocker = type(value), self._blocker
        if kind is blocker:
            return ExecutionBlocker(value.message)
        if kind is tuple or kind is list:
            for item in value:
                inner = type(item)
                if inner is blocker or (inner is list and blocker in map(type, item)):
                    return kind(self.blocked(one) for one in value)
        return value


class _Stepped:
    """Awaits a coroutine with each of its steps in inference mode: the mode belongs to the thread, not to the task."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], mode: Callable[[], Any]) -> None:
        self._coroutine = coroutine
        self._mode = mode

    def __await__(self) -> Generator[Any, Any, Any]:
        step: Callable[[Any], Any] = self._coroutine.send
        value: Any = None
        while True:
            try:
                with self._mode():
                    waiting_for = step(value)
            except StopIteration as finished:
                return finished.value
            try:
                value = yield waiting_for
                step = self._coroutine.send
            except BaseException as error:  # noqa: BLE001 — thrown in from outside, cancellation included: it is passed on
                step, value = self._coroutine.throw, error


class NodeAdapter:
    """The base of all adapters; `calls` and `node_class` are set on each. Its `call` runs the node."""

    __slots__ = ()
    calls: ClassVar[ComfyCalls]
    node_class: ClassVar[Any]
    FUNCTION: ClassVar[str] = "call"


class V1NodeAdapter(NodeAdapter):
    """Adapts a class of the V1 protocol; holds its instance, which lives from run to run."""

    __slots__ = ("function", "inner")

    def __init__(self) -> None:
        self.inner: Any = self.node_class()
        self.function: Any = getattr(self.inner, self.node_class.FUNCTION)

    def call(self, /, **inputs: Any) -> Any:
        """Run the node."""
        calls = self.calls
        return calls.call(self.function, calls.from_v1, inputs)


class V3NodeAdapter(NodeAdapter):
    """Adapts a class of the V3 protocol: hidden inputs go on a clone of the class, dynamic ones are nested."""

    __slots__ = ()
    hidden: ClassVar[Mapping[str, str]]
    clone: ClassVar[Any] = None
    function: ClassVar[Any] = None
    """What runs the node, kept where one clone serves all calls."""
    nest: ClassVar[Callable[[dict[str, Any]], dict[str, Any]] | None]

    def call(self, /, **inputs: Any) -> Any:
        """Run the node."""
        function, arguments, calls = self.function, inputs, self.calls
        if function is None:
            function, arguments = self._prepared(self.node_class.FUNCTION, inputs)
            if self.clone is not None and type(self).nest is None:
                type(self).function = staticmethod(function)
        return calls.call(function, calls.from_v3, arguments)

    @classmethod
    def _prepared(cls, name: str, inputs: dict[str, Any]) -> tuple[Callable[..., Any], dict[str, Any]]:
        """Return a function of the class, and its arguments. The function runs on a clone of the class that cannot be
        changed, so that nothing stays from call to call; a class that wants nothing hidden needs one clone only.
        """
        clone = cls.clone
        if clone is None:
            hidden = {kind: inputs.pop(name) for name, kind in cls.hidden.items() if name in inputs}
            data = {"hidden_inputs": hidden} if _takes_v3_data(cls.node_class.PREPARE_CLASS_CLONE) else hidden
            clone = cls.node_class.PREPARE_CLASS_CLONE(data)
            if not cls.hidden:
                cls.clone = clone
        assert cls.calls.locked is not None, "every ComfyUI that has V3 classes has it"
        return cls.calls.locked(cls.node_class, name, clone), inputs if cls.nest is None else cls.nest(inputs)


def _takes_v3_data(prepare: Callable[..., Any]) -> bool:
    """Return whether a class is cloned with V3 data (ComfyUI 0.4 and later) or with hidden inputs alone."""
    return "v3_data" in inspect.signature(prepare).parameters


def make_adapter(name: str, node_class: Any, calls: ComfyCalls, io: Any) -> type[NodeAdapter]:
    """Return the adapter of a node class; `io` is ComfyUI's module of the V3 protocol."""
    attributes: dict[str, Any] = {
        key: getattr(node_class, key) for key in _COPIED if getattr(node_class, key, None) is not None
    }
    attributes |= {"calls": calls, "node_class": node_class, "__module__": node_class.__module__, "__slots__": ()}
    if calls.v3_base is not None and isinstance(node_class, type) and issubclass(node_class, calls.v3_base):
        return type(name, (V3NodeAdapter,), attributes | _v3_attributes(node_class, calls, io))
    attributes["INPUT_TYPES"] = staticmethod(node_class.INPUT_TYPES)
    for key in ("IS_CHANGED", "VALIDATE_INPUTS"):
        if hasattr(node_class, key):
            attributes[key] = staticmethod(getattr(node_class, key))
    if hasattr(node_class, "check_lazy_status"):
        attributes["check_lazy_status"] = lambda self, **inputs: self.inner.check_lazy_status(**inputs)
    return type(name, (V1NodeAdapter,), attributes)


def _v3_attributes(node_class: Any, calls: ComfyCalls, io: Any) -> dict[str, Any]:
    declared = node_class.INPUT_TYPES()
    base = node_class.GET_BASE_CLASS()
    hidden = {name: _word(kind) for name, kind in (declared.get("hidden") or {}).items()}
    attributes: dict[str, Any] = {
        "INPUT_TYPES": staticmethod(lambda: {**node_class.INPUT_TYPES(), "hidden": hidden}),
        "hidden": hidden,
        "nest": staticmethod(nesting) if (nesting := _nesting(node_class, declared, io)) is not None else None,
    }
    for key, own in (("IS_CHANGED", "fingerprint_inputs"), ("VALIDATE_INPUTS", "validate_inputs")):
        if getattr(node_class, own).__func__ is not getattr(base, own).__func__:
            attributes[key] = staticmethod(_asked(node_class, own, calls, hidden, attributes["nest"]))
    if node_class.check_lazy_status.__func__ is not base.check_lazy_status.__func__:
        attributes["check_lazy_status"] = _ask_what_is_needed
    return attributes


def _ask_what_is_needed(adapter: V3NodeAdapter, **inputs: Any) -> Any:
    """Return which lazy inputs are needed."""
    function, arguments = adapter._prepared("check_lazy_status", inputs)
    return function(**arguments)


def _asked(node_class: Any, own: str, calls: ComfyCalls, hidden: Mapping[str, str], nest: Any) -> Callable[..., Any]:
    """Return a V3 class's question about its inputs as a function with the same parameters, and the hidden ones."""
    body = {"calls": calls, "node_class": node_class, "hidden": hidden, "nest": nest}
    asking: type[V3NodeAdapter] = type("Asking", (V3NodeAdapter,), body)

    def ask(**inputs: Any) -> Any:
        function, arguments = asking._prepared(own, inputs)
        return function(**arguments)

    signature = inspect.signature(getattr(node_class, own))
    own_names = [one for one in signature.parameters.values() if one.name not in hidden]
    others = [one for one in own_names if one.kind is inspect.Parameter.VAR_KEYWORD]
    named = [one for one in own_names if one.kind is not inspect.Parameter.VAR_KEYWORD]
    asked_too = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in hidden]
    ask.__signature__ = signature.replace(parameters=[*named, *asked_too, *others])  # type: ignore[attr-defined]
    return ask


def _word(kind: Any) -> str:
    """Return the kind of a hidden input: written as a word, an enum member, or a tuple of one."""
    first = kind[0] if isinstance(kind, (list, tuple)) else kind
    return str(getattr(first, "value", first))


def _nesting(
    node_class: Any, declared: Mapping[str, Any], io: Any
) -> Callable[[Mapping[str, Any]], Mapping[str, Any]] | None:
    """Return how a class with dynamic inputs gets them nested, as deep as its schema says; None where it has none.

    What its values leave no place for is left out, as ComfyUI does: the inputs of an option that is not chosen.
    """
    dynamic = getattr(io, "DYNAMIC_INPUT_LOOKUP", {})
    grown = {
        name
        for group in ("required", "optional")
        for name, spec in (declared.get(group) or {}).items()
        if spec[0] in dynamic
    }
    if not grown:
        return None

    def nest(inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        flat: dict[str, Any] = {}
        for name, value in inputs.items():
            if name in grown and isinstance(value, dict):
                flat |= {name if inner == name else f"{name}.{inner}": item for inner, item in value.items()}
            else:
                flat[name] = value
        expanded, _, data = io.get_finalized_class_inputs(node_class.INPUT_TYPES(), flat)
        known = {name for group in ("required", "optional") for name in expanded.get(group) or ()}
        flat = {name: value for name, value in flat.items() if name in known or name.partition(".")[0] not in grown}
        nested: Mapping[str, Any] = io.build_nested_inputs(flat, data)
        return nested

    return nest
