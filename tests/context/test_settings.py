"""Configuration files, budgets, and directories others could touch."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discomfort.context.context import WorkflowContext
from discomfort.context.errors import UnsafeDirectoryError
from discomfort.context.home.os_support import available_ram, free_bytes, is_tmpfs
from discomfort.context.home.ownership import Roots
from discomfort.errors import ConfigError
from discomfort.settings.context import GIB, ContextConfig, load_config
from discomfort.settings.jsonc import loads_jsonc

DOCUMENTED = """{
    "MAX_RAM_PERCENT": 50,    // Use 50% of free system RAM
    "MAX_RAM_GB": 16,         // Or cap at 16GB
    "CONTEXTS_DIR_NAME": "contexts"
}
"""


def test_documented_configuration(tmp_path: Path) -> None:
    path = tmp_path / "workflow_context.json"
    path.write_text(DOCUMENTED, encoding="utf-8")
    config = load_config(path)
    assert config == ContextConfig(50.0, 16.0, "contexts")
    assert config.ram_budget(10 * GIB) == 5 * GIB  # the percentage wins
    assert ContextConfig(max_ram_gb=16).ram_budget(10 * GIB) == 16 * GIB
    assert config.ram_budget(10 * GIB, max_ram_gb=0.5) == GIB // 2
    assert ContextConfig().ram_budget(10 * GIB) == 5 * GIB


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(json_values, st.text(alphabet="/*\"'\\ abc"))
def test_comments_change_nothing(value: object, comment: str) -> None:
    lines = json.dumps(value, indent=1).splitlines()
    text = "\n".join(f"{line} // {comment}" for line in lines) + f"/* {comment.replace('*/', '')} */"
    assert loads_jsonc(text) == value


@pytest.mark.parametrize("value", ["http://a/b", "/* x */", '\\" // "', "a//b", "//", "/*"])
def test_comments_in_strings_are_text(value: str) -> None:
    assert loads_jsonc(json.dumps({"x": value})) == {"x": value}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{\n // fine\n  "MAX_RAM_GB": }', r"workflow_context\.json:3:17: not JSON"),
        ("[]", "expected a JSON object, found list"),
        ('{"MAX_RAM": 5}', "unknown key 'MAX_RAM'; did you mean 'MAX_RAM_GB'"),
        ('{"color": 5}', "unknown key 'color'; known keys are MAX_RAM_PERCENT"),
        ('{"MAX_RAM_PERCENT": 150}', "MAX_RAM_PERCENT: expected a number from 0 to 100, found 150"),
        ('{"MAX_RAM_GB": "16"}', "MAX_RAM_GB: expected a number .* found '16'"),
        ('{"MAX_RAM_GB": true}', "MAX_RAM_GB: expected a number .* found True"),
        ('{"CONTEXTS_DIR_NAME": "../x"}', "CONTEXTS_DIR_NAME: expected a plain name or an absolute path, found '../x'"),
        ('{"CONTEXTS_DIR_NAME": ".."}', "CONTEXTS_DIR_NAME: expected a plain name"),
        ('{"CONTEXTS_DIR_NAME": "a\\u0000b"}', "CONTEXTS_DIR_NAME: expected a plain name"),
        ('{"MAX_RAM": 5, "color": 6, "MAX_RAM_GB": -1}', "(?s)'MAX_RAM'.*'color'.*MAX_RAM_GB: expected .* found -1"),
    ],
)
def test_wrong_configuration_is_explained(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "workflow_context.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=message) as caught:
        WorkflowContext(path)
    assert str(path) in str(caught.value)


def test_the_mark_that_windows_editors_put_first_is_not_a_mistake(tmp_path: Path) -> None:
    path = tmp_path / "workflow_context.json"
    path.write_text('{"MAX_RAM_GB": 1}', encoding="utf-8-sig")
    assert load_config(path).max_ram_gb == 1


def test_the_file_in_the_current_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "workflow_context.json").write_text('{"MAX_RAM_GB": 3}', encoding="utf-8")
    assert load_config() == ContextConfig()
    monkeypatch.chdir(tmp_path)
    assert load_config() == ContextConfig(max_ram_gb=3)


def test_missing_configuration_and_wrong_budget(config: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        WorkflowContext(tmp_path / "none.json")
    with pytest.raises(ConfigError, match="max_ram_gb: expected a number from 0"):
        WorkflowContext(config, max_ram_gb=-1)


def test_available_ram_is_plausible() -> None:
    assert 1 << 20 < available_ram() < 1 << 50


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no /dev/shm")
def test_tmpfs_is_recognised() -> None:
    assert is_tmpfs(Path("/dev/shm"))
    assert not is_tmpfs(Path("/proc"))


posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX permissions")


@posix
@pytest.mark.parametrize("mode", [0o770, 0o707, 0o722, 0o777])
def test_C7_directory_writable_by_others_is_refused(config: Path, contexts: Path, mode: int) -> None:
    contexts.mkdir()
    contexts.chmod(mode)
    with pytest.raises(UnsafeDirectoryError, match=f"can be written by others .mode {mode:o}.*chmod 700"):
        WorkflowContext(config)


@posix
def test_C7_directory_others_can_read_is_closed(config: Path, contexts: Path) -> None:
    contexts.mkdir(mode=0o755)
    with WorkflowContext(config) as context:
        handle = context.handle()
        for place in (contexts, Path(handle["disk"]), Path(handle["ram"]), Path(handle["ram"]).parent):
            assert place.stat().st_mode & 0o777 == 0o700
        context.save("x", b"x" * 10_000)
        context.save("y", b"y" * 10_000, use_ram=False)
        files = [path for root in ("disk", "ram") for path in Path(handle[root]).rglob("*") if path.is_file()]
        assert len(files) >= 7
        assert {path.stat().st_mode & 0o077 for path in files} == {0}


@posix
def test_C7_link_file_and_foreign_directory_are_refused(config: Path, contexts: Path, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    contexts.symlink_to(tmp_path / "real")
    with pytest.raises(UnsafeDirectoryError, match="is a symbolic link"):
        WorkflowContext(config)
    contexts.unlink()
    contexts.write_text("")
    with pytest.raises(UnsafeDirectoryError, match="is not a directory"):
        WorkflowContext(config)
    contexts.unlink()
    if os.getuid() == 0:
        contexts.mkdir(mode=0o700)
        os.chown(contexts, 12345, -1)
        with pytest.raises(UnsafeDirectoryError, match="belongs to user 12345"):
            WorkflowContext(config)


@posix
def test_C7_run_directory_that_was_swapped_is_refused(config: Path, contexts: Path, tmp_path: Path) -> None:
    with WorkflowContext(config, run_id="run") as context:
        (contexts / "run").rename(tmp_path / "moved")
        (contexts / "run").symlink_to(tmp_path / "moved")
        with pytest.raises(UnsafeDirectoryError, match="is a symbolic link"):
            WorkflowContext.attach(context.handle())
        (contexts / "run").unlink()
        (tmp_path / "moved").rename(contexts / "run")


def test_default_places_are_per_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("discomfort.context.home.ownership.disk_root", lambda: tmp_path)
    monkeypatch.setattr("discomfort.context.home.ownership.ram_root", lambda: tmp_path)
    roots = Roots(ContextConfig())
    assert roots.disk.parent.parent == roots.ram.parent.parent == tmp_path
    assert roots.disk.name == "contexts"


def everything_in(folder: Path) -> dict[str, tuple[int, float, bytes]]:
    """Mode, time of change and content of all that is in a folder."""
    return {
        str(path.relative_to(folder)): (
            path.lstat().st_mode,
            path.lstat().st_mtime,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in folder.rglob("*")
    }


@pytest.fixture
def documents(contexts: Path) -> Path:
    """A folder of a user's that holds what a contexts folder could be thought to hold, and is named as that."""
    for name in ("empty", "notes", "blobs", "locked"):
        (contexts / name).mkdir(parents=True, mode=0o755)
    (contexts / "notes" / "run.json").write_text("{}")
    (contexts / "locked" / "discomfort-owner.lock").write_text("")
    (contexts / "locked" / "letter.txt").write_text("Dear Sir")
    (contexts / "blobs" / "blob-1").write_text("mine")
    contexts.chmod(0o755)
    return contexts


def test_an_existing_folder_keeps_what_is_in_it(config: Path, documents: Path) -> None:
    before = everything_in(documents)
    mode = documents.stat().st_mode
    for name in ("notes", "empty", "first"):
        with WorkflowContext(config, run_id=name) as context, WorkflowContext(config):
            place = Path(context.handle()["disk"])
            assert place == documents / "discomfort-contexts" / name
            assert place.parent.stat().st_mode & 0o777 == 0o700 or os.name == "nt"
            context.save("x", b"x" * 10_000, use_ram=False)
            with WorkflowContext(config, run_id=name, create=False) as other:
                assert other.load("x") == b"x" * 10_000
            with pytest.raises(FileNotFoundError, match=f"there are: .*{name}"):
                WorkflowContext(config, run_id="none", create=False)
    after = everything_in(documents)
    assert {name: after[name] for name in before} == before
    assert documents.stat().st_mode == mode
    assert {path.name for path in documents.iterdir()} == {"empty", "notes", "blobs", "locked", "discomfort-contexts"}


def test_what_others_put_among_the_contexts_stays(config: Path, contexts: Path, documents: Path) -> None:
    (contexts / "runs.lock").touch()  # as if contexts had been there first
    before = everything_in(documents)
    with WorkflowContext(config) as context:
        assert Path(context.handle()["disk"]).parent == contexts
        with pytest.raises(FileNotFoundError, match="there are"):
            WorkflowContext(config, run_id="none", create=False)
    after = everything_in(documents)
    assert {name: after[name] for name in before} == before


@pytest.mark.parametrize("first", [True, False], ids=["made", "empty"])
def test_a_folder_for_contexts_alone_holds_them_directly(config: Path, contexts: Path, first: bool) -> None:
    if not first:
        contexts.mkdir()
    for name in ("one", "two"):
        with WorkflowContext(config, run_id=name) as context:
            assert Path(context.handle()["disk"]) == contexts / name


def test_a_context_begun_by_a_killed_process_is_removed(config: Path, contexts: Path) -> None:
    with WorkflowContext(config):
        pass
    (contexts / "runs.new").write_text("begun")
    (contexts / "begun").mkdir()
    (contexts / "begun2").mkdir()
    (contexts / "owned" / "blobs").mkdir(parents=True)
    (contexts / "owned" / "discomfort-owner.lock").touch()
    with WorkflowContext(config, run_id="next"):
        assert {path.name for path in contexts.iterdir() if path.is_dir()} == {"begun2", "next"}
    assert not (contexts / "runs.new").exists()


def test_memo_budget(tmp_path: Path, config: Path) -> None:
    path = tmp_path / "memo.json"
    path.write_text('{"MAX_MEMO_GB": 2}', encoding="utf-8")
    assert load_config(path).memo_budget(5 * GIB) == 2 * GIB
    assert load_config(path).memo_budget(5 * GIB, max_memo_gb=0.5) == GIB // 2
    assert ContextConfig().memo_budget(50 * GIB) == 5 * GIB
    with WorkflowContext(path) as context:
        assert context.get_usage()["memo_capacity_gb"] == 2
    with WorkflowContext(path, max_memo_gb=0.5) as context:
        assert context.get_usage()["memo_capacity_gb"] == 0.5
        assert WorkflowContext.attach(context.handle()).get_usage()["memo_capacity_gb"] == 0.5
    path.write_text('{"MAX_MEMO_GB": -1}', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"MAX_MEMO_GB: expected a number from 0 .* found -1"):
        WorkflowContext(path)
    with pytest.raises(ConfigError, match=r"max_memo_gb: expected a number from 0 .* found True"):
        WorkflowContext(config, max_memo_gb=True)
    with WorkflowContext(config) as context:
        free = free_bytes(Path(context.handle()["disk"]))
        assert 0.05 * free < context.get_usage()["memo_capacity_bytes"] < 0.2 * free
