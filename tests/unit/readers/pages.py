"""Write small PDF files: what the tests of reading them need, and no more."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

PICTURE = "q 500 0 0 700 50 50 cm BI /W 1 /H 1 /BPC 8 /CS /G ID 0 EI Q\n"
"""A picture that fills a page, as a scanner leaves it."""

_PADDING = bytes.fromhex("28BF4E5E4E758A4164004E56FFFA01082E2E00B6D0683E802F0CA9FE6453697A")


def lines(*texts: str) -> str:
    """The content of a page with these lines of text."""
    return "BT /F1 12 Tf 14 TL 72 720 Td " + " ".join(f"({text}) Tj T*" for text in texts) + " ET"


def pdf(
    *contents: str,
    annotations: Mapping[int, Sequence[str]] | None = None,
    catalog: str = "",
    trailer: str = "",
    more: Sequence[str] = (),
) -> bytes:
    """A file of pages with these contents. `annotations`: by page from 1; `more`: objects from 4 on."""
    objects = ["", "", "<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>", *more]
    kids, fields = [], []
    for number, content in enumerate(contents, 1):
        objects.append(f"<</Length {len(content)}>>stream\n{content}\nendstream")
        page = f"/Contents {len(objects)} 0 R"
        first = len(objects) + 1
        objects += [f"<</Type/Annot/Rect[0 0 9 9]{text}>>" for text in (annotations or {}).get(number, ())]
        annots = [f"{index} 0 R" for index in range(first, len(objects) + 1)]
        fields += [annots[at] for at in range(len(annots)) if "/Widget" in objects[first - 1 + at]]
        objects.append(
            f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Resources<</Font<</F1 3 0 R>>>>{page}"
            f"/Annots[{' '.join(annots)}]>>"
        )
        kids.append(f"{len(objects)} 0 R")
    form = f"/AcroForm<</Fields[{' '.join(fields)}]>>" if fields else ""
    objects[0] = f"<</Type/Catalog/Pages 2 0 R{form}{catalog}>>"
    objects[1] = f"<</Type/Pages/Kids[{' '.join(kids)}]/Count {len(kids)}>>"
    return _file(objects, trailer)


def _file(objects: Sequence[str], trailer: str) -> bytes:
    out, offsets = b"%PDF-1.7\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n".encode("latin-1")
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    size = len(objects) + 1
    return out + (
        f"xref\n0 {size}\n0000000000 65535 f \n{table}trailer<</Size {size}/Root 1 0 R{trailer}>>\n"
        f"startxref\n{len(out)}\n%%EOF\n"
    ).encode("latin-1")


def encryption(permissions: int, *, password: bytes = b"") -> str:
    """The trailer of a file that opens with this password, encrypted as PDF 1.4 did (its content is not)."""
    owner = bytes(32)
    start = (password + _PADDING)[:32] + owner + permissions.to_bytes(4, "little", signed=True) + b"id"
    user = _rc4(hashlib.md5(start).digest()[:5], _PADDING)
    return (
        f"/ID[<{b'id'.hex()}><{b'id'.hex()}>]"
        f"/Encrypt<</Filter/Standard/V 1/R 2/O<{owner.hex()}>/U<{user.hex()}>/P {permissions}>>"
    )


def _rc4(key: bytes, data: bytes) -> bytes:
    state, j, out = list(range(256)), 0, bytearray()
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) % 256
        state[i], state[j] = state[j], state[i]
    i = j = 0
    for byte in data:
        i = (i + 1) % 256
        j = (j + state[i]) % 256
        state[i], state[j] = state[j], state[i]
        out.append(byte ^ state[(state[i] + state[j]) % 256])
    return bytes(out)
