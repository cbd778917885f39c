"""20,000 rows of a database through the whole app: ten kills of the host, and a restart of the database."""

import json
import logging
import time
from collections import Counter
from hashlib import sha256
from pathlib import Path

import psycopg
import pytest

from local.azurite import Azurite
from shared.model import TINY
from tests.integration.stack import Stack, run_stack
from tests.integration.test_record_files_killed import HOST, Busy
from tests.postgres import Postgres

ROWS, KILLS = 20_000, 10
_LONGEST = 900.0  # seconds for all of it, on a busy machine


@pytest.mark.slow
def test_every_row_is_answered_once_whatever_dies(
    postgres: Postgres, database: str, tmp_path: Path, azurite: Azurite
) -> None:
    """A row is paid twice only if its request was in flight at a kill."""
    with psycopg.connect(database) as connection:
        connection.execute(
            b"create table reviews (id int primary key, body text, changed int default 1);"
            b"create table answers (key int, version int, answer text, error text, answered_at timestamptz, "
            b"primary key (key, version));"
            b"insert into reviews select n, 'Review number ' || n from generate_series(1, 20000) n"
        )
    deployment = {
        "sku": {"name": "GlobalStandard", "capacity": 12_000},  # 200 requests a second
        "task": {"system_prompt": "prompt.md", "max_output_tokens": 60},
        "always": "true",
        "source": {
            "database": database,
            "select": "select id, body, changed from reviews",
            "target": "answers",
            **{"key": "id", "text": "body", "version": "changed"},
        },
    }
    with run_stack(tmp_path, azurite, {"rows": deployment}, behaviour=Busy(), host=HOST) as stack:
        lost = 0
        for number in range(KILLS):
            enough = ROWS * (number + 1) // (KILLS + 1)
            stack.wait(f"{enough} rows are asked", lambda enough=enough: asked(stack) >= enough, _LONGEST)
            stack.kill_host()
            lost = asked(stack) - _outcomes(stack)
            if number == KILLS // 2:
                postgres.crash()
                time.sleep(1)
                postgres.start()
            stack.start_host()
        stack.wait("every row is in the target", lambda: _count(database) == ROWS, _LONGEST)
        twice = asked(stack) - ROWS
        figures = f"{KILLS} kills: {twice} rows paid twice, {lost} were not kept at the kills"
        logging.getLogger(__name__).info(figures)
        assert 0 < twice <= lost, figures
    with psycopg.connect(database) as connection:
        wrong = connection.execute("select count(*) from answers where error is not null or answer is null")
        assert wrong.fetchone() == (0,)


def asked(stack: Stack) -> int:
    """Return how many requests were admitted, without those that only probe."""
    seen = Counter(text for _, text in stack.azure.admissions("rows"))
    del seen[sha256(TINY.text.encode()).hexdigest()]
    return seen.total()


def _outcomes(stack: Stack) -> int:
    """Return how many rows have an outcome: kept, or in the result of a finished file."""
    results = {name: data for name, data in stack.stored("results").items() if name.endswith(".json")}
    answered = sum(json.loads(data)["records"]["answered"] for data in results.values())
    for name, log in stack.stored("checkpoints").items():
        short_id = name.rpartition("/")[2].partition(".")[0]
        if not any(short_id in result for result in results):
            answered += sum(line[:1].isdigit() for line in log.split(b"\n"))
    return answered


def _count(database: str) -> int:
    try:
        with psycopg.connect(database) as connection:
            found = connection.execute("select count(*) from answers").fetchone()
    except psycopg.OperationalError:
        return 0  # it restarts
    return int(found[0]) if found else 0
