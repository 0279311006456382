"""A checkout that replaces ComfyUI's: its module names, and as much behind them as the in-process engine uses.

It has both node protocols, loads custom nodes, and reports progress and interruptions through ComfyUI's own names, so
that the behaviour suite runs in-process without a ComfyUI.
"""

from __future__ import annotations

from pathlib import Path

_FILES = {
    "utils/extra_config.py": "",
    "folder_paths.py": """
from pathlib import Path
base_path = str(Path(__file__).parent)
_folders = {kind: str(Path(base_path) / kind) for kind in ("input", "output", "temp", "user")}
def get_input_directory(): return _folders["input"]
def get_output_directory(): return _folders["output"]
def get_temp_directory(): return _folders["temp"]
def get_user_directory(): return _folders["user"]
def get_folder_paths(kind): return [str(Path(base_path) / kind)]
def add_model_folder_path(kind, path): pass
def get_annotated_filepath(name): return str(Path(get_input_directory()) / name)
def annotated_filepath(name): return name, None
folder_names_and_paths = {kind: ([str(Path(base_path) / "models" / kind)], set()) for kind in ("vae", "vae_approx")}
""",
    "nodes.py": """
import importlib.util
import sys
from pathlib import Path
import folder_paths
from discomfort.runtime.engines.embedded import pack
STANDIN_CLASSES = ("EmptyImage", "ImageInvert", "PrimitiveInt", "PrimitiveFloat", "PrimitiveBoolean", "PrimitiveString")
NODE_CLASS_MAPPINGS = {
    name: type(name, (pack.NODE_CLASS_MAPPINGS[name],), {"__module__": "nodes"}) for name in STANDIN_CLASSES
}
NODE_DISPLAY_NAME_MAPPINGS = {}
async def init_extra_nodes(init_custom_nodes, init_api_nodes):
    for folder in folder_paths.get_folder_paths("custom_nodes"):
        for path in sorted(Path(folder).glob("*.py")):
            spec = importlib.util.spec_from_file_location(f"standin_{path.stem}", path)
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            for made in module.NODE_CLASS_MAPPINGS.values():
                made.RELATIVE_PYTHON_MODULE = f"custom_nodes.{path.stem}"
            NODE_CLASS_MAPPINGS.update(module.NODE_CLASS_MAPPINGS)
""",
    "execution.py": """
from comfy_api.latest import io
async def validate_inputs(prompt_id, prompt, item, validated, visiting=None):
    return io.Combo
""",
    "server.py": """
class PromptServer:
    instance = None
    def __init__(self, loop):
        import aiohttp.web
        PromptServer.instance = self
        self.routes = aiohttp.web.RouteTableDef()
""",
    "comfy/__init__.py": "",
    "comfy/options.py": "def enable_args_parsing(): pass\n",
    "comfy/cli_args.py": """
from types import SimpleNamespace
args = SimpleNamespace(
    disable_all_custom_nodes=False, disable_api_nodes=True, extra_model_paths_config=None,
    output_directory=None, input_directory=None, user_directory=None,
)
""",
    "comfy/model_management.py": """
class InterruptProcessingException(Exception): pass
class OOM_EXCEPTION(Exception): pass
_stopped = False
def unload_all_models(): pass
def interrupt_current_processing(value=True):
    global _stopped
    _stopped = value
def throw_exception_if_processing_interrupted():
    if _stopped:
        interrupt_current_processing(False)
        raise InterruptProcessingException
""",
    "comfy/utils.py": """
_hook = None
def set_progress_bar_global_hook(function):
    global _hook
    _hook = function
class ProgressBar:
    def __init__(self, total, node_id=None):
        self.total, self.node_id = total, node_id
    def update_absolute(self, value, total=None, preview=None):
        if _hook is not None:
            _hook(value, total or self.total, preview, node_id=self.node_id)
""",
    "comfy_execution/__init__.py": "",
    "comfy_execution/graph.py": """
class ExecutionBlocker:
    def __init__(self, message): self.message = message
""",
    "comfy_execution/graph_utils.py": """
class GraphBuilder:
    @classmethod
    def set_default_prefix(cls, root, call, graph=0): pass
""",
    "comfy_execution/utils.py": """
import contextvars
from typing import NamedTuple, Optional
class ExecutionContext(NamedTuple):
    prompt_id: str
    node_id: str
    list_index: Optional[int]
current_executing_context = contextvars.ContextVar("current_executing_context", default=None)
""",
    "comfy_execution/progress.py": """
class ProgressHandler:
    def __init__(self, name): self.name = name
def reset_progress_state(prompt_id, dynprompt): pass
def add_progress_handler(handler): pass
""",
    "comfy_api/__init__.py": "",
    "comfy_api/internal.py": """
class _ComfyNodeInternal: pass
def make_locked_method_func(kind, name, clone):
    return lambda **inputs: getattr(clone, name)(**inputs)
""",
    "comfy_api/latest/__init__.py": "from comfy_api.latest import _io as io\n",
    "comfy_api/latest/_io.py": """
from types import SimpleNamespace
from comfy_api.internal import _ComfyNodeInternal
class Schema(SimpleNamespace): pass
class NodeOutput(SimpleNamespace):
    def __init__(self, *values, ui=None, expand=None, block_execution=None):
        super().__init__(result=values or None, ui=ui, expand=expand, block_execution=block_execution)
class String:
    Input = staticmethod(lambda name, default="": (name, ("STRING", {"default": default})))
    Output = staticmethod(lambda: "STRING")
class ComfyNode(_ComfyNodeInternal):
    FUNCTION = "EXECUTE_NORMALIZED"
    CATEGORY = "tests"
    hidden = None
    def __init_subclass__(cls):
        schema = cls.define_schema()
        cls.RETURN_TYPES = tuple(schema.outputs)
        cls.INPUT_TYPES = classmethod(lambda cls: {"required": dict(schema.inputs)})
    @classmethod
    def GET_BASE_CLASS(cls): return ComfyNode
    @classmethod
    def PREPARE_CLASS_CLONE(cls, v3_data): return cls
    @classmethod
    def EXECUTE_NORMALIZED(cls, **inputs): return cls.execute(**inputs)
    @classmethod
    def fingerprint_inputs(cls, **inputs): raise NotImplementedError
    @classmethod
    def validate_inputs(cls, **inputs): raise NotImplementedError
    @classmethod
    def check_lazy_status(cls, **inputs): raise NotImplementedError
""",
}


def make_standin(folder: Path) -> Path:
    """Write the checkout into `folder`, with an empty `custom_nodes`."""
    for name, text in _FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.lstrip(), encoding="utf-8")
    for name in ("custom_nodes", "input", "output", "user"):
        (folder / name).mkdir()
    return folder
