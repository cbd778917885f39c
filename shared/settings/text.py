"""Read a text file of the configuration, with a limit: a file that is named by mistake may have no end."""

from __future__ import annotations

from pathlib import Path

LARGEST = 1_000_000
"""Bytes of a blob, and characters of a file: far beyond any prompt, schema or deployments.yaml."""


class TooLarge(ValueError):
    """The file is larger than any file of a configuration."""


def read_text(path: Path) -> str:
    """Return the text of a UTF-8 file. Raises OSError, UnicodeDecodeError and TooLarge."""
    with path.open(encoding="utf-8-sig") as file:
        text = file.read(LARGEST + 1)
    if len(text) > LARGEST:
        raise TooLarge(f"has more than {LARGEST:,} characters: name another file, or make it smaller")
    return text
