"""Lifetime of a command that runs the local stack: it ends with its work, its parent, or a part of it."""

import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import NoReturn

from local.azurite import AzuriteError
from local.stack import Part, StackError, UnusableFile


def add_parent(parser: argparse.ArgumentParser) -> None:
    """Add the option with which the process that starts this one hands in its id."""
    parser.add_argument(
        "--parent",
        type=int,
        default=os.getppid(),
        metavar="PID",
        help="stop when this process, which started this one, has ended",
    )


def run_command(parent: int, work: Callable[[], int]) -> int:
    """Run work on the stack until it ends, or until Ctrl-C or the end of `parent`; return the exit code."""
    try:
        stop_with_parent(parent)
        return work()
    except (StackError, AzuriteError, OSError) as error:
        print(f"Stopped: {error}", file=sys.stderr)
        return 2 if isinstance(error, UnusableFile) else 1
    except KeyboardInterrupt:
        return 130


def stop_with_parent(parent: int) -> None:
    """Treat SIGTERM, and the end of the process `parent` that started this one, like Ctrl-C.

    So no process is left behind even if the parent was killed. Windows has no means to notice that. The
    parent passes its own id: if it ends before this process looks, the system names another parent.
    """
    for name in ("SIGTERM", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda *_: signal.raise_signal(signal.SIGINT))
    if sys.platform == "win32":
        return
    this_thread = threading.get_ident()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        signal.pthread_kill(this_thread, signal.SIGINT)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def stay_up(*parts: Part) -> NoReturn:
    """Check the parts once a second until Ctrl-C. Raises StackError when one of them has ended."""
    print("Ctrl-C stops it.", flush=True)
    while True:
        for part in parts:
            part.check()
        time.sleep(1)
