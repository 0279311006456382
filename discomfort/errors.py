"""The errors that every part of Discomfort shares; those of a part lie in the part."""

from __future__ import annotations

from discomfort.printable import printable


class DiscomfortError(Exception):
    """The base of every error that Discomfort raises on purpose.

    Its text may quote titles, names and messages of others; what could steer a terminal is escaped in it.

    Example:
        >>> try:
        ...     discomfort.compile(["nothing.json"])
        ... except discomfort.DiscomfortError as error:
        ...     print(type(error).__name__)
        MissingWorkflowError
    """

    def __str__(self) -> str:
        return printable(super().__str__())


class ConfigError(DiscomfortError, ValueError):
    """A configuration file, or a setting, that cannot be used; the message names everything that is wrong with it.

    Example:
        >>> discomfort.compile(["load_vae.json"], rules={"VAE": "maybe"})
        Traceback (most recent call last):
            ...
        discomfort.ConfigError: ...
    """
