"""The app's own commands on storage that hangs, is being deleted, or has unexpected blobs."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from azure.core.credentials import AzureNamedKeyCredential
from azure.storage.blob.aio import ContainerClient

import shared.wiring
from local.azurite import ACCOUNT_KEY, account_name
from shared.adapters.blobs import AzureBlobs
from shared.adapters.storage import Limits
from shared.adapters.tables import AzureTables
from shared.documents.backlog import DocumentLedger
from shared.errors import SettingsError
from shared.wiring import App, SystemClock
from tests.fakes.world import config
from tests.integration.command_line import BLOBS, TABLES, Setup
from tests.integration.storage_proxy import storage_proxy

SHORT = Limits(one_try=0.5, call=2.0)  # seconds
CLAUSES = replace(config().spec, tags={"lamplighter": "contoso-test"})
PLACE = "blob:config/deployments.yaml"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the app limits that a test can wait for."""
    for adapter in (AzureBlobs, AzureTables):
        monkeypatch.setattr(shared.wiring, adapter.__name__, functools.partial(adapter, limits=SHORT))


@pytest.mark.parametrize("service", [BLOBS, TABLES])
async def test_a_pass_over_storage_that_hangs_ends(setup: Setup, service: str) -> None:
    """Each of its calls ends at its limit and reports that; the next pass finds the storage working."""
    await setup.deploy(CLAUSES)
    async with storage_proxy(setup.values[service]) as proxy:
        for method in ("GET", "HEAD", "PUT", "POST", "DELETE"):
            proxy.hang(method, "")
        setup.change(**{service: proxy.url})
        answer = await setup.run("reconcile")
    assert answer.code == 1
    assert "did not answer within 2 s" in answer.err
    setup.change()
    assert (await setup.run("reconcile")).code == 0


async def test_no_document_is_done_while_results_is_being_deleted(setup: Setup) -> None:
    """The conflict does not mean that the result exists: the document waits, with an alert."""
    await setup.deploy(replace(CLAUSES, capacity=1000))
    blobs = AzureBlobs(setup.values[BLOBS])
    await blobs.create("inbox", "clauses/letter.txt", b"Dear all", "text/plain")
    async with storage_proxy(setup.values[BLOBS]) as proxy:
        proxy.refuse("PUT", "/results", status=409, code="ContainerBeingDeleted")
        setup.change(**{BLOBS: proxy.url})
        answer = await setup.run("reconcile", "--drain")
    assert answer.code == 1
    assert "alert storage_refused (clauses): " in answer.err
    assert "wait about 30 s" in answer.err
    setup.change()
    tables = AzureTables(setup.values[TABLES])
    found = await DocumentLedger(tables, SystemClock()).listed("clauses", None, "", 10)
    assert [(each.state, each.attempts, each.result) for each in found.documents] == [("waiting", 0, "")]
    await tables.close()
    assert (await blobs.list("results", None, 10)).items == ()
    assert [each.name for each in (await blobs.list("inbox", None, 10)).items] == ["clauses/letter.txt"]
    await blobs.close()


@pytest.fixture
async def config(setup: Setup) -> AsyncIterator[ContainerClient]:
    """Yield the container of the configuration, with a valid configuration."""
    uri = setup.values[BLOBS]
    key = AzureNamedKeyCredential(account_name(uri), ACCOUNT_KEY)
    async with ContainerClient(uri, "config", credential=key) as container:
        await container.create_container()
        for name in ("deployments.yaml", "prompt.md"):
            await container.upload_blob(name, (setup.folder / name).read_bytes())
        yield container


async def test_the_configuration_stays_in_force_with_other_blobs_beside_it(
    setup: Setup, config: ContainerClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Folder markers, files and folders of one name, and odd names do not end a pass."""
    app = App({**setup.values, "DEPLOYMENTS_FILE": PLACE})
    good = (await app.current()).settings
    await config.upload_blob("tasks", b"", metadata={"hdi_isfolder": "true"})
    for name in ("tasks/", "tasks/a", "tasks/a/b", "prompt.md/x", "ä 📄 %25#?.md", "y" * 1000):
        await config.upload_blob(name, b"\xff\xfe")
    assert (await app.current()).settings is good
    await app.close()
    fresh = App({**setup.values, "DEPLOYMENTS_FILE": PLACE})
    assert (await fresh.current()).settings == good
    assert "settings_broken" not in caplog.text
    await config.upload_blob("deployments.yaml", b"", metadata={"hdi_isfolder": "true"}, overwrite=True)
    assert (await fresh.current()).settings == good
    assert "settings_broken" in caplog.text
    await fresh.close()


async def test_the_configuration_stays_in_force_while_storage_is_in_trouble(
    setup: Setup, config: ContainerClient, caplog: pytest.LogCaptureFixture
) -> None:
    """A new process takes the last good version; without any, the error says what to do."""
    first = App({**setup.values, "DEPLOYMENTS_FILE": PLACE})
    good = (await first.current()).settings
    await first.close()
    async with storage_proxy(setup.values[BLOBS]) as proxy:
        proxy.refuse("GET", "/config", status=409, code="ContainerBeingDeleted")
        app = App({**setup.values, BLOBS: proxy.url, "DEPLOYMENTS_FILE": PLACE})
        assert (await app.current()).settings == good
        assert "ContainerBeingDeleted" in caplog.text
        await app.close()
    await config.delete_blob("deployments.yaml")
    other = App({**setup.values, "DEPLOYMENTS_FILE": "blob:config/other.yaml"})
    with pytest.raises(SettingsError, match="upload it"):
        await other.current()
    await other.close()
