"""A client who reaches a ComfyUI server and does not know the token of its Discomfort nodes."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
import uuid
from typing import Any


class Hostile:
    """Sees and sends what every client can; blocking calls."""

    def __init__(self, url: str) -> None:
        self.url = url

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=60) as answer:
            return json.load(answer)

    def post(self, path: str, body: Any, **headers: str) -> tuple[int, Any]:
        """Return status and answer."""
        request = urllib.request.Request(
            self.url + path, json.dumps(body).encode(), {"Content-Type": "application/json", **headers}
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                text = answer.read()
                return answer.status, json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            with error:
                text = error.read()
            return error.code, json.loads(text) if text else None

    def entry(self, prompt_id: str, seconds: float = 60.0) -> dict[str, Any]:
        """Return what the history says of a prompt, once it has ended."""
        deadline = time.monotonic() + seconds
        while prompt_id not in (history := self.get("/history")):
            assert time.monotonic() < deadline, f"{prompt_id} did not end"
            time.sleep(0.05)
        return dict(history[prompt_id])

    def queue(self, prompt: dict[str, Any], prompt_id: str | None = None, **more: Any) -> str:
        """Queue a prompt, as another client; return the id under which the server has it."""
        body = {"prompt": prompt, "prompt_id": prompt_id or str(uuid.uuid4()), "client_id": uuid.uuid4().hex, **more}
        status, answer = self.post("/prompt", body)
        assert status == 200, answer
        return str(answer["prompt_id"])

    def run(self, prompt: dict[str, Any], prompt_id: str | None = None, **more: Any) -> dict[str, Any]:
        """Queue a prompt and return its entry in the history."""
        return self.entry(self.queue(prompt, prompt_id, **more))


def gave_nothing(entry: dict[str, Any], *nodes: str) -> bool:
    """Return whether a prompt failed at one of our nodes, and neither stored nor showed anything at `nodes`."""
    failures = [data for kind, data in entry["status"]["messages"] if kind == "execution_error"]
    ours = [data for data in failures if data["node_type"].startswith("DiscomfortContext")]
    return bool(ours) and "discomfort" not in str(entry["outputs"]) and not any(map(entry["outputs"].get, nodes))
