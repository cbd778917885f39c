"""Load deployments.yaml and the environment into `Settings`, validated as a whole.

All mistakes are reported at once, with key, value and remedy. An unsupported key is refused, never ignored.
YAML scalars are read as strings: plain YAML turns 22:00 into 1320 and NO into false.
"""

from __future__ import annotations

import math
import posixpath
import re
from collections.abc import Hashable, Iterator, Mapping
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml
from pydantic import ValidationError

from shared.errors import SettingProblem, SettingsError
from shared.model import (
    ALWAYS,
    Account,
    Closure,
    DeploymentConfig,
    DeploymentSpec,
    OneOffWindow,
    Prices,
    Records,
    Settings,
    Task,
    WeeklyWindow,
)
from shared.model.sources import OF_ROWS
from shared.schedule.clocks import to_utc
from shared.schedule.windows import DAY
from shared.settings.file import ClosureSection, DeploymentSection, DeploymentsFile, WindowSection
from shared.settings.indentation import indentation_mistakes
from shared.settings.mistakes import is_private, mistakes_across_sections, problem_of
from shared.settings.schedule_checks import schedule_mistakes
from shared.settings.text import LARGEST, TooLarge, read_text

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_FILES = {"system_prompt", "response_schema"}  # keys whose values name files
_UNSET = (
    "set {} in the app settings: commands read them from the environment, or from --settings FILE "
    "(local.settings.sample.json is an example)"
)
_EXPANDS = (
    f"its aliases (*) stand for more than {LARGEST:,} characters, or for themselves: "
    "write out what they repeat"
)
_HINTS = {
    "mapping values are not allowed": (
        ": a key of this line is indented too far, or a text with ': ' in it needs quotes"
    ),
    "expected <block end>": ": this line is not indented as the others of its section",
    "found unexpected end of stream": ": a quote or bracket is opened and not closed",
    "found undefined alias": ": put quotes around a text that begins with *",
    "expected a single document": ": remove the line ---",
    "cannot start any token": ": indent with spaces, not tabs, and put quotes around such a text",
}


def load(path: Path, environment: Mapping[str, str], named_by: str = "DEPLOYMENTS_FILE") -> Settings:
    """Read and validate the file. `named_by`: the setting or argument that named it, for messages.

    Raises SettingsError with every problem that was found.
    """
    unset: list[SettingProblem] = []
    raw = _substituted(_parsed(path, named_by), environment, "", unset)
    problems = [*unset, *mistakes_across_sections(raw)]
    try:
        file = DeploymentsFile.model_validate(raw, context=path.parent)
    except ValidationError as error:
        reported = {problem.key for problem in unset}
        found = (problem_of(mistake, raw) for mistake in error.errors(include_url=False))
        problems += [problem for problem in found if problem.key not in reported]
        raise SettingsError(path.name, problems) from None
    if problems:
        raise SettingsError(path.name, problems)
    settings = _settings(file, raw)
    # Reported only if there are no other mistakes.
    problems += [mistake for config in settings.deployments.values() for mistake in schedule_mistakes(config)]
    if problems:
        raise SettingsError(path.name, problems)
    return settings


def files_named(path: Path, environment: Mapping[str, str]) -> frozenset[str]:
    """Return the files that tasks name, as written there. Raises SettingsError if the file is not YAML."""
    return frozenset(_files(_substituted(_parsed(path), environment, "", [])))


def _files(raw: Any) -> Iterator[str]:
    if isinstance(raw, dict):
        for key, value in raw.items():
            if key in _FILES and isinstance(value, str):
                yield value
            yield from _files(value)
    if isinstance(raw, list):
        for entry in raw:
            yield from _files(entry)


# --- YAML ------------------------------------------------------------------------------------------


class _StringLoader(yaml.BaseLoader):
    """Load every scalar as a string; a duplicate key is an error, as one of the two would be lost."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        lines: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue  # refused below
            if key.value in lines:
                problem = f"{key.value!r} occurs twice, first in line {lines[key.value]}: remove one"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
            lines[key.value] = key.start_mark.line + 1
        return super().construct_mapping(node, deep)


def _parsed(path: Path, named_by: str = "DEPLOYMENTS_FILE") -> Any:
    """Return the file's mappings, lists and strings. Raises SettingsError if it is not readable YAML."""
    try:
        loader = _StringLoader(read_text(path))
        node = loader.get_single_node()
        if node is not None and _expanded(node, {}) > LARGEST:
            raise SettingsError(path.name, [SettingProblem(path.name, "", _EXPANDS)])
        if mistakes := indentation_mistakes(node):
            raise SettingsError(path.name, mistakes)  # other messages would be about misplaced keys
        return loader.construct_document(node) if node is not None else None
    except OSError as error:
        remedy = f"cannot be read ({error.strerror}): {named_by} names the file"
        problem = SettingProblem(str(path), "", remedy)
    except UnicodeDecodeError:
        problem = SettingProblem(path.name, "", "is not UTF-8 text: save it as UTF-8")
    except TooLarge as error:
        problem = SettingProblem(path.name, "", str(error))
    except RecursionError:
        problem = SettingProblem(path.name, "", "is nested too deeply")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else path.name
        what = ": ".join(part for part in (error.context, error.problem) if part)
        hint = next((advice for words, advice in _HINTS.items() if words in what), "")
        problem = SettingProblem(where, "", f"not valid YAML: {what}{hint}")
    except yaml.YAMLError:
        problem = SettingProblem(path.name, "", "not valid YAML: it holds characters that no text holds")
    raise SettingsError(path.name or str(path), [problem])


def _expanded(node: yaml.Node, known: dict[int, float]) -> float:
    """Return the size of a node in characters, with every alias counted as what it stands for.

    A few hundred bytes of aliases to aliases may stand for more than any memory holds, and all that follows
    walks the expanded file. A node in itself has no end. Visits each node once.
    """
    if id(node) not in known:
        known[id(node)] = math.inf  # while it is being counted
        inside = node.value if isinstance(node, yaml.CollectionNode) else ()
        parts = (part for each in inside for part in (each if isinstance(each, tuple) else (each,)))
        own = len(node.value) if isinstance(node, yaml.ScalarNode) else 0
        known[id(node)] = 1 + own + sum(_expanded(part, known) for part in parts)
    return known[id(node)]


def _substituted(raw: Any, environment: Mapping[str, str], where: str, problems: list[SettingProblem]) -> Any:
    """Replace ${NAME} by the environment's value; append a problem for a name that is not set."""
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
            shown = "" if is_private(where.split(".")) else raw
            problems.append(SettingProblem(where, shown, _UNSET.format(name)))
    return _VARIABLE.sub(lambda match: environment.get(match[1], ""), raw)


# --- from the file's types to the domain's ---------------------------------------------------------


def _settings(file: DeploymentsFile, raw: Any) -> Settings:
    prices = file.prices
    return Settings(
        installation=file.installation,
        accounts={
            account.resource_id: Account(name, account.resource_id, account.fine_tuned_slots)
            for name, account in file.accounts.items()
        },
        deployments={name: _config(name, given, file) for name, given in file.deployments.items()},
        prices=Prices(
            currency=prices.currency,
            hosting_per_hour=dict(prices.hosting_per_hour),
            input_per_million=prices.tokens_per_million.input,
            output_per_million=prices.tokens_per_million.output,
            billing_unit=prices.billing_unit,
            billing_starts=prices.billing_starts,
            embeddings_per_million=prices.tokens_per_million.embeddings or 0.0,
        ),
        max_document_bytes=file.limits.max_document_bytes,
        doubts=(*_unused(file), *_elsewhere(raw)),
    )


def _unused(file: DeploymentsFile) -> Iterator[SettingProblem]:
    for name, given in file.deployments.items():
        if given.always and "max_session" in given.model_fields_set:
            remedy = "has no effect beside always: true, which nothing ends: remove one of the two"
            yield SettingProblem(f"deployments.{name}.max_session", "", remedy)


def _elsewhere(raw: Any) -> Iterator[SettingProblem]:
    """Yield a doubt for each file that a task names outside of the folder of deployments.yaml."""
    for deployment, given in raw["deployments"].items():
        for key in sorted(_FILES & given["task"].keys()):
            name = str(given["task"][key])
            if posixpath.normpath(name).startswith("../"):
                remedy = (
                    "is outside of the folder of deployments.yaml: check that it is sent to Azure, to that "
                    "place, with the app or into the container, or put it beside deployments.yaml"
                )
                yield SettingProblem(f"deployments.{deployment}.task.{key}", name, remedy)


def _config(name: str, given: DeploymentSection, file: DeploymentsFile) -> DeploymentConfig:
    return DeploymentConfig(
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
        windows=(ALWAYS,)
        if given.always
        else tuple(_window(window, file.defaults.time_zone) for window in given.schedule),
        uploads=given.uploads.start,
        lead=file.defaults.lead,
        start_within=given.uploads.start_within,
        max_session=given.max_session,
        task=Task(
            given.task.templates,
            given.task.max_output_tokens,
            given.task.response_schema,
            given.task.max_cost_per_document,
            queries=tuple(given.task.queries),
            together=given.task.ask == "together",
            large=given.task.large,
            context_tokens=given.task.context_tokens,
            not_found=given.task.not_found,
            quotes=tuple(given.task.evidence.quotes) if given.task.evidence else (),
            require_quotes=given.task.evidence is not None and given.task.evidence.require,
            embeddings=given.task.embeddings,
            records=_records(given),
            max_cost_per_file=given.task.max_cost_per_file,
        ),
        cost_center=given.cost_center,
        mode=given.mode or file.defaults.mode,
        adopt=given.adopt,
        keep_if_scarce=given.keep_if_scarce,
        notify=tuple(each.receiver for each in given.notify),
        source=given.source.source if given.source else None,
        closures=tuple(_closure(closure, file.defaults.time_zone) for closure in given.closures),
    )


def _records(given: DeploymentSection) -> Records | None:
    if given.source is not None and given.source.container is None:
        return OF_ROWS
    records = given.task.records
    if records is None:
        return None
    return Records(records.text, tuple(records.keep) if records.keep is not None else None, records.id)


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
        start, end = (to_utc(local, zone, closing=False) for local in (midnight, midnight + DAY))
    else:
        assert given.start is not None and given.end is not None
        start, end = given.start, given.end
    return Closure(start, end, time_zone, given.reason)


def _time(since_midnight: timedelta) -> time:
    return time(since_midnight // timedelta(hours=1), since_midnight // timedelta(minutes=1) % 60)
