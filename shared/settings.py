"""deployments.yaml + environment → `Settings`, validated as a whole.

All mistakes are told at once, each with its key, value and remedy; a key that is not supported is refused,
never ignored. YAML scalars are read as strings: plain YAML turns 22:00 into 1320 and NO into false.
"""

from __future__ import annotations

import difflib
import re
import typing
from collections.abc import Hashable, Iterator, Mapping, Sequence
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from shared.configuration import SKUS, ClosureSection, DeploymentSection, DeploymentsFile, WindowSection
from shared.domain import (
    Account,
    Closure,
    DeploymentSpec,
    Hosting,
    OneOffWindow,
    Prices,
    Settings,
    Task,
    UploadStart,
    WeeklyWindow,
)
from shared.errors import SettingProblem, SettingsError
from shared.planning.clocks import to_utc
from shared.planning.schedule_checks import schedule_mistakes
from shared.planning.windows import DAY

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_LATER = {"after"}
_FILES = {"system_prompt", "response_schema"}  # keys whose values name files
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


def load(path: Path, environment: Mapping[str, str]) -> Settings:
    """Read and validate the file. Raises SettingsError with every problem that was found."""
    unset: list[SettingProblem] = []
    raw = _substituted(_parsed(path), environment, "", unset)
    problems = [*unset, *_across_sections(raw)]
    try:
        file = DeploymentsFile.model_validate(raw, context=path.parent)
    except ValidationError as error:
        told = {problem.key for problem in unset}
        found = (_problem(each, raw) for each in error.errors(include_url=False))
        problems += [problem for problem in found if problem.key not in told]
        raise SettingsError(path.name, problems) from None
    if problems:
        raise SettingsError(path.name, problems)
    settings = _settings(file)
    # Told when all else holds.
    problems += [each for hosting in settings.deployments.values() for each in schedule_mistakes(hosting)]
    if problems:
        raise SettingsError(path.name, problems)
    return settings


def files_named(path: Path, environment: Mapping[str, str]) -> frozenset[str]:
    """The files that tasks name, as they are written there. Raises SettingsError for what is not YAML."""
    return frozenset(_files(_substituted(_parsed(path), environment, "", [])))


def _files(raw: Any) -> Iterator[str]:
    if isinstance(raw, dict):
        for key, value in raw.items():
            if key in _FILES and isinstance(value, str):
                yield value
            yield from _files(value)
    if isinstance(raw, list):
        for each in raw:
            yield from _files(each)


# --- YAML ------------------------------------------------------------------------------------------


class _StringLoader(yaml.BaseLoader):
    """Every scalar a string; a key that occurs twice is an error, as one of the two would be lost."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"{key.value!r} occurs twice", problem_mark=key.start_mark)
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


def _parsed(path: Path) -> Any:
    """The file's mappings, lists and strings."""
    try:
        return yaml.load(path.read_text(encoding="utf-8-sig"), _StringLoader)  # noqa: S506
    except OSError as error:
        remedy = f"cannot be read ({error.strerror}): DEPLOYMENTS_FILE names the file"
        problem = SettingProblem(str(path), "", remedy)
    except UnicodeDecodeError:
        problem = SettingProblem(path.name, "", "is not UTF-8 text: save it as UTF-8")
    except RecursionError:
        problem = SettingProblem(path.name, "", "is nested too deeply")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else path.name
        what = ": ".join(part for part in (error.context, error.problem) if part)
        problem = SettingProblem(where, "", f"not valid YAML: {what}")
    except yaml.YAMLError:
        problem = SettingProblem(path.name, "", "not valid YAML: it holds characters that no text holds")
    raise SettingsError(path.name, [problem])


def _substituted(raw: Any, environment: Mapping[str, str], where: str, problems: list[SettingProblem]) -> Any:
    """Put the environment's values for ${NAME}."""
    if isinstance(raw, dict):
        return {
            key: _substituted(value, environment, f"{where}.{key}".strip("."), problems)
            for key, value in raw.items()
        }
    if isinstance(raw, list):
        return [_substituted(value, environment, f"{where}.{i}", problems) for i, value in enumerate(raw)]
    if not isinstance(raw, str):
        return raw
    for name in dict.fromkeys(_VARIABLE.findall(raw)):
        if not environment.get(name):
            problems.append(SettingProblem(where, raw, f"set {name} in the app settings"))
    return _VARIABLE.sub(lambda match: environment.get(match[1], ""), raw)


# --- mistakes --------------------------------------------------------------------------------------


def _problem(error: ErrorDetails, raw: Any) -> SettingProblem:
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


def _across_sections(raw: Any) -> Iterator[SettingProblem]:
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


# --- the file's words → the domain's ---------------------------------------------------------------


def _settings(file: DeploymentsFile) -> Settings:
    prices = file.prices
    return Settings(
        installation=file.installation,
        accounts={
            account.resource_id: Account(name, account.resource_id, account.fine_tuned_slots)
            for name, account in file.accounts.items()
        },
        deployments={name: _hosting(name, given, file) for name, given in file.deployments.items()},
        prices=Prices(
            currency=prices.currency,
            hosting_per_hour=dict(prices.hosting_per_hour),
            input_per_million=prices.tokens_per_million.input,
            output_per_million=prices.tokens_per_million.output,
            billing_unit=prices.billing_unit,
            billing_starts=prices.billing_starts,
        ),
        max_document_bytes=file.limits.max_document_bytes,
    )


def _hosting(name: str, given: DeploymentSection, file: DeploymentsFile) -> Hosting:
    return Hosting(
        account=file.accounts[given.account].resource_id,
        spec=DeploymentSpec(
            name=name,
            model_name=given.model.name,
            model_version=given.model.version,
            model_source=given.model.source,
            sku=given.sku.name,
            capacity=given.sku.capacity,
            rai_policy_name=given.rai_policy_name,
            version_upgrade_option=given.version_upgrade_option,
            spillover_deployment_name=given.spillover_deployment_name,
            tags=given.tags,
            minimum_capacity=given.sku.minimum_capacity,
        ),
        windows=tuple(_window(each, file.defaults.time_zone) for each in given.schedule),
        uploads=given.uploads.start,
        lead=file.defaults.lead,
        start_within=given.uploads.start_within,
        max_session=given.max_session,
        task=Task(
            given.task.system_prompt,
            given.task.max_output_tokens,
            given.task.response_schema,
            given.task.max_cost_per_document,
        ),
        cost_center=given.cost_center,
        mode=given.mode or file.defaults.mode,
        adopt=given.adopt,
        keep_if_scarce=given.keep_if_scarce,
        closures=tuple(_closure(each, file.defaults.time_zone) for each in given.closures),
    )


def _window(given: WindowSection, time_zone: str) -> WeeklyWindow | OneOffWindow:
    start, end = given.start, given.end
    if isinstance(start, datetime) and isinstance(end, datetime):
        return OneOffWindow(start, end, given.stop_when_empty, given.close_grace)
    assert isinstance(start, timedelta) and isinstance(end, timedelta) and given.days is not None
    return WeeklyWindow(
        days=given.days,
        start=_time(start),
        end=None if end == DAY else _time(end),
        time_zone=given.time_zone or time_zone,
        stop_when_empty=given.stop_when_empty,
        close_grace=given.close_grace,
        skip_holidays=given.skip_holidays,
        skip_dates=frozenset(given.skip_dates),
        also_on=frozenset(given.also_on),
        starting=given.starting,
        until=given.until,
    )


def _closure(given: ClosureSection, time_zone: str) -> Closure:
    time_zone = given.time_zone or time_zone
    if given.date is not None:
        zone, midnight = ZoneInfo(time_zone), datetime.combine(given.date, time(0))
        start, end = (to_utc(each, zone, closing=False) for each in (midnight, midnight + DAY))
    else:
        assert given.start is not None and given.end is not None
        start, end = given.start, given.end
    return Closure(start, end, time_zone, given.reason)


def _time(since_midnight: timedelta) -> time:
    return time(since_midnight // timedelta(hours=1), since_midnight // timedelta(minutes=1) % 60)
