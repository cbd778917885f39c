"""Forms are read without a copy of their file."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from shared.doors.forms import DamagedForm, content_type_of, parts_of

FORM = content_type_of("multipart/form-data; boundary=x")


def form(*parts: bytes, end: bytes = b"--x--\r\n") -> bytes:
    head = b'--x\r\nContent-Disposition: form-data; name="%d"; filename="a/b.txt"\r\n\r\n'
    return b"".join(head % number + part + b"\r\n" for number, part in enumerate(parts)) + end


def test_a_form_is_read_whatever_its_files_hold() -> None:
    """What looks like a boundary and does not begin a line, or goes on behind it, is content."""
    for content in (b"", b"\r\n--xy\r\n", b"a--x--\r\n", b"\n\r\n--x-\r\n", b"\r\n\r\n", bytes(range(256))):
        parts = parts_of(form(content, b"last"), FORM)
        assert [bytes(part.data) for part in parts] == [content, b"last"]
        assert [(part.field, part.file_name) for part in parts] == [("0", "b.txt"), ("1", "b.txt")]


def test_a_file_is_not_copied() -> None:
    body = form(b"a" * 1_000_000)
    [part] = parts_of(body, FORM)
    assert part.data.obj is body


@pytest.mark.parametrize(
    "damaged",
    [
        lambda: parts_of(form(b"text", end=b""), FORM),
        lambda: parts_of(form(*[b""] * 101), FORM),
        lambda: parts_of(b"--x\r\nno header--x--", FORM),
        lambda: parts_of(form(b"text"), content_type_of("multipart/form-data")),
        lambda: parts_of(b"", FORM),
    ],
)
def test_a_damaged_form_is_refused(damaged: Callable[[], object]) -> None:
    with pytest.raises(DamagedForm):
        damaged()
