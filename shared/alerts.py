"""Alerts and log lines: structured events with stable names. Never secrets, prompts or document text."""

from __future__ import annotations

import json
import logging
from enum import StrEnum

_log = logging.getLogger("lamplighter")


class Alert(StrEnum):
    """The stable names, which infrastructure turns into notifications."""

    SETTINGS_BROKEN = "settings_broken"
    PASS_FAILED = "pass_failed"  # noqa: S105
    CREATE_LED_NOWHERE = "create_led_nowhere"
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
    DOCUMENT_FAILED = "document_failed"
    DRAIN_FAILED = "drain_failed"
    DOCUMENTS_WAIT = "documents_wait"
    UNACCOUNTED_DOCUMENTS = "unaccounted_documents"
    INBOX_BEHIND = "inbox_behind"
    STORAGE_REFUSED = "storage_refused"


def alert(name: Alert, remedy: str, **fields: str | float | None) -> None:
    """Something that a person should look at, with what to do."""
    _log.warning(_line(name, alert=True, remedy=remedy, **fields))


def event(name: str, **fields: str | float | None) -> None:
    """Something that happened, as one line of JSON."""
    if _log.isEnabledFor(logging.INFO):
        _log.info(_line(name, **fields))


def _line(name: str, **fields: str | float | None) -> str:
    return json.dumps({"event": name, **{key: value for key, value in fields.items() if value is not None}})
