"""Slides → text: in their order, what each shows, what its speaker says, and what was remarked on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shared.documents.readers.part import Part
from shared.documents.readers.slides import read
from shared.errors import DocumentRefused
from tests.unit.readers.archives import package, relations, xml


def presentation(*slides: str, members: dict[str, str] | None = None, **related: str) -> dict[str, str]:
    """A presentation's members. `slides`: the shapes of each; `related`: what the first refers to."""
    listed = "".join(f"<p:sldId id='{256 + i}' r:id='s{i}'/>" for i in range(len(slides)))
    return {
        "_rels/.rels": relations(a="officeDocument deck/p.xml"),
        "deck/p.xml": xml("p:presentation", f"<p:sldIdLst>{listed}</p:sldIdLst>"),
        "deck/_rels/p.xml.rels": relations(**{f"s{i}": f"slide s{9 - i}.xml" for i in range(len(slides))}),
        **{f"deck/s{9 - i}.xml": slide(shapes) for i, shapes in enumerate(slides)},
        "deck/_rels/s9.xml.rels": relations(**related),
        **(members or {}),
    }


def slide(shapes: str, root: str = "p:sld") -> str:
    """One slide, or what is built like one."""
    return xml(root, f"<p:cSld><p:spTree>{shapes}</p:spTree></p:cSld>")


def par(text: str) -> str:
    """A paragraph."""
    return f"<a:p><a:r><a:rPr/><a:t>{text}</a:t></a:r></a:p>"


def shape(text: str, kind: str = "", named: str = "") -> str:
    """A shape of paragraphs, divided by bars. `kind`: of its placeholder."""
    placeholder = f"<p:ph type='{kind}'/>" if kind else ""
    inner = "".join(map(par, text.split("|")))
    return f"<p:sp><p:nvSpPr><p:cNvPr {named}/>{placeholder}</p:nvSpPr><p:txBody>{inner}</p:txBody></p:sp>"


def found(members: dict[str, str]) -> list[tuple[int | None, str]]:
    """Each part's slide and text."""
    return [(part.page, part.text) for part in read(package(members))]


def test_slides_are_read_in_the_order_of_the_presentation() -> None:
    """Whatever their files are called; hidden ones keep their number, as in PowerPoint."""
    members = presentation(shape("first"), shape("hidden"), shape("third"))
    members["deck/s8.xml"] = slide(shape("hidden"), "p:sld show='0'")
    assert found(members) == [(1, "first"), (3, "third")]


def test_a_slide_is_read_from_its_title_down() -> None:
    """The title heads the rest, wherever it stands; numbers and dates of the slide are noise."""
    group = f"<p:grpSp><p:nvGrpSpPr><p:cNvPr/></p:nvGrpSpPr>{shape('grouped')}</p:grpSp>"
    hidden = f"<p:grpSp><p:nvGrpSpPr><p:cNvPr hidden='1'/></p:nvGrpSpPr>{shape('no')}</p:grpSp>"
    shapes = [
        *(shape("7", "sldNum"), shape("5 May", "dt"), shape("ACME", "ftr"), shape("one|two", "body")),
        *(
            shape("Our|plan", "title"),
            group,
            hidden,
            shape("no", named="hidden='1'"),
            shape(" ", named="descr='logo'"),
        ),
    ]
    plan = ("Our plan",)
    assert list(read(package(presentation("".join(shapes))))) == [
        Part("Our plan", page=1),
        *(Part(text, page=1, heading=plan) for text in ("ACME", "one", "two", "grouped", "logo")),
    ]


def test_two_titles_are_both_read() -> None:
    """The first heads the slide; an empty one heads nothing."""
    assert found(presentation(shape("A", "title") + shape("B", "ctrTitle"))) == [(1, "A"), (1, "B")]
    assert list(read(package(presentation(shape(" ", "title") + shape("text"))))) == [Part("text", page=1)]


def test_runs_fields_and_equations_make_one_paragraph() -> None:
    """An equation stands there twice, for newer and older programs; it is read once."""
    number = "<a:fld type='slidenum'><a:t>3</a:t></a:fld><a:br/>"
    equation = "<m:oMath><m:f><m:num><m:t>1</m:t></m:num><m:den><m:t>x</m:t></m:den></m:f></m:oMath>"
    choices = f"<mc:Choice>{equation}</mc:Choice><mc:Fallback><a:r><a:t>1/x</a:t></a:r></mc:Fallback>"
    power = "<a:r><a:rPr baseline='{}'/><a:t>{}</a:t></a:r>".format
    runs = power(0, 10) + power("30000", 6) + power("-25%", 2) + "<a:r><a:t>, </a:t></a:r>"
    runs += f"<a:r><a:t>pa</a:t></a:r><a:r><a:t>ge </a:t></a:r>{number}"
    inner = f"<a:p><a:pPr/>{runs}<mc:AlternateContent>{choices}</mc:AlternateContent></a:p>"
    assert found(presentation(f"<p:sp><p:txBody>{inner}</p:txBody></p:sp>")) == [(1, "10⁶₂, page 3\n1/x")]


def test_tables_diagrams_charts_and_files_are_read() -> None:
    """Merged cells have their text once; a diagram and a chart are parts of their own."""
    cell = "<a:tc {}>{}</a:tc>".format
    fees = (
        cell("gridSpan='2'", par("Fees") + par("2026")) + cell("hMerge='1'", par("no")) + cell("", par("EUR"))
    )
    five = cell("vMerge='1'", "") + cell("", par("5"))
    table = f"<a:tbl><a:tr>{fees}</a:tr><a:tr>{five}</a:tr></a:tbl>"
    frame = "<p:graphicFrame><a:graphic><a:graphicData>{}</a:graphicData></a:graphic></p:graphicFrame>".format
    title = f"<c:title><c:rich>{par('Sales')}</c:rich></c:title><c:ser><c:tx><c:v>A</c:v></c:tx></c:ser>"
    members = {
        "deck/d.xml": xml("dgm:dataModel", f"<dgm:pt><dgm:t>{par('Board')}</dgm:t></dgm:pt>"),
        "deck/c.xml": xml("c:chartSpace", title),
        "deck/x.docx": "clause",
    }
    shapes = "".join(
        map(frame, (table, "<dgm:relIds r:dm='d'/>", "<c:chart r:id='c'/>", "<p:oleObj r:id='x'/>"))
    )
    deck = presentation(shapes, members=members, d="diagramData d.xml", c="chart c.xml", x="package x.docx")

    def read_inside(data: bytes, name: str) -> Iterator[Part]:
        yield Part(f"{data.decode()}", page=5)

    texts = ["Fees 2026 |  | EUR", "| 5", "Board", "Sales", "A"]
    inside = Part("clause", page=5, inside=("x.docx",))
    assert list(read(package(deck), read_inside)) == [*(Part(text, page=1) for text in texts), inside]
    unread = "[The document holds the file x.docx here. It was not read.]"
    assert found(deck) == [(1, text) for text in (*texts, unread)]


def test_notes_and_comments_follow_their_slide() -> None:
    """Comments of PowerPoint until 2021, and those after it with replies."""
    modern = "<p:cm><p:txBody>{}</p:txBody><p:replyLst><p:reply>{}</p:reply></p:replyLst></p:cm>"
    members = {
        "deck/n.xml": slide(
            shape("", "sldImg") + shape("say this|slowly", "body") + shape("1", "sldNum"), "p:notes"
        ),
        "deck/c.xml": xml("p:cmLst", "<p:cm><p:pos/><p:text> why? </p:text></p:cm>"),
        "deck/m.xml": xml("p:cmLst", modern.format(par("new"), par("reply"))),
    }
    related = {"n": "notesSlide n.xml", "c": "comments c.xml", "m": "comments m.xml"}
    texts = ["text", "say this", "slowly", "why?", "new", "reply"]
    assert found(presentation(shape("text"), members=members, **related)) == [(1, text) for text in texts]


@pytest.mark.parametrize(
    ("root", "texts"),
    [
        ("p:sld", [(1, "a"), (1, "Confidential"), (1, "ACME"), (2, "b")]),
        ("p:sld showMasterSp='0'", [(1, "a"), (2, "b"), (2, "Confidential"), (2, "ACME")]),
    ],
)
def test_what_all_slides_show_is_read_once(root: str, texts: list[tuple[int, str]]) -> None:
    """At the first slide that shows it; a layout's placeholders only say where to click."""
    members = {
        "deck/l.xml": slide(shape("Click here", "title") + shape("Confidential"), "p:sldLayout"),
        "deck/_rels/l.xml.rels": relations(m="slideMaster m.xml"),
        "deck/m.xml": slide(shape("ACME") + shape("Click here", "body"), "p:sldMaster"),
        "deck/_rels/s8.xml.rels": relations(l="slideLayout l.xml"),
    }
    deck = presentation(shape("a"), shape("b"), members=members, l="slideLayout l.xml")
    assert found({**deck, "deck/s9.xml": slide(shape("a"), root)}) == texts


@pytest.mark.parametrize(
    "lost", ["_rels/.rels", "deck/p.xml", "deck/_rels/p.xml.rels", "deck/s9.xml", "deck/n.xml"]
)
def test_a_presentation_that_lacks_a_part_is_refused(lost: str) -> None:
    """Its text might be incomplete."""
    deck = presentation(shape("text"), members={"deck/n.xml": slide("", "p:notes")}, n="notesSlide n.xml")
    del deck[lost]
    with pytest.raises(DocumentRefused, match=r"^the file is damaged: open it and save it again$"):
        found(deck)
