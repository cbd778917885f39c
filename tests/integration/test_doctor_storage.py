"""doctor's checks of storage and clocks, on Azurite behind a proxy that refuses or has a wrong clock."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from azure.core.pipeline.transport import AsyncHttpTransport

from shared.adapters.blobs import AzureBlobs
from shared.adapters.storage import RETRIES
from shared.adapters.tables import AzureTables
from tests.fakes.world import config
from tests.integration.command_line import BLOBS, TABLES, Setup, findings, message_of
from tests.integration.storage_proxy import storage_proxy

NOWHERE = "http://127.0.0.1:9/nobody"


async def test_storage_in_order_is_reported_so_and_not_changed(setup: Setup) -> None:
    """Every right is used, the clocks agree, and nothing of ours remains."""
    answer = await setup.run("doctor", "--json")
    assert answer.code == 0
    checks = {"blob storage", "blob rights", "table storage", "table rights", "clock"}
    assert checks <= set(findings(answer, "ok"))
    blobs, tables = AzureBlobs(setup.values[BLOBS]), AzureTables(setup.values[TABLES])
    assert (await blobs.list("leases", None, 10)).items == ()
    assert (await tables.page("holds", "doctor", " ", "~", 10)).rows == ()
    await blobs.close()
    await tables.close()


@pytest.mark.parametrize(
    ("refusal", "check", "what"),
    [
        (("GET", "/inbox"), "blob storage", "AuthorizationPermissionMismatch"),
        (("PUT", "/leases/doctor/"), "blob rights", "AuthorizationPermissionMismatch"),
        (("PUT", "comp=lease"), "blob rights", "AuthorizationPermissionMismatch"),
        (("DELETE", "/leases/doctor/"), "blob rights", "AuthorizationPermissionMismatch"),
        (("PUT", "comp=lease", 409, "LeaseAlreadyPresent"), "blob rights", "but not leased"),
        (("DELETE", "/leases/doctor/", 412, "ConditionNotMet"), "blob rights", "but not deleted"),
    ],
)
async def test_each_right_on_blobs_is_needed(
    setup: Setup, refusal: tuple[Any, ...], check: str, what: str
) -> None:
    """A refusal to list, write, lease or delete is one finding, with the role."""
    method, part, *rest = refusal
    async with storage_proxy(setup.values[BLOBS]) as proxy:
        setup.change(**{BLOBS: proxy.url})
        assert (await setup.run("doctor", "--json")).code == 0
        proxy.refuse(method, part, **dict(zip(("status", "code"), rest, strict=False)))
        answer = await setup.run("doctor", "--json")
    assert answer.code == 1
    assert set(findings(answer, "failed")) == {check}
    assert "Storage Blob Data Contributor" in findings(answer, "failed")[check]
    assert what in message_of(answer, check)
    assert {"table rights", "account main: read"} <= set(findings(answer, "ok"))


@pytest.mark.parametrize(
    ("method", "part", "after", "check"),
    [
        ("GET", "/holds", 0, "table storage"),
        ("POST", "/holds", 0, "table rights"),
        ("POST", "/$batch", 0, "table rights"),
        ("GET", "/holds", 1, "clock"),
    ],
)
async def test_each_right_on_tables_is_needed(
    setup: Setup, method: str, part: str, after: int, check: str
) -> None:
    """A refusal to read, write or delete is one finding; the clock is read from the second answer."""
    async with storage_proxy(setup.values[TABLES]) as proxy:
        setup.change(**{TABLES: proxy.url})
        assert (await setup.run("doctor", "--json")).code == 0
        proxy.refuse(method, part, after=after)
        answer = await setup.run("doctor", "--json")
    assert answer.code == 1
    assert set(findings(answer, "failed")) == {check}
    assert "Storage Table Data Contributor" in findings(answer, "failed")[check]
    assert "AuthorizationPermissionMismatch" in message_of(answer, check)
    assert {"blob rights", "account main: read"} <= set(findings(answer, "ok"))


@pytest.mark.parametrize("hours", [-1, 1])
async def test_a_wrong_clock_is_reported(setup: Setup, hours: int) -> None:
    """Windows open and close by it. Everything works, so it is a warning."""
    async with storage_proxy(setup.values[TABLES]) as proxy:
        proxy.skew = timedelta(hours=hours)
        setup.change(**{TABLES: proxy.url})
        answer = await setup.run("doctor", "--json")
    assert answer.code == 0
    assert "by NTP" in findings(answer, "warning")["clock"]
    assert "it differs from the server's by 3" in message_of(answer, "clock")


async def test_an_account_that_refuses_everything_is_two_findings(setup: Setup) -> None:
    """Blobs and tables fail, each with the role. Checks that need them are not made; accounts are checked.

    Without its record a deployment is recognised by its tag.
    """
    await setup.deploy(replace(config().spec, tags={"lamplighter": "contoso-test"}))
    async with storage_proxy(setup.values[BLOBS]) as blobs, storage_proxy(setup.values[TABLES]) as tables:
        for method in ("GET", "PUT", "POST"):
            blobs.refuse(method, "")
            tables.refuse(method, "")
        setup.change(**{BLOBS: blobs.url, TABLES: tables.url})
        answer = await setup.run("doctor", "--json")
    assert answer.code == 1
    assert set(findings(answer, "failed")) == {"blob storage", "table storage"}
    assert "Storage Blob Data Contributor" in findings(answer, "failed")["blob storage"]
    assert "Storage Table Data Contributor" in findings(answer, "failed")["table storage"]
    assert findings(answer, "not checked")["sweep"] == "correct the storage first"
    assert "clauses is ours" in message_of(answer, "account main: deployments")
    assert "account main: read" in findings(answer, "ok")


async def test_storage_out_of_reach_is_two_findings(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing listens there: one finding for each service, after the SDK's retries (here without pauses)."""
    tries = 0

    async def no_pause(_: object, seconds: float) -> None:
        nonlocal tries
        tries += 1

    monkeypatch.setattr(AsyncHttpTransport, "sleep", no_pause)
    setup.change(**{BLOBS: NOWHERE, TABLES: NOWHERE})
    answer = await setup.run("doctor", "--json")
    assert answer.code == 1
    assert set(findings(answer, "failed")) == {"blob storage", "table storage"}
    assert "did not answer" in message_of(answer, "blob storage")
    assert "did not answer" in message_of(answer, "table storage")
    assert tries >= 2 * RETRIES
