"""Limit calls of blobs and tables in time, and translate Azure's error codes into our errors.

The SDK maps all codes of a 409 to one error, and waits 300 s for an answer, four times. Here the
code decides, and every call ends within seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from azure.core.exceptions import AzureError, ServiceRequestTimeoutError, ServiceResponseTimeoutError
from azure.core.pipeline.transport import AioHttpTransport

from shared.adapters.transport import new_session
from shared.errors import AlreadyExists, BlobRefused, Changed, ContainerMissing, Missing, StorageError


@dataclass(frozen=True)
class Limits:
    """Limits in seconds. A large download may take longer: the limits hold for each of its parts."""

    one_try: float = 6.0  # to connect, and between two pieces of an answer
    call: float = 15.0  # of all tries and the pauses between them


RETRIES = 2
"""Retries of one call, within its limit."""
PART = 2 * 1024 * 1024
"""Bytes of a download that one network operation fetches."""
BLOCK = 4 * 1024 * 1024
"""Bytes of one write of a large blob, and the most that Azure appends at once."""
SLOWEST_UPLOAD = 250_000
"""Bytes per second. An upload is one operation, so its limit is longer by its size at this speed."""

_PIECE = (
    64 * 1024
)  # bytes of an answer at a time: with azure.core's 4 KiB, 1 MiB takes half as much CPU time again


class Transport(AioHttpTransport):  # type: ignore[misc]  # azure.core names it at run time only
    """A transport that sends no write twice by itself, and counts the tries of the call.

    The call must know of a second try: only then may an existing blob or row be its own.
    """

    session: Any  # azure.core gives it no type

    def __init__(self, limits: Limits) -> None:
        super().__init__(
            connection_timeout=limits.one_try,
            read_timeout=limits.one_try,
            connection_data_block_size=_PIECE,
        )

    async def open(self) -> None:
        """Open the session."""
        if self.session is None:
            self.session = new_session()
        await super().open()

    async def send(self, request: Any, **options: Any) -> Any:
        """Send one try of the current call."""
        call = _under_way.get()
        if call is not None:
            call.tries += 1
        return await super().send(request, **options)


@dataclass
class Call:
    """One call: its tries so far, and its deadline."""

    limit: asyncio.Timeout
    seconds: float
    tries: int = 0

    @property
    def repeated(self) -> bool:
        """Return whether an earlier try may have had the effect that a later one finds."""
        return self.tries > 1

    async def progressed(self, _done: int, _total: int | None) -> None:
        """Restart the time limit after a part of a download has arrived."""
        self.limit.reschedule(asyncio.get_running_loop().time() + self.seconds)


_under_way: ContextVar[Call | None] = ContextVar("call of storage", default=None)


@contextlib.asynccontextmanager
async def call(service: str, place: str, seconds: float) -> AsyncIterator[Call]:
    """Limit a call to `seconds` and translate its errors. `place`: the container or table.

    Names of blobs and rows stay out of messages: they are untrusted and may be private.
    """
    try:
        async with asyncio.timeout(seconds) as limit:
            running = Call(limit, seconds)
            token = _under_way.set(running)
            try:
                yield running
            finally:
                _under_way.reset(token)
    except TimeoutError as error:
        raise StorageError(f"{service} ({place}) did not answer within {seconds:.3g} s") from error
    except AzureError as error:
        raise _translated(error, f"{service} ({place})", seconds) from error


# --- Azure's codes ------------------------------------------------------------------------------

# https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes and table-service-error-codes
HELD = frozenset({"LeaseAlreadyPresent", "LeaseIsBreakingAndCannotBeAcquired"})
"""Another holder has the lease that was requested."""
LOST = frozenset(
    {
        "LeaseIdMismatchWithLeaseOperation",
        "LeaseNotPresentWithLeaseOperation",
        "LeaseIsBrokenAndCannotBeRenewed",
        "LeaseIsBreakingAndCannotBeChanged",
        "LeaseLost",
        "BlobNotFound",
        "ContainerNotFound",
    }
)
"""The lease that the call named is no longer ours."""
LEASED = frozenset({"LeaseIdMissing"})
"""Another holder has a lease on the blob that the call would write or delete."""

_AGAIN = "then submit it again"
_KINDS: Mapping[str, type[StorageError]] = {
    "BlobAlreadyExists": AlreadyExists,
    "ContainerAlreadyExists": AlreadyExists,
    "EntityAlreadyExists": AlreadyExists,
    "TableAlreadyExists": AlreadyExists,
    "ResourceAlreadyExists": AlreadyExists,
    "ConditionNotMet": Changed,
    "AppendPositionConditionNotMet": Changed,
    "UpdateConditionNotSatisfied": Changed,
    "SourceConditionNotMet": Changed,
    "TargetConditionNotMet": Changed,
    "BlobOverwritten": Changed,
    "BlobNotFound": Missing,
    "EntityNotFound": Missing,
    "ResourceNotFound": Missing,
    "ContainerNotFound": ContainerMissing,
    "TableNotFound": ContainerMissing,
}
# Codes that concern one blob, for long or for good: the reason that its owner sees.
_REFUSED: Mapping[str, str] = {
    "BlobArchived": f"the file is in the archive tier: move it to the hot or cool tier, {_AGAIN}",
    "BlobBeingRehydrated": f"the file is on its way out of the archive tier: wait for that, {_AGAIN}",
    "BlobImmutableDueToPolicy": (
        "an immutability policy or legal hold forbids to change or delete the file: end it, or use another "
        "container, and then submit the file again if it is not answered"
    ),
    "BlobUsesCustomerSpecifiedEncryption": (
        f"the file is encrypted with a key that its owner sends with each request: store it without, {_AGAIN}"
    ),
}
_RIGHT = (
    "grant the identity that asks (on a laptop: yours) the data role that docs/commands.md names under Rights"
)
# Codes that concern the moment, the account or the app: the meaning and the remedy.
_REMEDIES: Mapping[str, str] = {
    "ContainerBeingDeleted": "the container is being deleted: wait about 30 s, then it can be made anew",
    "TableBeingDeleted": "the table is being deleted: wait about 30 s, then it can be made anew",
    "ContainerNotFound": "the container is not there: restore it or make it anew",
    "TableNotFound": "the table is not there: restore it or make it anew",
    "ContainerDisabled": "the container is disabled: see its state in the portal",
    "PendingCopyOperation": "a copy onto this blob is still under way: it is tried again",
    "SnapshotsPresent": "the blob has snapshots: delete them",
    "CannotVerifyCopySource": "the source of a copy could not be read",
    "ResourceTypeMismatch": "a folder stands where a file belongs, or the reverse: move it away",
    "BlockCountExceedsLimit": "the blob has as many blocks as it may have: go on in another blob",
    "InvalidBlockList": "the parts of an upload are gone: it is tried again",
    "InvalidBlobType": "a blob of another type stands there: move it away",
    "AuthorizationPermissionMismatch": _RIGHT,
    "AuthorizationFailure": "check the storage account's network rules and the roles of the app's identity",
    "InsufficientAccountPermissions": _RIGHT,
    "AccountIsDisabled": "the storage account is disabled: check the subscription",
    "ServerBusy": "storage is busy: it is tried again",
    "OperationTimedOut": "storage was too slow: it is tried again",
    "InternalError": "storage has trouble of its own: it is tried again",
    **dict.fromkeys(
        (*HELD, *LEASED, *(LOST - _KINDS.keys()), "LeaseIdMismatchWithBlobOperation"),
        "another process holds a lease on the blob, or has taken the lease over: wait, or break the lease",
    ),
}


def code_of(error: BaseException) -> str:
    """Return Azure's code; empty if there is none.

    The SDK leaves the code on the error, in a header (a HEAD has nothing else) or in the answer's body.
    """
    code = getattr(error, "error_code", None)
    response = getattr(error, "response", None)
    if not code and response is not None:
        code = response.headers.get("x-ms-error-code")
    if not code and response is not None:
        with contextlib.suppress(AttributeError, ValueError, KeyError, TypeError):
            code = json.loads(response.text())["odata.error"]["code"]
    return str(getattr(code, "value", code) or "")


def says(error: BaseException, codes: Iterable[str]) -> bool:
    """Return whether Azure's code is one of these."""
    return code_of(error) in codes


def _translated(error: AzureError, where: str, seconds: float) -> StorageError:
    """Return our error for the code. An unknown or missing code proves neither existence nor absence."""
    code = code_of(error)
    if not code:
        if _timed_out(error):
            return StorageError(f"{where} did not answer within {seconds:.3g} s")
        status = getattr(error, "status_code", None)
        what = f"{where} refused or did not answer: {status or type(error).__name__}"
        return StorageError(what if status else f"{what}: check its address in the app settings")
    if code in _REFUSED:
        return BlobRefused(f"{where} refused a blob: {code}", code=code, reason=_REFUSED[code])
    remedy = _REMEDIES.get(code)
    return _KINDS.get(code, StorageError)(
        f"{where} refused: {code}" + (f": {remedy}" if remedy else ""), code=code
    )


def _timed_out(error: BaseException | None) -> bool:
    """Return whether it is a time-out, also where the SDK wrapped that of a download's last try."""
    while error is not None:
        if isinstance(error, TimeoutError | ServiceRequestTimeoutError | ServiceResponseTimeoutError):
            return True
        error = error.__cause__
    return False
