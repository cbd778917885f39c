"""Files of requests in the Batch format: how they are drawn, and how each line must end."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from shared.ports import Blobs

FAILS = " [[fails]]"
"""Azure answers such a line with 500, whatever happens to the others."""
INVALID = " [[invalid]]"
"""Such a line is no request."""
_REFUSED = ("[[poison]]", FAILS.strip())


def batch_file(deployment: str, texts: Sequence[str]) -> str:
    """Return a file with a request for each text."""
    return "".join(f"{_line(deployment, number, text)}\n" for number, text in enumerate(texts))


def _line(deployment: str, number: int, text: str) -> str:
    body = {"model": deployment, "messages": [{"role": "user", "content": text}], "max_tokens": 50}
    method = "GET" if INVALID in text else "POST"
    line = {"custom_id": f"r{number}", "method": method, "url": "/v1/chat/completions", "body": body}
    return json.dumps(line)


def is_batch(text: str) -> bool:
    """Return whether an upload is such a file."""
    return text.startswith('{"custom_id"')


def texts_of(file: str) -> list[str]:
    """Return the text of each line."""
    return [json.loads(line)["body"]["messages"][0]["content"] for line in file.splitlines()]


def kept_numbers(log: bytes) -> Iterator[int]:
    """Return the numbers of the lines that have an outcome, from what was appended to the answers."""
    for line in log.splitlines():
        number, _, rest = line.partition(b" ")
        if number.isdigit() and rest.split(b" ")[2] in (b"a", b"p"):
            yield int(number)


async def objection(blobs: Blobs, file: str, stored: Mapping[str, Any]) -> str | None:
    """Return what is wrong with a finished file's results: every line must stand there once, in order."""
    found = dict[str, list[dict[str, Any]]]()
    for end in ("jsonl", "errors.jsonl"):
        name = stored["files"].get(end)
        data = await blobs.read("results", name) if name else b""
        found[end] = [json.loads(line) for line in data.splitlines()]
    answered, wrong = list[str](), list[str]()
    for number, text in enumerate(texts_of(file)):
        bad = INVALID in text or any(mark in text for mark in _REFUSED)
        (wrong if bad else answered).append(f"r{number}")
    if [each["custom_id"] for each in found["jsonl"]] != answered:
        return "its output has other lines than were answered"
    if [each["custom_id"] for each in found["errors.jsonl"]] != wrong:
        return "its errors are others than those of the file"
    texts = texts_of(file)
    for each in found["jsonl"]:
        said = each["response"]["body"]["choices"][0]["message"]["content"]
        if said != f"answer to {texts[int(each['custom_id'][1:])]}":
            return "a line has the answer of another one"
    return None
