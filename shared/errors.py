"""Define our errors. Adapters translate every vendor error into one of these, once.

Messages state what happened, where, and the remedy; they never carry secrets, prompts or document text.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


class LamplighterError(Exception):
    """The root of our errors."""


def shown(error: Exception) -> str:
    """Return the error as people may see it: of foreign errors only the type, as they may quote documents."""
    return str(error) if isinstance(error, LamplighterError) else type(error).__name__


@dataclass(frozen=True)
class SettingProblem:
    """One mistake in the configuration: its key, the value found there, and the remedy."""

    key: str
    value: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.key}: {self.remedy}" + (f" (found: {self.value})" if self.value else "")


class SettingsError(LamplighterError):
    """The configuration cannot be used. `problems` holds all of them."""

    def __init__(self, source: str, problems: Sequence[SettingProblem]) -> None:
        self.source = source
        self.problems = tuple(problems)
        super().__init__(f"{source}: " + "; ".join(str(problem) for problem in problems))


def _with_remedy(message: str, remedy: str) -> str:
    return f"{message} Remedy: {remedy}." if remedy else message


# --- requests -----------------------------------------------------------------------------------


class InvalidRequest(LamplighterError):
    """The request is malformed. The message states how to write it.

    `problems`: the same by key, where the request has keys.
    """

    def __init__(self, message: str, problems: Sequence[SettingProblem] = ()) -> None:
        self.problems = tuple(problems)
        super().__init__(message)


class NotFound(LamplighterError):
    """The requested object does not exist."""


class UnknownDeployment(NotFound):
    """No deployment has this name; the message names the closest one, or all."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        by_lower_name = {entry.lower(): entry for entry in known}
        close = difflib.get_close_matches(name.lower(), by_lower_name, n=1)
        names = ", ".join(sorted(by_lower_name.values()))
        hint = f"did you mean {by_lower_name[close[0]]!r}?" if close else f"known are {names}"
        super().__init__(f"no deployment is called {name[:64]!r}: {hint}")


class Conflict(LamplighterError):
    """The object's state does not allow the request. Nothing was changed."""


class KeysUnavailable(LamplighterError):
    """The functions host did not say whether a key is valid."""


# --- storage ------------------------------------------------------------------------------------


class StorageError(LamplighterError):
    """A storage call failed, and may succeed later. `code`: Azure's error code, empty if there is none."""

    def __init__(self, message: str = "", *, code: str = "") -> None:
        self.code = code
        super().__init__(message)


class AlreadyExists(StorageError):
    """A row or blob of that name exists already."""


class Changed(StorageError):
    """The row or blob has another version than the call named, or does not exist any more."""


class Missing(StorageError):
    """The row or blob does not exist."""


class ContainerMissing(StorageError):
    """The container does not exist. Its blobs are not lost for certain: a container can be restored."""


class BlobRefused(StorageError):
    """Azure refuses this one blob for long or for good: archived, immutable, encrypted with its owner's key.

    `reason`: shown to its owner, with the remedy; it holds no name.
    """

    def __init__(self, message: str, *, code: str, reason: str) -> None:
        self.reason = reason
        super().__init__(message, code=code)


class ResultUnusable(StorageError):
    """Another blob has the name of a document's result, or the blob there cannot be read.

    The document is not done, and another answer would only cost tokens: it waits until the blob is removed.
    """


# --- sources ------------------------------------------------------------------------------------


class SourceError(LamplighterError):
    """A source could not be read, or its target not written. It may succeed later. `remedy`: what to do."""

    def __init__(self, message: str, remedy: str = "") -> None:
        self.what = message
        self.remedy = remedy
        super().__init__(_with_remedy(message, remedy))


# --- providers ----------------------------------------------------------------------------------


class ProviderError(LamplighterError):
    """A call of a provider failed.

    `code`: the provider's error code; `remedy`: for that code; `retry_after`: seconds, None if not given.
    """

    def __init__(
        self, message: str, *, code: str = "", retry_after: float | None = None, remedy: str = ""
    ) -> None:
        self.code = code
        self.retry_after = retry_after
        self.remedy = remedy
        super().__init__(_with_remedy(message, remedy))


class ProviderBusy(ProviderError):
    """Another operation runs on the account, or the provider throttles. The call had no effect: wait."""


class ProviderRefused(ProviderError):
    """The provider refused the request for good. The call had no effect."""


class CapacityRefused(ProviderRefused):
    """There is less capacity left than the request asks for: less may be granted."""


class CapacityUnknown(ProviderRefused):
    """The provider does not say how much capacity is left for this model or SKU."""


class OutcomeUnknown(ProviderError):
    """There was no answer, or an error of the provider's own: a write may still take effect, or has done so.

    See Note: the quarantine in docs/design.md.
    """


# --- inference ----------------------------------------------------------------------------------


class ModelError(LamplighterError):
    """The model did not answer. `code`: Azure's error code; `status`: HTTP's, None if there was no answer."""

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        retry_after: float | None = None,
        status: int | None = None,
        remedy: str = "",
    ) -> None:
        self.code = code
        self.status = status
        self.retry_after = retry_after  # seconds, as the server gave it
        self.remedy = remedy
        super().__init__(_with_remedy(message, remedy))


class RateLimited(ModelError):
    """429: the deployment's rate limit is reached, or demand is high."""


class ModelUnavailable(ModelError):
    """408, 409, 5xx or no connection: a retry may succeed."""


class DeploymentNotFound(ModelError):
    """404: the deployment is not ready yet (Azure reports Succeeded minutes before), or deleted."""


class ServiceRefused(ModelError):
    """Azure refuses every request, or answers with an unknown code. No document is to blame.

    423 (paused), 410 (retired), 405, 424, 400 OperationNotSupported and every unknown 4xx. The message gives
    Azure's code and the remedy for that code.
    """


class AccessDenied(ServiceRefused):
    """401 or 403: the app's identity, or its network, may not call the model."""


class RequestRefused(ModelError):
    """This document will never be answered: content filter, context length, or too large (413)."""


# --- receivers of events ------------------------------------------------------------------------


class ReceiverError(LamplighterError):
    """An event was not delivered. `code`: the receiver's own, or HTTP's status; empty without an answer."""

    def __init__(self, message: str, *, code: str = "") -> None:
        self.code = code
        super().__init__(message)


class ReceiverUnavailable(ReceiverError):
    """The receiver takes nothing now: it does not answer, is busy, or does not let us in."""


class EventRefused(ReceiverError):
    """The receiver refuses this event, and may take others."""


# --- documents ----------------------------------------------------------------------------------


class DocumentRefused(LamplighterError):
    """The document itself cannot be answered. The message is the reason that its owner sees."""


class ReaderUnavailable(LamplighterError):
    """The process that reads files does not run. No document is to blame."""


class DocumentTooLarge(DocumentRefused):
    """The document is larger than the app or its deployment accepts."""


class IsZipArchive(DocumentRefused):
    """The document is a ZIP archive of documents. It is refused only inside of another file.

    `memory`: bytes that the archive and the largest file in it take.
    """

    def __init__(self, memory: int) -> None:
        self.memory = memory
        super().__init__("the file is a ZIP archive: unpack it and upload its files")


class IsRecordFile(DocumentRefused):
    """The document is a file of records. It is refused only where a text is needed."""

    def __init__(self) -> None:
        super().__init__("the file has many records, one a line: upload it by itself")


class ResultDeleted(LamplighterError):
    """The document had a result, and its blob was deleted."""


class ResultDamaged(LamplighterError):
    """The blob of the document's result is not JSON."""
