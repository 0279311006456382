"""One page of the official frontend, which makes prompts."""

from __future__ import annotations

import base64
import importlib.resources
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .server import serve

CHROMIUM_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

ASK = """
async ([text, roll, resave]) => {
  const app = window.app ?? window.comfyAPI.app.app;
  const random = Math.random;
  const answer = {};
  try {
    await app.loadGraphData(JSON.parse(text));
    const graph = app.rootGraph ?? app.graph;
    if (resave) {
      answer.saved = JSON.stringify(graph.serialize());
    } else {
      Math.random = () => roll;
      const { output } = await app.graphToPrompt();
      answer.prompt = JSON.stringify(output);
    }
  } catch (error) {
    answer.error = String(error?.stack ?? error);
  } finally {
    Math.random = random;
  }
  return answer;
}
"""

DROP = """
async ([name, content]) => {
  const app = window.app ?? window.comfyAPI.app.app;
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  try {
    await app.handleFile(new File([bytes], name, { type: "image/png" }));
    const { output } = await app.graphToPrompt();
    return { prompt: JSON.stringify(output) };
  } catch (error) {
    return { error: String(error?.stack ?? error) };
  }
}
"""

START_TIMEOUT_MS = 120_000

READY = """
() => {
  const app = window.app ?? window.comfyAPI?.app?.app;
  return !!app?.vueAppReady && app.graph?.nodes?.length > 0;
}
"""

SENTINEL = {
    "version": 0.4,
    "last_node_id": 987654,
    "last_link_id": 0,
    "nodes": [{"id": 987654, "type": "EmptyImage", "inputs": [], "outputs": [], "widgets_values": [64, 64, 1, 0]}],
    "links": [],
}
"""Asked until it is answered: right after start-up the page opens a workflow of its own over whatever is open."""


class FrontendMissing(RuntimeError):
    """The frontend package, playwright, or a Chromium is not installed."""


@dataclass(frozen=True)
class Answer:
    """What the frontend gave: the prompt (or the re-saved workflow) or the text of what it threw."""

    value: dict[str, Any] | None
    error: str | None = None


def chromium_path() -> str:
    """The Chromium to drive: `DISCOMFORT_CHROMIUM`, or the first one on the path.

    Raises:
        FrontendMissing: when there is none.
    """
    names = (os.environ.get("DISCOMFORT_CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome", "chrome")
    for name in names:
        if name and (found := shutil.which(name)):
            return found
    raise FrontendMissing("no Chromium: install one or set DISCOMFORT_CHROMIUM to its path")


def static_folder() -> Path:
    """The static files of the installed `comfyui-frontend-package`.

    Raises:
        FrontendMissing: when the package is not installed.
    """
    try:
        return Path(str(importlib.resources.files("comfyui_frontend_package"))) / "static"
    except ModuleNotFoundError:
        raise FrontendMissing("no comfyui-frontend-package: pip install discomfort[conformance]") from None


class Frontend:
    """A loaded page of the frontend; every question is one workflow."""

    def __init__(self, page: Any, url: str, fresh_every: int) -> None:
        self._page = page
        self._url = url
        self._fresh_every = fresh_every
        self._asked = 0

    def open(self) -> None:
        """Load the page again: a session in which nothing has been opened yet."""
        self._page.goto(self._url)
        self._page.wait_for_function(READY, timeout=START_TIMEOUT_MS)
        settled = 0
        while settled < 3:
            self._page.wait_for_timeout(200)
            answer = self._page.evaluate(ASK, [json.dumps(SENTINEL), 0.0, False])
            settled = settled + 1 if list(json.loads(answer.get("prompt", "{}"))) == ["987654"] else 0
        self._asked = 0

    def prompt(self, workflow: Any, roll: float = 0.0) -> Answer:
        """What the frontend would POST for `workflow`.

        Args:
            workflow: The workflow as JSON data.
            roll: What `Math.random()` gives while the prompt is made, in [0, 1): the choice in `{a|b}`.
        """
        return self._ask(workflow, roll, resave=False, key="prompt")

    def resave(self, workflow: Any) -> Answer:
        """What the editor would save after it has opened `workflow`."""
        return self._ask(workflow, 0.0, resave=True, key="saved")

    def _ask(self, workflow: Any, roll: float, *, resave: bool, key: str) -> Answer:
        if self._asked >= self._fresh_every:
            self.open()
        self._asked += 1
        return self._answer(self._page.evaluate(ASK, [json.dumps(workflow), roll, resave]), key)

    def drop(self, picture: Path) -> Answer:
        """What the frontend would POST for the workflow in a PNG file that is dropped into the editor."""
        content = base64.b64encode(picture.read_bytes()).decode()
        return self._answer(self._page.evaluate(DROP, [picture.name, content]), "prompt")

    def _answer(self, answer: dict[str, Any], key: str) -> Answer:
        if "error" in answer:
            return Answer(None, answer["error"])
        return Answer(json.loads(answer[key]))


@contextmanager
def browse(url: str, *, fresh_every: int = 100) -> Iterator[Frontend]:
    """Start a headless Chromium with an empty profile; yields the loaded page that a ComfyUI server has at `url`.

    Raises:
        FrontendMissing: when playwright or Chromium is not there.
    """
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        raise FrontendMissing("no playwright: pip install discomfort[conformance]") from None
    executable = chromium_path()
    with tempfile.TemporaryDirectory(prefix="frontend-profile-") as profile, sync_playwright() as playwright:
        browser = playwright.chromium.launch_persistent_context(
            profile, executable_path=executable, headless=True, args=list(CHROMIUM_FLAGS)
        )
        try:
            page = Frontend(browser.pages[0] if browser.pages else browser.new_page(), url, fresh_every)
            page.open()
            yield page
        finally:
            browser.close()


@contextmanager
def frontend(object_info: bytes, *, static: Path | None = None, fresh_every: int = 100) -> Iterator[Frontend]:
    """Serve the frontend and look at it; yields the loaded page.

    Args:
        object_info: What the server answers to `GET /object_info`, JSON.
        static: The frontend's static files; the installed package's by default.
        fresh_every: The page is reloaded after so many workflows, since every one opened stays in its memory.

    Raises:
        FrontendMissing: when the frontend package, playwright or Chromium is not there.
    """
    with serve(static or static_folder(), object_info) as url, browse(url, fresh_every=fresh_every) as page:
        yield page
