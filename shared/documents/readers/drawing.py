"""Read the text of DrawingML: paragraphs, SmartArt diagrams and charts, in documents as in slides."""

from __future__ import annotations

from collections.abc import Iterator

from lxml import etree

from shared.documents.readers.elements import first, local, within
from shared.documents.readers.equations import linear
from shared.documents.readers.shifted import LEVEL, LOWERED, RAISED, Shift, shifted
from shared.documents.readers.tables import row

_PROPERTIES = ("pPr", "rPr", "endParaRPr")
_LABELS, _VALUES = ("cat", "xVal"), ("val", "yVal", "bubbleSize")


def paragraph(element: etree._Element) -> str:
    """Return the text of one a:p."""
    pieces = []
    for piece in within(element, ("t", "br", "oMath"), _PROPERTIES):
        match local(piece):
            case "br":
                pieces.append("\n")
            case "t":
                pieces.append(shifted(piece.text or "", _shift(piece)))
            case _:
                pieces.append(linear(piece))
    return "".join(pieces).strip()


def _shift(text: etree._Element) -> Shift:
    run = text.getparent()
    properties = None if run is None else first(run, "rPr")
    baseline = "" if properties is None else properties.get("baseline", "")
    if baseline.strip("0%") in ("", "-"):
        return LEVEL
    return LOWERED if baseline.startswith("-") else RAISED


def paragraphs(parent: etree._Element) -> Iterator[str]:
    """Yield the text of each a:p below the parent that has some."""
    yield from filter(None, map(paragraph, within(parent, ("p",))))


def diagram(data: etree._Element) -> Iterator[str]:
    """Yield the texts of a SmartArt diagram from its data part; the drawing part repeats them."""
    for point in data.iter("{*}pt"):
        if point.get("type") != "pres":
            yield from paragraphs(point)


def chart(space: etree._Element) -> Iterator[str]:
    """Yield a chart's titles, then its values as rows: the labels, and each series with its name."""
    yield from paragraphs(space)
    told = None
    for series in space.iter("{*}ser"):
        labels = [label for kind in _LABELS for label in _cached(series, kind)]
        if labels and labels != told:
            yield from filter(None, [row(["", *labels])])
            told = labels
        name = " ".join(_cached(series, "tx"))
        values = [list(_cached(series, kind)) for kind in _VALUES if first(series, kind) is not None]
        yield from filter(None, [row([name, *found]) for found in values or [[]]])
    for level in space.iterfind("{*}chartData//{*}lvl"):  # of the charts that Office has since 2016
        yield from filter(None, [row(point.text or "" for point in level)])


def _cached(series: etree._Element, kind: str) -> Iterator[str]:
    source = first(series, kind)
    if source is not None:
        yield from (found.text or "" for found in source.iter("{*}v"))
