"""`discomfort-graph` with what cannot be written, read or run: a sentence and a status, never a traceback."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from discomfort import Discomfort, PromptRejected
from tests.commands.test_compiling import call
from tests.commands.test_run_and_stitch import FILES, INPUTS
from tests.commands.test_run_and_stitch import call as call_in_a_process


def written_by(outputs: dict[str, Any]) -> dict[str, Any]:
    """Return a prompt whose OUTPUT ports give an image, a text and a number under the names in `outputs`."""
    prompt: dict[str, Any] = {}
    for number, (name, (kind, inputs)) in enumerate(outputs.items()):
        prompt[f"{number}0"] = {"class_type": kind, "inputs": inputs}
        port = {"input": [f"{number}0", 0], "unique_id": name, "tags": ""}
        prompt[f"{number}1"] = {"class_type": "DiscomfortPort", "inputs": port}
    return prompt


def saved(folder: Path, prompt: dict[str, Any]) -> str:
    path = folder / "prompt.json"
    path.write_text(json.dumps(prompt), encoding="utf-8")
    return str(path)


def image(width: int) -> tuple[str, dict[str, int]]:
    return "EmptyImage", {"width": width, "height": 8, "batch_size": 1, "color": 0}


@pytest.mark.parametrize("command", ["plan", "dot", "stitch"])
def test_a_place_that_cannot_be_written_is_a_wrong_call(command: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot be written" in call(command, *FILES, "-o", str(tmp_path), status=2).stderr
    assert "cannot be written" in call(command, *FILES, "-o", str(tmp_path / "file" / "x.txt"), status=2).stderr
    call(command, *FILES, "-o", str(tmp_path / "new" / "x.txt"))


@pytest.mark.parametrize("command", [["prompt", *FILES], ["run", *FILES, *INPUTS]])
def test_a_folder_that_is_a_file_is_reported_before_anything_runs(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in ("file", "file/deeper"):
        assert "is not a folder" in call(*command, "-o", str(tmp_path / place), status=2).stderr


def test_run_names_every_input_that_is_wrong(tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes((Path(FILES[0]).parent / "coffee.png").read_bytes()[:2000])
    wrong = ["width", "photo=@absent.png", f"photo=@{broken}", "a=1", "a=2", f"b=@{tmp_path}"]
    done = call("run", *FILES, *(part for text in wrong for part in ("-i", text)), status=2)
    for sentence in ("found 'width'", "absent.png", "'a' is given twice", str(tmp_path)):
        assert sentence in "".join(done.stderr.split("\n")), done.stderr
    assert "broken.png" in call("run", *FILES, "-i", f"photo=@{broken}", status=2).stderr


def test_no_result_is_written_over_another(tmp_path: Path) -> None:
    names = ["i/j", "i_j", "I_J", "..", "x" * 300]
    path = saved(tmp_path, written_by({name: image(8 * (1 + number)) for number, name in enumerate(names)}))
    results = json.loads(call("run", path, "-o", str(tmp_path / "out"), "--json").stdout)
    files = [Path(results[name]["files"][0]) for name in names]
    assert [file.name for file in files[:4]] == ["i_j.png", "i_j-2.png", "I_J-3.png", "result.png"]
    assert len({file.name.casefold() for file in files}) == len(names)
    assert all(file.is_file() for file in files)


def test_results_that_json_lacks_are_text(tmp_path: Path) -> None:
    def refuse(word: str) -> None:
        raise AssertionError(word)

    path = saved(tmp_path, written_by({"unlimited": ("PrimitiveFloat", {"value": 1.0})}))
    from discomfort.cli.commands.run import write_value

    assert write_value(float("nan"), tmp_path, "x") == {"value": "nan"}
    assert json.loads(call("run", path, "--json").stdout, parse_constant=refuse) == {"unlimited": {"value": 1.0}}


def test_DF530_a_node_that_fails_is_reported_with_its_place(tmp_path: Path) -> None:
    path = saved(
        tmp_path, written_by({"found": ("RegexReplace", {"string": "a", "regex_pattern": "(", "replace": ""})})
    )
    (finding,) = json.loads(call("run", path, "--json", status=1).stdout)
    assert (finding["code"], finding["where"]["node"]) == ("DF530", "00")
    assert "RegexReplace failed: " in finding["message"]


def test_DF531_an_engine_that_cannot_be_had_is_reported_as_data(tmp_path: Path) -> None:
    (finding,) = json.loads(call("run", *FILES, *INPUTS, "--engine", "warp", "--json", status=1).stdout)
    assert finding["code"] == "DF531"
    assert "names no engine" in finding["message"]


LOOP = Path(FILES[0]).parents[1] / "loop"
ARGUMENTS = ["-i", "model_name=v1-5-pruned-emaonly.safetensors", "-i", "prompt=a", "-i", "seed=1"]


def test_nodes_that_need_a_comfyui_are_reported_together_with_where_to_run_them() -> None:
    done = call("run", str(LOOP / "load_model.json"), str(LOOP / "main_workflow.json"), *ARGUMENTS, status=1)
    assert "DF520" in done.stderr
    for sentence in ("CheckpointLoaderSimple", "CLIPTextEncode", "KSampler", "engine='comfyui:PATH'"):
        assert sentence in done.stderr


async def test_a_session_reports_so_too() -> None:
    files = [LOOP / "load_model.json", LOOP / "main_workflow.json"]
    inputs = {"model_name": "v1-5-pruned-emaonly.safetensors", "prompt": "a", "seed": 1}
    async with await Discomfort.create(engine="embedded") as session:
        with pytest.raises(PromptRejected, match="KSampler"):
            await session.run(files, inputs=inputs)


def test_run_takes_what_plan_takes(tmp_path: Path) -> None:
    rules = tmp_path / "rules.json"
    rules.write_text('{"VAE": "val"}')
    backwards = [*reversed(FILES), "--auto", "--only", "vae", "--rules", str(rules)]
    results = json.loads(call("run", *backwards, "-o", str(tmp_path), "--json").stdout)
    assert list(results) == ["vae"]
    assert results["vae"]["files"] == [str(tmp_path / "vae.pkl")]
    call("run", *FILES, "--rules", str(tmp_path / "absent.json"), status=2)
    call("run", *FILES, "--catalog", str(tmp_path / "absent.json"), status=2)


@pytest.mark.parametrize("command", ["ports", "stitch"])
def test_every_file_that_is_wrong_is_reported(command: str, tmp_path: Path) -> None:
    (tmp_path / "empty.json").write_text("")
    files = [str(tmp_path / "absent.json"), FILES[0], str(tmp_path / "empty.json"), str(tmp_path)]
    findings = json.loads(call(command, *files, "--json", status=1).stdout)
    assert [finding["code"] for finding in findings] == ["DF101", "DF102", "DF101"]


def test_every_text_can_be_reported_where_the_locale_has_few_letters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.setenv("PYTHONUTF8", "0")
    monkeypatch.setenv("PYTHONCOERCECLOCALE", "0")
    path = saved(tmp_path, written_by({"word": ("PrimitiveString", {"value": "naïve \ud83d"})}))
    prompt = json.loads(call_in_a_process("prompt", path).stdout)
    assert prompt["00"]["inputs"]["value"] == "naïve \ud83d"
    call_in_a_process("prompt", path, "-o", str(tmp_path / "out"))
    assert json.loads((tmp_path / "out" / "prompt.json").read_text(encoding="utf-8")) == prompt


def test_a_catalog_cannot_be_written_over_a_folder(tmp_path: Path) -> None:
    from discomfort.cli.output import require_folder, write_bytes

    with pytest.raises(Exception, match="cannot be written"):
        write_bytes(b"", tmp_path)
    require_folder(tmp_path / "new" / "deeper")
    if os.name == "posix" and os.getuid() != 0:
        tmp_path.chmod(0o500)
        with pytest.raises(Exception, match="cannot be written to"):
            require_folder(tmp_path / "new")
