"""Alert rules: every alert of the app sends a notification, and so does missing telemetry."""

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
    """Return the rule's query."""
    (criterion,) = rule.properties["criteria"]["allOf"]
    return str(criterion["query"])


def rules(deployed: Deployed) -> tuple[Resource, list[Resource]]:
    """Return the rule for missing passes, and the rules for events."""
    found = deployed.of_type(RULES)
    (silence,) = [rule for rule in found if "no-pass" in rule.body["name"]]
    return silence, [rule for rule in found if rule is not silence]


def events(rule: Resource) -> list[str]:
    """Return the event names that a rule's query lists."""
    (listed,) = re.findall(r"in \(dynamic\((\[.*?\])\)\)", query(rule))
    names: list[str] = json.loads(listed)
    return names


def test_every_alert_is_in_exactly_one_rule(deployed: Deployed) -> None:
    """The app's alerts and the rules have the same names."""
    listed = [name for rule in rules(deployed)[1] for name in events(rule)]
    assert sorted(listed) == sorted(shared_uses.alerts())


def test_the_guide_has_a_row_for_every_alert(deployed: Deployed) -> None:
    """docs/azure.md says for each alert what happened and what to do, with the rule's severity."""
    guide = (shared_uses.ROOT / "docs" / "azure.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in guide.splitlines()]
    explained = {
        name: (int(severity), bool(happened and to_do))
        for event_names, severity, happened, to_do in (row for row in rows if len(row) == 4)
        if severity.isdigit()
        for name in re.findall(r"`(\w+)`", event_names)
    }
    assert explained == {
        name: (rule.properties["severity"], True) for rule in rules(deployed)[1] for name in events(rule)
    }


def test_a_lasting_fault_keeps_its_alert_open(deployed: Deployed) -> None:
    """A lasting fault sends one notification: each query covers two of the app's hourly lines."""
    hours = {"PT2H": 2}
    for rule in rules(deployed)[1]:
        assert hours[rule.properties["windowSize"]] * 3600 >= 2 * REPEAT_SECONDS
        assert rule.properties["autoMitigate"] is True


def test_urgent_alerts_are_evaluated_more_often(deployed: Deployed) -> None:
    """Urgent alerts, such as a window that is not ready, are evaluated every 5 minutes, others every 15."""
    by_severity = {rule.properties["severity"]: rule for rule in rules(deployed)[1]}
    assert {1, 2} == set(by_severity)
    assert {"window_not_ready", "session_past_cap", "unaccounted_documents", "settings_broken"} <= set(
        events(by_severity[1])
    )
    assert "document_failed" in events(by_severity[2])
    assert [by_severity[severity].properties["evaluationFrequency"] for severity in (1, 2)] == [
        "PT5M",
        "PT15M",
    ]


def test_silence_for_15_minutes_is_an_alert(deployed: Deployed) -> None:
    """The rule counts the app's heartbeat, and an empty result counts as zero."""
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
    """A log line starts as the queries expect, and has the columns that they name."""
    with caplog.at_level(logging.INFO):
        alert(Alert.DOCUMENT_FAILED, "look at it", deployment="clauses")
    line = caplog.messages[0]
    for rule in deployed.of_type(RULES):
        (start,) = re.findall(r"message startswith '([^']*)'", query(rule))
        assert line.startswith(start)
        assert set(re.findall(r"line\.(\w+)", query(rule))) <= set(json.loads(line))


def test_an_alert_names_its_event_and_deployment(deployed: Deployed) -> None:
    """Each pair of event and deployment is its own notification, so that no mail hides another."""
    for rule in rules(deployed)[1]:
        (criterion,) = rule.properties["criteria"]["allOf"]
        names = [dimension["name"] for dimension in criterion["dimensions"]]
        assert names == ["event", "deployment"]
        assert all(f"{name} = " in query(rule) for name in names)
        assert (criterion["timeAggregation"], criterion["operator"]) == ("Count", "GreaterThan")


def test_a_switch_that_fails_is_an_alert_too(deployed: Deployed) -> None:
    """A failed run of the switch raises an alert."""
    (rule,) = deployed.of_type("Microsoft.Insights/metricAlerts")
    (criterion,) = rule.properties["criteria"]["allOf"]
    assert rule.properties["scopes"] == ["switch.switch.id"]
    assert (criterion["metricName"], criterion["operator"]) == ("RunsFailed", "GreaterThan")


@pytest.mark.parametrize("address", ["ops@contoso.example", ""])
def test_alerts_are_mailed_where_the_parameter_says(parameters: dict[str, object], address: str) -> None:
    """With an address every rule sends mail; without one, alerts appear only in the portal."""
    found = evaluate("main.bicep", {**parameters, "alertEmail": address})
    receivers = [
        receiver["emailAddress"]
        for group in found.of_type("Microsoft.Insights/actionGroups")
        for receiver in group.properties["emailReceivers"]
    ]
    assert receivers == ([address] if address else [])
    (metric,) = found.of_type("Microsoft.Insights/metricAlerts")
    groups = [rule.properties["actions"]["actionGroups"] for rule in found.of_type(RULES)]
    groups.append([action["actionGroupId"] for action in metric.properties["actions"]])
    assert groups == [["alerts.notified.id"] if address else []] * 4
