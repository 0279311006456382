"""Where the system keeps a user's settings and caches, as platformdirs knows it."""

from __future__ import annotations

import os
from pathlib import Path

APPLICATION = "discomfort"


def cache_folder() -> Path | None:
    """Return the folder for what the user's programs may lose: DISCOMFORT_CACHE_DIR, else where the system has such.

    None where the variable is set and empty, or where the user has no home. It need not exist.
    """
    folder = os.environ.get("DISCOMFORT_CACHE_DIR")
    if folder is not None:
        return Path(folder) if folder else None
    try:
        import platformdirs
    except ImportError:  # ComfyUI's own Python without our requirements.txt: nothing is remembered between processes
        return None
    return _absolute(platformdirs.user_cache_dir(APPLICATION, appauthor=False, opinion=False))


def settings_folder() -> Path | None:
    """Return the folder of the user's settings files, which need not exist; None where the user has no home."""
    try:
        import platformdirs
    except ImportError:  # as in `cache_folder`
        return None
    return _absolute(platformdirs.user_config_dir(APPLICATION, appauthor=False))


def _absolute(path: str) -> Path | None:
    """Return a path, None for one that begins with `~` or in the current folder: the user has no home."""
    folder = Path(path)
    return folder if folder.is_absolute() else None
