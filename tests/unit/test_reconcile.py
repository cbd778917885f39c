"""Passes over an account, in memory and virtual time."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.app import PartFailed
from shared.errors import ModelUnavailable, OutcomeUnknown, ProviderBusy, ProviderRefused
from shared.hosting.leases import account_lease
from shared.hosting.reconcile import Outcome
from shared.model import ALWAYS, Action, Observed, OneOffWindow, RecordState, UploadStart
from shared.timing import TIMING
from tests.fakes.clock import START
from tests.fakes.world import ACCOUNT, CLAUSES, World, config

MINUTE = timedelta(minutes=1)


async def opened(*deployments: object) -> World:
    """A world in which one document waits for `clauses`, which is open."""
    world = World.of(config())
    world.upload("clauses/a.txt")
    await world.app.reconcile()
    world.clock.advance(75)
    await world.app.reconcile()
    assert (await world.record()).state is RecordState.OPEN
    return world


async def test_a_window_is_ready_at_its_start_and_gone_after_its_end() -> None:
    """Business hours: created by the lead before, up throughout, deleted when it is over."""
    opens, closes = START + 30 * MINUTE, START + 90 * MINUTE
    world = World.of(config("clauses", OneOffWindow(opens, closes), uploads=UploadStart.SCHEDULED))
    seen: dict[int, RecordState] = {}
    for minute in range(100):
        await world.tick()
        seen[minute] = (await world.record()).state
        world.clock.advance(60)
    assert seen[14] is RecordState.ABSENT
    assert seen[15] is RecordState.CREATING
    assert all(seen[minute] is RecordState.OPEN for minute in range(30, 90))
    assert seen[90] is RecordState.DELETING
    assert seen[92] is RecordState.ABSENT
    assert (world.azure.count("put"), world.azure.count("delete")) == (1, 1)


async def test_round_the_clock_it_is_hosted_in_one_session() -> None:
    """Three days with a max_session of an hour: one create, no deadline; gone once unconfigured."""
    always = config("clauses", ALWAYS, max_session=timedelta(hours=1), uploads=UploadStart.SCHEDULED)
    world = World.of(always)
    await world.until(lambda: bool(world.azure.asked), timedelta(minutes=10))
    record = await world.record()
    assert (record.generation.delete_after, record.decision.reason) == (
        None,
        "round the clock (always: true)",
    )
    (stands,) = (await world.azure.deployments(ACCOUNT.resource_id, timeout=10)).values()
    assert "lamplighter" in stands.spec.tags
    assert "delete-after" not in stands.spec.tags
    for _ in range(3 * 24):
        world.clock.advance(3600)
        await world.tick()
        assert (await world.record()).state is RecordState.OPEN
    assert (world.azure.count("put"), world.azure.count("delete")) == (1, 0)
    world = world.reconfigured(config("another"))
    await world.until(lambda: world.azure.count("delete") == 1, timedelta(minutes=5))


async def test_round_the_clock_a_deployment_is_late_only_if_something_stands_in_its_way(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Creating it takes minutes and is no alert; a create that Azure refuses is."""
    for refused, late in ((False, 0), (True, 1)):
        caplog.clear()
        world = World.of(config("clauses", ALWAYS))
        if refused:
            world.azure.fail_next("put", ProviderRefused("no quota", code="InsufficientQuota"))
        for _ in range(4):
            await world.app.reconcile()
            world.clock.advance(60)
        assert sum("window_not_ready" in each.getMessage() for each in caplog.records) == late


async def test_an_account_with_nothing_to_do_is_listed_every_fifteen_minutes() -> None:
    """Idle passes make no call to Azure and take no lease."""
    world = World.of(config())
    for _ in range(31):
        await world.app.reconcile()
        world.clock.advance(60)
    assert world.azure.count("list") == 3


async def test_one_pass_at_a_time() -> None:
    """Who finds the account held does nothing."""
    world = World.of(config())
    async with account_lease(world.blobs, TIMING, ACCOUNT.resource_id) as held:
        assert held
        assert (await world.app.pass_over(ACCOUNT)).outcome is Outcome.HELD
    assert (await world.app.pass_over(ACCOUNT)).outcome is Outcome.DONE


async def test_the_intent_is_recorded_before_the_write() -> None:
    """A create with an unknown outcome leaves a record with which the next pass continues."""
    world = World.of(config())
    world.upload("clauses/a.txt")
    world.azure.fail_next("put", OutcomeUnknown("no answer"))
    await world.app.reconcile()
    record = await world.record()
    assert (record.state, record.settled, record.generation.number) == (RecordState.CREATING, False, 1)
    await world.until(lambda: bool(world.azure.asked), timedelta(minutes=7))
    assert world.azure.count("put") == 2


async def test_a_busy_account_means_wait_and_leaves_no_trail() -> None:
    """A conflict is tried again by the next pass, is no failure, and makes no row each time."""
    world = World.of(config())
    world.upload("clauses/a.txt")
    world.azure.fail_next("put", *(ProviderBusy("busy", code="RequestConflict") for _ in range(4)))
    for _ in range(4):
        await world.app.reconcile()
        world.clock.advance(12)
    record = await world.record()
    assert (record.backoff.failures, record.decision.action) == (0, Action.CREATE)
    await world.app.reconcile()
    assert (await world.record()).state is RecordState.CREATING
    rows = await world.app.context.ledger.decisions(CLAUSES, 50)
    assert [row.action for row in rows if row.action is Action.CREATE] == [Action.CREATE]


async def test_a_conflict_ends_the_writes_of_a_pass() -> None:
    """The account is busy for every other deployment too."""
    world = World.of(config("a"), config("b"))
    world.upload("a/1.txt")
    world.upload("b/1.txt")
    world.azure.fail_next("put", ProviderBusy("busy"))
    await world.app.reconcile()
    assert world.azure.count("put") == 1


async def test_a_permanent_refusal_backs_off() -> None:
    """No capacity, for two hours: a handful of tries, the reason on the document, no document lost."""
    world = World.of(config())
    world.upload("clauses/a.txt")
    world.azure.fail_next("put", *(ProviderRefused("no quota", code="InsufficientQuota") for _ in range(100)))
    for _ in range(120):
        await world.tick()
        world.clock.advance(60)
    assert 5 <= world.azure.count("put") <= 9
    record = await world.record()
    assert "no quota" in record.backoff.problem
    assert (await world.document("clauses/a.txt")).state == "waiting"
    world.azure._faults.clear()
    await world.until(lambda: bool(world.azure.asked), timedelta(hours=2))


async def test_a_refused_create_does_not_hold_up_others() -> None:
    """A refusal concerns one deployment; the next is created in the same pass."""
    world = World.of(config("a", model="nonsense"), config("b"))
    world.upload("a/1.txt")
    world.clock.advance(5)
    world.upload("b/1.txt")
    await world.app.reconcile()
    assert world.azure.names() == ["b"]


async def test_a_failed_provisioning_is_deleted_and_created_anew() -> None:
    """Failed in Azure costs money too: deleted at once, created again after a pause."""
    world = World.of(config())
    world.azure.ends_as = "Failed"
    world.upload("clauses/a.txt")
    await world.until(lambda: world.azure.count("delete") == 1, timedelta(minutes=3))
    world.azure.ends_as = "Succeeded"
    assert (await world.record()).backoff.failures == 1
    await world.until(lambda: bool(world.azure.asked), timedelta(minutes=5))
    assert (await world.record()).backoff.failures == 0


async def test_a_deployment_that_never_answers_is_created_anew() -> None:
    """Field notes tell of deployments that say Succeeded and never answer."""
    world = World.of(config())
    world.azure.warmup_seconds = 10**6
    world.upload("clauses/a.txt")
    await world.until(lambda: world.azure.count("delete") == 1, timedelta(minutes=30))
    world.azure.warmup_seconds = 10
    await world.until(lambda: bool(world.azure.asked), timedelta(minutes=40))  # maybe at the second try


async def test_a_deployment_that_became_ready_while_the_app_was_down_is_asked_first() -> None:
    """Nobody asked it for longer than the limit, which says nothing of it."""
    world = World.of(config())
    world.upload("clauses/a.txt")
    await world.until(lambda: world.azure.count("put") == 1, timedelta(minutes=3))
    world.azure.warmup_seconds = 10**6
    succeeded = False
    while not succeeded:
        await world.app.reconcile()
        world.clock.advance(60)
        succeeded = (await world.record()).generation.succeeded_at is not None
    world.azure.warmup_seconds = 10
    world.clock.advance(TIMING.ready_limit.total_seconds() + 60)
    await world.until(lambda: bool(world.azure.asked), timedelta(minutes=2))
    assert world.azure.count("put") == 1


async def test_a_worker_holds_off_the_delete() -> None:
    """The fence: closing, then deleting only when no work lease lives."""
    world = await opened()
    work = world.worker()
    assert await work.enter()
    assert work.allows(60)
    world.blobs.remove("inbox", "clauses/a.txt")
    await world.app.reconcile()
    assert (await world.record()).state is RecordState.CLOSING
    assert world.azure.count("delete") == 0
    assert not await work.enter(), "a renewal is an entry too, and it is closing"
    assert not work.allows(1)
    await work.leave()
    await world.app.reconcile()
    assert world.azure.count("delete") == 1


async def test_a_dead_worker_holds_off_the_delete_only_as_long_as_its_lease() -> None:
    """A lease that nobody renews runs out by the server's clock."""
    world = await opened()
    work = world.worker()
    assert await work.enter()
    world.blobs.remove("inbox", "clauses/a.txt")
    await world.app.reconcile()
    world.clock.advance(TIMING.work_lease_seconds - 5)
    await world.app.reconcile()
    assert world.azure.count("delete") == 0
    world.clock.advance(10)
    await world.app.reconcile()
    assert world.azure.count("delete") == 1


async def test_a_request_starts_only_if_it_ends_before_its_lease() -> None:
    """The deadline counts from before the lease was written, on the monotonic clock."""
    world = await opened()
    work = world.worker()
    await work.enter()
    world.clock.advance(100)
    assert work.allows(TIMING.work_lease_seconds - 101)
    assert not work.allows(TIMING.work_lease_seconds - 99)
    await work.leave()
    assert not work.allows(1)


async def test_demand_that_comes_while_closing_reopens() -> None:
    """Only closing goes back to open; no create is paid for twice."""
    world = await opened()
    work = world.worker()
    await work.enter()
    world.blobs.remove("inbox", "clauses/a.txt")
    await world.app.reconcile()
    world.upload("clauses/b.txt")
    await world.app.reconcile()
    assert (await world.record()).state is RecordState.OPEN
    assert world.azure.count("put") == 1


async def test_a_delete_of_unknown_outcome_is_repeated_and_quarantined() -> None:
    """The delete happens in the end, and no create comes within two minutes of the unknown one."""
    world = await opened()
    world.blobs.remove("inbox", "clauses/a.txt")
    world.azure.fail_next("delete", OutcomeUnknown("no answer"))
    await world.app.reconcile()
    record = await world.record()
    assert (record.state, record.settled) == (RecordState.DELETING, False)
    await world.app.reconcile()
    assert world.azure.count("delete") == 2
    assert (await world.record()).settled


async def test_a_deployment_deleted_from_outside_comes_back_when_needed() -> None:
    """After a minute's doubt the record follows, and waiting documents bring it back."""
    world = await opened()
    world.azure.vanish("clauses")
    await world.app.reconcile()
    assert (await world.record()).state is RecordState.OPEN, "the LIST may lag"
    await world.until(lambda: world.blobs.names("inbox") == [], timedelta(minutes=5))
    assert world.azure.count("put") == 2
    (first, second) = await world.app.context.ledger.sessions(CLAUSES)
    assert first.ended_after is not None and first.ended_by is not None
    assert first.ended_after < first.ended_by
    assert second.generation == first.generation + 1


async def test_a_lost_record_is_made_good_by_the_tag() -> None:
    """A deployment of ours that no record knows is taken up, and deleted if nobody wants it."""
    world = await opened()
    world.tables.lose("deployments", "documents")
    world.blobs.remove("inbox", "clauses/a.txt")
    await world.until(lambda: world.azure.names() == [], timedelta(minutes=3))


async def test_somebody_elses_deployment_is_used_and_left() -> None:
    """It answers documents, is never written to, and is no session of ours."""
    world = World.of(config())
    await world.azure.put(ACCOUNT.resource_id, config().spec, timeout=1)
    world.clock.advance(100)
    world.upload("clauses/a.txt")
    await world.until(lambda: bool(world.azure.asked), timedelta(minutes=3))
    for _ in range(5):
        await world.tick()
        world.clock.advance(60)
    assert world.azure.names() == ["clauses"]
    assert (world.azure.count("put"), world.azure.count("delete")) == (1, 0)
    assert (await world.record()).decision.observed is Observed.FOREIGN
    assert await world.app.context.ledger.sessions(CLAUSES) == []


async def test_a_deployment_taken_out_of_the_file_is_deleted() -> None:
    """Through the fence, also when its account is no longer configured."""
    world = await opened()
    world = world.reconfigured(config("other"))
    await world.until(lambda: world.azure.names() == [], timedelta(minutes=3))
    assert world.azure.count("delete") == 1


async def test_a_long_demand_gets_a_new_generation_before_the_hard_deadline() -> None:
    """No session outlives `delete-after`; what is still wanted is created anew."""
    closes = START + timedelta(hours=3)
    window = config("clauses", OneOffWindow(START, closes), max_session=timedelta(hours=1))
    world = World.of(window)
    for _ in range(180):
        await world.tick()
        world.clock.advance(60)
    assert world.azure.count("put") >= 3
    assert all(deleted.hosted <= timedelta(minutes=51) for deleted in world.azure.deleted)


async def test_one_account_in_trouble_is_reported_and_does_not_hide() -> None:
    """A pass that failed fails visibly at the end."""
    world = World.of(config())
    world.azure.fail_next("list", ProviderRefused("403 no right to list", code="AuthorizationFailed"))
    with pytest.raises(PartFailed, match="no right to list"):
        await world.app.reconcile()


async def test_sessions_tell_when_money_was_spent() -> None:
    """From Azure's createdAt to the accepted delete, with the time of the first answer."""
    world = await opened()
    await world.until(lambda: world.azure.names() == [], timedelta(minutes=5))
    (session,) = await world.app.context.ledger.sessions(CLAUSES)
    assert session.started_at == START
    assert session.ready_at == START + timedelta(seconds=77)
    assert session.ended_after == session.ended_by
    assert session.ended_by == START + world.azure.deleted[0].hosted
    assert session.price_per_hour == 1.70


async def test_a_decision_row_is_written_when_the_decision_changes() -> None:
    """Not every minute: an hour of serving is one row."""
    world = World.of(config("clauses", OneOffWindow(START, START + timedelta(hours=2))))
    for _ in range(60):
        await world.tick()
        world.clock.advance(60)
    rows = await world.app.context.ledger.decisions(CLAUSES, 100)
    assert len(rows) < 8
    assert rows[0].action is Action.SERVE
    assert rows[-1].action is Action.CREATE
    assert all(row.reason for row in rows)


async def test_a_probe_that_fails_leaves_it_closed() -> None:
    """Only a request that succeeded makes it open."""
    world = World.of(config())
    world.upload("clauses/a.txt")
    await world.app.reconcile()
    world.clock.advance(75)
    world.azure.fail_next("ask", ModelUnavailable("503"))
    await world.app.reconcile()
    assert (await world.record()).state is RecordState.CREATING
    await world.app.reconcile()
    assert (await world.record()).state is RecordState.OPEN


async def test_names_that_differ_in_case_are_the_same_deployment() -> None:
    """ARM ignores case: a deployment that Azure lists in another case is not created again."""
    world = World.of(config())
    other_case = replace(config().spec, name="Clauses")
    await world.azure.put(ACCOUNT.resource_id, other_case, timeout=1)
    world.clock.advance(100)
    world.upload("clauses/a.txt")
    await world.app.reconcile()
    assert (await world.record()).decision.observed is Observed.FOREIGN
    assert world.azure.count("put") == 1
