"""Walk XML by local names: strict OOXML, and what programs write before a standard, has other namespaces."""

from __future__ import annotations

from collections.abc import Container, Iterator

from lxml import etree

from shared.errors import DocumentRefused


def damaged() -> DocumentRefused:
    """Return the refusal of a file that lacks what every office program writes."""
    return DocumentRefused("the file is damaged: open it and save it again")


def local(element: etree._Element) -> str:
    """Return the element's name without its namespace."""
    return element.tag.rpartition("}")[2]


def value(element: etree._Element, name: str, default: str = "") -> str:
    """Return the attribute of that local name."""
    for key, found in element.attrib.items():
        if str(key).rpartition("}")[2] == name:
            return str(found)
    return default


def number(element: etree._Element, name: str, default: int) -> int:
    """Return the attribute of that local name, the default if it is missing or no number."""
    text = value(element, name)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else default


def first(element: etree._Element, name: str) -> etree._Element | None:
    """Return the first child of that local name."""
    return next(element.iterchildren("{*}" + name), None)


def branch(alternatives: etree._Element) -> etree._Element:
    """Return the one of mc:AlternateContent to read: its branches say the same to different programs."""
    return next((choice for choice in alternatives if len(choice)), alternatives)


def within(
    parent: etree._Element, wanted: Container[str], skipped: Container[str] = ()
) -> Iterator[etree._Element]:
    """Yield the outermost elements of the wanted names below the parent, in order; skip others whole."""
    stack = [iter(parent)]
    while stack:
        for element in stack[-1]:
            name = local(element)
            if name in wanted:
                yield element
            elif name not in skipped:
                stack.append(iter(branch(element) if name == "AlternateContent" else element))
                break
        else:
            stack.pop()
