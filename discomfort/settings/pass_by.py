"""Which types travel by value and which by reference: `pass_by_rules.json` and its presets.

Read by the compiler (what does a port store?) and by the context (may this be stored?), so it sits below both.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from discomfort.errors import ConfigError
from discomfort.settings.files import read_settings, settings_file

PassBy: TypeAlias = Literal["val", "ref"]

RULES_NAME = "pass_by_rules.json"

PRESETS: Mapping[str, PassBy] = {
    "MODEL": "ref",
    "CLIP": "ref",
    "VAE": "ref",
    "CONDITIONING": "ref",
    "LATENT": "val",
    "IMAGE": "val",
    "MASK": "val",
    "CONTROL_NET": "ref",
    "STRING": "val",
    "INT": "val",
    "FLOAT": "val",
    "BOOLEAN": "val",
    "TUPLE": "val",
    "LIST": "val",
    "DICT": "val",
    "ANY": "val",
}
"""The documented presets."""

_SAME_AS = {"*": "ANY", "COMBO": "STRING"}


@dataclass(frozen=True)
class PassByRules:
    """The rule of each type: "val" stores the value, "ref" the recipe that rebuilds it."""

    rules: Mapping[str, PassBy] = field(default_factory=lambda: PRESETS)

    def rule(self, type_name: str) -> PassBy | None:
        """Return the rule written for `type_name`, or None where there is none.

        `*` follows ANY, a combo follows STRING, and a union ("A,B") has a rule when all its members agree.
        """
        exact = self.rules.get(type_name)
        if exact is not None:
            return exact
        if type_name in _SAME_AS:
            return self.rules.get(_SAME_AS[type_name])
        if "," in type_name:
            rules: set[PassBy | None] = {self.rule(member.strip()) for member in type_name.split(",")}
            return rules.pop() if len(rules) == 1 else None
        return None

    def of(self, type_name: str) -> PassBy:
        """Return how `type_name` travels; a type without a rule is a ref, which is always safe."""
        return self.rule(type_name) or "ref"


def load_rules(source: PassByRules | Mapping[str, str] | str | os.PathLike[str] | None = None) -> PassByRules:
    """Return the rules in `source`: a file, a mapping type → "val" / "ref", or rules already read.

    None reads the user's `pass_by_rules.json` (see `discomfort.settings.files.settings_file`), if there is one. What
    `source` does not name keeps its preset.

    Raises:
        ConfigError: this is neither a file nor a mapping, or entries are not "val" or "ref"; names each of them.
        OSError: the file cannot be read.
    """
    if isinstance(source, PassByRules):
        return source
    path = settings_file(RULES_NAME) if source is None else source
    if path is None:
        return PassByRules()
    entries, where = (read_settings(path), path) if isinstance(path, (str, os.PathLike)) else (path, "rules")
    if not isinstance(entries, Mapping):
        raise ConfigError(f'{where}: expected a file, or a mapping of types to "val" or "ref", found {entries!r}')
    from discomfort.settings.checking import check_settings
    from discomfort.settings.models import PassByRulesFile

    return PassByRules({**PRESETS, **check_settings(PassByRulesFile, entries, where).root})
