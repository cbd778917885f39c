"""Settings, host.json and whose storage it is, pure."""

from pathlib import Path

import pytest

from local.azurite import account_name
from local.host.app import HostError, resolve
from local.host.host_json import QueueSettings, read_queue_settings, read_time_limit


def test_settings_are_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    """%NAME% becomes the setting's value wherever it stands; a missing one is named."""
    monkeypatch.setenv("BOX", "inbox")
    assert resolve("%BOX%/{name}") == "inbox/{name}"
    with pytest.raises(HostError, match="set the setting SURELY_MISSING"):
        resolve("%BOX%/%SURELY_MISSING%")


@pytest.mark.parametrize(
    ("content", "seconds"), [(None, 300), ("{}", 300), ('{"functionTimeout": "01:02:03"}', 3723)]
)
def test_the_time_limit(tmp_path: Path, content: str | None, seconds: float) -> None:
    """It comes from host.json, with Azure's default."""
    if content is not None:
        (tmp_path / "host.json").write_text(content)
    assert read_time_limit(tmp_path) == seconds


@pytest.mark.parametrize(
    "content",
    ["{", "[]", '{"functionTimeout": "5"}', '{"functionTimeout": "-1"}', '{"functionTimeout": 300}'],
)
def test_a_broken_host_json_names_itself(tmp_path: Path, content: str) -> None:
    """The error names the file."""
    (tmp_path / "host.json").write_text(content)
    with pytest.raises(HostError, match=r"host\.json"):
        read_time_limit(tmp_path)


def test_the_queue_settings(tmp_path: Path) -> None:
    """They come from host.json, with Azure's defaults; half of a batch is the default threshold."""
    assert read_queue_settings(tmp_path) == QueueSettings(16, 8, 60.0, 0.0, 5)
    (tmp_path / "host.json").write_text('{"extensions": {"queues": {"batchSize": 5, "unknown": 1}}}')
    assert read_queue_settings(tmp_path) == QueueSettings(5, 2, 60.0, 0.0, 5)
    (tmp_path / "host.json").write_text(
        """{"extensions": {"queues": {"batchSize": 32, "newBatchThreshold": 0, "maxDequeueCount": 1,
        "maxPollingInterval": "00:00:02.5", "visibilityTimeout": "01:02:03", "messageEncoding": "Base64"}}}"""
    )
    assert read_queue_settings(tmp_path) == QueueSettings(32, 0, 2.5, 3723.0, 1)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("batchSize", "0"),
        ("batchSize", "33"),
        ("batchSize", "true"),
        ("newBatchThreshold", "-1"),
        ("newBatchThreshold", '"8"'),
        ("maxDequeueCount", "0"),
        ("maxDequeueCount", "1.5"),
        ("maxPollingInterval", '"00:00:00.05"'),
        ("maxPollingInterval", "2"),
        ("visibilityTimeout", '"60"'),
        ("visibilityTimeout", '"-00:00:01"'),
        ("messageEncoding", '"none"'),
    ],
)
def test_a_queue_setting_that_cannot_be_used_is_named(tmp_path: Path, key: str, value: str) -> None:
    """The error names the file and the key."""
    (tmp_path / "host.json").write_text(f'{{"extensions": {{"queues": {{"{key}": {value}}}}}}}')
    with pytest.raises(HostError, match=rf"host\.json, extensions\.queues is not valid: {key}"):
        read_queue_settings(tmp_path)


def test_the_public_key_is_for_this_machine_only() -> None:
    """An account is read from an Azurite address; anything else is refused."""
    assert account_name("http://127.0.0.1:10000/devstoreaccount1") == "devstoreaccount1"
    for other in (
        "https://contoso.blob.core.windows.net",
        "http://10.0.0.1:10000/a",
        "http://127.0.0.1:10000",
    ):
        with pytest.raises(ValueError, match="not Azurite"):
            account_name(other)
