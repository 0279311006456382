"""Calls every class of the pack with the largest numbers there are, as links can carry them, on tiny inputs.

Run as a program by test_hostile_sizes.py, under a limit on memory: prints a line for each call that takes more memory
or time than it may, or fails otherwise than by an exception that says so.
"""

from __future__ import annotations

import itertools
import resource
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from discomfort.runtime.engines.embedded.for_node_authors.folders import Folders, use_folders
from discomfort.runtime.engines.embedded.pack import NODE_CLASS_MAPPINGS, sizes
from discomfort.runtime.engines.embedded.pack.latents.vae import PixelSpaceVAE

ROOM = 128 << 20
SECONDS = 60
HUGE = (10**9, 2**40, -(2**40))


def small(kind: str, batch: int = 1) -> Any:
    """A tiny value of a type."""
    values: dict[str, Callable[[], Any]] = {
        "IMAGE": lambda: torch.rand(batch, 8, 8, 3),
        "MASK": lambda: torch.rand(batch, 8, 8),
        "LATENT": lambda: {"samples": torch.rand(batch, 4, 8, 8)},
        "SIGMAS": lambda: torch.linspace(10, 0, 9),
        "VAE": PixelSpaceVAE,
        "STRING": lambda: "aß1",
        "BOOLEAN": lambda: True,
        "DICT": lambda: {"a": [1, {"b": 2}]},
        "ARRAY": lambda: [1, [2]],
        "BOUNDING_BOX": lambda: {"x": 0, "y": 0, "width": 4, "height": 4},
        "COLOR": lambda: "#ffffff",
    }
    return values.get(kind, values["IMAGE"])()


def arguments_of(described: Mapping[str, Any], number: float | None, batch: int) -> Iterator[dict[str, Any]]:
    """Arguments for a class, all numbers `number` (their declared maximum for None), once for each choice."""
    given: dict[str, Any] = {}
    choices: dict[str, list[Any]] = {}
    for group in ("required", "optional"):
        for name, spec in described.get(group, {}).items():
            kind, options = spec[0], spec[1] if len(spec) > 1 else {}
            if isinstance(kind, list) or kind == "COMBO":
                choices[name] = list(kind if isinstance(kind, list) else options.get("options", []))[:10] or [""]
            elif kind in ("INT", "FLOAT"):
                value = number if number is not None else min(options.get("max", 10**6), 10**18)
                given[name] = float(value) if kind == "FLOAT" else int(value)
            elif kind == "COMFY_AUTOGROW_V3":
                inner = next(iter(options["template"]["input"]["required"].values()))[0]
                prefix = options["template"].get("prefix", "a")
                given[name] = {f"{prefix}{index}": small(inner, batch) for index in range(3)}
            elif kind == "COMFY_DYNAMICCOMBO_V3":
                branches = []
                for option in options["options"]:
                    branch = next(arguments_of(option.get("inputs") or {}, number, batch))
                    branches.append({name: option["key"], **branch})
                choices[name] = branches
            else:
                given[name] = small(kind, batch)
    for picked in itertools.islice(itertools.product(*choices.values()), 4):
        yield {**given, **dict(zip(choices, picked, strict=True))}


def call(name: str, given: Mapping[str, Any]) -> str | None:
    """Call a class; return what is wrong with how it ended."""
    node_class: Any = NODE_CLASS_MAPPINGS[name]
    arguments = {key: [value] for key, value in given.items()} if node_class.INPUT_IS_LIST else dict(given)
    if name == "CreateList":
        arguments = {key: {slot: [item] for slot, item in value[0].items()} for key, value in arguments.items()}
    try:
        getattr(node_class, node_class.FUNCTION)(**arguments)
    except MemoryError as error:
        return None if "are available" in str(error) else f"took memory that was not there: {error!r}"
    except TimeoutError:
        return f"took more than {SECONDS} s"
    except RuntimeError as error:
        return repr(error) if "not enough memory" in str(error) or "allocate" in str(error) else None
    except Exception:  # noqa: BLE001 — an error is how it should end
        return None
    return None


def give_up(number: int, frame: object) -> None:
    raise TimeoutError


def main() -> None:
    vars(sizes)["available_ram"] = lambda: ROOM
    signal.signal(signal.SIGALRM, give_up)
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with tempfile.TemporaryDirectory() as folder, use_folders(Folders(*(Path(folder) / n for n in "iotm"))):
        for name in sys.argv[1:] or sorted(NODE_CLASS_MAPPINGS):
            declared = NODE_CLASS_MAPPINGS[name].INPUT_TYPES()  # type: ignore[attr-defined]
            for number, batch in itertools.product((None, *HUGE), (1, 64)):
                for given in arguments_of(declared, number, batch):
                    signal.alarm(SECONDS)
                    wrong = call(name, given)
                    signal.alarm(0)
                    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
                    if most > held + (1 << 20):  # a gigabyte more, in kilobytes
                        wrong, held = f"took {(most - held) >> 10} MiB", most
                    if wrong is not None:
                        print(f"{name} with {number}, batch {batch}: {wrong}", flush=True)


if __name__ == "__main__":
    main()
