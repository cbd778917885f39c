"""Numbers of lists and headings, which DOCX and ODT do not store: people ask about clause 7.3."""

from __future__ import annotations

from shared.documents.readers import opendocument, word
from shared.documents.readers.numerals import columns, letters, roman
from shared.documents.readers.part import Part
from tests.unit.readers.archives import package, xml
from tests.unit.readers.test_opendocument import document as odt
from tests.unit.readers.test_word import document as docx
from tests.unit.readers.test_word import par, run

# --- DOCX ----------------------------------------------------------------------------------------


def level(at: int, pattern: str, kind: str = "decimal", more: str = "", start: int = 1) -> str:
    """A level of a list."""
    form = f"<w:start w:val='{start}'/><w:numFmt w:val='{kind}'/><w:lvlText w:val='{pattern}'/>"
    return f"<w:lvl w:ilvl='{at}'>{form}{more}</w:lvl>"


def listed(definition: str | int, name: int, overrides: str = "") -> str:
    """A list of a definition, which may override it."""
    return f"<w:num w:numId='{name}'><w:abstractNumId w:val='{definition}'/>{overrides}</w:num>"


def item(text: str, name: int | str, at: int = 0, mark: str = "") -> str:
    """A paragraph in a list. `mark`: properties of its end."""
    place = f"<w:numPr><w:ilvl w:val='{at}'/><w:numId w:val='{name}'/></w:numPr><w:rPr>{mark}</w:rPr>"
    return f"<w:p><w:pPr>{place}</w:pPr>{run(text) if text else ''}</w:p>"


def texts(body: list[str], numbering: str, styles: str = "", **members: str) -> list[str]:
    """What is read of a document."""
    parts = {
        "Word/n.xml": xml("w:numbering", numbering),
        "Word/s.xml": xml("w:styles", styles),
        **{f"Word/{name}.xml": content for name, content in members.items()},
    }
    related = {"n": "numbering n.xml", "s": "styles s.xml"}
    related |= {name: f"{name} {name}.xml" for name in members}
    return [part.text for part in word.read(package(docx("".join(body), parts, **related)))]


CONTRACT = (
    "<w:abstractNum w:abstractNumId='5'>"
    + level(0, "Article %1", "upperRoman", "<w:pStyle w:val='H1'/>")
    + level(1, "%1.%2", more="<w:isLgl/><w:pStyle w:val='H2'/>")
    + level(2, "(%3)", "lowerLetter")
    + level(3, "o", "bullet")
    + level(4, "%5)", more="<w:lvlRestart w:val='1'/>")
    + level(5, "%6", more="<w:rPr><w:vanish/></w:rPr>")
    + "</w:abstractNum>"
)


def test_clauses_have_the_numbers_that_word_shows() -> None:
    """Also those that styles give. What is not shown does not count; what is empty, counts."""
    style = (
        "<w:style w:type='paragraph' w:styleId='{}'>{}<w:pPr><w:numPr>{}</w:numPr></w:pPr></w:style>".format
    )
    styles = style("H1", "<w:name w:val='heading 1'/>", "<w:numId w:val='1'/>")
    styles += style("H2", "<w:name w:val='heading 2'/>", "<w:numId w:val='1'/>")  # its level names it
    styles += "<w:style w:type='paragraph' w:styleId='Sub'><w:basedOn w:val='H2'/></w:style>"
    none = "<w:p><w:pPr><w:pStyle w:val='H2'/><w:numPr><w:numId w:val='0'/></w:numPr></w:pPr>{}</w:p>".format
    body = [
        *(par("Scope", "H1"), item("", 1, 1), par("Fees", "H2"), item("net", 1, 2), item("gross", 1, 2)),
        *(item("cash", 1, 3), item("five", 1, 4), par("Costs", "Sub"), item("later", 1, 2)),
        *(item("six", 1, 4), none(run("No clause")), par("Term", "H1"), item("one", 1, 4)),
        *(item("unseen number", 1, 5), item("gone", 1, 1, "<w:del/>"), item("hidden", 1, 1, "<w:vanish/>")),
        *(item("run-in", 1, 1, "<w:vanish/><w:specVanish/>"), item("last", 1, 1)),
        *(item("?", 1, 8), item("?", 7)),
    ]  # fmt: skip
    assert texts(body, CONTRACT + listed(5, 1), styles) == [
        *("Article I Scope", "1.2 Fees", "(a) net", "(b) gross", "• cash", "1) five", "1.3 Costs"),
        *("(a) later", "2) six", "No clause", "Article II Term", "1) one", "unseen number", "gone", "hidden"),
        *("2.1 run-in", "2.2 last", "?", "?"),
    ]


def test_lists_of_one_definition_count_on_unless_they_restart() -> None:
    """As in Word. One that begins below its first level takes that as begun."""
    plain = "<w:abstractNum w:abstractNumId='a'>" + level(0, "%1.", start=3) + level(1, "%1%2", "none")
    plain += (
        level(2, "%1.%3") + "</w:abstractNum><w:abstractNum w:abstractNumId='b'><w:numStyleLink w:val='L'/>"
    )
    restart = "<w:lvlOverride w:ilvl='0'><w:startOverride w:val='8'/></w:lvlOverride>"
    changed = f"<w:lvlOverride w:ilvl='0'>{level(0, '§ %1', 'decimalZero')}</w:lvlOverride>"
    lists = f"{plain}</w:abstractNum>{listed('a', 1)}{listed('a', 2, restart)}{listed('a', 3, changed)}"
    lists += listed("b", 4)
    style = "<w:style w:styleId='L'><w:pPr><w:numPr><w:numId w:val='1'/></w:numPr></w:pPr></w:style>"
    places = [(1, 2), (1, 0), (2, 0), (2, 0), (1, 0), (3, 0), (4, 0), (1, 1)]
    assert texts([item("x", *place) for place in places], lists, style) == [
        *("3.1 x", "3. x", "8. x", "9. x", "10. x", "§ 11 x", "3. x", "11 x"),
    ]


def test_headings_of_a_document_have_their_numbers_and_margins_count_by_themselves() -> None:
    """A part names the heading with its number, as people do."""
    styles = "<w:style w:type='paragraph' w:styleId='H'><w:name w:val='heading 1'/></w:style>"
    place = "<w:pStyle w:val='H'/><w:numPr><w:ilvl w:val='0'/><w:numId w:val='1'/></w:numPr>"
    box = f"<w:p><w:r><w:txbxContent>{item('in a box', 1)}</w:txbxContent></w:r></w:p>"
    members = {
        "Word/n.xml": xml("w:numbering", CONTRACT + listed(5, 1)),
        "Word/s.xml": xml("w:styles", styles),
        "Word/h.xml": xml("w:hdr", item("above", 1)),
    }
    body = f"{box}<w:p><w:pPr>{place}</w:pPr>{run('Scope')}</w:p>{par('text')}"
    body += "<w:sectPr><w:headerReference r:id='h'/></w:sectPr>"
    related = {"n": "numbering n.xml", "s": "styles s.xml", "h": "header h.xml"}
    assert list(word.read(package(docx(body, members, **related)))) == [
        *(Part("Article I above"), Part("Article I in a box"), Part("Article I Scope")),
        Part("text", heading=("Article I Scope",)),
    ]


def test_hostile_numbers_stay_short() -> None:
    """Neither a start, a pattern, nor a ring of styles makes a paragraph long or endless."""
    ring = "".join(
        f"<w:style w:type='paragraph' w:styleId='{i}'><w:basedOn w:val='{(i + 1) % 20_000}'/></w:style>"
        for i in range(20_000)
    )
    start = 999_999_999
    levels = level(0, "%1" * 10_000, "lowerLetter", start=start) + level(1, "%2", "lowerRoman", start=start)
    lists = f"<w:abstractNum w:abstractNumId='1'>{levels * 20}</w:abstractNum>" + "".join(
        listed(1, i) for i in range(2000)
    )
    body = [item("x", i, i % 2) for i in range(2000)] + [par("ring", "7")]
    found = texts(body, lists, ring)
    assert found[1] == "999999999 x"
    assert found[-1] == "ring"
    assert max(map(len, found)) < 1000
    assert (letters(780), letters(781), roman(3999), roman(4000), columns(780), columns(0)) == (
        *("z" * 30, "781", "mmmcmxcix", "4000", "acz", "0"),
    )  # fmt: skip


# --- ODT -----------------------------------------------------------------------------------------


def style(name: str, *levels: str, kind: str = "list-style") -> str:
    """A style of lists. `levels`: the attributes of each."""
    entries = "".join(
        f"<text:{kind.replace('-', '-level-')}-number text:level='{at}' {given}/>"
        for at, given in enumerate(levels, 1)
    )
    return f"<text:{kind} style:name='{name}'>{entries}</text:{kind}>"


def items(*content: str, given: str = "") -> str:
    """A list. `content`: of each item; its attributes may stand before a bar."""
    return f"<text:list {given}>{''.join(content)}</text:list>"


def entry(*content: str, given: str = "") -> str:
    """An item of paragraphs or lists."""
    inner = "".join(text if text.startswith("<") else f"<text:p>{text}</text:p>" for text in content)
    return f"<text:list-item {given}>{inner}</text:list-item>"


LETTERED = style(
    "L",
    "style:num-format='1' style:num-suffix='.'",
    "style:num-format='a' text:display-levels='2' style:num-prefix='(' style:num-suffix=')'",
    "style:num-format='I' style:num-list-format='§ %1%/%3%'",
)


def test_items_have_the_numbers_that_writer_shows() -> None:
    """The first paragraph of each; a list may go on after text, or begin where it likes."""
    inner = items(entry("in"), entry("it", items(entry("deep"))))
    first = items(
        *(entry("one", "and more", inner), entry("two"), entry("nine", given="text:start-value='9'")),
        given="text:style-name='L' xml:id='a'",
    )
    other = items(entry("new"), given="text:style-name='L'")
    on = items(entry(items(entry("after nine"))), given="text:style-name='L' text:continue-list='a'")
    bullets = items(entry("tea"), given="text:style-name='B'")
    deleted = f"<text:tracked-changes><text:deletion>{items(entry('no'), given='''text:style-name='L' ''')}"
    body = f"{first}{other}{on}{bullets}{deleted}</text:deletion></text:tracked-changes>"
    body += items(entry("next"), given="text:style-name='L' text:continue-numbering='true'")
    body += items(entry("<text:p><text:number>7.3</text:number>told</text:p>"), given="text:style-name='L'")
    sign = "<text:list-style style:name='B'><text:list-level-style-bullet text:level='1'/></text:list-style>"
    assert [part.text for part in opendocument.read(package(odt(body, LETTERED + sign)))] == [
        *("1. one", "and more", "(1.a) in", "(1.b) it", "§ 1/I deep", "2. two", "9. nine", "1. new"),
        *("(9.a) after nine", "• tea", "10. next", "7.3 told"),
    ]


def test_headings_are_counted_by_the_outline() -> None:
    """Its levels without a format have no number, and none in those below."""
    outline = style(
        "Outline",
        "style:num-format='1'",
        "style:num-format='1' text:display-levels='2'",
        "",
        "style:num-format='A' text:display-levels='999999999'",
        kind="outline-style",
    ).replace("outline-level-number", "outline-level-style")
    heading = "<text:h text:outline-level='{}' {}>{}</text:h>".format
    body = heading(1, "", "Scope") + heading(2, "", "Fees") + heading(2, "text:is-list-header='true'", "No")
    body += f"<table:table><table:table-row><table:table-cell>{heading(2, '', 'Costs')}</table:table-cell>"
    body += f"</table:table-row></table:table>{heading(3, '', 'Plain')}{heading(4, '', 'Deep')}"
    body += heading(11, "", "Too deep") + heading(1, "text:start-value='5'", "Term")
    members = {"styles.xml": xml("office:document-styles", outline)}
    found = list(opendocument.read(package(odt(body, **members))))
    assert [part.text for part in found] == [
        *("1 Scope", "1.1 Fees", "No", "1.2 Costs", "Plain", "1.2.A Deep", "Too deep", "5 Term"),
    ]
    assert found[1].heading == ("1 Scope",)
