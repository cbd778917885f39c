"""Render an answer for people: a text as it is, everything else as Markdown and its tables as CSV.

No I/O. An answer is untrusted, and so is what was read from storage: any JSON value gives files, in time and
memory proportional to its size.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from shared.documents.quote_places import Places
from shared.documents.result_markdown import NOTHING, inline, paragraphs, table, words
from shared.documents.result_tables import CUT, MOST_CHARACTERS, columns, scalar, tables, to_csv

TEXT = "text/plain; charset=utf-8"
_MARKDOWN, _CSV = "text/markdown; charset=utf-8", "text/csv; charset=utf-8"
_LOWEST = 4  # level of headings
_DEEPEST = 8  # levels of bullets
_QUERY, _ANSWER, _PASSAGES = "query", "answer", "passages"


@dataclass(frozen=True)
class ForPeople:
    """A file that stands beside a result. `end`: of its name, where the result's has `.json`."""

    end: str
    content_type: str
    data: bytes


def for_people(answer: Any, evidence: Any, title: str) -> list[ForPeople]:
    """Return the files for people. `evidence`: as it is stored; None if nothing was verified."""
    if isinstance(answer, str):
        text = answer if answer.endswith("\n") else f"{answer}\n"
        return [ForPeople(".txt", TEXT, text.encode(errors="replace"))]
    places, asked = Places.of(evidence), _is_of_queries(answer)
    body = _answers(answer, places) if asked else _blocks(answer, 2, places)
    page = _joined("\n\n", chain([f"# {inline(title) or NOTHING}"], body))
    readable = ForPeople(".md", _MARKDOWN, f"{page}\n".encode(errors="replace"))
    found = tables([_row(each) for each in answer] if asked else answer, places)
    ends = [f".{each.name}.csv" if each.name else ".csv" for each in found]
    files = [ForPeople(end, _CSV, to_csv(each)) for end, each in zip(ends, found, strict=True)]
    return [readable, *files]


def _joined(between: str, pieces: Iterator[str]) -> str:
    """Join pieces, and compute no more of them than a file for people has room for."""
    kept, free = list[str](), MOST_CHARACTERS
    for piece in pieces:
        if len(piece) > free:
            kept += [piece[: max(0, free)], CUT]
            break
        kept.append(piece)
        free -= len(piece) + len(between)
    return between.join(kept)


def _is_of_queries(answer: Any) -> bool:
    """Return whether it is a list of answers to queries."""
    return (
        isinstance(answer, list)
        and bool(answer)
        and all(
            isinstance(each, dict)
            and {_QUERY, _ANSWER} <= each.keys() <= {_QUERY, _ANSWER, _PASSAGES}
            and isinstance(each[_QUERY], str)
            for each in answer
        )
    )


def _answers(answers: Sequence[Mapping[str, Any]], places: Places) -> Iterator[str]:
    for number, each in enumerate(answers):
        yield f"## {inline(each[_QUERY]) or NOTHING}"
        yield from _blocks(each[_ANSWER], 3, places.at(number).at(_ANSWER))
        if searched := _searched(each):
            yield f"Searched {searched} passages."


def _searched(answer: Mapping[str, Any]) -> str:
    """Return how many passages were searched for an answer, such as "24 of 40"; "" if it does not say."""
    passages = answer.get(_PASSAGES)
    counts = [passages.get(key) for key in ("searched", "of")] if isinstance(passages, dict) else [None]
    return " of ".join(map(str, counts)) if all(isinstance(each, int) for each in counts) else ""


def _row(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return an answer to a query as a row of a table."""
    counts = {_PASSAGES: _searched(answer)} if _PASSAGES in answer else {}
    return {_QUERY: answer[_QUERY], _ANSWER: answer[_ANSWER], **counts}


def _blocks(value: Any, level: int, places: Places) -> Iterator[str]:
    """Give what stands below a heading. `level`: of the headings in it."""
    if not _has_parts(value):
        yield _text(value, places)
    elif names := columns(value):
        yield _joined("\n", table([words(name) for name in names], _rows(value, names, places)))
    elif isinstance(value, list) or level > _LOWEST:
        yield _joined("\n", _bullets(value, places, 0))
    else:
        yield from _fields(value, level, places)


def _fields(value: Mapping[str, Any], level: int, places: Places) -> Iterator[str]:
    """Give the fields of an object, first those without parts: below a heading they would belong to it."""
    for name, each in value.items():
        if not _has_parts(each):
            yield f"**{words(name)}:** {_text(each, places.at(name))}"
    for name, each in value.items():
        if _has_parts(each):
            yield f"{'#' * level} {words(name)}"
            yield from _blocks(each, level + 1, places.at(name))


def _bullets(value: Any, places: Places, depth: int) -> Iterator[str]:
    """Give an object or a list as lines of nested bullets."""
    indent = "  " * depth
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for step, each in items:
        name = f"**{words(step)}:** " if isinstance(step, str) else ""
        if not _has_parts(each):
            yield f"{indent}- {name}{_text(each, places.at(step), f'{indent}  ')}"
        elif depth == _DEEPEST:
            yield f"{indent}- {name}(see the JSON)"
        else:
            yield f"{indent}- {name.strip() or f'**{step + 1}.**'}"
            yield from _bullets(each, places.at(step), depth + 1)


def _has_parts(value: Any) -> bool:
    return isinstance(value, dict | list) and bool(value)


def _text(value: Any, places: Places, indent: str = "") -> str:
    text = "" if isinstance(value, dict | list) else scalar(value)
    return _quote(text, places.here) if places.here else paragraphs(text, indent)


def _quote(text: str, place: str) -> str:
    return f"“{inline(text)}” ({inline(place)})"


def _rows(rows: Sequence[Any], names: Sequence[str], places: Places) -> Iterator[list[str]]:
    for number, row in enumerate(rows):
        at = places.at(number)
        yield [_cell(row.get(name), at.at(name)) for name in names]


def _cell(value: Any, places: Places) -> str:
    if isinstance(value, list):
        return "; ".join(_cell(each, places.at(number)) for number, each in enumerate(value))
    return _quote(scalar(value), places.here) if places.here else inline(scalar(value))
