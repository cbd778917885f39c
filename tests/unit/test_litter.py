"""Which names are litter. What a person may have written is a document, however odd its name is."""

from __future__ import annotations

import pytest

from shared.documents.litter import is_litter


@pytest.mark.parametrize(
    "name",
    [
        *("Thumbs.db", "desktop.ini", "._letter.txt", ".letter.txt.swp", ".~lock.letter.odt#", "letter.txt~"),
        *("letter.pdf.crdownload", "letter.txt.filepart", "~$quarterly.docx", "~WRL0001.tmp"),
        *("THUMBS.DB", ".DS_Store", ".fuse_hidden0000af1200000003", ".nfs00000000021c4a3800000001"),
        *("report.pdf.part", "report.pdf.partial", "#letter.txt#", ".#letter.txt", ".letter.txt.swo"),
        *("__MACOSX/letter.txt", "2026/.git/HEAD", "a/@eaDir/letter.txt", ".Trash-1000/files/letter.txt"),
    ],
)
def test_what_programs_leave_behind_is_litter(name: str) -> None:
    """In the folder of a deployment, below it, and outside any."""
    assert is_litter(name)
    assert is_litter(f"clauses/{name}")


@pytest.mark.parametrize(
    "name",
    [
        *("report~final.txt", "tmp.txt", "LETTER~1.TXT", "~letter.txt", "party.txt", "part", "tmp", "swp.md"),
        *("thumbs.db.txt", "desktop.ini.md", "letter.txt.bak", ".letter.txt", "#1 letter.txt", "letter #2"),
        *(
            "$quarterly.docx",
            "re: .part of it.txt",
            "git/HEAD",
            ".gitignore",
            "lock.txt",
            "trash-1/letter.txt",
        ),
    ],
)
def test_what_a_person_may_have_written_is_a_document(name: str) -> None:
    """A document taken for litter would be lost without a word."""
    assert not is_litter(f"clauses/{name}")
