"""Run checkov in its own virtual environment, `.dev/checkov`: its packages conflict with the project's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import dev

REQUIREMENTS = Path(__file__).with_name("requirements-checkov.txt")

_FOLDER = dev.WORK / "checkov"
_PYTHON = _FOLDER / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
_SECONDS = 120.0


def checkov(*arguments: str) -> str:
    """Run checkov and return its output; install it first if its requirements changed. Raises dev.Problem."""
    dev.WORK.mkdir(exist_ok=True)
    with (dev.WORK / "checkov.lock").open("w") as lock:
        dev.wait_for_lock(lock, exclusive=True)
        step = _step()
        if not step.is_current():
            step.carry_out(dev.WORK / "checkov.log")
    done = subprocess.run(
        [str(_PYTHON), "-m", "checkov.main", *arguments],
        env={**dev.environment(), "BC_SKIP_MAPPING": "TRUE"},
        capture_output=True,
        text=True,
        timeout=_SECONDS,
    )
    if not done.stdout:
        raise dev.Problem(f"checkov printed nothing: {done.stderr[-2000:]}")
    return done.stdout


def _step() -> dev.Step:
    pip = [str(_PYTHON), "-m", "pip", "install", "--disable-pip-version-check", "--no-deps", "--retries=2"]
    return dev.Step(
        title="Setting up checkov in .dev/checkov",
        commands=[[sys.executable, "-m", "venv", "--clear", str(_FOLDER)], [*pip, "-r", str(REQUIREMENTS)]],
        product=_PYTHON,
        stamp=_FOLDER / "dev-stamp",
        inputs=dev.fingerprint([REQUIREMENTS], sys.version),
    )
