"""Our errors. Adapters translate every vendor error into one of these, once.

Messages say what happened, where, and what to do; they never carry secrets, prompts or document text.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


class LamplighterError(Exception):
    """The root of our errors."""


def shown(error: Exception) -> str:
    """The error as people may see it: of others than ours only the kind, as they may quote private text."""
    return str(error) if isinstance(error, LamplighterError) else type(error).__name__


@dataclass(frozen=True)
class SettingProblem:
    """One mistake in the configuration: where it is, what was found there, and the remedy."""

    key: str
    value: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.key}: {self.remedy}" + (f" (found: {self.value})" if self.value else "")


class SettingsError(LamplighterError):
    """The configuration cannot be used. Carries all problems at once."""

    def __init__(self, source: str, problems: Sequence[SettingProblem]) -> None:
        self.source = source
        self.problems = tuple(problems)
        super().__init__(f"{source}: " + "; ".join(str(problem) for problem in problems))


def _with_remedy(message: str, remedy: str) -> str:
    return f"{message} Remedy: {remedy}." if remedy else message


# --- requests -----------------------------------------------------------------------------------


class InvalidRequest(LamplighterError):
    """What somebody asks for cannot be carried out as it was asked. The message says what to write.

    `problems`: the same by key, where the request has keys.
    """

    def __init__(self, message: str, problems: Sequence[SettingProblem] = ()) -> None:
        self.problems = tuple(problems)
        super().__init__(message)


class NotFound(LamplighterError):
    """What somebody asks for is not there."""


class UnknownDeployment(NotFound):
    """No deployment has this name; the message names the closest one, or all."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        by_lower_name = {each.lower(): each for each in known}
        close = difflib.get_close_matches(name.lower(), by_lower_name, n=1)
        names = ", ".join(sorted(by_lower_name.values()))
        hint = f"did you mean {by_lower_name[close[0]]!r}?" if close else f"known are {names}"
        super().__init__(f"no deployment is called {name[:64]!r}: {hint}")


class Conflict(LamplighterError):
    """The state in which something is does not allow what somebody asks for. Nothing was changed."""


# --- storage ------------------------------------------------------------------------------------


class StorageError(LamplighterError):
    """Storage did not do what was asked, and may do so later. `code`: Azure's own, empty if none came."""

    def __init__(self, message: str = "", *, code: str = "") -> None:
        self.code = code
        super().__init__(message)


class AlreadyExists(StorageError):
    """A row or blob of that name is there already."""


class Changed(StorageError):
    """The row or blob is not the version that was named, or is gone."""


class Missing(StorageError):
    """There is no such row or blob."""


class ContainerMissing(StorageError):
    """The container is not there. What it held is unknown, not absent: a container can be restored."""


class BlobRefused(StorageError):
    """Azure refuses this one blob for long or for good: archived, immutable, encrypted with its owner's key.

    `reason`: what its owner is shown, with the remedy; no name is in it.
    """

    def __init__(self, message: str, *, code: str, reason: str) -> None:
        self.reason = reason
        super().__init__(message, code=code)


class ResultUnusable(StorageError):
    """Where a document's result belongs stands a blob that is not its result, or that cannot be read.

    The document is not done, and another answer would only cost tokens: it waits until the blob is gone.
    """


# --- Azure Resource Manager ---------------------------------------------------------------------


class ArmError(LamplighterError):
    """Azure Resource Manager did not do what was asked. `code`: Azure's own; `remedy`: for that code."""

    def __init__(
        self, message: str, *, code: str = "", retry_after: float | None = None, remedy: str = ""
    ) -> None:
        self.code = code
        self.retry_after = retry_after
        self.remedy = remedy
        super().__init__(_with_remedy(message, remedy))


class ArmConflict(ArmError):
    """Another operation runs on the account (409), or ARM throttles (429): nothing happened, wait."""


class ArmRefused(ArmError):
    """Azure refused the request for good (other 4xx): nothing happened."""


class ArmUncertain(ArmError):
    """No answer, or a 5xx: the write may have taken effect, or may still."""


# --- inference ----------------------------------------------------------------------------------


class ModelError(LamplighterError):
    """The model did not answer. `code`: Azure's own; `status`: of HTTP, None if there was no answer."""

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
        self.retry_after = retry_after  # seconds, as the server named it
        self.remedy = remedy
        super().__init__(_with_remedy(message, remedy))


class RateLimited(ModelError):
    """429: the deployment's limit, or high demand."""


class ModelUnavailable(ModelError):
    """408, 409, 5xx or no connection: worth another try."""


class DeploymentNotFound(ModelError):
    """404: not there yet (Azure says Succeeded minutes before it is ready), or gone."""


class ServiceRefused(ModelError):
    """Azure refuses whatever is asked, or says something that nobody here knows. No document is to blame.

    423 (paused), 410 (retired), 405, 424, 400 OperationNotSupported and every unknown 4xx. The message names
    Azure's code and the remedy for that code.
    """


class AccessDenied(ServiceRefused):
    """401 or 403: the app's identity, or its network, may not call the model."""


class RequestRefused(ModelError):
    """This document will never be answered: content filter, context length, or too large (413)."""


# --- documents ----------------------------------------------------------------------------------


class DocumentRefused(LamplighterError):
    """The document itself cannot be answered; the message is the reason shown to its owner."""


class DocumentTooLarge(DocumentRefused):
    """The document is larger than the app, or its deployment, takes."""


class ResultDeleted(LamplighterError):
    """The document has a result, and somebody deleted the blob."""


class ResultDamaged(LamplighterError):
    """Where the document's result belongs stands a blob that is no JSON."""
