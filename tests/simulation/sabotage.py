"""Remove one safeguard from the app, to prove that the simulation detects its absence."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from unittest import mock

from shared import serve
from shared.adapters import storage_clock
from shared.documents import blame, candidates, checkpoints, claims, drain_tools, intake, results
from shared.documents.alone import crashes_of
from shared.documents.places import result_name
from shared.documents.records import answer_log
from shared.hosting import act, create, decisions, delete, leases, ledger, observe
from shared.model import Action, RecordState
from shared.notify import deliver
from shared.planning import decide as decide_module
from shared.planning import observed, plan
from shared.planning.decide import decide
from shared.planning.decision import Decision
from shared.ports import Remove, Replace
from shared.timing import TIMING, Timing
from tests.fakes import blobs
from tests.fakes.records import changed
from tests.simulation import world

_PATCHES: dict[str, Callable[[contextlib.ExitStack], None]] = {}


def _variant(make: Callable[[contextlib.ExitStack], None]) -> Callable[[contextlib.ExitStack], None]:
    _PATCHES[make.__name__.strip("_")] = make
    return make


@contextlib.contextmanager
def sabotaged(name: str | None) -> Iterator[None]:
    """Run the app without the named safeguard; None removes nothing."""
    with contextlib.ExitStack() as stack:
        if name is not None:
            _PATCHES[name](stack)
        yield


def _put(stack: contextlib.ExitStack, where: Any, name: str, what: Any) -> None:
    stack.enter_context(mock.patch.object(where, name, what))


def _limits(stack: contextlib.ExitStack, **limits: object) -> None:
    """Start hosts with limits that `Timing` would refuse."""
    timing = copy.copy(TIMING)
    vars(timing).update(limits)
    _put(stack, world, "TIMING", timing)


@_variant
def work_lease(stack: contextlib.ExitStack) -> None:
    """Delete without checking for work leases."""

    async def none(*_: Any) -> int:
        return 0

    _put(stack, observe, "live_work", none)


@_variant
def renewal_recheck(stack: contextlib.ExitStack) -> None:
    """Renew a work lease without reading the record again."""
    enter = leases.WorkLease.enter

    async def renewed(self: leases.WorkLease) -> bool:
        if self.record is None:
            return await enter(self)
        before = self._clock.monotonic()
        change = Replace(self.holder, {"seconds": self.timing.work_lease_seconds}, etag=None)
        await self._tables.write(leases.WORK_LEASES, self._partition, [change])
        self._expires = before + self.timing.work_lease_seconds
        return True

    async def is_open(self: leases.WorkLease) -> bool:
        if self.record is None:
            self.record = await self._ledger.record(self._of)
        return self.record.state is RecordState.OPEN

    _put(stack, leases.WorkLease, "enter", renewed)
    _put(stack, leases.WorkLease, "is_open", is_open)


@_variant
def demand_recheck(stack: contextlib.ExitStack) -> None:
    """Delete after closing without checking whether a document has arrived."""

    async def nothing(*_: Any) -> None:
        pass

    _put(stack, observe.View, "count_demand", nothing)


@_variant
def closing_step(stack: contextlib.ExitStack) -> None:
    """Delete an open deployment that is not needed at once, without closing it first."""

    def at_once(*arguments: Any) -> Decision:
        decision = decide(*arguments)
        return replace(decision, action=Action.DELETE) if decision.action is Action.CLOSE else decision

    _put(stack, plan, "decide", at_once)


@_variant
def intent_before_write(stack: contextlib.ExitStack) -> None:
    """Write the record of a create only after Azure has answered."""
    move = decisions.move

    async def later(
        step: Any, view: Any, record: Any = None, *, state: RecordState, settled: bool = True
    ) -> None:
        if state is RecordState.CREATING and not settled and step.action is Action.CREATE:
            intent = replace(record, state=RecordState.CREATING, changed_at=view.now)
            records = {**view.picture.records, step.deployment: intent}
            view.picture = replace(view.picture, records=records)
            return
        await move(step, view, record, state=state, settled=settled)

    _put(stack, create, "move", later)


@_variant
def quarantine(stack: contextlib.ExitStack) -> None:
    """Count a write with an unknown outcome as not done."""
    none = timedelta(0)
    _limits(stack, quarantine=none, settle=none, list_lag=none)


@_variant
def claim_expiry(stack: contextlib.ExitStack) -> None:
    """Let no claim on a document expire."""
    claimable = drain_tools.DrainTools.claimable

    async def unclaimed(self: drain_tools.DrainTools, deployment: str) -> Any:
        async for document in claimable(self, deployment):
            if document.claimed_until is None:
                yield document

    _put(stack, drain_tools.DrainTools, "claimable", unclaimed)


@_variant
def sweep(stack: contextlib.ExitStack) -> None:
    """Find uploads only by their events."""

    async def nothing(self: intake.Intake) -> intake.SweepReport:
        return intake.SweepReport(complete=True)

    _put(stack, intake.Intake, "sweep", nothing)


@_variant
def if_none_match_result(stack: contextlib.ExitStack) -> None:
    """Overwrite an existing result."""
    create = blobs.MemoryBlobs.create

    async def over(self: blobs.MemoryBlobs, container: str, name: str, data: bytes, kind: str) -> str:
        if container == "results" and name in self.names(container):
            self.remove(container, name)
        return await create(self, container, name, data, kind)

    _put(stack, blobs.MemoryBlobs, "create", over)


@_variant
def account_lease_deadline(stack: contextlib.ExitStack) -> None:
    """Run passes without a time limit."""
    _limits(stack, pass_seconds=1e9)


@_variant
def ownership(stack: contextlib.ExitStack) -> None:
    """Count every deployment with a configured name as ours."""
    for where in (plan, observe, observed):
        _put(stack, where, "is_ours", lambda *_: True)


@_variant
def readiness_probe(stack: contextlib.ExitStack) -> None:
    """Count Succeeded as ready."""

    async def opened(step: Any, view: Any) -> None:
        record = changed(view.record(step.deployment), opened_at=view.now, failures=0)
        await decisions.move(step, view, record, state=RecordState.OPEN)

    _put(stack, act, "probe", opened)


@_variant
def backoff(stack: contextlib.ExitStack) -> None:
    """Try a failed create again at once."""
    for where in (plan, create):
        _put(stack, where, "backoff", lambda *_: timedelta(0))


@_variant
def slots(stack: contextlib.ExitStack) -> None:
    """Ignore the number of slots of the account."""
    _put(stack, plan, "within_slots", lambda _account, decisions, *_: tuple(decisions))


@_variant
def giving_way(stack: contextlib.ExitStack) -> None:
    """Keep a deployment that only uses up its paid hour, though others need its slot."""
    _put(stack, plan, "giving_way", lambda *_: frozenset())


# --- safeguards against faults of real Azure -----------------------------------------------------


@_variant
def blame_by_evidence(stack: contextlib.ExitStack) -> None:
    """Count every failed request against its document."""

    async def always(*_: Any) -> bool:
        return True

    _put(stack, blame.Witness, "accuses", always)


@_variant
def alone(stack: contextlib.ExitStack) -> None:
    """Process suspected documents together with others, and count every crash."""
    _put(stack, candidates, "is_suspect", lambda _: False)
    _put(stack, claims, "crashes_of", lambda document: (crashes_of(document)[0],) * 2)


@_variant
def doubted_omission(stack: contextlib.ExitStack) -> None:
    """Count a deployment that a LIST lacks as gone one minute after the last change."""

    def at_once(record: Any, began_at: Any, timing: Timing) -> Any:
        if not record.settled or record.state is RecordState.DELETING:
            return observed.absence_counts_from(record, began_at, timing)
        return record.changed_at + timing.settle

    _put(stack, decide_module, "absence_counts_from", at_once)


@_variant
def twin_tag(stack: contextlib.ExitStack) -> None:
    """Decide who owns a deployment by the installation's name alone."""

    def owns(owner: Any, tags: Any) -> bool:
        return bool(tags.get(observed.OWNER_TAG) == owner.installation)

    _put(stack, observed, "owns", owns)


@_variant
def delete_agreed_by_list(stack: contextlib.ExitStack) -> None:
    """Count an accepted delete as done."""
    accepted = delete._accepted

    def gone(record: Any, view: Any) -> Any:
        return replace(accepted(record, view), state=RecordState.ABSENT, changed_at=view.now)

    _put(stack, delete, "_accepted", gone)


@_variant
def endpoint_refresh(stack: contextlib.ExitStack) -> None:
    """Read an account's endpoint only once."""

    async def nothing(*_: Any) -> None:
        pass

    _put(stack, observe.View, "refresh_endpoint", nothing)


@_variant
def answer_bound(stack: contextlib.ExitStack) -> None:
    """Keep a deployment that answers no document without limit."""
    _put(stack, decide_module, "_unanswered", lambda _: None)


@_variant
def server_time(stack: contextlib.ExitStack) -> None:
    """Let each host trust its own clock."""
    _put(stack, storage_clock.StorageClock, "correct", lambda *_: None)


@_variant
def repeated_message(stack: contextlib.ExitStack) -> None:
    """Put a message for a deployment only once, whatever becomes of it."""
    due, put = serve.Serving.due, set[str]()

    async def once(self: serve.Serving, *given: Any) -> Any:
        names, unread = await due(self, *given)
        first = [name for name in names if name not in put]
        put.update(first)
        return first, unread

    _put(stack, serve.Serving, "due", once)


@_variant
def result_verified(stack: contextlib.ExitStack) -> None:
    """Believe storage without a check if it says that a result exists."""
    store = results.Results.store

    async def believing(self: results.Results, document: Any, *arguments: Any) -> None:
        async def there(_: Any) -> bool:
            return True

        credulous = copy.copy(self)
        credulous.spent = there  # type: ignore[method-assign, assignment]
        await store(credulous, document, *arguments)
        self._seen.add(result_name(document))

    _put(stack, results.Results, "store", believing)


@_variant
def kept_answers(stack: contextlib.ExitStack) -> None:
    """Ask everything again after a crash."""
    _put(stack, checkpoints.Checkpoints, "find", mock.AsyncMock(return_value=None))


@_variant
def kept_records(stack: contextlib.ExitStack) -> None:
    """Ask every record of a file again after a crash."""

    async def nothing(*_: Any) -> None:
        pass

    _put(stack, answer_log.AnswerLog, "load_on", nothing)


@_variant
def event_in_transaction(stack: contextlib.ExitStack) -> None:
    """Write the events of a change after it, by themselves."""
    save = ledger.Ledger.save

    async def one_by_one(self: ledger.Ledger, record: Any, events: Any = ()) -> Any:
        saved = await save(self, record)
        if events:
            await self._tables.write(ledger.DEPLOYMENTS, ledger.account_key(record.account), events)
        return saved

    _put(stack, ledger.Ledger, "save", one_by_one)


@_variant
def event_kept_until_taken(stack: contextlib.ExitStack) -> None:
    """Remove events before they are sent."""
    send = deliver.Delivery._send

    async def removed(self: deliver.Delivery, box: Any, rows: Any, *given: Any) -> None:
        await self._save(box, [Remove(row.key, row.etag) for row in rows])
        await send(self, box, rows, *given)

    _put(stack, deliver.Delivery, "_send", removed)


VARIANTS = tuple(_PATCHES)
