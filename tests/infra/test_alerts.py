"""Alert rules: every alert of the app becomes a notification, and silence does too."""

from __future__ import annotations

import json
import logging
import re

import pytest

from shared.alerts import REPEAT_SECONDS, Alert, alert
from tests.infra import shared_uses
from tests.infra.bicep import Deployed, Resource, evaluate

RULES = "Microsoft.Insights/scheduledQueryRules"


def query(rule: Resource) -> str:
    """The rule's query."""
    (criterion,) = rule.properties["criteria"]["allOf"]
    return str(criterion["query"])


def rules(deployed: Deployed) -> tuple[Resource, list[Resource]]:
    """The rule that watches for silence, and those that watch for events."""
    found = deployed.of_type(RULES)
    (silence,) = [each for each in found if "no-pass" in each.body["name"]]
    return silence, [each for each in found if each is not silence]


def events(rule: Resource) -> list[str]:
    """The names that a rule's query lists."""
    (listed,) = re.findall(r"in \(dynamic\((\[.*?\])\)\)", query(rule))
    names: list[str] = json.loads(listed)
    return names


def test_every_alert_is_in_exactly_one_rule(deployed: Deployed) -> None:
    """What the app can raise and what the rules know are the same names."""
    listed = [name for rule in rules(deployed)[1] for name in events(rule)]
    assert sorted(listed) == sorted(shared_uses.alerts())


def test_the_guide_has_a_row_for_every_alert(deployed: Deployed) -> None:
    """Whoever gets the mail finds in docs/azure.md what happened and what to do, under the same severity."""
    guide = (shared_uses.ROOT / "docs" / "azure.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in guide.splitlines()]
    explained = {
        name: (int(severity), bool(happened and to_do))
        for events_told, severity, happened, to_do in (row for row in rows if len(row) == 4)
        if severity.isdigit()
        for name in re.findall(r"`(\w+)`", events_told)
    }
    assert explained == {
        name: (rule.properties["severity"], True) for rule in rules(deployed)[1] for name in events(rule)
    }


def test_a_lasting_fault_keeps_its_alert_open(deployed: Deployed) -> None:
    """It is one notification: each look reaches back over two of the app's hourly lines."""
    hours = {"PT2H": 2}
    for rule in rules(deployed)[1]:
        assert hours[rule.properties["windowSize"]] * 3600 >= 2 * REPEAT_SECONDS
        assert rule.properties["autoMitigate"] is True


def test_the_urgent_ones_are_looked_for_more_often(deployed: Deployed) -> None:
    """A window that is not ready, a session past its cap and documents unaccounted for cannot wait."""
    by_severity = {rule.properties["severity"]: rule for rule in rules(deployed)[1]}
    assert {1, 2} == set(by_severity)
    assert {"window_not_ready", "session_past_cap", "unaccounted_documents", "settings_broken"} <= set(
        events(by_severity[1])
    )
    assert "document_failed" in events(by_severity[2])
    assert [by_severity[each].properties["evaluationFrequency"] for each in (1, 2)] == ["PT5M", "PT15M"]


def test_silence_for_15_minutes_is_an_alert(deployed: Deployed) -> None:
    """The app's own heartbeat is counted, and no row at all counts as zero."""
    silence, _ = rules(deployed)
    (heartbeat,) = re.findall(r"== '(\w+)'", query(silence))
    assert heartbeat in shared_uses.plain_events()
    (criterion,) = silence.properties["criteria"]["allOf"]
    assert query(silence).endswith("| summarize passes = count()")
    assert (criterion["metricMeasureColumn"], criterion["timeAggregation"]) == ("passes", "Total")
    assert (criterion["operator"], criterion["threshold"]) == ("LessThan", 1)
    assert silence.properties["windowSize"] == "PT15M"


def test_the_queries_read_the_lines_that_the_app_writes(
    deployed: Deployed, caplog: pytest.LogCaptureFixture
) -> None:
    """A line begins as the queries expect it to, and has the columns that they name."""
    with caplog.at_level(logging.INFO):
        alert(Alert.DOCUMENT_FAILED, "look at it", deployment="clauses")
    line = caplog.messages[0]
    for rule in deployed.of_type(RULES):
        (start,) = re.findall(r"message startswith '([^']*)'", query(rule))
        assert line.startswith(start)
        assert set(re.findall(r"line\.(\w+)", query(rule))) <= set(json.loads(line))


def test_an_alert_names_its_event_and_deployment(deployed: Deployed) -> None:
    """So that one mail does not hide another: each pair is a notification of its own."""
    for rule in rules(deployed)[1]:
        (criterion,) = rule.properties["criteria"]["allOf"]
        names = [each["name"] for each in criterion["dimensions"]]
        assert names == ["event", "deployment"]
        assert all(f"{name} = " in query(rule) for name in names)
        assert (criterion["timeAggregation"], criterion["operator"]) == ("Count", "GreaterThan")


def test_a_switch_that_fails_is_an_alert_too(deployed: Deployed) -> None:
    """A safety net that is torn must not be found out when it is needed."""
    (rule,) = deployed.of_type("Microsoft.Insights/metricAlerts")
    (criterion,) = rule.properties["criteria"]["allOf"]
    assert rule.properties["scopes"] == ["switch.switch.id"]
    assert (criterion["metricName"], criterion["operator"]) == ("RunsFailed", "GreaterThan")


@pytest.mark.parametrize("address", ["ops@contoso.example", ""])
def test_alerts_are_mailed_where_the_parameter_says(parameters: dict[str, object], address: str) -> None:
    """With an address every rule mails; without one they are shown in the portal only."""
    found = evaluate("main.bicep", {**parameters, "alertEmail": address})
    receivers = [
        receiver["emailAddress"]
        for group in found.of_type("Microsoft.Insights/actionGroups")
        for receiver in group.properties["emailReceivers"]
    ]
    assert receivers == ([address] if address else [])
    (metric,) = found.of_type("Microsoft.Insights/metricAlerts")
    told = [each.properties["actions"]["actionGroups"] for each in found.of_type(RULES)]
    told.append([each["actionGroupId"] for each in metric.properties["actions"]])
    assert told == [["alerts.notified.id"] if address else []] * 4
