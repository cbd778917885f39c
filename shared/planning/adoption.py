"""Taking over an existing deployment: its properties are kept, so that it can be recreated exactly."""

from __future__ import annotations

from dataclasses import fields, replace

from shared.model import DeploymentSpec


def to_create(configured: DeploymentSpec, *, adopt: bool, adopted: DeploymentSpec | None) -> DeploymentSpec:
    """What to create: the adopted properties as long as the file says `adopt`, else the file's."""
    if not adopt or adopted is None:
        return configured
    return replace(adopted, minimum_capacity=configured.minimum_capacity)


def differences(configured: DeploymentSpec, existing: DeploymentSpec) -> list[str]:
    """In which properties an existing deployment differs from the file, a sentence each."""
    told = []
    for field in fields(DeploymentSpec):
        if field.name in ("name", "minimum_capacity"):
            continue
        ours, theirs = getattr(configured, field.name), getattr(existing, field.name)
        if (ours or None) != (theirs or None):
            told.append(f"{field.name}: the file says {_shown(ours)}, Azure has {_shown(theirs)}")
    return told


def _shown(value: object) -> str:
    return "nothing" if not value else str(value)
