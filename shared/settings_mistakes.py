"""Mistakes in deployments.yaml in the words of the file: key, value, and what to write instead."""

from __future__ import annotations

import difflib
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic_core import ErrorDetails

from shared.configuration import SKUS, DeploymentsFile
from shared.domain import UploadStart
from shared.errors import SettingProblem

_LATER = {"after"}
_LONGEST_VALUE = 80
_REMEDIES = {
    "missing": "is missing",
    "too_short": "write at least one",
    "model_type": "write keys and values here",
    "dict_type": "write keys and values here",
    "list_type": "write a list here",
    "string_pattern_mismatch": (
        "use letters, digits, '-', '_' and '.', at most 64, beginning with a letter or digit"
    ),
}


def problem_of(error: ErrorDetails, raw: Any) -> SettingProblem:
    """One of pydantic's errors in the words of the file."""
    location = [part for part in error["loc"] if part != "[key]"]
    key, value = ".".join(map(str, location)) or "the file", _at(raw, *location)
    match error["type"]:
        case "extra_forbidden" if location[-1] in _LATER:
            remedy = "is not supported yet: remove it"
        case "extra_forbidden":
            remedy = f"unknown key: {_instead(str(location[-1]), _keys_at(location[:-1]))}"
        case "value_error":
            remedy = str(error["ctx"]["error"])
        case kind:
            remedy = _REMEDIES.get(kind, error["msg"])
    return SettingProblem(key, value[:_LONGEST_VALUE] if isinstance(value, str) else "", remedy)


def mistakes_across_sections(raw: Any) -> Iterator[SettingProblem]:
    """What takes more than one section to tell, from the words of the file: other mistakes do not hide it."""
    accounts, deployments = _mapping_at(raw, "accounts"), _mapping_at(raw, "deployments")
    yield from _twice("deployments", {name: name for name in deployments})
    yield from _twice("accounts", {name: _at(accounts, name, "resource_id") for name in accounts})
    priced = _mapping_at(raw, "prices", "hosting_per_hour")
    for name in deployments:
        account, sku = _at(deployments, name, "account"), _at(deployments, name, "sku", "name")
        if accounts and isinstance(account, str) and account not in accounts:
            remedy = f"is not under accounts: {_instead(account, accounts)}"
            yield SettingProblem(f"deployments.{name}.account", account, remedy)
        if priced and sku in SKUS and sku not in priced:
            yield SettingProblem(
                "prices.hosting_per_hour", "", f"has no price for {sku}, which {name} uses: add it"
            )
        spillover = _at(deployments, name, "spillover_deployment_name")
        if isinstance(spillover, str) and spillover.lower() == str(name).lower():
            key = f"deployments.{name}.spillover_deployment_name"
            remedy = "is the deployment itself: name another one, or remove the key"
            yield SettingProblem(key, spillover, remedy)
        starts = _at(deployments, name, "uploads", "start")
        if starts == UploadStart.SCHEDULED and not _at(deployments, name, "schedule"):
            remedy = (
                "documents would wait for ever, as there is no window: add a schedule, or set uploads.start: "
                f"{UploadStart.ON_DEMAND}"
            )
            yield SettingProblem(f"deployments.{name}.uploads.start", starts, remedy)


def _twice(section: str, identities: Mapping[str, Any]) -> Iterator[SettingProblem]:
    """Names that mean the same to Azure, which ignores case."""
    first: dict[str, str] = {}
    for name, identity in identities.items():
        if not isinstance(identity, str) or not identity:
            continue
        other = first.setdefault(identity.rstrip("/").lower(), name)
        if other != name:
            yield SettingProblem(
                f"{section}.{name}", identity, f"is the same as {section}.{other} to Azure: remove one"
            )


def _at(raw: Any, *location: str | int) -> Any:
    """What stands at a place of the file; None if nothing does."""
    for part in location:
        try:
            raw = raw[part]
        except (KeyError, IndexError, TypeError):
            return None
    return raw


def _mapping_at(raw: Any, *location: str) -> dict[str, Any]:
    found = _at(raw, *location)
    return found if isinstance(found, dict) else {}


def _keys_at(location: Sequence[str | int]) -> list[str]:
    """The keys that are known at a place of the file."""
    kind: Any = DeploymentsFile
    for part in location:
        inner = typing.get_args(kind)  # of a mapping or list of sections
        kind = inner[-1] if inner else _hints(kind)[str(part)]
    return list(_hints(kind))


def _hints(section: Any) -> dict[str, Any]:
    return {field.alias or name: field.annotation for name, field in section.model_fields.items()}


def _instead(name: str, known: typing.Collection[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known)}"
