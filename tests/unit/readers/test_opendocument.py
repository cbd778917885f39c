"""OpenDocument texts → text: what Writer shows, once; nothing that is deleted or hidden."""

from __future__ import annotations

import pytest

from shared.documents.readers.opendocument import read
from shared.documents.readers.part import Part
from shared.errors import DocumentRefused
from tests.unit.readers.archives import package, xml

HIDING = (
    "<style:style style:family='{}' style:name='{}'><style:text-properties text:display='{}'/></style:style>"
)

SPAN = "<text:span text:style-name='{}'>{}</text:span>"


def document(body: str, styles: str = "", **members: str) -> dict[str, str]:
    """A document's members. `styles`: its automatic ones."""
    content = f"<office:automatic-styles>{styles}</office:automatic-styles><office:body>{body}</office:body>"
    return {"content.xml": xml("office:document-content", content), **members}


def texts(body: str, styles: str = "", **members: str) -> list[str]:
    """The text of each part."""
    return [part.text for part in read(package(document(body, styles, **members)))]


def par(text: str, style: str = "") -> str:
    """A paragraph."""
    return f"<text:p text:style-name='{style}'>{text}</text:p>"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("con<text:span>tract</text:span> of\n  <text:span> 5</text:span> May", "contract of 5 May"),
        ("a<text:s text:c='3'/>b<text:tab/>c<text:line-break/>d<text:s/>e", "a   b\tc\nd e"),
        ("a<text:s text:c='999999999'/>b", f"a{' ' * 100}b"),
        ("<text:a>link</text:a> <text:date>5 May</text:date>", "link 5 May"),
        ("a<text:change-start/>inserted<text:change-end/>", "ainserted"),
        ("a<text:hidden-text>no</text:hidden-text>b", "ab"),
        ("<text:hidden-text text:is-hidden='false'>shown</text:hidden-text>", "shown"),
        ("a<text:span text:style-name='no'>x<text:span text:style-name='on'>b</text:span></text:span>", "ab"),
        (f"10{SPAN.format('up', '6' + SPAN.format('ring', 'm') + '2')}1", "10⁶m²1"),
        (f"CO{SPAN.format('down', '2' + SPAN.format('level', '2'))}", "CO₂2"),
        ("<text:ruby><text:span>漢</text:span><text:ruby-text>かん</text:ruby-text></text:ruby>", "漢(かん)"),
        ("<text:script>run()</text:script><text:number>1.</text:number>text", "text"),
    ],
)  # fmt: skip
def test_a_paragraph_is_what_writer_shows(content: str, text: str) -> None:
    """White space folds as the format says; what is hidden is left out."""
    style = "<style:style style:family='text' style:name='{}' style:parent-style-name='{}'>{}</style:style>"
    shift = "<style:text-properties style:text-position='{}'/>".format
    shifts = {"up raised": "", "raised": "super 58%", "ring ring": "", "down": "-33% 58%", "level down": "0%"}
    styles = "".join(
        style.format(*f"{names} ".split(" ")[:2], shift(given) if given else "")
        for names, given in shifts.items()
    )
    hiding = HIDING.format("text", "no", "none") + HIDING.format("text", "on", "true")
    assert texts(par(content), hiding + styles) == [text]


def test_deleted_and_hidden_blocks_are_left_out() -> None:
    """Deleted text is kept apart from the text; a style hides with all that inherit from it."""
    deleted = (
        "<text:tracked-changes><text:deletion><text:p>no</text:p></text:deletion></text:tracked-changes>"
    )
    section = "<text:section text:display='{}' text:is-hidden='{}'><text:p>{}</text:p></text:section>".format
    child = "<style:style style:family='paragraph' style:name='child' style:parent-style-name='no'/>"
    body = deleted + section("none", "", "no") + section("condition", "true", "no")
    body += (
        section("condition", "false", "shown")
        + par("no", "child")
        + par("no<text:hidden-paragraph text:is-hidden='true'/>")
    )
    assert texts(body, HIDING.format("paragraph", "no", "none") + child) == ["shown"]


def test_headings_stand_above_their_text() -> None:
    """Also in sections; a heading in a text box heads nothing."""
    heading = "<text:h text:outline-level='{}'>{}</text:h>".format
    box = f"<draw:frame><draw:text-box>{heading(1, 'box')}</draw:text-box></draw:frame>"
    inner = f"<text:section>{heading(2, '1.1')}{par('a' + box)}</text:section>"
    assert list(read(package(document(heading(1, "1") + inner + heading(1, "2") + par("b"))))) == [
        Part("1"),
        Part("1.1", heading=("1",)),
        Part("a", heading=("1", "1.1")),
        Part("box", heading=("1", "1.1")),
        Part("2"),
        Part("b", heading=("2",)),
    ]


def test_lists_and_indexes_are_read_without_what_makes_them() -> None:
    """The template of a table of contents is no text; its entries are."""
    items = "<text:list><text:list-item>{}</text:list-item></text:list>".format
    source = f"<text:table-of-content-source>{par('no')}</text:table-of-content-source>"
    index = f"<text:table-of-content>{source}<text:index-body>{par('1 Terms')}</text:index-body>"
    body = items(par("one") + items(par("two"))) + index + "</text:table-of-content>"
    assert texts(body) == ["one", "two", "1 Terms"]


def test_a_table_is_read_row_by_row() -> None:
    """Repeated cells as often as they stand there; those that a merged one covers are empty."""
    cell = "<table:table-cell {}>{}</table:table-cell>".format
    inner = f"<table:table><table:table-row>{cell('', par('in'))}</table:table-row></table:table>"
    section = f"<text:section>{par('side')}</text:section>"
    covered = f"<table:covered-table-cell>{par('no')}</table:covered-table-cell>"
    rows = [
        cell("", par("Fees") + par("2026")) + covered + cell("", par("EUR")),
        cell("table:number-columns-repeated='3'", par("0"))
        + cell("table:number-columns-repeated='16000'", ""),
        cell("table:number-columns-repeated='4000000000'", par("x")),
        cell("", par("out") + inner + section),
    ]
    table = "".join(f"<table:table-row>{row}</table:table-row>" for row in rows)
    found = texts(f"<table:table><table:table-header-rows>{table}</table:table-header-rows></table:table>")
    assert found == ["Fees 2026 |  | EUR", "0 | 0 | 0", "x", "out in side"]
    assert texts(
        f"<table:table-row table:number-rows-repeated='2'>{cell('', par('a'))}</table:table-row>"
    ) == ["a", "a"]


def test_notes_comments_and_boxes_follow_their_paragraph() -> None:
    """Once each, without the numbers, names and dates that belong to them; hidden ones not."""
    note = f"<text:note><text:note-citation>1</text:note-citation>{par('foot')}</text:note>"
    remark = f"<office:annotation><text:creator>Ann</text:creator>{par('why?')}</office:annotation>"
    shape = f"<draw:custom-shape>{par('in a shape')}</draw:custom-shape>"
    anchored = f"a{note}b{remark}c{shape}<text:span text:style-name='no'>{note}</text:span>"
    box = f"<draw:text-box>{par('on the page')}</draw:text-box>"
    page = f"<draw:frame>{box}<draw:desc>logo</draw:desc></draw:frame>"
    found = texts(page + par(anchored) + par("next"), HIDING.format("text", "no", "none"))
    assert found == ["on the page", "logo", "abc", "foot", "why?", "in a shape", "next"]


def test_objects_are_read_where_they_stand() -> None:
    """A formula as it was typed, a chart as its titles and values; a lost one is named."""
    frame = "<draw:frame><draw:object xlink:href='./{}'/></draw:frame>".format
    cells = "".join(f"<table:table-cell>{par(text)}</table:table-cell>" for text in ("May", "5"))
    chart = f"{par('Sales')}<table:table-row>{cells}</table:table-row>{frame('Chart')}"
    members = {
        "Formula/content.xml": xml("m:math", "<m:mi>a</m:mi><m:annotation>{a} over {b}</m:annotation>"),
        "Chart/content.xml": xml("office:document-content", f"<office:body>{chart}</office:body>"),
    }
    body = "".join(map(frame, ("Formula", "Chart", "Lost")))
    assert texts(par(f"text{body}"), **members) == [
        *("text", "{a} over {b}", "Sales", "May | 5"),
        "[The document holds an object here that was not read.]",
    ]


def test_headers_come_first_and_footers_last() -> None:
    """Those of all page styles, equal ones once; their styles are not those of the text."""
    header = f"<style:header>{par('ACME', 'P1')}</style:header><style:footer>{par('Page 1')}</style:footer>"
    off = f"<style:header-first style:display='false'>{par('no')}</style:header-first>"
    pages = "".join(f"<style:master-page>{page}</style:master-page>" for page in (header + off, header))
    styles = {"styles.xml": xml("office:document-styles", pages)}
    found = texts(par("no", "P1") + par("text"), HIDING.format("paragraph", "P1", "none"), **styles)
    assert found == ["ACME", "text", "Page 1"]


def test_a_file_with_a_password_is_refused() -> None:
    """Its manifest says so; the content is noise."""
    members = document("", **{"META-INF/manifest.xml": "<manifest:encryption-data/>"})
    with pytest.raises(DocumentRefused, match=r"^the file is protected by a password: save it without one$"):
        list(read(package(members)))


@pytest.mark.parametrize("members", [{}, {"content.xml": xml("office:document-content", "")}])
def test_a_file_without_a_text_is_refused(members: dict[str, str]) -> None:
    """There is nothing to open."""
    with pytest.raises(DocumentRefused, match=r"^the file is damaged: open it and save it again$"):
        list(read(package(members)))


def test_tables_in_tables_are_read_as_deep_as_xml_may_be() -> None:
    """Without a RecursionError."""
    levels = [f"table:{name}" for name in ("table", "table-row", "table-cell")] * 80
    opened = "".join(f"<{level}>" for level in levels)
    closed = "".join(f"</{level}>" for level in reversed(levels))
    assert texts(f"{opened}{par('deep')}{closed}") == ["deep"]
