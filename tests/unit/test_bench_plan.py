"""The benchmark of planning decides about every deployment, in each of its minutes."""

from __future__ import annotations

from bench.plan import measure


def test_every_deployment_is_planned() -> None:
    """It asserts the count of decisions itself; the figures are for people."""
    measured = measure(deployments=9, minutes=30)
    assert (measured["deployments"], measured["plans"]) == (9, 30)
    assert {"first_ms", "median_ms", "p95_ms", "max_ms", "machine", "at"} <= measured.keys()
