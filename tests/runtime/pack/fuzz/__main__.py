"""Compare the pack with a real ComfyUI by hand: python -m tests.runtime.pack.fuzz --comfyui PATH --cases 200.

`--only ImageBlend:17` runs one case again, `--record` those that are kept with what came of them (see `recorded`).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from discomfort.context.context import WorkflowContext
from discomfort.runtime.engines.embedded.pack import NODE_CLASS_MAPPINGS
from tests.runtime.pack.fuzz import recorded
from tests.runtime.pack.fuzz.campaign import compare_class
from tests.runtime.pack.fuzz.sides import Ours, real_comfyui


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--comfyui", type=Path, required=True)
    parser.add_argument("--comfyui-python", default=sys.executable)
    parser.add_argument("--cases", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--only", help="a class, or a class and a seed: ImageBlend or ImageBlend:17")
    parser.add_argument("--shown", type=int, default=5, help="differences shown of each class")
    parser.add_argument("--record", nargs="?", const="", help="keep these cases, too: ImageGrid:3,SaveText:7")
    options = parser.parse_args()
    if options.record is not None:
        with real_comfyui(options.comfyui, options.comfyui_python) as real:
            print(f"{recorded.record(filter(None, options.record.split(',')), real)} cases recorded")
        return 0
    only, _, seed = (options.only or "").partition(":")
    names = only.split(",") if only else sorted(NODE_CLASS_MAPPINGS)
    seeds = [int(seed)] if seed else list(range(options.first_seed, options.first_seed + options.cases))
    start, total, results, stays = time.monotonic(), Counter[str](), Counter[str](), Counter[str]()
    with (
        tempfile.TemporaryDirectory() as folder,
        WorkflowContext(max_ram_gb=0.05) as context,
        real_comfyui(options.comfyui, options.comfyui_python) as real,
    ):
        ours = Ours(Path(folder), context)
        for name in names:
            verdict = compare_class(name, seeds, real, ours)
            total[name] = len(verdict.differences)
            results.update(verdict.counts)
            stays.update(verdict.stays)
            print(f"{name}: {dict(verdict.counts)}, {total[name]} differ", flush=True)
            for line in verdict.differences[: options.shown]:
                print(f"    {line}", flush=True)
    apart = {name: count for name, count in total.items() if count}
    print(f"{len(seeds)} cases each of {len(names)} classes in {time.monotonic() - start:.0f} s: {dict(results)}")
    print(f"{sum(stays.values())} differ for a reason: {dict(stays)}")
    print(f"{sum(apart.values())} differ: {apart}")
    return bool(apart)


if __name__ == "__main__":
    sys.exit(main())
