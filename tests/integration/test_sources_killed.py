"""20,000 rows of a database, through ten kills of the app and a crash of the database."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psycopg
import pytest

from local.azurite import Azurite
from shared.adapters.blobs import AzureBlobs
from tests.postgres import Postgres

ROWS, KILLS = 20_000, 10
ANSWERED = "answers join reviews on id = key where true"


@pytest.mark.slow
async def test_no_row_is_lost_and_none_is_asked_twice(
    postgres: Postgres, database: str, azurite: Azurite
) -> None:
    """Each row stands in one file that became a document, and its answer in the target, at its version."""
    with psycopg.connect(database) as connection:
        connection.execute(
            b"create table reviews (id int primary key, changed int default 1);"
            b"create table answers (key int, version int, answer text, error text, answered_at timestamptz, "
            b"primary key (key, version));"
            b"insert into reviews select n from generate_series(1, 20000) n"
        )
    module = [sys.executable, "-m", "tests.integration.sources_worker"]
    worker = subprocess.Popen(
        [*module, database, azurite.blob_uri, azurite.table_uri, str(KILLS)],
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert worker.stdin is not None and worker.stdout is not None
    try:
        for left in range(KILLS, 0, -1):
            assert int(worker.stdout.readline()) == left
        with psycopg.connect(database) as connection:
            connection.execute("update reviews set changed = 2 where id % 100 = 0")
        postgres.crash()  # while the last process works
        time.sleep(1)
        postgres.start()
        until = time.monotonic() + 120
        while _count(database, f"{ANSWERED} and version = changed") < ROWS and time.monotonic() < until:
            time.sleep(0.5)
    finally:
        worker.communicate("that is all\n", timeout=20)
    assert _count(database, f"{ANSWERED} and version = changed") == ROWS
    assert _count(database, f"{ANSWERED} and answer is distinct from to_json('TEXT ' || key)::text") == 0
    with psycopg.connect(database) as connection:
        written = Counter(connection.execute("select key, version from answers").fetchall())
    asked = await _asked(azurite)
    assert set(asked.values()) == {1} and written == asked


def _count(database: str, rows: str) -> int:
    with psycopg.connect(database) as connection:
        found = connection.execute(f"select count(*) from {rows}".encode()).fetchone()
    return int(found[0]) if found else 0


async def _asked(azurite: Azurite) -> Counter[tuple[int, int]]:
    """Return how often each version of a row stands in a file that became a document."""
    blobs, found, token = AzureBlobs(azurite.blob_uri), Counter[tuple[int, int]](), None
    while True:
        page = await blobs.list("processed", token, 1000)
        for item in page.items:
            lines = map(json.loads, (await blobs.read("processed", item.name)).splitlines())
            found.update((int(line["key"]), int(line["version"])) for line in lines)
        token = page.token
        if token is None:
            await blobs.close()
            return found
