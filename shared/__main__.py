"""`python -m shared COMMAND`: the program. The command line itself is in `shared.doors.cli.main`.

An interpreter without the app's packages, or an older one, gets a sentence: so nothing of ours is imported at
the top of this file.
"""

from __future__ import annotations

import json
import os
import sys

_SUPPORTED = ((3, 11), (3, 12))
_UNUSABLE = 2


def run() -> int:
    """Carry out one command, quietly when nobody reads its output any more, such as in `status | head`."""
    try:
        return _run()
    except (ImportError, SyntaxError) as error:
        foreign = isinstance(error, ModuleNotFoundError) and not (error.name or "").startswith("shared")
        if not foreign and sys.version_info[:2] in _SUPPORTED:
            raise
        version = ".".join(map(str, sys.version_info[:3]))
        message = (
            f"{sys.executable} (Python {version}) cannot run the commands: {error}. Use .venv/bin/python, "
            "which python3 dev.py sets up, or install the app's packages into a Python 3.11 or 3.12: "
            "pip install -r requirements.txt"
        )
        if "--json" in sys.argv:
            sys.stdout.write(json.dumps({"error": message}, indent=2) + "\n")
        else:
            sys.stderr.write(f"{message}\n")
        return _UNUSABLE


def _run() -> int:
    from shared.doors.cli.main import PIPE_CLOSED, main
    from shared.doors.cli.terminal import is_closed

    try:
        try:
            return main()
        finally:
            sys.stdout.flush()
    except OSError as error:
        if not is_closed(error):
            raise
        # What is left in the buffer must go somewhere, or Python complains about it as it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED


if __name__ == "__main__":
    sys.exit(run())
