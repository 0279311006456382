"""The barest client of a ComfyUI server: an open websocket, POST, wait for `execution_success`. Pictures as PNG."""

from __future__ import annotations

import io
import json
import urllib.parse
import uuid
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import aiohttp
import numpy as np
import torch
from PIL import Image


class BareClient:
    """A client as a user writes it who needs only one prompt at a time."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client_id = uuid.uuid4().hex

    async def __aenter__(self) -> BareClient:
        self._session = aiohttp.ClientSession()
        self._websocket = await self._session.ws_connect(f"{self.url}/ws?clientId={self.client_id}", max_msg_size=0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._websocket.close()
        await self._session.close()

    async def run(self, prompt: Mapping[str, Any]) -> dict[str, Any]:
        """Run a prompt and return the `ui` answers of its nodes."""
        payload = {"prompt": prompt, "client_id": self.client_id}
        async with self._session.post(f"{self.url}/prompt", json=payload) as response:
            prompt_id = (await response.json())["prompt_id"]
        answers: dict[str, Any] = {}
        while True:
            message = json.loads((await self._websocket.receive()).data)
            data = message["data"]
            if data.get("prompt_id") != prompt_id:
                continue
            if message["type"] == "executed":
                answers[data["node"]] = data["output"]
            if message["type"] == "execution_success":
                return answers
            assert message["type"] != "execution_error", data

    async def ask(self) -> None:
        """Ask something that costs the server next to nothing: how many prompts are queued."""
        async with self._session.get(f"{self.url}/prompt") as response:
            await response.json()

    async def upload(self, image: torch.Tensor, name: str) -> str:
        """Upload an image `[1, height, width, 3]` as PNG and return the name for LoadImage."""
        stream = io.BytesIO()
        Image.fromarray((image[0] * 255).round().byte().numpy()).save(stream, "PNG", compress_level=1)
        form = aiohttp.FormData()
        form.add_field("image", io.BytesIO(stream.getvalue()), filename=name, content_type="image/png")
        form.add_field("overwrite", "true")
        async with self._session.post(f"{self.url}/upload/image", data=form) as response:
            return str((await response.json())["name"])

    async def download(self, shown: Mapping[str, str]) -> torch.Tensor:
        """Return a picture that a node showed as an image `[1, height, width, 3]`."""
        async with self._session.get(f"{self.url}/view?{urllib.parse.urlencode(shown)}") as response:
            picture = Image.open(io.BytesIO(await response.read())).convert("RGB")
        return torch.from_numpy(np.asarray(picture, np.float32) / 255).unsqueeze(0)
