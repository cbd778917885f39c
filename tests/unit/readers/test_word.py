"""Word documents → text: everything that Word shows, once; nothing that is deleted or hidden."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shared.documents.readers.part import Part
from shared.documents.readers.word import read
from shared.errors import DocumentRefused
from tests.unit.readers.archives import package, relations, xml

ROOT = {"_rels/.rels": relations(a="officeDocument /Word/Main.xml")}
DEEP = "<w:tbl><w:tr><w:tc>{}</w:tc></w:tr></w:tbl>"


def document(body: str, members: dict[str, str] | None = None, **related: str) -> dict[str, str]:
    """A document's members. `related`: what its main part refers to."""
    main = {"Word/Main.xml": xml("w:document", f"<w:body>{body}</w:body>")}
    return {**ROOT, **main, "Word/_rels/Main.xml.rels": relations(**related), **(members or {})}


def texts(body: str, members: dict[str, str] | None = None, **related: str) -> list[str]:
    """The text of each part."""
    return [part.text for part in read(package(document(body, members, **related)))]


def refusal(members: dict[str, str]) -> str:
    """Why a document is refused."""
    with pytest.raises(DocumentRefused) as raised:
        list(read(package(members)))
    return str(raised.value)


def run(text: str, properties: str = "") -> str:
    """A run of text."""
    return f"<w:r><w:rPr>{properties}</w:rPr><w:t>{text}</w:t></w:r>"


def par(text: str, style: str = "") -> str:
    """A paragraph."""
    return f'<w:p><w:pPr><w:pStyle w:val="{style}"/></w:pPr>{run(text)}</w:p>'


def mark(kind: str, inner: str = "") -> str:
    """Where a field begins, has its separator, or ends."""
    return f'<w:r><w:fldChar w:fldCharType="{kind}">{inner}</w:fldChar></w:r>'


def code(text: str) -> str:
    """A field's instruction."""
    return f"<w:r><w:instrText>{text}</w:instrText></w:r>"


BEGIN, RESULT, END = mark("begin"), mark("separate"), mark("end")
CHOICES = "<w:result w:val='1'/><w:listEntry w:val='no'/><w:listEntry w:val='yes'/>"
BOX = "<w:txbxContent>{}</w:txbxContent>"


# --- paragraphs --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (f"{run('con')}{run('tract ')}{run('of 5 May')}", "contract of 5 May"),
        (f"<w:ins>{run('in')}</w:ins><w:moveTo>{run('serted')}</w:moveTo>", "inserted"),
        (f"a<w:del>{run('x')}<w:r><w:delText>x</w:delText></w:r></w:del>{run('kept')}", "kept"),
        (f"<w:moveFrom>{run('x')}</w:moveFrom>{run('kept')}", "kept"),
        (f"<w:sdt><w:sdtPr><w:alias/></w:sdtPr><w:sdtContent>{run('ctl')}</w:sdtContent></w:sdt>", "ctl"),
        (f"<w:smartTag><w:customXml>{run('tag')}</w:customXml></w:smartTag>", "tag"),
        (f"<w:hyperlink><w:bdo>{run('link')}</w:bdo></w:hyperlink>", "link"),
        (f"<w:fldSimple w:instr='PAGE'>{run('7')}</w:fldSimple>", "7"),
        (BEGIN + code("DATE") + RESULT + run("5 May") + END + run(" 2026"), "5 May 2026"),
        (BEGIN + code("IF") + BEGIN + code("X") + RESULT + run("x") + END + RESULT + run("y") + END, "y"),
        (BEGIN + code("XE") + END + run("not cut off"), "not cut off"),
        (BEGIN + code("X") + run("a field without an end"), "a field without an end"),
        (mark("begin", "<w:ffData><w:checkBox><w:checked/></w:checkBox></w:ffData>") + END, "☒"),
        (mark("begin", "<w:ffData><w:checkBox><w:default w:val='0'/></w:checkBox></w:ffData>") + END, "☐"),
        (mark("begin", f"<w:ffData><w:ddList>{CHOICES}</w:ddList></w:ffData>") + END, "yes"),
        ("<w:r><w:t>a</w:t><w:tab/><w:t>b</w:t><w:br/><w:t>c</w:t><w:cr/><w:t>d</w:t></w:r>", "a\tb\nc\nd"),
        ("<w:r><w:t>a</w:t><w:noBreakHyphen/><w:t>b</w:t><w:softHyphen/><w:t>c</w:t></w:r>", "a-bc"),
        ("<w:r><w:sym w:font='Wingdings' w:char='F0FC'/><w:sym w:font='Symbol' w:char='F061'/></w:r>", "✓α"),
        ("<w:r><w:sym w:font='Arial' w:char='20AC'/><w:sym w:font='Webdings' w:char='zz'/></w:r>", "€\ufffd"),
        (f"<w:ruby><w:rt>{run('かん')}</w:rt><w:rubyBase>{run('漢')}</w:rubyBase></w:ruby>", "漢(かん)"),
        (run("hid", "<w:vanish/>") + run("shown", "<w:vanish w:val='0'/>"), "shown"),
        (
            run("10") + run("-6", "<w:vertAlign w:val='superscript'/>") + run(" CO")
            + run("2", "<w:vertAlign w:val='subscript'/>") + run("x1", "<w:vertAlign w:val='baseline'/>"),
            "10⁻⁶ CO₂x1",
        ),
        ("<w:pPr><w:rPr><w:vanish/></w:rPr></w:pPr>" + run("only the mark is"), "only the mark is"),
    ],
)  # fmt: skip
def test_a_paragraph_is_what_word_shows(content: str, text: str) -> None:
    """Runs join without spaces; a field is its result; what was deleted or is hidden never stood there."""
    assert texts(f"<w:p>{content}</w:p>") == [text]


def test_an_equation_is_written_in_a_line() -> None:
    """Fractions, powers and parentheses are elements: their text alone would be another equation."""
    element = "<m:{0}><m:r><m:t>{1}</m:t></m:r></m:{0}>".format
    fraction = f"<m:f>{element('num', '1')}{element('den', 'a+b')}</m:f>"
    power = f"<m:sSup><m:e><m:d>{element('e', 'x')}</m:d></m:e>{element('sup', '2')}</m:sSup>"
    total = f"<m:nary><m:naryPr><m:chr m:val='∑'/></m:naryPr>{element('sub', 'i')}<m:sup/></m:nary>"
    root = f"<m:rad><m:deg/>{element('e', '2')}</m:rad><w:del>{element('e', 'no')}</w:del>"
    assert texts(f"<w:p><m:oMath>{fraction}{power}{total}{root}</m:oMath></w:p>") == ["1/(a+b)(x)^2∑_i√(2)"]


def test_styles_hide_text_and_make_headings() -> None:
    """Both are inherited; a run's own word comes first; Word's headings are known by their names."""
    style = "<w:style w:type='{}' w:styleId='{}'>{}</w:style>".format
    styles = xml("w:styles", "".join([
        style("paragraph", "H1", "<w:name w:val='heading 1'/>"),
        style("paragraph", "Clause", "<w:basedOn w:val='Base'/><w:pPr><w:outlineLvl w:val='1'/></w:pPr>"),
        style("paragraph", "Sub", "<w:basedOn w:val='Clause'/>"),
        style("paragraph", "Ring", "<w:basedOn w:val='Ring'/>"),
        style("paragraph", "Base", "<w:rPr><w:vanish w:val='0'/></w:rPr>"),
        style("character", "Secret", "<w:rPr><w:vanish/></w:rPr>"),
        style("paragraph", "Note", "<w:basedOn w:val='Secret'/>"),
    ]))  # fmt: skip
    direct = "<w:p><w:pPr><w:pStyle w:val='Sub'/><w:outlineLvl w:val='9'/></w:pPr>{}</w:p>".format
    hidden = run("no", "<w:rStyle w:val='Secret'/>") + run(
        "yes", "<w:rStyle w:val='Secret'/><w:vanish w:val='0'/>"
    )
    body = [
        par("1", "H1"),
        par("1.1", "Sub"),
        direct(hidden),
        par("no", "Note"),
        par("1.2", "Clause"),
        par("2", "H1"),
    ]
    found = read(
        package(document("".join([*body, par("end", "Ring")]), {"Word/s.xml": styles}, s="styles s.xml"))
    )
    assert list(found) == [
        Part("1"),
        Part("1.1", heading=("1",)),
        Part("yes", heading=("1", "1.1")),
        Part("1.2", heading=("1",)),
        Part("2"),
        Part("end", heading=("2",)),
    ]


# --- tables ------------------------------------------------------------------------------------------


def test_a_table_is_read_row_by_row() -> None:
    """Cells keep their places; one that spans rows or columns has its text once; deleted rows are gone."""
    cell = "<w:tc><w:tcPr>{}</w:tcPr>{}</w:tc>".format
    wide = cell("<w:gridSpan w:val='2'/>", par("Fees") + par("2026"))
    control = f"<w:sdt><w:sdtContent>{cell('', par('5'))}</w:sdtContent></w:sdt>"
    rows = [
        wide + cell("<w:vMerge w:val='restart'/>", par("EUR")),
        cell("", "<w:p/>") + control + cell("<w:vMerge/>", "<w:p/>"),
        "<w:trPr><w:del/></w:trPr>" + cell("", par("deleted")),
        "<w:trPr><w:gridBefore w:val='2'/></w:trPr>" + cell("<w:gridSpan w:val='999999999'/>", par("a")),
        cell("<w:cellDel/>", par("deleted")) + cell("", DEEP.format(par("in")) + par("out")),
    ]
    table = "".join(f"<w:tr>{row}</w:tr>" for row in rows)
    assert texts(f"<w:tbl><w:tblPr/>{table}</w:tbl>") == ["Fees 2026 |  | EUR", "| 5", "|  | a", "in out"]


@pytest.mark.parametrize("depth", [60, 100])
def test_tables_in_tables_are_read_as_deep_as_xml_may_be(depth: int) -> None:
    """None ends in a RecursionError."""
    body = par("deep")
    for _ in range(depth):
        body = DEEP.format(body)
    if depth == 60:
        assert texts(body) == ["deep"]
    else:
        assert "nested too deeply" in refusal(document(body))


# --- what stands beside the text ---------------------------------------------------------------------


def test_what_is_drawn_is_read_once() -> None:
    """A text box is written twice, for newer and older programs, or once in the old way."""
    gone = (
        f"<w:drawing><w:anchor><w:docPr hidden='1' descr='no'/>{BOX.format(par('no'))}</w:anchor></w:drawing>"
    )
    logo = "<w:drawing><w:inline><w:docPr name='Picture 1' descr='Our logo'/></w:inline></w:drawing>"
    choice = f"<mc:Choice Requires='wps'><w:drawing>{BOX.format(par('new'))}</w:drawing></mc:Choice>"
    fallback = f"<mc:Fallback><w:pict>{BOX.format(par('new'))}</w:pict></mc:Fallback>"
    old = f"<w:pict><v:shape>{BOX.format(par('old'))}<v:textpath string='DRAFT'/></v:shape></w:pict>"
    twice = f"<mc:AlternateContent>{choice}{fallback}</mc:AlternateContent>"
    anchored = f"<w:r>{twice}</w:r><w:r>{gone}{old}{logo}</w:r>"
    found = texts(f"<w:p>{anchored}{run('text')}</w:p>{par('next')}")
    assert found == ["text", "new", "old", "DRAFT", "Our logo", "next"]


def test_notes_follow_their_references() -> None:
    """Once, and not if their reference was deleted; separators are no notes."""
    note = "<w:{0} w:id='{1}'>{2}</w:{0}>".format
    refer = "<w:r><w:{}Reference w:id='{}'/></w:r>".format
    members = {
        "Word/f.xml": xml(
            "w:footnotes", note("footnote", 0, par("---")) + note("footnote", 1, par("foot") + par("2"))
        ),
        "Word/e.xml": xml("w:endnotes", note("endnote", 1, par("end"))),
        "Word/c.xml": xml(
            "w:comments", note("comment", 1, par("comment")) + note("comment", 2, par("on deleted"))
        ),
    }
    body = f"<w:p>{run('a')}{refer('footnote', 1)}{refer('comment', 1)}</w:p>" + DEEP.format(
        f"<w:p>{run('b')}{refer('endnote', 1)}{refer('footnote', 1)}{refer('footnote', 9)}"
        f"<w:del>{refer('comment', 2)}</w:del></w:p>"
    )
    related = {"f": "footnotes f.xml", "e": "endnotes e.xml", "c": "comments c.xml"}
    assert texts(body, members, **related) == ["a", "foot", "2", "comment", "b", "end"]


@pytest.mark.parametrize("on", [True, False])
def test_headers_of_first_and_even_pages_are_read_if_they_are_shown(on: bool) -> None:
    """Word keeps them when a person turns them off."""
    refer = "".join(
        f"<w:headerReference w:type='{kind}' r:id='{kind}'/>" for kind in ("default", "first", "even")
    )
    title = f"<w:sectPr><w:titlePg w:val='{int(on)}'/></w:sectPr>"
    members = {f"Word/{kind}.xml": xml("w:hdr", par(kind)) for kind in ("default", "first", "even")}
    if on:
        members["Word/settings.xml"] = xml("w:settings", "<w:evenAndOddHeaders/>")
    related = {kind: f"header {kind}.xml" for kind in ("default", "first", "even")}
    body = f"<w:p><w:pPr><w:sectPr>{refer}</w:sectPr></w:pPr></w:p>{par('body')}{title}"
    found = texts(body, members, **related, **({"s": "settings settings.xml"} if on else {}))
    assert found == (["default", "first", "even", "body"] if on else ["default", "body"])


def test_hidden_rows_are_left_out() -> None:
    """As hidden text is."""
    rows = "".join(
        f"<w:tr><w:trPr><w:hidden{value}/></w:trPr><w:tc>{par(text)}</w:tc></w:tr>"
        for value, text in (("", "hidden"), (" w:val='0'", "shown"))
    )
    assert texts(f"<w:tbl>{rows}</w:tbl>") == ["shown"]


def test_headers_come_first_and_footers_last() -> None:
    """Each once, however many sections have it, or one like it."""
    refer = "<w:sectPr><w:headerReference r:id='{}'/><w:footerReference r:id='f'/></w:sectPr>".format
    members = {
        f"Word/{name}.xml": xml("w:hdr", par(text))
        for name, text in zip("hgf", ("ACME", "ACME", "Page 1"), strict=True)
    }
    body = f"<w:p><w:pPr>{refer('h')}</w:pPr>{run('text')}</w:p>{refer('g')}"
    assert texts(body, members, h="header h.xml", g="header G.xml", f="footer f.xml") == [
        "ACME",
        "text",
        "Page 1",
    ]


def test_charts_and_diagrams_are_read() -> None:
    """A chart's values are rows: the labels, then each series with its name."""
    cache = "<c:{0}><c:pt><c:v>{1}</c:v></c:pt><c:pt><c:v>{2}</c:v></c:pt></c:{0}>".format
    tail = cache("cat", "May", "June")
    series = "".join(
        f"<c:ser><c:tx><c:v>{name}</c:v></c:tx>{tail}{cache('val', *pair)}</c:ser>"
        for name, pair in (("A", "12"), ("B", "34"))
    )
    title = "<c:title><c:rich><a:p><a:r><a:t>Sales</a:t></a:r></a:p></c:rich></c:title>"
    point = "<dgm:pt type='{}'><dgm:t><a:p><a:r><a:t>{}</a:t></a:r></a:p></dgm:t></dgm:pt>".format
    members = {
        "Word/c.xml": xml("c:chartSpace", title + series),
        "Word/d.xml": xml("dgm:dataModel", point("node", "Board") + point("pres", "Board")),
    }
    body = "<w:p><w:r><w:drawing><c:chart r:id='c'/><dgm:relIds r:dm='d'/></w:drawing></w:r></w:p>"
    found = texts(body, members, c="chart c.xml", d="diagramData d.xml")
    assert found == ["Sales", "| May | June", "A | 1 | 2", "B | 3 | 4", "Board"]


def test_files_inside_are_read_or_named() -> None:
    """One that no reader is given for, or that is outside, is not dropped without a word."""

    def read_inside(data: bytes, name: str) -> Iterator[Part]:
        yield Part(f"{name}: {data.decode()}")

    body = (
        "<w:altChunk r:id='a'/><w:p><w:r><w:object><o:OLEObject ProgID='Excel' r:id='x'/>"
        "<o:OLEObject ProgID='Equation.3' r:id='q'/></w:object></w:r><w:subDoc r:id='s'/></w:p>"
    )
    members = document(
        body,
        {"Word/a.htm": "<p>", "Word/b.xlsx": "5"},
        a="aFChunk a.htm",
        x="package b.xlsx",
        s="subDocument file:///c.docx",
    )
    linked = Part("[The document links to c.docx here. It was not read.]", inside=())
    assert list(read(package(members), read_inside)) == [
        Part("a.htm: <p>"),
        Part("b.xlsx: 5", inside=("b.xlsx",)),
        linked,
    ]
    assert list(read(package(members))) == [
        Part("[The document holds the file a.htm here. It was not read.]"),
        Part("[The document holds the file b.xlsx here. It was not read.]"),
        linked,
    ]


# --- damage ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "members",
    [
        {},
        ROOT,
        {**ROOT, "Word/Main.xml": xml("w:settings", "")},
        {**ROOT, "Word/Main.xml": xml("w:document", "")},
        document(par("text"), s="styles missing.xml"),
        document("<w:p/><w:sectPr><w:headerReference r:id='unknown'/></w:sectPr>"),
    ],
)
def test_a_document_that_lacks_a_part_is_refused(members: dict[str, str]) -> None:
    """Its text might be incomplete."""
    assert refusal(members) == "the file is damaged: open it and save it again"


def test_notes_that_refer_to_each_other_end() -> None:
    """Each is read once, and a chain of them costs no stack."""
    refer = "<w:r><w:footnoteReference w:id='{}'/></w:r>".format
    note = "<w:footnote w:id='{}'><w:p>{}</w:p></w:footnote>".format
    chain = "".join(note(i, run(str(i)) + refer((i + 1) % 3000)) for i in range(3000))
    found = texts(f"<w:p>{refer(0)}</w:p>", {"Word/f.xml": xml("w:footnotes", chain)}, f="footnotes f.xml")
    assert found == [str(i) for i in range(3000)]
