"""Describe mistakes in deployments.yaml in the file's own words: key, value, and what to write instead."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from pydantic_core import ErrorDetails

from shared.errors import SettingProblem
from shared.model import Large, UploadStart
from shared.settings.file import SKUS, DeploymentsFile
from shared.settings.indentation import fields_of, inner, kind_of

_LATER = {"after"}
_ON = ("true", "t", "yes", "y", "on", "1")  # the values that pydantic accepts for true
_LONGEST_VALUE = 80
# What is in them may be a secret.
_PRIVATE = frozenset({"secret", "webhook", "notify", "database", "password"})
_PUBLIC = frozenset({"events", "file_names"})
_QUOTED = re.compile(r"'([^']*)'")
_NO_NUMBERS = ("nan", "inf", "infinity")
_REMEDIES = {
    "too_short": "write at least one",
    "model_type": "write keys and values here",
    "dict_type": "write keys and values here",
    "list_type": "write a list here",
    "string_type": "write one value here, not a list or a section",
    "string_pattern_mismatch": (
        "use letters, digits, '-', '_' and '.', at most 64, beginning with a letter or digit"
    ),
    **dict.fromkeys(("int_parsing", "int_type", "int_from_float"), "write a whole number, such as 100"),
    **dict.fromkeys(("float_parsing", "float_type"), "write a number, such as 1.70"),
    **dict.fromkeys(("bool_parsing", "bool_type"), "write true or false"),
    "int_parsing_size": "write a smaller number",
    "greater_than": "write a number above {gt:,}",
    "greater_than_equal": "write a number of {ge:,} or more",
    "less_than": "write a number below {lt:,}",
    "less_than_equal": "write a number of {le:,} or less",
    "too_long": "write {max_length} at most",
}
"""Remedies by pydantic's type of error; the error's context supplies numbers."""

_MISSING = {
    "installation": "write a name that marks in Azure what is yours, such as contoso-prod",
    "prices": "write hosting_per_hour and tokens_per_million",
    "hosting_per_hour": "write the price of each SKU, such as {GlobalStandard: 1.70}",
    "tokens_per_million": "write both prices, such as {input: 0.40, output: 1.60}",
    "input": "write the price of a million tokens of prompts, such as 0.40",
    "output": "write the price of a million tokens of answers, such as 1.60",
    "accounts": "write a name, and under it resource_id",
    "resource_id": "write the account's id in Azure, or ${AZURE_OPENAI_ACCOUNT_ID} with the app setting",
    "deployments": "write a name, and under it account, model, sku and task",
    "account": "write a name that stands under accounts",
    "model": 'write the fine-tuned model, such as {name: gpt-4.1-mini-2025-04-14.ft-0e2c…, version: "1"}',
    "model.name": "write the name of the fine-tuned model, such as gpt-4.1-mini-2025-04-14.ft-0e2c…",
    "model.version": 'write the version of the fine-tuned model, which is "1" as a rule',
    "sku": "write how it is hosted, such as {name: GlobalStandard, capacity: 120}",
    "sku.name": f"write one of {', '.join(SKUS)}",
    "sku.capacity": "write thousands of tokens a minute, such as 120",
    "task": "write what to ask, such as {system_prompt: tasks/summary.md, max_output_tokens: 1000}",
    "system_prompt": "name a file that says what to ask of each document, such as tasks/summary.md",
    "max_output_tokens": "write how many tokens an answer may have, such as 1000",
    "role": "write who says it: system, developer, user or assistant",
    "content": "write what is said, with {document} in one message of the user",
    "records.text": "write the column that is asked about, or a template such as {title}: {body}",
    "quotes": "write the fields of the answer that quote the document, such as [quote]",
    "from": 'write when the window opens, such as "09:00"',
    "to": 'write when the window closes, such as "18:00"',
}
"""Remedies for a missing key: by its name, or by its section and name."""


def problem_of(error: ErrorDetails, raw: Any) -> SettingProblem:
    """Return one of pydantic's errors in the file's own words."""
    location = [part for part in error["loc"] if part != "[key]"]
    key, value = ".".join(map(str, location)) or "the file", _at(raw, *location)
    if "[key]" in error["loc"]:  # the error concerns the key itself
        return SettingProblem(key, "", _remedy(error, location, str(location[-1])))
    shown = value[:_LONGEST_VALUE] if isinstance(value, str) and not is_private(location) else ""
    return SettingProblem(key, shown, _remedy(error, location, shown))


def is_private(location: Sequence[str | int]) -> bool:
    """Return whether the value at a place of the file may be a secret, and is not shown."""
    return not _PRIVATE.isdisjoint(location) and _PUBLIC.isdisjoint(location)


def _remedy(error: ErrorDetails, location: Sequence[str | int], value: str) -> str:
    context = {
        name: int(number) if isinstance(number, float) and number.is_integer() else number
        for name, number in error.get("ctx", {}).items()
    }
    match error["type"]:
        case "extra_forbidden" if location[-1] in _LATER:
            return "is not supported yet: remove it"
        case "extra_forbidden":
            return f"unknown key: {_instead(str(location[-1]), _keys_at(location[:-1]))}"
        case "missing":
            last, both = str(location[-1]), ".".join(map(str, location[-2:]))
            return f"is missing: {_MISSING.get(both) or _MISSING[last]}"
        case "value_error":
            return str(context["error"])
        case "enum" | "literal_error":
            known = _QUOTED.findall(str(context["expected"]))
            close = difflib.get_close_matches(value, known, n=1)
            one_of = f"one of {', '.join(known)}"
            return f"did you mean {close[0]!r}? Write {one_of}" if close else f"write {one_of}"
        case kind if value.lstrip("+-").lower() in _NO_NUMBERS:
            return _REMEDIES["float_parsing" if kind.startswith(("float", "less", "greater")) else kind]
        case kind:
            return _REMEDIES.get(
                kind, "is not what belongs here: see this key in docs/configuration.md"
            ).format(**context)


def mistakes_across_sections(raw: Any) -> Iterator[SettingProblem]:
    """Check what involves several sections, in the raw file: other mistakes must not hide these."""
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
        times = next((key for key in ("schedule", "closures") if _at(deployments, name, key)), None)
        always = _at(deployments, name, "always")
        is_always = isinstance(always, str) and always.lower() in _ON
        if times and is_always:
            remedy = f"hosts it round the clock, and {times} names times: remove {times}, or always"
            yield SettingProblem(f"deployments.{name}.always", always, remedy)
        starts = _at(deployments, name, "uploads", "start")
        if starts == UploadStart.SCHEDULED and not (_at(deployments, name, "schedule") or is_always):
            remedy = (
                "documents would wait for ever, as there is no window: add a schedule, or set uploads.start: "
                f"{UploadStart.ON_DEMAND}"
            )
            yield SettingProblem(f"deployments.{name}.uploads.start", starts, remedy)
    yield from _of_embeddings(raw)
    yield from _of_webhooks(deployments)
    yield from _of_sources(deployments)


def _of_sources(deployments: Mapping[str, Any]) -> Iterator[SettingProblem]:
    """Check that a source is ever looked at, and that what its rows become is not said twice."""
    for name in deployments:
        source, key = _mapping_at(deployments, name, "source"), f"deployments.{name}.source"
        if not source:
            continue
        if not (_at(deployments, name, "schedule") or _at(deployments, name, "always")):
            remedy = "is looked at while a window is open, and there is none: add a schedule, or always: true"
            yield SettingProblem(key, "", remedy)
        if "container" in source:
            continue
        for other in ("records", "queries", "evidence", "max_cost_per_document"):
            if _at(deployments, name, "task", other):
                remedy = "does not go with a source of rows, each of which is one request: remove it"
                yield SettingProblem(f"deployments.{name}.task.{other}", "", remedy)
        if _at(deployments, name, "task", "large") not in (None, Large.WHOLE):
            remedy = "asks about pieces of a document, and a row is asked whole: remove it"
            yield SettingProblem(f"deployments.{name}.task.large", "", remedy)


def _of_webhooks(deployments: Mapping[str, Any]) -> Iterator[SettingProblem]:
    """Check that a webhook has one secret: deployments that share a receiver share its turn in a tick."""
    secrets: dict[str, tuple[str, str]] = {}  # with the first deployment, by URL
    for name in deployments:
        for number, entry in enumerate(_at(deployments, name, "notify") or ()):
            url, secret = _at(entry, "webhook"), _at(entry, "secret")
            if isinstance(url, str) and isinstance(secret, str):
                first, other = secrets.setdefault(url, (name, secret))
                if secret != other:
                    remedy = f"differs from that of the same webhook in deployments.{first}: write one secret"
                    yield SettingProblem(f"deployments.{name}.notify.{number}.secret", "", remedy)


def _of_embeddings(raw: Any) -> Iterator[SettingProblem]:
    """Check the tasks that rank passages by embeddings: what is ranked, by what, and at what price."""
    deployments = _mapping_at(raw, "deployments")
    named = {name: _at(deployments, name, "task", "embeddings") for name in deployments}
    ranked = {name: by for name, by in named.items() if isinstance(by, str)}
    for name, by in ranked.items():
        key = f"deployments.{name}.task.embeddings"
        if _at(deployments, name, "task", "large") != Large.RETRIEVE:
            yield SettingProblem(key, by, "ranks the passages of large: retrieve: write that, or remove it")
        if by.lower() in map(str.lower, deployments):
            remedy = (
                "is a deployment of this file, which does not always exist: name one for embeddings that you "
                "have deployed yourself on the same account"
            )
            yield SettingProblem(key, by, remedy)
    if ranked and _at(raw, "prices", "tokens_per_million", "embeddings") is None:
        remedy = (
            f"is missing, and {next(iter(ranked))} uses embeddings: write the price of a million tokens, "
            "such as 0.02"
        )
        yield SettingProblem("prices.tokens_per_million.embeddings", "", remedy)


def _twice(section: str, identities: Mapping[str, Any]) -> Iterator[SettingProblem]:
    """Yield a mistake for names that are the same to Azure, which ignores case."""
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
    """Return the value at a place of the file; None if there is none."""
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
    """Return the keys that are allowed at a place of the file."""
    kind: Any = DeploymentsFile
    for part in location:
        kind = inner(kind) if isinstance(part, int) else kind_of(kind, part)
    return list(fields_of(kind))


def _instead(name: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known)}"
