"""Files of packages → the reader of what they are, and not of what they hold."""

from __future__ import annotations

import pytest

from shared.documents.readers import child
from tests.unit.readers.archives import archive, relations, xml

_OFFICE = "application/vnd.openxmlformats-officedocument"
_CHART = f'<Default Extension="xlsx" ContentType="{_OFFICE}.spreadsheetml.sheet"/>'
_TEXT = {"m.xml": xml("w:document", "<w:body><w:p><w:r><w:t>said</w:t></w:r></w:p></w:body>")}
_SLIDES = {
    "m.xml": xml("p:presentation", "<p:sldIdLst><p:sldId r:id='s'/></p:sldIdLst>"),
    "_rels/m.xml.rels": relations(s="slide s.xml"),
    "s.xml": xml("p:sld", "<p:cSld><p:spTree><p:sp><a:p><a:t>said</a:t></a:p></p:sp></p:spTree></p:cSld>"),
}


@pytest.mark.parametrize(
    ("main", "members"),
    [
        (f"{_OFFICE}.wordprocessingml.document.main+xml", _TEXT),
        ("application/vnd.ms-word.document.macroEnabled.main+xml", _TEXT),
        (f"{_OFFICE}.presentationml.presentation.main+xml", _SLIDES),
        ("application/vnd.ms-powerpoint.slideshow.macroEnabled.main+xml", _SLIDES),
    ],
)
def test_a_file_is_its_main_part(main: str, members: dict[str, str]) -> None:
    """A document or presentation with a chart holds the chart's workbook, which has a type as well."""
    types = f'<Types>{_CHART}<Override PartName="/m.xml" ContentType="{main}"/></Types>'
    start = {"[Content_Types].xml": types, "_rels/.rels": relations(a="officeDocument m.xml")}
    assert [part.text for part in child.read(archive({**start, **members}))] == ["said"]
