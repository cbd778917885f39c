"""What the host reads from host.json: the time limit of functions, and how queues are read."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.host.app import HostError

_LARGEST_BATCH = 32  # the storage service hands out no more messages at once
_SHORTEST_POLL = 0.1  # seconds, also the first pause of a listener
_TIME = re.compile(r"(\d\d):([0-5]\d):([0-5]\d(?:\.\d{1,7})?)", re.ASCII)


@dataclass(frozen=True)
class QueueSettings:
    """How the host reads queues; times in seconds, the defaults are Azure's for an instance of one core."""

    batch_size: int = 16
    """Messages that are asked for at once."""
    new_batch_threshold: int = 8
    """The host asks for more only while no more than these are in progress."""
    max_polling_interval: float = 60.0
    """The longest pause between two looks at an empty queue."""
    visibility_timeout: float = 0.0
    """The pause before a message whose handler failed is tried again."""
    max_dequeue_count: int = 5
    """Tries of a message. After the last one it is moved to the poison queue."""


def read_time_limit(app_dir: Path) -> float:
    """Return the function time limit of host.json in seconds. Raises HostError."""
    path = app_dir / "host.json"
    try:
        hours, minutes, seconds = map(int, _content(path).get("functionTimeout", "00:05:00").split(":"))
    except (AttributeError, ValueError) as error:
        raise HostError(f"{path} is not valid ({error}); functionTimeout is written hh:mm:ss") from error
    return hours * 3600 + minutes * 60 + seconds


def read_queue_settings(app_dir: Path) -> QueueSettings:
    """Return the section extensions.queues of host.json; other keys are ignored. Raises HostError."""
    path = app_dir / "host.json"
    try:
        given: Any = _content(path).get("extensions", {}).get("queues", {})
        if given.get("messageEncoding", "base64").lower() != "base64":
            raise ValueError("messageEncoding: the local host knows only base64")
        batch_size = _number(given, "batchSize", 16, least=1, most=_LARGEST_BATCH)
        return QueueSettings(
            batch_size=batch_size,
            new_batch_threshold=_number(given, "newBatchThreshold", batch_size // 2, least=0),
            max_polling_interval=_seconds(given, "maxPollingInterval", "00:01:00", least=_SHORTEST_POLL),
            visibility_timeout=_seconds(given, "visibilityTimeout", "00:00:00", least=0.0),
            max_dequeue_count=_number(given, "maxDequeueCount", 5, least=1),
        )
    except (AttributeError, ValueError) as error:
        raise HostError(f"{path}, extensions.queues is not valid: {error}") from error


def _content(path: Path) -> Mapping[str, Any]:
    return json.loads(path.read_text()) if path.exists() else {}


def _number(given: Mapping[str, Any], key: str, default: int, *, least: int, most: int = 2**31 - 1) -> int:
    value = given.get(key, default)
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"{key} is {value!r}; write a whole number from {least} to {most}")
    return value


def _seconds(given: Mapping[str, Any], key: str, default: str, *, least: float) -> float:
    value = given.get(key, default)
    match = _TIME.fullmatch(value) if isinstance(value, str) else None
    seconds = int(match[1]) * 3600 + int(match[2]) * 60 + float(match[3]) if match else -1.0
    if seconds < least:
        raise ValueError(f"{key} is {value!r}; write hh:mm:ss, at least {least:g} s")
    return seconds
