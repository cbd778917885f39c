"""Write an Office equation (OMML) in one line: its parentheses and fractions are elements, no text."""

from __future__ import annotations

from collections.abc import Sequence

from lxml import etree

from shared.documents.readers.elements import first, local, value

_PREFIXES = {"den": "/", "sup": "^", "sub": "_", "lim": "_", "deg": "^1/"}
_SEPARATORS = {"mr": ", ", "m": "; ", "eqArr": "; "}
_DELETED = ("del", "moveFrom")


def linear(element: etree._Element) -> str:
    """Return the equation as one writes it in a line: `x^2/(a+b)`."""
    name = local(element)
    if name == "t":
        return element.text or ""
    if name in _DELETED or name.endswith("Pr"):
        return ""
    return _formed(element, name, [text for text in map(linear, element) if text])


def _formed(element: etree._Element, name: str, inner: Sequence[str]) -> str:
    text = _SEPARATORS.get(name, "").join(inner)
    if name == "num":
        return _grouped(text)
    if name in _PREFIXES:
        return _PREFIXES[name] + _grouped(text) if text else ""
    if name == "d":
        return (
            _property(element, "begChr", "(")
            + _property(element, "sepChr", "|").join(inner)
            + (_property(element, "endChr", ")"))
        )
    if name == "nary":
        return _property(element, "chr", "∫") + text
    return f"√({text})" if name == "rad" else text


def _grouped(text: str) -> str:
    return text if text.isalnum() else f"({text})"


def _property(element: etree._Element, name: str, default: str) -> str:
    properties = first(element, f"{local(element)}Pr")
    found = None if properties is None else first(properties, name)
    return default if found is None else value(found, "val")
