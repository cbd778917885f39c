"""Write untrusted text into Markdown so that it is shown as it is: no links, images, HTML, headings or lists.

Signs are escaped with a backslash (https://spec.commonmark.org/0.31.2/#backslash-escapes), those of HTML as
entities, because old programs know no backslash there. The signs of addresses are escaped, too, because
GitHub and VS Code make links of plain text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

NOTHING = "—"
"""What stands for an empty value."""
_SIGNS = re.compile(r"[\\`*_{}\[\]#|~$@]|:(?=//)|(?<=www)\.", re.IGNORECASE)
_HTML = re.compile(r"[<>]|&(?=[#\w])")
_ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
# What begins a list, underlines a heading or divides a table at the beginning of a line.
_START = re.compile(r"\A(\d{1,9}(?=[.)](?:\s|\Z))|(?=[-+=:](?!\w)))")
_CONTROLS = dict.fromkeys([*range(32), *range(127, 160)], "\ufffd")
_CAMEL = re.compile(r"(?<=[a-z0-9])[A-Z](?![A-Z])")
_CAPITALS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def inline(text: str) -> str:
    """Return a text as one line, to stand within a line."""
    line = " ".join(text.split()).translate(_CONTROLS)
    return _HTML.sub(lambda sign: _ENTITIES[sign[0]], _SIGNS.sub(r"\\\g<0>", line))


def paragraphs(text: str, indent: str = "") -> str:
    """Return a text with a paragraph for each of its lines; those after the first one are indented."""
    lines = [_START.sub(r"\1\\", inline(line)) for line in text.splitlines() if line.strip()]
    return f"\n\n{indent}".join(lines) or NOTHING


def words(name: str) -> str:
    """Return the name of a field in words: `end_date` and `endDate` become "End date"."""
    spaced = _CAPITALS.sub(" ", _CAMEL.sub(lambda letter: f" {letter[0].lower()}", name.replace("_", " ")))
    return inline(spaced[:1].upper() + spaced[1:]) or NOTHING


def table(head: Sequence[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """Give the lines of a table. Its cells are Markdown already."""
    for cells in chain((head, ["---"] * len(head)), rows):
        yield f"| {' | '.join(cells)} |"
