"""A quote is evidence only if it stands in the document; if it does, people learn where."""

from __future__ import annotations

import sys
from typing import Any
from unicodedata import normalize

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.documents.evidence import Found, Searchable, check, missing
from shared.documents.readers.part import Part, joined

CLAUSE = "The Supplier shall not be liable for lost profits, unless caused by gross negligence."
RATE = "The rate is 7% on the sum that is outstanding."


def found_in(text: str, quote: str) -> str | None:
    """What of the text was found for the quote."""
    found = Searchable([Part(text)]).find(quote)
    return text[found.start : found.end] if found else None


@pytest.mark.parametrize(
    ("text", "quote"),
    [
        ("the Supplier  shall\r\ndeliver the\ngoods", "the Supplier shall deliver the goods"),
        ("under this agree-\nment the Supplier delivers", "under this agreement the Supplier delivers"),
        ("a non-\nexclusive licence to the Software", "a non-exclusive licence to the Software"),
        ("the oﬃce conﬁrms the order in writing", "the office confirms the order in writing"),
        ("the “Goods” are the Supplier’s own – always", 'the "Goods" are the Supplier\'s own - always'),
        ("a fee of 500\xa0000\u202fEUR is payable at once", "a fee of 500 000 EUR is payable at once"),
        ("the Liefer\u00adbedin\u00adgungen of the seller", "the Lieferbedingungen of the seller"),
        ("IN NO EVENT SHALL THE STRASSE BE CLOSED", "In no event shall the Straße be closed"),
        ("Ngươ\u0300i mua phải thanh toán tiê\u0323n trước", "Người mua phải thanh toán tiện trước"),
        ("Fee (monthly) | 1,200.50 USD | net thirty days", "Fee monthly: 1,200.50 USD, net thirty days"),
        ("it may — for cause; in writing — terminate", "it may (for cause, in writing) terminate"),
        ("this agree-\nment says … nothing but that", "this agreement says ... nothing but that"),
        ("the parties agree, and that is all of it", "“[...] The parties agree, and that is all of it …”"),
    ],
)
def test_how_a_text_is_set_does_not_count(text: str, quote: str) -> None:
    """Line breaks, ligatures, kinds of quotes, dashes and spaces, case, and signs beside letters."""
    assert found_in(f"Before. {text}! After.", quote) == text


@pytest.mark.parametrize(
    "quote",
    [
        "The Supplier shall ... be liable for lost profits",  # the halves stand there, and mean the opposite
        "The Supplier shall [...] be liable for lost profits",
        "The Supplier shall be liable for lost profits",
        "The Supplier shall not … be liable for lost profits",
        "The Buyer shall not be liable for lost profits",
        "This agreement is governed by the laws of France",
        "the fee is 15 per cent of the price of the goods",
        "the rate is 7 on the sum that is outstanding",
        "the fee is $1.5 per cent of the price of the goods",
        "",
        " … ",
        "“”",
    ],
)
def test_what_does_not_stand_there_is_not_found(quote: str) -> None:
    """Nothing is passed over: no word, no letter, no point in a figure."""
    assert found_in(f"{CLAUSE} The fee is 1.5 per cent of the price of the goods. {RATE}", quote) is None


@pytest.mark.parametrize(
    ("quote", "found"),
    [
        ("within 30 days of it", "within 30\ndays of it"),
        ("“30 days”", "30\ndays"),
        ("Within 30 days", None),
        ("0 days", None),
        ("30 day", None),
        ("1,030", None),
        ("030.5", None),
        ("1,030.5", "1,030.5"),
        ("...", None),
        ("abcdefghij klmnopqrs", None),  # 19 letters
        ("abcdefghij klmnopqrst", "ABCDEFGHIJ KLMNOPQRST"),
        ("合同", "合同"),
    ],
)
def test_a_short_quote_must_stand_exactly(quote: str, found: str | None) -> None:
    """With fewer than 20 letters, only white space is folded, and neither words nor figures are cut."""
    text = "Pay within 30\ndays of it, or 1,030.5 more. ABCDEFGHIJ KLMNOPQRST. 本合同由甲乙"
    assert found_in(text, quote) == found


def pages(foot: str) -> list[Part]:
    texts = ["The Buyer may with-", "draw from the contract within a year.", "Signed in Paris."]
    return [
        Part(f"Contract\nof sale\n\nDraft\nSecret\n{text}\n{foot * page}\nPage {page} of 3", page=page)
        for page, text in enumerate(texts, 1)
    ]


def test_a_quote_runs_over_the_end_of_a_page() -> None:
    """It has the page on which it begins. Only what pages repeat may stand between, whatever its number."""
    clause = "the Buyer may withdraw from the contract within a year"
    text, found = joined(pages("")), Searchable(pages("")).find(clause)
    start, end = text.index("The Buyer"), text.index(" a year") + len(" a year")
    assert found and (found.page, found.start, found.end) == (1, start, end)
    foot = Searchable(pages("")).find("Page 1 of 3. Contract of sale, draft")
    assert foot and text[foot.start : foot.end] == "Page 1 of 3\n\nContract\nof sale\n\nDraft"
    assert Searchable(pages("not ")).find(clause) is None
    assert Searchable([Part(part.text) for part in pages("")]).find(clause) is None


SHEETS = [
    Part("See the attached list of prices.", heading=("Offer", "Prices")),
    Part("Item | Price", sheet="List", row=1, inside=("prices.xlsx",)),
    Part("Steel pipe, 200 mm | 1,200.50", sheet="List", row=2, inside=("prices.xlsx",)),
]


def test_a_quote_has_the_place_of_the_part_in_which_it_begins() -> None:
    """A sheet's name, which stands before its first row, belongs to that."""
    document, text = Searchable(SHEETS), joined(SHEETS)
    start = text.index("Steel")
    row = Found(None, (), "List", 2, ("prices.xlsx",), start, len(text))
    assert document.find("Steel pipe 200 mm: 1,200.50") == row
    named = document.find("List Item")
    assert named and (named.row, named.start) == (1, text.index("List\n"))
    assert Searchable([]).find(CLAUSE) is None


def test_each_quote_of_an_answer_is_checked() -> None:
    """Only in the named fields, wherever they stand; the pointers are those of RFC 6901."""
    answer = {
        "quote": "See the attached list of prices.",
        "title": "Not a quote at all, and nowhere",
        "a/b~": [
            {"quote": ["Steel pipe, 200 mm | 1,200.50", "", None, 7, ["Steel pipe, 2.00 mm | 1,200.50"]]}
        ],
        "proof": {"quote": "  ", "text": "nor this"},
    }
    evidence = check(answer, ["quote", "proof"], Searchable(SHEETS))
    assert evidence == [
        {"at": "/quote", "verified": True, "heading": ["Offer", "Prices"], "start": 0, "end": 32},
        {
            **{"at": "/a~1b~0/0/quote/0", "verified": True, "sheet": "List", "row": 2},
            **{"inside": ["prices.xlsx"], "start": 65, "end": 94},
        },
        {"at": "/a~1b~0/0/quote/4/0", "verified": False},
    ]
    assert missing(evidence) == ["/a~1b~0/0/quote/4/0"]


# --- whatever the text -------------------------------------------------------------------------------

WORDS = st.sampled_from(
    [
        "Supplier",
        "ﬁne",
        "Straße",
        "1,000.50",
        "é",
        "e\u0301",
        "契約",
        "(a)",
        "“x”",
        "–",
        "it’s",
        "no-\nne",
        "§",
    ]
)
TEXTS = st.lists(WORDS, min_size=5, max_size=80).map(" ".join)
CHANGES = {" ": ["  ", "\n", "\xa0", "\u2009"], "’": ["'", "‘"], "“": ['"', "«"], "”": ['"'], "–": ["-", "—"]}


def letters(text: str) -> str:
    return "".join(filter(str.isalnum, normalize("NFKD", normalize("NFKD", text).casefold())))


@given(TEXTS, st.data())
def test_a_slice_is_found_however_it_is_set(text: str, data: st.DataObject) -> None:
    """At 20 letters and more: at its place, or where the same stands before."""
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    changed = "".join(data.draw(st.sampled_from([each, *CHANGES.get(each, [])])) for each in text[start:end])
    quote = data.draw(st.sampled_from([changed, changed.upper(), changed.lower()]))
    if sum(map(str.isalnum, quote)) < 20:
        return
    found = Searchable([Part(text)]).find(quote)
    assert found and found.start <= text.index(text[start:end]) + len(quote)
    assert letters(text[found.start : found.end]) == letters(quote)
    unique = text.count(text[start:end]) == 1
    assert not unique or start <= found.start < found.end <= end


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["quote", "", "/"]), inner),
)


@given(st.lists(st.text(st.characters())), JSON)
def test_nothing_raises(texts: list[str], answer: Any) -> None:
    """Not even for halves of surrogate pairs, control characters, and pages that repeat a line."""
    parts = [Part(text, page=page) for page, text in enumerate([*texts, "same", "same", "same"], 1)]
    document, text = Searchable(parts), joined(parts)
    assert missing(check({"quote": answer}, ["quote"], document)) is not None
    found = document.find(text)
    assert found is None or 0 <= found.start < found.end <= len(text)


def test_an_answer_nested_deeper_than_python_recurses_is_checked() -> None:
    """Ten thousand lists in each other."""
    answer: Any = CLAUSE
    for _ in range(10_000):
        answer = [answer]
    (evidence,) = check({"quote": answer}, ["quote"], Searchable([Part(CLAUSE)]))
    assert evidence["at"] == "/quote" + "/0" * 10_000 and evidence["verified"]


def test_a_row_of_accents_ends() -> None:
    """Unicode's order of accents takes time quadratic in their number: two million would take hours."""
    assert found_in("a" + "\u0301\u0323" * 1_000_000, CLAUSE) is None


@pytest.mark.parametrize("text", ["word ", "a-\n", "1.a.", "a  ", "“"])
def test_work_is_proportional_to_the_text(text: str) -> None:
    """Twice the text takes twice the calls, whatever it is made of."""

    def calls(times: int) -> int:
        count = 0

        def note(_frame: object, _event: str, _arg: object) -> None:
            nonlocal count
            count += 1

        sys.setprofile(note)
        try:
            document = Searchable([Part(text * times, page=1)])
            document.find("none of this stands there")
            document.find("nor this")
        finally:
            sys.setprofile(None)
        return count

    assert calls(40_000) < 2.1 * calls(20_000)
