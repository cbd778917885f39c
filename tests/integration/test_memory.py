"""Memory: large files neither end a worker of 512 MB nor keep others from being answered."""

import sys
from pathlib import Path

import pytest

from local.azurite import Azurite
from tests.integration.stack import SECRET, letter, run_stack

LIMIT = 512  # MB: the smallest instance of Flex Consumption
LARGE = 49_950_000  # bytes: just below the usual limits.max_document_bytes
# One for each way in which Python stores text; the last has an encoding that is found by trying.
LINES = {
    "english": f"The delivery of the fourteenth has arrived; please confirm it, {SECRET}.\n".encode(),
    "russian": f"Имя;Улица;Размер Иванов Ленинский проспект 5;большой {SECRET}\n".encode(),
    "german": f"Größe der Straße in München, übergroß und schön, {SECRET}.\n".encode("cp1252"),
}
# Six of those at once: 75 million tokens.
ROOMY = ("--quota", "200000", "--context-tokens", "20000000")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="the memory is read from Linux"),
]


def large(line: bytes) -> bytes:
    """Return a text of that line, as large as is allowed."""
    return line * (LARGE // len(line))


def test_large_files_are_answered_or_refused_by_a_small_worker(tmp_path: Path, azurite: Azurite) -> None:
    """Two large files exceed their deployment's tokens per minute, and six fit into another deployment's.

    The two are refused; the six and some letters are answered, and the worker never restarts. One more is
    refused for the width of its characters, because its request would need too much memory.
    """
    deployments = {"small": {}, "vast": {"sku": {"name": "GlobalStandard", "capacity": 90_000}}}
    with run_stack(tmp_path, azurite, deployments, memory_limit=LIMIT, emulator=ROOMY) as stack:
        for number, line in enumerate([*LINES.values()] * 2):
            stack.upload(f"vast/large-{number}.txt", large(line))
        stack.upload("vast/wide.txt", large(LINES["english"]) + "📄".encode())
        for number in range(2):
            stack.upload(f"small/large-{number}.txt", large(LINES["russian"]))
        answer = stack.submit("small", "submitted.txt", large(LINES["english"]))
        assert (answer.status, "sku.capacity" in answer.json["error"]) == (413, True), answer.body
        for name in deployments:
            for number in range(3):
                stack.upload(f"{name}/letter-{number}.txt", letter(f"Number {number} for {name}"))
        stack.wait("all are finished", lambda: not stack.stored_names("inbox"), within=900)
        letters = {(f"letter-{number}.txt", "done"): 1 for number in range(3)}
        refused = {("large-0.txt", "failed"): 1, ("large-1.txt", "failed"): 1}
        answered = {(f"large-{number}.txt", "done"): 1 for number in range(6)}
        assert stack.states("small") == letters | refused
        assert stack.states("vast") == letters | answered | {("wide.txt", "failed"): 1}
        assert stack.out_of_memory() == 0, stack.peak_memory()
        assert len(stack.results("vast")) == 9
        stack.assert_log_is_discreet()
