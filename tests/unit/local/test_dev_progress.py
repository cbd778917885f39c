"""What the demonstration shows of what it sees; names and answers are untrusted."""

import pytest

from local.progress import Deployment, Document, Snapshot, answer_text, changes, plain, unique_names


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("one\r\n\ttwo   three", "one two three"),
        ("\x1b[31mred\x1b[0m \x07bell", "[31mred[0m bell"),
        ("\x9b2Jclear", "2Jclear"),
        ("abc\u202egnp.exe\u2066", "abcgnp.exe"),
        ("[bold]no markup[/bold]", "[bold]no markup[/bold]"),
        ("Grüße, 你好, 🎉", "Grüße, 你好, 🎉"),
        ("lone \ud800 surrogate", "lone surrogate"),
        ("", ""),
    ],
)
def test_untrusted_text_becomes_one_harmless_line(text: str, shown: str) -> None:
    """Nothing that a terminal would act on remains; what people write does."""
    assert plain(text) == shown


def test_long_text_is_cut_with_a_mark() -> None:
    """The limit holds with the mark."""
    assert plain("word " * 100, 12) == "word word w…"


def test_an_answer_is_text_or_an_object() -> None:
    """A structured answer is shown as JSON in its own script."""
    assert answer_text({"answer": "Hallo\n"}) == "Hallo"
    assert answer_text({"answer": {"title": "Maße", "actions": []}}) == '{"title": "Maße", "actions": []}'
    assert answer_text({"answer": None, "documents": [{}, {}]}) == "unpacked: 2 documents"


def test_two_files_of_one_name_do_not_overwrite_each_other() -> None:
    """The later ones get a number that no other file has."""
    assert unique_names(["a.txt", "b.txt", "a.txt", "a.txt", "2-a.txt"]) == [
        "a.txt",
        "b.txt",
        "2-a.txt",
        "3-a.txt",
        "2-2-a.txt",
    ]


def test_a_name_that_is_no_unicode_gets_one_that_can_be_submitted() -> None:
    """File systems allow any bytes; Python shows them as lone surrogates, which no URL can carry."""
    assert unique_names(["Gr\udcfc\udcdfe.txt"]) == ["Gr??e.txt"]


def test_what_a_zip_archive_holds_is_awaited_and_shown_with_it() -> None:
    """Its documents are known once it is done; each has to reach a final state."""
    archive, files = ("ad-hoc", "a.zip"), ("a.zip",)
    story = [
        {archive: Document("waiting")},
        {archive: Document("done"), ("ad-hoc", "a.zip/b.txt"): Document("waiting")},
        {archive: Document("done"), ("ad-hoc", "a.zip/b.txt"): Document("failed")},
    ]
    seen = [Snapshot(documents=each) for each in story]
    assert [each.is_final("ad-hoc", files) for each in seen] == [False, False, True]
    assert seen[2].files("ad-hoc", files) == ["a.zip", "a.zip/b.txt"]
    assert not seen[2].is_final("batch", files) and not Snapshot().is_final("ad-hoc", files)


def test_the_story_of_a_document_is_shown_once_per_change() -> None:
    """Absent, creating, ready; a document comes, waits, is answered; another one fails, with its reason."""
    story = [
        Snapshot({"ad-hoc": Deployment("absent", "nothing waits")}),
        Snapshot(
            {"ad-hoc": Deployment("creating", "2 documents wait")},
            {("ad-hoc", "z.txt"): Document("waiting"), ("ad-hoc", "a.txt"): Document("waiting")},
        ),
        Snapshot(
            {"ad-hoc": Deployment("creating", "3 documents wait")},
            {("ad-hoc", "z.txt"): Document("claimed"), ("ad-hoc", "a.txt"): Document("claimed")},
        ),
        Snapshot(
            {"ad-hoc": Deployment("ready", "\x1b[2Jserves")},
            {
                ("ad-hoc", "a.txt"): Document("done"),
                ("ad-hoc", "b.txt"): Document("failed", "the file is empty"),
            },
        ),
    ]
    report = [
        list(changes(before, after)) for before, after in zip([Snapshot(), *story], story, strict=False)
    ]
    assert report == [
        [("ad-hoc", "absent: nothing waits")],
        [("ad-hoc", "creating: 2 documents wait"), ("ad-hoc", "waiting: a.txt, z.txt")],
        [],
        [
            ("ad-hoc", "ready: [2Jserves"),
            ("ad-hoc", "done: a.txt"),
            ("ad-hoc", "failed (the file is empty): b.txt"),
        ],
    ]
    assert story[-1].count("ad-hoc", "done", "failed") == 2
    assert story[-1].count("batch", "done", "failed") == 0
