"""The app's log under the settings of Microsoft's worker: Python's root logger at INFO, and no others."""

import re
from pathlib import Path

from local.azurite import Azurite
from tests.integration.stack import letter, run_stack

_LINE = re.compile(
    r"^\d{4}-\d\d-\d\d \S+ [A-Z]+ (\S+) ", re.MULTILINE
)  # of the local host: its logger's name
_OURS = {"lamplighter", "root"}  # the app's, and the host's on invocations
_FILE = "Kuendigung-Quittenbaum"


def test_the_packages_that_the_app_uses_keep_quiet(azurite: Azurite, tmp_path: Path) -> None:
    """A document is answered and moved, and its deployment deleted: no line contains its name, blobs or text.

    The SDKs log each request at INFO with the blob's address; here they must write almost nothing.
    """
    with run_stack(tmp_path, azurite, {"mailroom": {}}) as stack:
        stack.upload(f"mailroom/{_FILE}.txt", letter("Terminated"))
        stack.wait_until_answered("mailroom", {f"{_FILE}.txt": letter("Terminated")})
        stack.wait_until_gone("mailroom")
        stack.assert_log_is_discreet()
        lines = [line for line in stack.output.splitlines() if _LINE.match(line)]
        loggers = [match[1] for match in map(_LINE.match, lines) if match]
        assert "lamplighter" in loggers
        foreign = [line for line, logger in zip(lines, loggers, strict=True) if logger not in _OURS]
        assert len(foreign) <= 3, foreign[:10]
        for name in (_FILE, "blob.core.windows.net", "devstoreaccount1", "/processed/", "/results/"):
            assert name not in stack.output
