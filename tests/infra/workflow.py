"""Run a workflow definition of Azure Logic Apps, with the few actions and functions that the switch uses.

This follows the reference of the workflow definition language. Where the reference is unclear, this module
takes the stricter reading: all arguments are evaluated (no short circuit), a function raises for a value of
the wrong type, and a 202 is polled unless the definition says otherwise. Unsupported actions and functions
raise an error, so that a change of the definition cannot go unnoticed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import aiohttp

from tests.infra.bicep import INFRA

_TOKEN = re.compile(r"\s*(?:'((?:[^']|'')*)'|(\d+)|([A-Za-z]\w*)|(\?\[|[\[\](),]))")
_DOTNET_TIMES = {"yyyy-MM-ddTHH:mm:ssZ": "%Y-%m-%dT%H:%M:%SZ"}


class WorkflowError(Exception):
    """An expression that fails in Azure or is not supported here."""


def definition() -> dict[str, Any]:
    """Return the switch's definition."""
    found: dict[str, Any] = json.loads((INFRA / "switch.definition.json").read_text(encoding="utf-8"))
    return found


def actions_of_type(where: Mapping[str, Any], kind: str) -> Iterator[dict[str, Any]]:
    """Yield every action of a type, at any depth."""
    for action in where.get("actions", {}).values():
        if action["type"] == kind:
            yield action
        yield from actions_of_type(action, kind)


@dataclass
class Run:
    """One run: whether every action succeeded, and each request in order: method, path and status."""

    succeeded: bool = True
    requests: list[tuple[str, str, int]] = field(default_factory=list)


async def run(definition: Mapping[str, Any], parameters: Mapping[str, Any], now: datetime) -> Run:
    """Run the definition at `now`, with real requests. A failed branch does not stop the others."""
    assert set(parameters) == set(definition["parameters"])
    async with aiohttp.ClientSession() as session:
        execution = _Execution(session, parameters, now)
        done = await execution.carry_out(definition["actions"], {}, {})
        return Run(done, execution.requests)


class _Execution:
    def __init__(self, session: aiohttp.ClientSession, parameters: Mapping[str, Any], now: datetime) -> None:
        self._session = session
        self._parameters = parameters
        self._now = now
        self.requests: list[tuple[str, str, int]] = []

    async def carry_out(
        self, actions: Mapping[str, Any], items: Mapping[str, Any], bodies: Mapping[str, Any]
    ) -> bool:
        """Run the actions of one scope. Actions after a failed one are skipped."""
        here, outcomes = dict(bodies), dict[str, bool]()
        for name, action in actions.items():
            after = action["runAfter"]
            if any(wanted != ["Succeeded"] for wanted in after.values()):
                raise WorkflowError(f"{name}: runAfter supports Succeeded only")
            if all(outcomes.get(earlier) for earlier in after):
                outcomes[name], here[name] = await self._act(name, action, items, here)
            else:
                outcomes[name] = False
        return all(outcomes.values())

    async def _act(
        self, name: str, action: Mapping[str, Any], items: Mapping[str, Any], bodies: Mapping[str, Any]
    ) -> tuple[bool, Any]:
        match action["type"]:
            case "Foreach":
                done = [
                    await self.carry_out(action["actions"], {**items, name: item}, bodies)
                    for item in self._value(action["foreach"], items, bodies)
                ]
                return all(done), None
            case "Query":
                kept = [
                    item
                    for item in self._value(action["inputs"]["from"], items, bodies)
                    if self._value(action["inputs"]["where"], {**items, "": item}, bodies)
                ]
                return True, kept
            case "Http":
                return await self._request(action, items, bodies)
            case kind:
                raise WorkflowError(f"{name}: the action {kind} is not supported")

    async def _request(
        self, action: Mapping[str, Any], items: Mapping[str, Any], bodies: Mapping[str, Any]
    ) -> tuple[bool, Any]:
        inputs = {
            key: self._value(value, items, bodies) if isinstance(value, str) else value
            for key, value in action["inputs"].items()
        }
        if inputs["authentication"]["type"] != "ManagedServiceIdentity":
            raise WorkflowError("requests must use the workflow's own identity")
        headers = {"Authorization": "Bearer of-the-switch"}
        async with self._session.request(inputs["method"], inputs["uri"], headers=headers) as response:
            self.requests.append((inputs["method"], response.url.path, response.status))
            if response.status == 202 and action.get("operationOptions") != "DisableAsyncPattern":
                raise WorkflowError("a 202 is polled at a URL that the switch has no right to read")
            text = await response.text()
            return response.ok, json.loads(text) if text else None

    def _value(self, text: str, items: Mapping[str, Any], bodies: Mapping[str, Any]) -> Any:
        """Evaluate a string of the definition: an expression, a text with expressions, or plain text."""

        def evaluate(expression: str) -> Any:
            return _Expression(expression, self._parameters, items, bodies, self._now).value()

        if text.startswith("@") and not text.startswith("@{"):
            return evaluate(text[1:])
        return re.sub(r"@\{([^}]*)\}", lambda match: str(evaluate(match[1])), text)


class _Expression:
    """One expression, evaluated as it is read."""

    def __init__(
        self,
        text: str,
        parameters: Mapping[str, Any],
        items: Mapping[str, Any],
        bodies: Mapping[str, Any],
        now: datetime,
    ) -> None:
        self._tokens = list(_tokens(text))
        self._parameters = parameters
        self._items = items
        self._bodies = bodies
        self._now = now

    def value(self) -> Any:
        result = self._operand()
        if self._tokens:
            raise WorkflowError(f"not understood: {self._tokens}")
        return result

    def _operand(self) -> Any:
        kind, text = self._tokens.pop(0)
        result: Any = text if kind == "text" else int(text) if kind == "number" else self._call(text)
        while self._tokens and self._tokens[0][1] in ("[", "?["):
            optional = self._tokens.pop(0)[1] == "?["
            key = self._operand()
            self._expect("]")
            if optional and not isinstance(result, dict):
                result = None
            else:
                result = result.get(key) if optional else result[key]
        return result

    def _call(self, name: str) -> Any:
        self._expect("(")
        arguments = []
        while self._tokens[0][1] != ")":
            arguments.append(self._operand())
            if self._tokens[0][1] == ",":
                self._tokens.pop(0)
        self._expect(")")
        return self._apply(name, arguments)

    def _apply(self, name: str, given: list[Any]) -> Any:
        match name, given:
            case "parameters", [str(key)]:
                return self._parameters[key]
            case "items", [str(loop)]:
                return self._items[loop]
            case "item", []:
                return self._items[""]
            case "body", [str(action)]:
                return self._bodies[action]
            case "and", [*values] if all(isinstance(value, bool) for value in values):
                return all(values)
            case "not", [bool(value)]:
                return not value
            case "equals", [left, right]:
                return left == right
            case "less", [str(left), str(right)]:
                return left < right
            case "length", [str(text)]:
                return len(text)
            case "indexOf", [str(text), str(part)]:
                return text.lower().find(part.lower())
            case "endsWith", [str(text), str(part)]:
                return text.lower().endswith(part.lower())
            case "coalesce", [*values]:
                return next((value for value in values if value is not None), None)
            case "utcNow", [str(form)]:
                return self._now.strftime(_DOTNET_TIMES[form])
            case _:
                raise WorkflowError(f"{name} cannot take {given}")

    def _expect(self, text: str) -> None:
        found = self._tokens.pop(0)[1]
        if found != text:
            raise WorkflowError(f"expected {text}, found {found}")


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise WorkflowError(f"not understood: {text[position:]}")
        quoted, number, name, mark = match.groups()
        if quoted is not None:
            yield "text", quoted.replace("''", "'")
        else:
            yield ("number", number) if number else ("name", name) if name else ("mark", mark)
        position = match.end()
