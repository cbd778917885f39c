"""Faults on request: what is to go wrong, with which calls, and how often."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

Plane = Literal["arm", "data"]
ArmOperation = Literal["put", "delete", "list", "get", "models", "usages"]
Operation = ArmOperation | Literal["chat"]

_CALL_ID = "x-ms-client-request-id"
_EFFECTS = ("status", "delay_seconds", "drop", "late_seconds", "provision", "lag_seconds")
_ONLY_FOR: dict[str, tuple[Operation, ...]] = {
    "late_seconds": ("put", "delete"),
    "provision": ("put",),
    "lag_seconds": ("list",),
}


class Fault(BaseModel):
    """One fault, as `POST /emulator/faults` takes it: which calls, how many of them, and one effect.

    `status` (with `code`, `message`, `headers`): that error is the answer, and nothing happens.
    `delay_seconds`: the call waits so long, then runs as usual.
    `drop`: the connection is closed without an answer, before or after the effect.
    `late_seconds`: the connection is closed at once, and the PUT or DELETE takes effect so much later.
    `provision`: the state that the created deployment comes to: Failed, any other, or never_ready.
    `lag_seconds`: LIST shows what was so long ago.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    plane: Plane
    operation: Operation
    deployment: str | None = None
    count: int = Field(default=1, ge=1)
    status: int | None = Field(default=None, ge=400, le=599)
    code: str | None = None
    message: str | None = None
    headers: dict[str, str] | None = None
    delay_seconds: float | None = Field(default=None, ge=0)
    drop: Literal["before", "after"] | None = None
    late_seconds: float | None = Field(default=None, ge=0)
    provision: str | None = Field(default=None, min_length=1)
    lag_seconds: float | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _is_one_effect_on_a_call_it_fits(self) -> Self:
        if (self.plane == "data") != (self.operation == "chat"):
            raise ValueError(
                f"plane data has the operation chat, plane arm {', '.join(get_args(ArmOperation))}"
            )
        effects = [name for name in _EFFECTS if getattr(self, name) is not None]
        if len(effects) != 1:
            raise ValueError(f"give exactly one of {', '.join(_EFFECTS)}")
        allowed = _ONLY_FOR.get(effects[0])
        if allowed is not None and self.operation not in allowed:
            raise ValueError(f"{effects[0]} is for {' and '.join(allowed)} only")
        if self.status is None and (self.code or self.message or self.headers):
            raise ValueError("code, message and headers belong to status")
        return self


@dataclass
class _Pending:
    fault: Fault
    fired: int = 0


class Faults:
    """The faults that were asked for, oldest first; each fires on `count` matching calls."""

    def __init__(self) -> None:
        self._pending: list[_Pending] = []
        self._late: set[asyncio.Task[None]] = set()
        self._broken: set[str] = set()  # client request ids of calls whose connection a fault closed

    def add(self, body: bytes) -> Fault:
        """Read and queue a fault; raises ValueError, with the valid keys, for what is not one."""
        try:
            fault = Fault.model_validate_json(body)
        except ValidationError as error:
            found = "; ".join(
                f"{'.'.join(map(str, each['loc'])) or 'fault'}: {each['msg']}"
                for each in error.errors(include_url=False, include_input=False)
            )
            raise ValueError(f"{found}. Valid keys: {', '.join(Fault.model_fields)}") from error
        self._pending.append(_Pending(fault))
        return fault

    def take(self, plane: Plane, operation: Operation, deployment: str | None) -> Fault | None:
        """The fault that this call meets, if any; it counts as fired."""
        for pending in self._pending:
            fault = pending.fault
            named = fault.deployment is None or fault.deployment.lower() == (deployment or "").lower()
            if (fault.plane, fault.operation) == (plane, operation) and named and pending.fired < fault.count:
                pending.fired += 1
                return fault
        return None

    def listed(self) -> list[dict[str, Any]]:
        """Every fault since the last clear, with how often it fired and will still fire."""
        return [
            {
                **each.fault.model_dump(exclude_none=True),
                "fired": each.fired,
                "remaining": each.fault.count - each.fired,
            }
            for each in self._pending
        ]

    def clear(self) -> None:
        """Forget all faults; an effect that is already on its way still comes."""
        self._pending.clear()

    async def carry_out(
        self, fault: Fault | None, request: web.Request, act: Callable[[], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Answer a call by `act`, as far as its fault lets it."""
        if fault is None:
            return await act()
        if fault.status is not None:
            error = {
                "code": fault.code or str(fault.status),
                "message": fault.message or "A fault on request.",
            }
            return web.json_response({"error": error}, status=fault.status, headers=fault.headers)
        if fault.delay_seconds is not None:
            await asyncio.sleep(fault.delay_seconds)
        if fault.late_seconds is not None:
            task = asyncio.create_task(_act_late(fault.late_seconds, act))
            self._late.add(task)
            task.add_done_callback(self._late.discard)
            return self._broken_off(request)
        if fault.drop == "before":
            return self._broken_off(request)
        response = await act()
        return self._broken_off(request) if fault.drop == "after" else response

    def is_resend(self, request: web.Request) -> bool:
        """Whether this is a call that a fault broke, sent again by the client's transport.

        aiohttp, the transport of the Azure SDKs, repeats an idempotent request once by itself when the
        connection breaks. It is the same call to its caller, so the fault holds for it, too.
        """
        identifier = request.headers.get(_CALL_ID, "")
        found = identifier in self._broken
        self._broken.discard(identifier)
        return found

    def _broken_off(self, request: web.Request) -> web.StreamResponse:
        if _CALL_ID in request.headers:
            self._broken.add(request.headers[_CALL_ID])
        return dropped(request)

    async def close(self) -> None:
        """Give up the effects that have not come yet."""
        for task in self._late:
            task.cancel()
        await asyncio.gather(*self._late, return_exceptions=True)


def dropped(request: web.Request) -> web.StreamResponse:
    """Close the connection: the response returned here reaches nobody."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _act_late(seconds: float, act: Callable[[], Awaitable[web.StreamResponse]]) -> None:
    await asyncio.sleep(seconds)
    await act()
