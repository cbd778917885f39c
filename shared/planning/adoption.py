"""Take over an existing deployment: keep its properties, so that it can be recreated exactly."""

from __future__ import annotations

from dataclasses import fields, replace

from shared.model import DeploymentSpec


def to_create(configured: DeploymentSpec, *, adopt: bool, adopted: DeploymentSpec | None) -> DeploymentSpec:
    """Return what to create: the adopted properties while the file says `adopt`, else the file's."""
    if not adopt or adopted is None:
        return configured
    return replace(adopted, minimum_capacity=configured.minimum_capacity)


def differences(configured: DeploymentSpec, existing: DeploymentSpec) -> list[str]:
    """Return one sentence for each property in which an existing deployment differs from the file."""
    sentences = []
    for field in fields(DeploymentSpec):
        if field.name in ("name", "minimum_capacity"):
            continue
        ours, theirs = getattr(configured, field.name), getattr(existing, field.name)
        if (ours or None) != (theirs or None):
            sentences.append(f"{field.name}: the file says {_shown(ours)}, Azure has {_shown(theirs)}")
    return sentences


def _shown(value: object) -> str:
    return "nothing" if not value else str(value)
