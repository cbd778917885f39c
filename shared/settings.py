"""deployments.yaml + environment → `Settings`, validated as a whole.

All mistakes are told at once, each with its key, value and remedy; a key that is not supported is refused,
never ignored. YAML scalars are read as strings: plain YAML turns 22:00 into 1320 and NO into false.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Hashable, Mapping
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, SchemaError
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from shared.configuration import DeploymentSection, DeploymentsFile, WindowSection
from shared.domain import (
    Account,
    DeploymentSpec,
    Hosting,
    OneOffWindow,
    Prices,
    Settings,
    Task,
    WeeklyWindow,
)
from shared.errors import SettingProblem, SettingsError

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_LATER = {"mode", "adopt", "minimum_capacity", "skip_holidays", "after"}
_SHORTEST_SESSION = timedelta(minutes=30)


def load(path: Path, environment: Mapping[str, str]) -> Settings:
    """Read and validate the file. Raises SettingsError with every problem that was found."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        remedy = f"cannot be read ({error.strerror}): DEPLOYMENTS_FILE names the file"
        raise SettingsError(path.name, [SettingProblem(str(path), "", remedy)]) from error
    except UnicodeDecodeError:
        remedy = "is not UTF-8 text: save it as UTF-8"
        raise SettingsError(path.name, [SettingProblem(path.name, "", remedy)]) from None
    try:
        raw = yaml.load(text, _StringLoader)  # noqa: S506
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else path.name
        what = getattr(error, "problem", None) or "not YAML"
        raise SettingsError(path.name, [SettingProblem(where, "", f"not valid YAML: {what}")]) from None
    problems: list[SettingProblem] = []
    raw = _substituted(raw, environment, "", problems)
    try:
        document = DeploymentsFile.model_validate(raw)
    except ValidationError as error:
        told = {problem.key for problem in problems}
        found = (_problem(each, raw) for each in error.errors(include_url=False))
        problems += [problem for problem in found if problem.key not in told]
        raise SettingsError(path.name, problems) from None
    settings = _Builder(document, path.parent, problems).build()
    if problems:
        raise SettingsError(path.name, problems)
    return settings


class _StringLoader(yaml.BaseLoader):
    """Every scalar a string; a key that occurs twice is an error, as one of the two would be lost."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"{key.value!r} occurs twice", problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


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
    for name in _VARIABLE.findall(raw):
        if not environment.get(name):
            problems.append(SettingProblem(where, raw, f"set {name} in the app settings"))
    return _VARIABLE.sub(lambda match: environment.get(match[1], ""), raw)


def _problem(error: ErrorDetails, raw: Any) -> SettingProblem:
    """One of pydantic's errors in the words of the file."""
    location = [str(part) for part in error["loc"] if part != "[key]"]
    key, value = ".".join(location) or "the file", _value_at(raw, location)
    match error["type"]:
        case "extra_forbidden" if location[-1] in _LATER:
            remedy = "is not supported yet: remove it"
        case "extra_forbidden":
            known = _keys_at(location[:-1])
            close = difflib.get_close_matches(location[-1], known, n=1)
            remedy = "unknown key" + (f": did you mean {close[0]!r}?" if close else f"; known are {known}")
            value = ""
        case "missing":
            remedy = "is missing"
        case "string_pattern_mismatch":
            remedy = "use letters, digits, '-', '_' and '.', at most 64, beginning with a letter or digit"
        case _:
            remedy = error["msg"]
    return SettingProblem(key, value, remedy)


def _value_at(raw: Any, location: list[str]) -> str:
    for part in location:
        if isinstance(raw, dict):
            raw = raw.get(part)
        elif isinstance(raw, list) and part.isdigit():
            raw = raw[int(part)] if int(part) < len(raw) else None
    return raw[:80] if isinstance(raw, str) else ""


def _keys_at(location: list[str]) -> list[str]:
    """The keys that are known at a place of the file."""
    model: Any = DeploymentsFile
    for part in location:
        if part.isdigit() or not (isinstance(model, type) and issubclass(model, BaseModel)):
            continue
        fields = {field.alias or name: field for name, field in model.model_fields.items()}
        hint = fields[part].annotation if part in fields else model
        inner = [each for each in getattr(hint, "__args__", ()) if isinstance(each, type)]
        model = next((each for each in inner if issubclass(each, BaseModel)), hint)
    if isinstance(model, type) and issubclass(model, BaseModel):
        return [field.alias or name for name, field in model.model_fields.items()]
    return []


class _Builder:
    """The file's words → the domain's, with the checks that need more than one key."""

    def __init__(self, document: DeploymentsFile, folder: Path, problems: list[SettingProblem]) -> None:
        self._document = document
        self._folder = folder
        self._problems = problems

    def build(self) -> Settings:
        document = self._document
        accounts = {
            account.resource_id: Account(name, account.resource_id, account.fine_tuned_slots)
            for name, account in document.accounts.items()
        }
        self._unique("accounts", [account.resource_id for account in document.accounts.values()])
        self._unique("deployments", list(document.deployments))
        prices = document.prices
        return Settings(
            installation=document.installation,
            accounts=accounts,
            deployments={name: self._hosting(name, each) for name, each in document.deployments.items()},
            prices=Prices(
                currency=prices.currency,
                hosting_per_hour=dict(prices.hosting_per_hour),
                input_per_million=prices.tokens_per_million.input,
                output_per_million=prices.tokens_per_million.output,
                billing_unit=prices.billing_unit,
                billing_starts=prices.billing_starts,
            ),
            max_document_bytes=document.limits.max_document_bytes,
        )

    def _add(self, key: str, value: str, remedy: str) -> None:
        self._problems.append(SettingProblem(key, value, remedy))

    def _unique(self, where: str, names: list[str]) -> None:
        for name in {name for name in names if sum(each.lower() == name.lower() for each in names) > 1}:
            self._add(where, name, "occurs twice (Azure ignores case)")

    def _hosting(self, name: str, given: DeploymentSection) -> Hosting:
        where = f"deployments.{name}"
        account = self._document.accounts.get(given.account)
        if account is None:
            known = ", ".join(self._document.accounts)
            self._add(f"{where}.account", given.account, f"is not under accounts; known are {known}")
        if given.sku.name not in self._document.prices.hosting_per_hour:
            self._add("prices.hosting_per_hour", "", f"has no price for {given.sku.name}, which {name} uses")
        if given.uploads.start_within:
            self._add(f"{where}.uploads.start_within", "", "above zero is not supported yet: remove it")
        if given.max_session < _SHORTEST_SESSION:
            self._add(f"{where}.max_session", "", "must be 30m or more")
        return Hosting(
            account=account.resource_id if account else "",
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
            ),
            windows=tuple(
                window
                for i, each in enumerate(given.schedule)
                if (window := self._window(f"{where}.schedule.{i}", each, given.max_session))
            ),
            uploads=given.uploads.start,
            lead=self._document.defaults.lead,
            max_session=given.max_session,
            task=self._task(f"{where}.task", given),
            cost_center=given.cost_center,
        )

    def _window(
        self, where: str, given: WindowSection, longest: timedelta
    ) -> WeeklyWindow | OneOffWindow | None:
        lead = self._document.defaults.lead
        if isinstance(given.start, datetime) and isinstance(given.end, datetime):
            if given.days is not None:
                self._add(f"{where}.days", "", "does not go with a one-off window: remove it")
            window: WeeklyWindow | OneOffWindow = OneOffWindow(
                given.start, given.end, given.stop_when_empty, given.close_grace
            )
            length = given.end - given.start
        elif isinstance(given.start, str) and isinstance(given.end, str):
            if given.days is None:
                self._add(f"{where}.days", "", "is missing: write daily, mon-fri or mon,wed,sat")
                return None
            if given.start == "24:00":
                self._add(f"{where}.from", given.start, "write 00:00 of the next day")
                return None
            zone = given.time_zone or self._document.defaults.time_zone
            start, end = time.fromisoformat(given.start), _end(given.end)
            window = WeeklyWindow(given.days, start, end, zone, given.stop_when_empty, given.close_grace)
            length = _minutes(end) - _minutes(start)
            length += timedelta(days=1) if length < timedelta(0) else timedelta(0)
        else:
            self._add(where, "", "from and to must both be HH:MM, or both ISO times")
            return None
        if length <= timedelta(0):
            self._add(where, "", "is empty: to must come after from (a whole day is 00:00 to 24:00)")
        elif lead + length + given.close_grace > longest:
            self._add(
                where, "", "with its lead and grace it is longer than max_session: raise that, or split it"
            )
        return window

    def _task(self, where: str, given: DeploymentSection) -> Task:
        task = given.task
        prompt = self._text(f"{where}.system_prompt", task.system_prompt)
        if not prompt.strip() and not self._problems:
            self._add(f"{where}.system_prompt", task.system_prompt, "the file is empty: write what to ask")
        schema = self._schema(f"{where}.response_schema", task.response_schema)
        if task.max_output_tokens >= given.sku.capacity * 1000:
            limit = f"{given.sku.capacity * 1000:,} tokens a minute"
            self._add(
                f"{where}.max_output_tokens",
                str(task.max_output_tokens),
                f"sku.capacity admits {limit}, so no request could ever be sent",
            )
        return Task(prompt, task.max_output_tokens, schema, task.max_cost_per_document)

    def _text(self, where: str, name: str) -> str:
        """A file that the configuration names, relative to it."""
        try:
            return (self._folder / name).read_text(encoding="utf-8-sig")
        except OSError as error:
            self._add(
                where, name, f"the file cannot be read ({error.strerror}); it is sought beside this one"
            )
        except UnicodeDecodeError:
            self._add(where, name, "the file is not UTF-8 text: save it as UTF-8")
        return ""

    def _schema(self, where: str, name: str | None) -> Mapping[str, Any] | None:
        if name is None or not (text := self._text(where, name)):
            return None
        try:
            schema = json.loads(text)
            Draft202012Validator.check_schema(schema)
        except ValueError as error:
            self._add(where, name, f"is not JSON: {error}")
            return None
        except SchemaError as error:
            self._add(where, name, f"is not a JSON schema: {error.message[:200]}")
            return None
        if not isinstance(schema, dict) or schema.get("type") != "object":
            self._add(where, name, 'structured output needs an object: "type": "object" at the top')
            return None
        for place in _not_strict(schema, "#"):
            remedy = 'structured output needs "additionalProperties": false and every property in "required"'
            self._add(where, f"{name} at {place}", remedy)
        return schema


def _not_strict(schema: Any, place: str) -> list[str]:
    """Where a schema breaks the rules of strict structured output."""
    if isinstance(schema, list):
        return [each for i, part in enumerate(schema) for each in _not_strict(part, f"{place}/{i}")]
    if not isinstance(schema, dict):
        return []
    found: list[str] = []
    properties = schema.get("properties")
    if schema.get("type") == "object" or isinstance(properties, dict):
        required = schema.get("required", [])
        if schema.get("additionalProperties") is not False or set(required) != set(properties or {}):
            found.append(place)
    for key, part in schema.items():
        if key in ("enum", "const", "default", "examples", "required"):
            continue
        found += _not_strict(part, f"{place}/{key}")
    return found


def _end(value: str) -> time | None:
    return None if value == "24:00" else time.fromisoformat(value)


def _minutes(at: time | None) -> timedelta:
    return timedelta(days=1) if at is None else timedelta(hours=at.hour, minutes=at.minute)
