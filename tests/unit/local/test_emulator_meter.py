"""The bill, from generations whose times are given."""

from datetime import datetime, timedelta

import pytest
from emulator_clients import ACCOUNT_ID, MODEL, START

from local.emulator.meter import Meter, Prices
from local.emulator.options import Account
from local.emulator.specification import Specification
from local.emulator.state import Generation, Run


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def generation(
    number: int = 1,
    created: float = 0,
    ready: float | None = 120,
    deleted: float | None = None,
    sku: str = "GlobalStandard",
    model: str = MODEL,
) -> Generation:
    asked = Specification({"name": sku, "capacity": 1}, {}, {"model": {"name": model}})
    serves = None if ready is None else at(ready)
    settled = at(created + 100)
    run = Run(asked, "test", at(created), at(created), settled, "Succeeded", serves)
    end = None if deleted is None else at(deleted)
    return Generation(number, Account.parse(ACCOUNT_ID), "clauses", [run], end, end)


def meter(unit="minute", starts="create") -> Meter:
    return Meter(Prices(1.70, unit, starts))


def row(of: Meter, one: Generation, now: float) -> dict:
    return of.bill([], [one], at(now))["deployments"][0]


@pytest.mark.parametrize(
    ("unit", "billed", "dollars"), [("second", 61, 0.028806), ("minute", 120, 0.056667), ("hour", 3600, 1.7)]
)
def test_every_started_unit_is_billed_whole(unit, billed, dollars):
    """60.5 seconds of hosting are 61 seconds, two minutes or an hour."""
    found = row(meter(unit), generation(deleted=60.5), 1000)
    assert (found["hosted_seconds"], found["billed_seconds"], found["dollars"]) == (60.5, billed, dollars)


def test_hosting_goes_on_until_the_delete_and_no_longer():
    """A deployment that is up costs more every hour; one deleted after an hour costs the same ever after."""
    up, down = generation(), generation(deleted=3600)
    assert [row(meter(), up, hours * 3600)["dollars"] for hours in (1, 2, 10)] == [1.7, 3.4, 17.0]
    assert [row(meter(), down, hours * 3600)["dollars"] for hours in (1, 2, 10)] == [1.7, 1.7, 1.7]


def test_billing_may_start_when_the_deployment_is_ready():
    """Ready after two minutes, deleted after an hour: 58 minutes; never ready: nothing."""
    assert row(meter(starts="ready"), generation(deleted=3600), 9999)["billed_seconds"] == 58 * 60
    assert row(meter(starts="ready"), generation(ready=None), 9999)["dollars"] == 0
    assert row(meter(starts="create"), generation(ready=None, deleted=3600), 9999)["dollars"] == 1.7


def test_a_deployment_deleted_before_it_was_ready_was_never_ready():
    """Its row shows no ready time, and hosting from the PUT to the DELETE."""
    found = row(meter(), generation(deleted=60), 9999)
    assert (found["ready"], found["billed_seconds"]) == (None, 60)


def test_developer_tier_and_base_models_have_no_hosting_fee():
    """Only a fine-tuned model on a tier with a fee costs by the hour."""
    assert row(meter(), generation(sku="DeveloperTier"), 7200)["dollars"] == 0
    assert row(meter(), generation(model="gpt-4.1-mini"), 7200)["dollars"] == 0


def test_the_developer_tier_ends_by_itself_on_the_bill():
    """After a day it is no longer open, and its hosting ended at the 24th hour."""
    day = 86_400
    bill = meter().bill([], [generation(sku="DeveloperTier")], at(2 * day))
    assert (bill["open"], bill["deployments"][0]["hosted_seconds"]) == (0, day)


def test_totals_open_and_calls():
    """Each creation is a row; totals sum them, and calls to ARM are counted by account and operation."""
    counted = meter()
    first, second = generation(1, deleted=3600), generation(2, created=7200)
    counted.usage(first).requests_answered = 3
    counted.usage(second).requests_answered = 4
    counted.count_arm_call("contoso", "list")
    counted.count_arm_call("contoso", "list")
    bill = counted.bill(["contoso", "fabrikam"], [first, second], at(10_800))
    assert [each["generation"] for each in bill["deployments"]] == [1, 2]
    assert (bill["totals"]["dollars"], bill["totals"]["requests_answered"], bill["open"]) == (3.4, 7, 1)
    none = {"put": 0, "delete": 0, "list": 0, "get": 0}
    assert bill["arm_calls"] == {"contoso": {**none, "list": 2}, "fabrikam": none}


def test_a_delete_cuts_what_is_in_flight():
    """Two requests are under way when the DELETE is accepted; a third that ended before is not counted."""
    counted, clauses = meter(), generation()
    usage = counted.usage(clauses)
    usage.in_flight = 3
    usage.in_flight -= 1
    counted.note_delete(clauses)
    usage.in_flight = 0
    bill = counted.bill([], [clauses], at(1))
    assert (bill["deployments"][0]["cut"], bill["totals"]["cut"], bill["in_flight"]) == (2, 2, 0)
