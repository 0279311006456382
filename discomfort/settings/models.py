"""What may be in the user's settings files, one pydantic model each; editors get their JSON schemas from these.

pydantic takes a while to import, so this module is imported only where a settings file is read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, RootModel

from discomfort.settings.files import is_usable
from discomfort.settings.server import has_port, is_host, split_command_line

LARGEST_GIBIBYTES = 1 << 30
MOST_ATTEMPTS = 65535
"""There are no more ports to try."""
LONGEST_PAUSE = 3600
"""Seconds between two attempts."""


def _usable(text: str) -> str:
    if not is_usable(text):
        raise ValueError("it holds NUL or half a character, which no program takes")
    return text


def _directory_name(name: str) -> str:
    path = Path(name)
    if not name or not (path.is_absolute() or path.name == name != ".."):
        raise ValueError("it leads out of its folder")
    return name


def _host(host: str) -> str:
    if has_port(host):
        raise ValueError("the port is INITIAL_PORT")
    if not is_host(host):
        raise ValueError("it cannot be looked up")
    return host


def _command_line(line: str) -> str:
    split_command_line(line)  # raises ValueError where a quotation is not closed
    return line


# The description is what messages say was expected, and what editors show.
Text: TypeAlias = Annotated[str, AfterValidator(_usable)]
Gibibytes: TypeAlias = Annotated[float, Field(ge=0, le=LARGEST_GIBIBYTES, allow_inf_nan=False)]

_STRICT = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)


class PassByRulesFile(RootModel[dict[str, Annotated[Literal["val", "ref"], Field(description='"val" or "ref"')]]]):
    """How the values of each type travel: "val" stores the value, "ref" the recipe that rebuilds it.

    Types that are not named keep their presets; a type without a rule is a ref.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(strict=True, title="pass_by_rules.json")


class ContextFile(BaseModel):
    """How much a context may take, and where its directories lie. Without MAX_RAM_GB: half of the free RAM."""

    model_config: ClassVar[ConfigDict] = _STRICT | ConfigDict(title="workflow_context.json")

    MAX_RAM_PERCENT: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] | None = Field(
        None, description="a number from 0 to 100: the share of free RAM that a context may take; wins over MAX_RAM_GB"
    )
    MAX_RAM_GB: Gibibytes | None = Field(
        None, description=f"a number from 0 to {LARGEST_GIBIBYTES}: the GiB of RAM that a context may take"
    )
    MAX_MEMO_GB: Gibibytes | None = Field(
        None, description=f"a number from 0 to {LARGEST_GIBIBYTES}: the GiB that remembered results may take"
    )
    CONTEXTS_DIR_NAME: Annotated[Text, AfterValidator(_directory_name)] | None = Field(
        None, description="a plain name or an absolute path: the folder that holds a user's contexts"
    )


class ServerFile(BaseModel):
    """How Discomfort starts a ComfyUI server of its own. Relative paths start at the folder of this file."""

    model_config: ClassVar[ConfigDict] = _STRICT | ConfigDict(title="comfy_serverless.json")

    API_COMMAND_LINE: Annotated[Text, AfterValidator(_command_line)] = Field(
        "", description="text: the command line of the server, such as python3 main.py --cpu"
    )
    API_WORKING_DIRECTORY: Text = Field("", description="text: the folder in which the server runs")
    API_URL: Annotated[Text, AfterValidator(_host)] = Field(
        "127.0.0.1", description="a host name or address alone, without a port: where the server is reached"
    )
    INITIAL_PORT: int | None = Field(
        None,
        ge=1,
        le=65535,
        description="a whole number from 1 to 65535: the port that is tried first; null: any free port",
    )
    MAX_COMFY_START_ATTEMPTS: int = Field(
        10, ge=1, le=MOST_ATTEMPTS, description=f"a whole number from 1 to {MOST_ATTEMPTS}: how many ports are tried"
    )
    COMFY_START_ATTEMPTS_SLEEP: float = Field(
        1.0,
        ge=0,
        le=LONGEST_PAUSE,
        allow_inf_nan=False,
        description=f"a number from 0 to {LONGEST_PAUSE}: seconds between two attempts",
    )
    COMFYUI_PATH: Text = Field("", description="text: the folder of the ComfyUI checkout, the one with main.py")
    TEST_PAYLOAD_FILE: Text = Field("", description="text: accepted and not used; readiness needs no payload")


SETTINGS: dict[str, type[BaseModel]] = {
    "pass_by_rules": PassByRulesFile,
    "workflow_context": ContextFile,
    "comfy_serverless": ServerFile,
}
"""The models by the name of their files."""
