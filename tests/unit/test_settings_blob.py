"""The configuration in a blob: changed without a redeploy, and never worse than the last good version."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from shared import alerts
from shared.errors import SettingsError, StorageError
from shared.model import prompt
from shared.settings.blob import LAST_GOOD, SettingsBlob
from tests.fakes.blobs import MemoryBlobs
from tests.fakes.clock import VirtualClock
from tests.unit.settings_file import CLAUSES, ENVIRONMENT, aliases, changed

FILE = changed({f"{CLAUSES}.task": {"system_prompt": "tasks/prompt.md", "max_output_tokens": "500"}})
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
    assert (await source.load()).deployments["clauses"].task.messages == prompt("List the risks.")


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


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("tasks/", b""),  # how portals mark a folder
        ("tasks", b""),  # how Data Lake does
        ("tasks/prompt.md/beside", b"x"),
        ("deployments.yaml/x", b"x"),
        ("../../escape.md", b"x"),
        ("/etc/escape.md", b"x"),
        ("nul\x00", b"x"),
        ("//", b"x"),
        ("x" * 1024, b"x"),
        ("a/" * 500 + "b", b"x"),
        ("notes \udc80.md", b"\xff\xfe\x00"),
        ("backup.zip", b"x" * 2_000_000),
    ],
)
async def test_litter_is_left_alone(
    blobs: MemoryBlobs, name: str, data: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever else lies in the container is neither read nor unpacked, nor a reason to read again."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "made"))
    (tmp_path / "made").mkdir()
    source = SettingsBlob(blobs, PLACE, ENVIRONMENT)
    first = await source.load()
    blobs.upload("config", name, data)
    blobs.refuse("config", name, "BlobArchived")
    assert await source.load() is first
    assert await SettingsBlob(blobs, PLACE, ENVIRONMENT).load() == first
    assert [path.name for path in tmp_path.rglob("*")] == ["made"]


async def test_a_crowded_container_hides_no_file(blobs: MemoryBlobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the first page of the listing does not show is looked for by its name."""
    monkeypatch.setattr("shared.settings.blob._PAGE", 50)
    for number in range(300):
        blobs.upload("config", f"a{number:03}.txt", b"litter")
    source = SettingsBlob(blobs, PLACE, ENVIRONMENT)
    first = await source.load()
    assert await source.load() is first
    blobs.upload("config", "tasks/prompt.md", b"List the risks.")
    assert (await source.load()).deployments["clauses"].task.messages == prompt("List the risks.")


def _holds(data: bytes) -> Callable[[MemoryBlobs], object]:
    return lambda blobs: blobs.upload("config", "deployments.yaml", data)


def _archived(name: str) -> Callable[[MemoryBlobs], object]:
    def put_into_the_archive(blobs: MemoryBlobs) -> None:
        blobs.upload("config", name, b"a newer version")
        blobs.refuse("config", name, "BlobArchived")

    return put_into_the_archive


def _named(name: str) -> Callable[[MemoryBlobs], object]:
    return _holds(FILE.replace("tasks/prompt.md", name).encode())


@pytest.mark.parametrize(
    "trouble",
    [
        _archived("deployments.yaml"),
        _archived("tasks/prompt.md"),
        lambda blobs: blobs.remove("config", "deployments.yaml"),
        lambda blobs: blobs.remove("config", "tasks/prompt.md"),
        lambda blobs: blobs.upload("config", "tasks/prompt.md", b"x" * 2_000_000),
        _holds(b""),
        _holds(b"\xff\xfe\x00"),
        _holds(b"deployments: ["),
        _holds(FILE.replace("500", "much").encode()),
        _holds(b"x" * 2_000_000),
        _holds(b"a: " + b"[" * 20_000),
        _holds(aliases("[", "]").encode()),
        _holds(b"- just\n- a list"),
        lambda blobs: blobs.delete_container("config"),
        _named('"/etc/hostname"'),
        _named("../../../../../../etc/hostname"),
        _named('"nul\\0"'),
        _named("x" * 300),
        _named("deployments.yaml/prompt.md"),
        _named("."),
        _named("[a, b]"),
    ],
)
async def test_whatever_stands_there_the_last_good_version_stays_in_force(
    blobs: MemoryBlobs, trouble: Callable[[MemoryBlobs], object], caplog: pytest.LogCaptureFixture
) -> None:
    """In a process that has it and in a new one, with an alert; nothing of this machine is ever read."""
    running = SettingsBlob(blobs, PLACE, ENVIRONMENT)
    good = await running.load()
    trouble(blobs)
    for _ in range(2):
        assert await running.load() == good
        assert running.problem is not None
    assert "settings_broken" in caplog.text
    caplog.clear()
    alerts.forget()
    assert await SettingsBlob(blobs, PLACE, ENVIRONMENT).load() == good
    assert "settings_broken" in caplog.text
    blobs.deleted("config")
    blobs.upload("config", "tasks/prompt.md", b"Summarise.")
    blobs.upload("config", "deployments.yaml", FILE.replace("500", "700").encode())
    assert (await running.load()).deployments["clauses"].task.max_output_tokens == 700
    assert running.problem is None


async def test_each_broken_version_is_an_alert_once(
    blobs: MemoryBlobs, caplog: pytest.LogCaptureFixture
) -> None:
    """Also within the hour in which equal alerts are only counted."""
    source = SettingsBlob(blobs, PLACE, ENVIRONMENT)
    await source.load()
    for content in (b"deployments: [", FILE.replace("500", "much").encode()):
        blobs.upload("config", "deployments.yaml", content)
        for _ in range(3):
            await source.load()
    assert sum("settings_broken" in line for line in caplog.messages) == 2


async def test_storage_that_does_not_answer_changes_nothing(
    blobs: MemoryBlobs, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What is in force stays in force, each look is an alert; a process with no version to use fails."""
    running = SettingsBlob(blobs, PLACE, ENVIRONMENT)
    good = await running.load()

    async def silent(*_: object) -> None:
        raise StorageError("blob storage did not answer within 15 s")

    monkeypatch.setattr(blobs, "list", silent)
    assert await running.load() == good
    assert "settings_broken" in caplog.text and "did not answer" in caplog.text
    assert await SettingsBlob(blobs, PLACE, ENVIRONMENT).load() == good
    monkeypatch.setattr(blobs, "read", silent)
    assert await running.load() == good
    with pytest.raises(StorageError, match="did not answer"):
        await SettingsBlob(blobs, PLACE, ENVIRONMENT).load()


async def test_a_last_good_version_that_cannot_be_kept_is_tried_again(
    blobs: MemoryBlobs, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The version is in force nevertheless."""
    source = SettingsBlob(blobs, PLACE, ENVIRONMENT)
    with monkeypatch.context() as trouble:

        async def refused(*_: object) -> None:
            raise StorageError("refused")

        trouble.setattr(blobs, "create", refused)
        await source.load()
    assert "could not be kept" in caplog.text
    assert blobs.names(LAST_GOOD) == []
    await source.load()
    assert blobs.names(LAST_GOOD) == ["deployments.yaml"]


@pytest.mark.parametrize("kept", [b"", b"[]", b"{}", b'{"deployments.yaml": 1}', b"\xff", b"[" * 20_000])
async def test_a_damaged_last_good_version_is_none(blobs: MemoryBlobs, kept: bytes) -> None:
    """The error then says what is wrong with the new version."""
    blobs.upload(LAST_GOOD, "deployments.yaml", kept)
    assert (await SettingsBlob(blobs, PLACE, ENVIRONMENT).load()).installation == "contoso-test"
    blobs.upload(LAST_GOOD, "deployments.yaml", kept)
    blobs.upload("config", "deployments.yaml", b"installation: test")
    with pytest.raises(SettingsError, match="is missing"):
        await SettingsBlob(blobs, PLACE, ENVIRONMENT).load()


@pytest.mark.parametrize("place", ["blob:", "blob:config", "blob:config/", "blob:/x.yaml"])
async def test_a_place_that_is_none_is_reported(blobs: MemoryBlobs, place: str) -> None:
    """By the name of the setting, with what it holds."""
    says = rf"app settings: DEPLOYMENTS_FILE: write blob:CONTAINER/.* \(found: {place}\)"
    with pytest.raises(SettingsError, match=says):
        await SettingsBlob(blobs, place, ENVIRONMENT).load()
