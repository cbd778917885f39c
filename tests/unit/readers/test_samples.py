"""The samples, one of every format: each holds a fact that an answer must have; nothing hidden is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.documents.readers.archive import opened
from shared.documents.readers.child import read
from shared.documents.readers.part import joined

SAMPLES = Path(__file__).parents[3] / "samples"
FACTS = {
    "complaint.eml": ("37 of the 240 saucers", ""),
    "contract.docx": ("Vegan plate | 45 | 31.00 euros", ""),
    "incident-report.txt": ("confirmation mails for about 3,200 orders", ""),
    "kundenbeschwerde.txt": ("die linke Seitenwand war eingedrückt", ""),
    "lease.pdf": ("owes a compensation of 4,900 euros", ""),
    "letter.odt": ("Until then I reduce the rent by 20 percent", ""),
    "lieferantenbewertung.csv": ("Hofer Metallbau KG;Linz;12;7;3;98.700,50", ""),
    "minutes.rtf": ("18,640", ""),
    "offer.pptx": ("at most 2 percent, and only if they sign before Easter", ""),
    "order.msg": ("PO-70614", ""),
    "prices.xlsx": ("FL-131 | Shellac flakes | 500 g | 27.9", "19.4"),
    "service-agreement.md": ("a monthly fee of EUR 8,450", ""),
    "stock.xls": ("C-11 | Hydraulic seal 40x52x7 | 0 | 2026-02-13", "Kestrel Parts"),
    "support-ticket.json": ("SUP-20931", ""),
    "terms.html": ("DKK 7,500", ""),
    "visitors.ods": ("2026-03-03 | School class 6b | Lindhagen | 27", ""),
}
UNPACKED = {
    "letters/reminder.txt": "invoice 2026-0418 of 12 March over EUR 1,286.40",
    "letters/2026/notice.html": "membership number HG-55172",
}


def test_every_sample_has_its_fact() -> None:
    """A new sample gets a line here."""
    assert {path.name for path in SAMPLES.glob("[!.]*")} == {*FACTS, "letters.zip"}


@pytest.mark.parametrize("name", sorted(FACTS))
def test_a_sample_is_read(name: str) -> None:
    """What it says, and not what its author has hidden."""
    text = " ".join(joined(read((SAMPLES / name).read_bytes())).split())
    fact, hidden = FACTS[name]
    assert fact in text and len(text) > 100
    assert not hidden or hidden not in text


def test_the_files_of_the_archive_are_read() -> None:
    """Each is a document."""
    archive = opened((SAMPLES / "letters.zip").read_bytes())
    assert archive is not None
    texts = {file.path: " ".join(joined(read(archive.read(file))).split()) for file in archive.files}
    assert texts.keys() == UNPACKED.keys()
    assert all(fact in texts[path] for path, fact in UNPACKED.items())
