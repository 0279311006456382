"""The errors that every part of Discomfort shares; those of a part lie in the part."""

from __future__ import annotations


class DiscomfortError(Exception):
    """The base of every error that Discomfort raises on purpose."""


class ConfigError(DiscomfortError, ValueError):
    """A configuration file, or a setting, that cannot be used; the message names everything that is wrong with it."""
