"""A PostgreSQL of Debian's package, for the tests that need a real one. Standard library only."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

OLDEST = 15
_LOCK = Path(tempfile.gettempdir()) / "lamplighter-postgresql.lock"
_SECONDS = 60.0


class PostgresMissing(RuntimeError):
    """There is no PostgreSQL. The message says what to do; a test that needs one fails with it."""


def find_postgres() -> Path:
    """Return the folder of the newest usable server's programs, which is installed first if need be."""
    with _LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the tests' processes look at the same time
        found = _installed()
        if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
            _install()
            found = _installed()
    if found is None:
        raise PostgresMissing(
            f"the tests of databases need PostgreSQL {OLDEST} or newer: apt install postgresql (Debian), "
            "brew install postgresql@17 (macOS)"
        )
    return found


def _installed() -> Path | None:
    folders = [
        *Path("/usr/lib/postgresql").glob("*/bin"),
        *Path("/opt/homebrew/opt").glob("postgresql@*/bin"),
    ]
    by_version = {_version(folder): folder for folder in folders if (folder / "initdb").is_file()}
    newest = max(by_version, default=0)
    return by_version[newest] if newest >= OLDEST else None


def _version(folder: Path) -> int:
    digits = "".join(each for each in folder.parent.name if each.isdigit())
    return int(digits or 0)


def _install() -> None:
    """Install Debian's package, without the server that it would start."""
    settings = Path("/etc/postgresql-common/createcluster.conf")
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text("create_main_cluster = false\n")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "--no-install-recommends", "-o", "Dpkg::Options::=--force-confold"]
    for command in (["apt-get", "update"], [*install, "postgresql"]):
        done = subprocess.run(command, env=quiet, capture_output=True, text=True, timeout=600)
        if done.returncode:
            raise PostgresMissing(f"{' '.join(command)} failed:\n{(done.stdout + done.stderr)[-2000:]}")


@dataclass
class Postgres:
    """A server on 127.0.0.1 that trusts everybody. `url`: of its database, for the owner of all."""

    programs: Path
    folder: Path
    port: int
    user: dict[str, Any] = field(default_factory=dict)  # as whom its programs run; root may not
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start it, and return when it answers."""
        log = (self.folder / "log").open("ab")
        command = [self.programs / "postgres", "-D", self.folder / "data", "-p", str(self.port)]
        options = [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "fsync=off",
            "max_connections=40",
        ]
        with log:
            self.process = subprocess.Popen(
                [*command, *(part for option in options for part in ("-c", option))],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **self.user,
            )
        ready = [self.programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        until = time.monotonic() + _SECONDS
        while subprocess.run(ready).returncode:
            if self.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"PostgreSQL did not start:\n{(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.05)

    def crash(self) -> None:
        """End it without a farewell, as a power cut does."""
        if self.process is not None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(_SECONDS)
            self.process = None

    def make(self, database: str) -> str:
        """Make an empty database; return its URL."""
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{database}"'.encode())
        return self.url.rpartition("/")[0] + f"/{database}"


@contextmanager
def run_postgres() -> Iterator[Postgres]:
    """Run a server with empty data until the context ends. Raises PostgresMissing."""
    programs, user = find_postgres(), dict[str, Any]()
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    try:
        if os.geteuid() == 0:
            user = {"user": "nobody", "group": "nogroup", "extra_groups": []}
            shutil.chown(folder, "nobody", "nogroup")
        make = [programs / "initdb", "-D", folder / "data", "-U", "postgres", "-A", "trust", "-E", "UTF8"]
        made = subprocess.run(
            [*make, "--locale=C", "--no-sync"], capture_output=True, text=True, cwd=folder, **user
        )
        if made.returncode:
            raise RuntimeError(f"initdb failed:\n{made.stdout}{made.stderr}")
        postgres = Postgres(programs, folder, _free_port(), user)
        try:
            postgres.start()
            yield postgres
        finally:
            postgres.crash()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
