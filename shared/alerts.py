"""Log alerts and events as structured lines with stable names. Never secrets, prompts or document text.

Note [Equal alerts]. Every pass and every affected document raises the alert of a lasting fault again. The
first alert is logged at once. Equal ones within the next hour are only counted, and the first one after that
hour is logged with their number (`times`). So a thousand documents that fail are one line an hour for their
deployment, and a lasting fault is logged often enough for `infra/alerts.bicep`, whose rules look back two
hours. Alerts are equal if their names and the fields in `_SUBJECT` are equal: remedy and `document` may
differ. The count is kept in one process: another instance, or the next one after a restart, logs it again.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from enum import StrEnum

REPEAT_SECONDS = 3600.0
"""An equal alert is logged again after this time; see Note [Equal alerts]."""

_SUBJECT = ("account", "deployment", "container", "receiver", "setting", "version", "code", "error")
_MOST = 1000  # alerts in memory; beyond this number the one that was logged longest ago is dropped

_log = logging.getLogger("lamplighter")


class Alert(StrEnum):
    """List the stable names, which the infrastructure turns into notifications."""

    SETTINGS_BROKEN = "settings_broken"
    PASS_FAILED = "pass_failed"  # noqa: S105
    CREATE_FAILED = "create_failed"
    DELETE_REFUSED = "delete_refused"
    CAPACITY_REDUCED = "capacity_reduced"
    WINDOW_NOT_READY = "window_not_ready"
    SESSION_PAST_CAP = "session_past_cap"
    ADOPTED = "adopted"
    FOREIGN_DEPLOYMENT = "foreign_deployment"
    UNKNOWN_STATE = "unknown_state"
    DELETED_FROM_OUTSIDE = "deleted_from_outside"
    DELETE_WITHOUT_EFFECT = "delete_without_effect"
    TWIN_INSTALLATION = "twin_installation"
    MODEL_ACCESS_DENIED = "model_access_denied"
    MODEL_REFUSES = "model_refuses"
    NOT_ANSWERING = "not_answering"
    CAPACITY_TOO_SMALL = "capacity_too_small"
    CAPACITY_SCARCE = "capacity_scarce"
    DOCUMENT_FAILED = "document_failed"
    DRAIN_FAILED = "drain_failed"
    DOCUMENTS_WAIT = "documents_wait"
    UNACCOUNTED_DOCUMENTS = "unaccounted_documents"
    INBOX_BEHIND = "inbox_behind"
    STORAGE_REFUSED = "storage_refused"
    EVENTS_WAIT = "events_wait"
    EVENTS_DROPPED = "events_dropped"
    SOURCE_UNREADABLE = "source_unreadable"
    TARGET_UNWRITABLE = "target_unwritable"


def alert(name: Alert, remedy: str, **fields: str | float | None) -> None:
    """Log something that a person should look at, with the remedy. Safe to call from any thread.

    Equal alerts are counted; see Note [Equal alerts].
    """
    times = _memory.count((name, *(fields.get(field) for field in _SUBJECT)))
    if times:
        _log.warning(_line(name, alert=True, remedy=remedy, **fields, times=times if times > 1 else None))


def forget() -> None:
    """Forget all alerts, so that the next of every kind is logged at once. For tests."""
    _memory.clear()


def event(name: str, **fields: str | float | None) -> None:
    """Log an event as one line of JSON."""
    if _log.isEnabledFor(logging.INFO):
        _log.info(_line(name, **fields))


def _line(name: str, **fields: str | float | None) -> str:
    return json.dumps({"event": name, **{key: value for key, value in fields.items() if value is not None}})


# --- equal alerts ------------------------------------------------------------------------------


@dataclass
class _Logged:
    at: float  # monotonic seconds
    unlogged: int = 0  # equal ones since then


class _Memory:
    """Remember which alerts were logged, and how many equal ones followed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._logged: OrderedDict[tuple[object, ...], _Logged] = OrderedDict()  # the oldest first

    def count(self, key: tuple[object, ...]) -> int:
        """Return how many alerts the line to log now represents, this one included; 0: log nothing now."""
        now = time.monotonic()
        with self._lock:
            last = self._logged.get(key)
            if last is not None and now - last.at < REPEAT_SECONDS:
                last.unlogged += 1
                return 0
            self._logged[key] = _Logged(now)
            self._logged.move_to_end(key)
            if len(self._logged) > _MOST:
                self._logged.popitem(last=False)
            return 1 if last is None else last.unlogged + 1

    def clear(self) -> None:
        with self._lock:
            self._logged.clear()


_memory = _Memory()
