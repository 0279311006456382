"""README.md and docs/guide.md do what they show; every link of every page leads somewhere."""

from __future__ import annotations

import ast
import inspect
import json
import re
import shlex
import shutil
from pathlib import Path
from types import CodeType

import pytest
from typer.testing import CliRunner

import discomfort
from discomfort.cli.main import app
from discomfort.ir.catalog.catalog import default_catalog
from discomfort.settings.jsonc import loads_jsonc
from discomfort.settings.pass_by import load_rules

ROOT = Path(__file__).parents[1]
README, GUIDE = ROOT / "README.md", ROOT / "docs" / "guide.md"
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def quickstart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the quickstart's folder, in which the test runs."""
    folder = tmp_path / "quickstart"
    shutil.copytree(ROOT / "examples" / "quickstart", folder, ignore=shutil.ignore_patterns("output"))
    monkeypatch.chdir(folder)
    return folder


async def execute(source: str, where: str, names: dict[str, object]) -> None:
    code = compile(source, where, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    assert isinstance(code, CodeType)
    running = eval(code, names)
    if inspect.isawaitable(running):
        await running


async def test_the_readme_s_first_example_runs(quickstart: Path) -> None:
    await execute(blocks(README, "python")[0], "README.md, example 1", {})
    assert {path.name for path in quickstart.glob("coffee_*.png")} == {f"coffee_{n}.png" for n in (0.0, 0.5, 1.0)}


async def test_the_readme_s_session_runs(quickstart: Path) -> None:
    """With workflows that need no model in the place of those it names, and no ComfyUI."""
    _, source = blocks(README, "python")
    shutil.copy(quickstart / "load_vae.json", quickstart / "load_model.json")
    paint = {
        "1": {"class_type": "DiscomfortPort", "inputs": {"unique_id": "seed", "tags": ""}},
        "2": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": ["1", 0]}},
        "3": {"class_type": "DiscomfortPort", "inputs": {"unique_id": "output", "tags": "", "input": ["2", 0]}},
    }
    (quickstart / "main_workflow.json").write_text(json.dumps(paint))
    await execute(source.replace("comfyui:/path/to/ComfyUI", "embedded"), "README.md, example 2", {})
    assert len(list(quickstart.glob("output_*.png"))) == 5


async def test_the_guide_s_examples_run_in_their_order(quickstart: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (quickstart / "mine.json.gz").write_bytes(default_catalog().snapshot())
    names: dict[str, object] = {}
    for number, source in enumerate(blocks(GUIDE, "python"), 1):
        await execute(source, f"docs/guide.md, example {number}", names)
    printed = re.findall(r"print\(.*\) +# (.*)", "\n".join(blocks(GUIDE, "python")))
    assert capsys.readouterr().out.splitlines() == printed
    assert names["rounds"] == 3
    assert len(list(quickstart.glob("sweep_*.png"))) == 6
    assert isinstance(names["context"], discomfort.Context)
    assert names["context"].closed


def test_the_guide_s_rules_are_read() -> None:
    (text,) = blocks(GUIDE, "json")
    assert load_rules(loads_jsonc(text)).of("CONDITIONING") == "val"


def imports(source: str) -> list[str]:
    """Return the modules of Discomfort that a program, or an example in a page, imports."""
    names = re.findall(r"^\s*(?:>>> )?(?:from|import) +((?:custom_nodes\.)?discomfort[\w.]*)", source, re.MULTILINE)
    return [name.removeprefix("custom_nodes.discomfort.") for name in names]


@pytest.mark.parametrize(
    "page", [*PAGES, *ROOT.glob("examples/**/*.py"), *ROOT.glob("docs/**/*.py")], ids=lambda page: page.name
)
def test_programs_import_from_the_package_alone(page: Path) -> None:
    assert set(imports(page.read_text(encoding="utf-8"))) <= {"discomfort", "comfy_serverless"}


def test_pages_name_no_module_inside_the_package() -> None:
    for page in PAGES:
        paths = re.findall(r"`discomfort\.[a-z_]+\.[\w.]+", page.read_text(encoding="utf-8"))
        assert not paths, f"{page.name} sends readers to {paths}"


COMMANDS = [
    line.split("#")[0].strip()
    for page in (README, GUIDE)
    for block in blocks(page, "sh")
    for line in block.splitlines()
    if line.startswith("discomfort-graph") and "http://" not in line
]


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_run(command: str, quickstart: Path) -> None:
    if "plan.svg" in command and shutil.which("dot") is None:
        command = command.replace("plan.svg", "plan.dot")
    parts = shlex.split(command)[1:]
    arguments = [path for part in parts for path in (sorted(map(str, Path().glob(part))) if "*" in part else [part])]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
        path, _, anchor = target.partition("#")
        if "://" in target:
            continue
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in anchors(linked), f"{page.name} links to {target}"


def linked_from(page: Path) -> set[Path]:
    """Return the pages that a page links to."""
    targets = re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8"))
    return {(page.parent / target).resolve() for target in targets if target.endswith(".md") and "://" not in target}


def test_every_page_is_linked_from_the_readme_or_the_index_of_the_documentation() -> None:
    index = ROOT / "docs" / "README.md"
    linked = linked_from(README) | linked_from(index)
    assert index in linked_from(README)
    assert [page for page in PAGES if page != README and page.resolve() not in linked] == []
