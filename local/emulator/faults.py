"""Fault injection: which calls fail, how, and how often.

A call that a client's transport repeats is another call: it takes effect again and may trigger a fault again.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

Plane = Literal["arm", "data", "events"]
ArmOperation = Literal["put", "delete", "list", "get", "models", "usages", "capacities"]
DataOperation = Literal["chat", "embeddings"]
EventsOperation = Literal["publish"]
Operation = ArmOperation | DataOperation | EventsOperation
_OPERATIONS: dict[Plane, Any] = {"arm": ArmOperation, "data": DataOperation, "events": EventsOperation}

_EFFECTS = (
    "status",
    "delay_seconds",
    "drop",
    "late_seconds",
    "no_effect",
    "stuck",
    "provision",
    "drop_tags",
    "lag_seconds",
    "omit",
    "lifecycle",
    "retires",
    "left",
)
_SLOW = ("status", "drop", "delay_seconds")  # effects that can be combined with `delay_seconds`
_ONLY_FOR: dict[str, tuple[Operation, ...]] = {
    "late_seconds": ("put", "delete"),
    "no_effect": ("delete",),
    "stuck": ("delete",),
    "provision": ("put",),
    "drop_tags": ("put",),
    "lag_seconds": ("list",),
    "omit": ("list",),
    "lifecycle": ("models",),
    "retires": ("models",),
    "left": ("capacities",),
    "containing": ("chat",),
}


class Fault(BaseModel):
    """One fault, the body of `POST /emulator/faults`: which calls, how many of them, and one effect.

    `deployment`: only calls for this deployment, of events for this topic; `containing`: only chat requests
    whose prompt has this text.

    `status` (with `code`, `message`, `param`, `headers`): the answer is that error, and nothing else happens.
    A 409 of ARM is a RequestConflict unless `code` says otherwise.
    `delay_seconds`: the call waits for that time, then runs as usual; with `status` or `drop`, before them.
    `drop`: the connection is closed without an answer, before or after the effect.
    `late_seconds`: the connection is closed at once; the PUT or DELETE takes effect after that time.
    `no_effect`: the DELETE is accepted (202), and nothing happens.
    `stuck`: the deployment stays in Deleting, billed and blocking its account, until the faults are removed.
    `provision`: the final state of the created deployment: Failed, any other, or never_ready.
    `drop_tags`: the deployment is created without its tags.
    `lag_seconds`: LIST shows the state of that time ago.
    `omit`: LIST leaves out the deployment of this name.
    `lifecycle`: every model is listed with this status; `retires`: with this time as the end of inference.
    `left`: the capacity left in the region, in thousands of tokens per minute.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    plane: Plane
    operation: Operation
    deployment: str | None = None
    containing: str | None = Field(default=None, min_length=1)
    count: int = Field(default=1, ge=1)
    status: int | None = Field(default=None, ge=400, le=599)
    code: str | None = None
    message: str | None = None
    param: str | None = None
    headers: dict[str, str] | None = None
    delay_seconds: float | None = Field(default=None, ge=0)
    drop: Literal["before", "after"] | None = None
    late_seconds: float | None = Field(default=None, ge=0)
    no_effect: Literal[True] | None = None
    stuck: Literal[True] | None = None
    provision: str | None = Field(default=None, min_length=1)
    drop_tags: Literal[True] | None = None
    lag_seconds: float | None = Field(default=None, ge=0)
    omit: str | None = Field(default=None, min_length=1)
    lifecycle: str | None = Field(default=None, min_length=1)
    retires: str | None = Field(default=None, min_length=1)
    left: int | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _is_one_effect_on_a_call_it_fits(self) -> Self:
        operations = get_args(_OPERATIONS[self.plane])
        if self.operation not in operations:
            raise ValueError(f"plane {self.plane} has the operations {', '.join(operations)}")
        effects = [name for name in _EFFECTS if getattr(self, name) is not None]
        slow_one = len(effects) == 2 and set(effects) <= set(_SLOW) and self.delay_seconds is not None
        if len(effects) != 1 and not slow_one:
            raise ValueError(
                f"give exactly one of {', '.join(_EFFECTS)} (delay_seconds also beside status or drop)"
            )
        for name, allowed in _ONLY_FOR.items():
            if getattr(self, name) is not None and self.operation not in allowed:
                raise ValueError(f"{name} is for {' and '.join(allowed)} only")
        if self.status is None and (self.code or self.message or self.param or self.headers):
            raise ValueError("code, message, param and headers belong to status")
        return self


@dataclass
class _Pending:
    fault: Fault
    fired: int = 0


class Faults:
    """The queued faults, oldest first; each fires on `count` matching calls."""

    def __init__(self) -> None:
        self._pending: list[_Pending] = []
        self._late: set[asyncio.Task[None]] = set()

    def add(self, body: bytes) -> Fault:
        """Parse and queue a fault. Raises ValueError with the valid keys for an invalid one."""
        try:
            fault = Fault.model_validate_json(body)
        except ValidationError as error:
            found = "; ".join(
                f"{'.'.join(map(str, problem['loc'])) or 'fault'}: {problem['msg']}"
                for problem in error.errors(include_url=False, include_input=False)
            )
            raise ValueError(f"{found}. Valid keys: {', '.join(Fault.model_fields)}") from error
        self._pending.append(_Pending(fault))
        return fault

    def take(
        self, plane: Plane, operation: Operation, deployment: str | None, prompt: str = ""
    ) -> Fault | None:
        """Return the fault that applies to this call, if any, and count it as fired."""
        for pending in self._pending:
            fault = pending.fault
            named = fault.deployment is None or fault.deployment.lower() == (deployment or "").lower()
            meant = named and (fault.plane, fault.operation) == (plane, operation)
            if meant and (fault.containing or "") in prompt and pending.fired < fault.count:
                pending.fired += 1
                return fault
        return None

    def listed(self) -> list[dict[str, Any]]:
        """Return all faults since the last `clear`, with how often each fired and will still fire."""
        return [
            {
                **pending.fault.model_dump(exclude_none=True),
                "fired": pending.fired,
                "remaining": pending.fault.count - pending.fired,
            }
            for pending in self._pending
        ]

    def clear(self) -> None:
        """Remove all faults; an effect that is already scheduled still happens."""
        self._pending.clear()

    async def carry_out(
        self, fault: Fault | None, request: web.Request, act: Callable[[], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Answer a call by `act`, changed by its fault."""
        if fault is None:
            return await act()
        if fault.delay_seconds is not None:
            await asyncio.sleep(fault.delay_seconds)
        if fault.status is not None:
            return _error_asked_for(fault)
        if fault.late_seconds is not None:
            task = asyncio.create_task(_act_late(fault.late_seconds, act))
            self._late.add(task)
            task.add_done_callback(self._late.discard)
            return dropped(request)
        if fault.drop == "before":
            return dropped(request)
        response = await act()
        return dropped(request) if fault.drop == "after" else response

    async def close(self) -> None:
        """Cancel the effects that are scheduled for later."""
        for task in self._late:
            task.cancel()
        await asyncio.gather(*self._late, return_exceptions=True)


def _error_asked_for(fault: Fault) -> web.Response:
    code = "RequestConflict" if (fault.plane, fault.status) == ("arm", 409) else str(fault.status)
    error = {"code": fault.code or code, "message": fault.message or "An injected fault."}
    if fault.param is not None:
        error["param"] = fault.param
    return web.json_response({"error": error}, status=fault.status or 500, headers=fault.headers)


def dropped(request: web.Request) -> web.StreamResponse:
    """Close the connection; the response that is returned here is never sent."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _act_late(seconds: float, act: Callable[[], Awaitable[web.StreamResponse]]) -> None:
    await asyncio.sleep(seconds)
    await act()
