"""The calls of a pass over an account with fifty deployments; the history's length does not matter."""

from pathlib import Path

from local.azurite import Azurite
from shared.hosting.reconcile import Outcome
from shared.model import Action
from tests.integration.busy_account import BusyAccount, busy_account

LIST_ONLY = {"put": 0, "delete": 0, "list": 1, "get": 0}


async def _asked(busy: BusyAccount) -> tuple[dict[str, int], int, int]:
    """Return one pass's calls to Azure Resource Manager, reads of tables, and rows read."""
    before, reads, rows = await busy.arm_calls(), busy.tables.calls, busy.tables.rows_read
    assert (await busy.pass_over()).outcome is Outcome.DONE
    reads, rows = busy.tables.calls - reads, busy.tables.rows_read - rows
    return {call: count - before[call] for call, count in (await busy.arm_calls()).items()}, reads, rows


async def test_a_pass_over_fifty_deployments_is_one_list(tmp_path: Path, azurite: Azurite) -> None:
    """Ten are hosted, twenty wait for a slot, twenty rest: one LIST, and the history is not read."""
    async with busy_account(tmp_path, azurite, deployments=50, hosted=10, waiting=20) as busy:
        await busy.bring_up()
        await busy.add_finished(range(100))
        decisions = (await busy.pass_over()).decisions.values()
        actions = [decision.action for decision in decisions]
        assert [actions.count(each) for each in (Action.SERVE, Action.WAIT, Action.NOTHING)] == [10, 20, 20]
        asked, reads, rows = await _asked(busy)
        assert asked == LIST_ONLY
        await busy.add_finished(range(100, 5000))
        assert await _asked(busy) == (LIST_ONLY, reads, rows)


async def test_an_account_at_rest_is_listed_every_fifteen_minutes(tmp_path: Path, azurite: Azurite) -> None:
    """For fifty deployments that nothing needs, passes run every minute and call Azure every fifteenth."""
    async with busy_account(tmp_path, azurite, deployments=50, hosted=0, waiting=0) as busy:
        await busy.add_finished(range(100))
        await busy.pass_over()  # the first one also asks for the account's endpoint
        for _ in range(2):
            before = await busy.arm_calls()
            for _ in range(14):
                busy.clock.advance(60)
                assert (await busy.pass_over()).outcome is Outcome.IDLE
            assert await busy.arm_calls() == before
            busy.clock.advance(60)
            assert (await _asked(busy))[0] == LIST_ONLY
