"""The configuration in a blob: changed without a redeploy, and never worse than the last good version."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.errors import SettingsError
from shared.settings_blob import LAST_GOOD, SettingsBlob
from tests.fakes.blobs import MemoryBlobs
from tests.fakes.clock import VirtualClock

FILE = """
installation: test
prices: {hosting_per_hour: {GlobalStandard: 1.70}, tokens_per_million: {input: 0.40, output: 1.60}}
accounts:
  main: {resource_id: "${AZURE_OPENAI_ACCOUNT_ID}"}
deployments:
  clauses:
    account: main
    model: {name: gpt-4.1-mini-2025-04-14.ft-1, version: "1"}
    sku: {name: GlobalStandard, capacity: 120}
    task: {system_prompt: tasks/prompt.md, max_output_tokens: 500}
"""
ENVIRONMENT = {
    "AZURE_OPENAI_ACCOUNT_ID": (
        "/subscriptions/s/resourceGroups/g/providers/Microsoft.CognitiveServices/accounts/contoso"
    )
}
PLACE = "blob:config/deployments.yaml"


@pytest.fixture
def blobs() -> MemoryBlobs:
    found = MemoryBlobs(VirtualClock())
    found.upload("config", "deployments.yaml", FILE.encode())
    found.upload("config", "tasks/prompt.md", b"Summarise.")
    return found


async def test_a_change_is_taken_up_without_a_redeploy(blobs: MemoryBlobs) -> None:
    """Of the file, and of a prompt that it names; without a change nothing is read again."""
    source = SettingsBlob(blobs, PLACE, ENVIRONMENT)
    first = await source.load()
    assert await source.load() is first
    blobs.upload("config", "deployments.yaml", FILE.replace("500", "600").encode())
    assert (await source.load()).deployments["clauses"].task.max_output_tokens == 600
    blobs.upload("config", "tasks/prompt.md", b"List the risks.")
    assert (await source.load()).deployments["clauses"].task.system_prompt == "List the risks."


@pytest.mark.parametrize(
    "broken", [b"deployments: [", FILE.replace("500", "much").encode(), b"\xff\xfe\x00", b""]
)
async def test_a_broken_version_keeps_the_last_good_one(
    blobs: MemoryBlobs, broken: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """In a process that has it, and in a new one; with an alert that tells what is wrong."""
    running = SettingsBlob(blobs, PLACE, ENVIRONMENT)
    good = await running.load()
    blobs.upload("config", "deployments.yaml", broken)
    assert await running.load() == good
    assert "settings_broken" in caplog.text
    assert await SettingsBlob(blobs, PLACE, ENVIRONMENT).load() == good
    blobs.upload("config", "deployments.yaml", FILE.replace("500", "700").encode())
    assert (await running.load()).deployments["clauses"].task.max_output_tokens == 700


async def test_a_first_version_that_is_broken_is_an_error(blobs: MemoryBlobs) -> None:
    """There is nothing to fall back to; a missing blob says where to put it."""
    blobs.upload("config", "deployments.yaml", b"installation: test")
    with pytest.raises(SettingsError, match="is missing"):
        await SettingsBlob(blobs, PLACE, ENVIRONMENT).load()
    blobs.remove("config", "deployments.yaml")
    with pytest.raises(SettingsError, match="upload it"):
        await SettingsBlob(blobs, PLACE, ENVIRONMENT).load()


async def test_the_same_version_is_kept_once(blobs: MemoryBlobs) -> None:
    """However often the app starts."""
    for _ in range(3):
        await SettingsBlob(blobs, PLACE, ENVIRONMENT).load()
    assert blobs.names(LAST_GOOD) == ["deployments.yaml"]


async def test_a_blob_named_like_a_path_elsewhere_is_left_out(blobs: MemoryBlobs, tmp_path: Path) -> None:
    """Names of blobs are untrusted: nothing is written outside the folder they are unpacked to."""
    blobs.upload("config", "../../escape.md", b"x")
    blobs.upload("config", f"{tmp_path}/escape.md", b"x")
    await SettingsBlob(blobs, PLACE, ENVIRONMENT).load()
    assert not (tmp_path / "escape.md").exists()
