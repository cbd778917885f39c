"""A database as a source on the local stack, by the command line alone: doctor, then the answers."""

from __future__ import annotations

import psycopg

from local.azurite import Azurite
from shared.adapters.blobs import AzureBlobs
from tests.integration.command_line import Setup, findings, message_of

ROWS = {"select": "select id, body, changed from reviews", "target": "answers"}
COLUMNS = {"key": "id", "text": "body", "version": "changed"}


async def test_rows_of_a_database_are_answered_into_its_target(setup: Setup, database: str) -> None:
    """`doctor` names what is missing; then `reconcile --drain` does the work of the function app."""
    source = ROWS | COLUMNS | {"database": database}
    setup.configure(always="true", source=source)
    check = "source of clauses"
    answer = await setup.run("doctor", "--json")
    assert (answer.code, 'relation "reviews" does not exist' in message_of(answer, check)) == (1, True)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("create table reviews (id int primary key, body text, changed int default 1)")
        connection.execute(b"insert into reviews select n, 'Review ' || n from generate_series(1, 50) n")
        assert "create table answers" in findings(await setup.run("doctor", "--json"), "failed")[check]
        connection.execute(
            "create table answers (key int, version int, answer text, error text, answered_at timestamptz, "
            "primary key (key, version))"
        )
        answer = await setup.run("doctor", "--json")
        assert answer.code == 0 and check in findings(answer, "warning")  # the role may do everything
        for _ in range(3):
            assert (await setup.run("reconcile", "--drain")).code == 0
        found = connection.execute("select key, answer, error from answers order by key").fetchall()
    assert [row[0] for row in found] == [*range(1, 51)] and all(row[1] and not row[2] for row in found)


async def test_files_of_another_container_are_answered_and_stay(setup: Setup, azurite: Azurite) -> None:
    """One that is missing is a finding."""
    container = {"container": "theirs", "account": azurite.blob_uri, "prefix": "in/"}
    setup.configure(always="true", source=container)
    failed = findings(await setup.run("doctor", "--json"), "failed")
    assert "Storage Blob Data Reader" in failed["source of clauses"]
    blobs = AzureBlobs(azurite.blob_uri)
    for name in ("in/letter.txt", "out/letter.txt"):
        await blobs.create("theirs", name, b"Dear all", "text/plain")
    assert "source of clauses" in findings(await setup.run("doctor", "--json"), "ok")
    for _ in range(3):
        assert (await setup.run("reconcile", "--drain")).code == 0
    results = [item.name for item in (await blobs.list("results", None, 10)).items]
    assert len([name for name in results if name.startswith("clauses/in/letter.txt.")]) == len(results) > 0
    assert len((await blobs.list("theirs", None, 10)).items) == 2
    await blobs.close()
