"""Evaluate Bicep files as far as the tests need: loops, conditions, modules and names.

No package registry has a Bicep compiler, so this module replaces its simplest checks: an undeclared name, a
missing or unknown parameter of a module, and a function that is not supported here are errors. It does not
know the types of Azure's resources.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import tree_sitter_bicep
import yaml
from tree_sitter import Language, Node, Parser

INFRA = Path(__file__).parents[2] / "infra"
RESOURCE_MANAGER = "https://management.azure.com/"

_PARSER = Parser(Language(tree_sitter_bicep.language()))


class BicepError(Exception):
    """An error that a compiler would report, with its place."""


class Later(str):
    """A value that only Azure knows, kept as its expression: `file.symbol.properties.name`."""

    __slots__ = ()

    def member(self, name: str | int) -> Later:
        return Later(f"{self}[{name}]" if isinstance(name, int) else f"{self}.{name}")


@dataclass(frozen=True)
class Resource:
    """A declared resource. `key`: how others refer to it, `file.symbol` plus the index in a loop."""

    key: str
    type: str  # without the API version
    existing: bool
    body: dict[str, Any]

    @property
    def properties(self) -> dict[str, Any]:
        found: dict[str, Any] = self.body["properties"]
        return found


@dataclass
class Deployed:
    """The resources and outputs that a file and its modules declare."""

    resources: dict[str, Resource] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    modules: dict[str, list[str]] = field(default_factory=dict)
    """Module file → names of its nested deployments."""

    def of_type(self, kind: str) -> list[Resource]:
        """Return the resources of a type that are created."""
        return [
            resource
            for resource in self.resources.values()
            if resource.type == kind and not resource.existing
        ]


def files() -> list[Path]:
    """Return every Bicep file of the project."""
    return sorted(INFRA.rglob("*.bicep"))


def parse(path: Path) -> Node:
    """Return the file's syntax tree, with ERROR and missing nodes where it is not Bicep."""
    return _PARSER.parse(path.read_bytes()).root_node


def syntax_errors(node: Node) -> Iterator[str]:
    """Yield each place where a tree is not Bicep."""
    if node.type == "ERROR" or node.is_missing:
        yield f"line {node.start_point.row + 1}: {_text(node)[:60]!r}"
    for child in node.children:
        yield from syntax_errors(child)


def declared_parameters(name: str) -> dict[str, bool]:
    """Return the parameters of a file, and whether each is required."""
    return {
        _text(node.named_children[0]): not any(child.type == "=" for child in node.children)
        for node in parse(INFRA / name).named_children
        if node.type == "parameter_declaration"
    }


def evaluate(name: str, parameters: Mapping[str, Any]) -> Deployed:
    """Return everything that a file and its modules declare, for these parameters. Raises BicepError."""
    declared = declared_parameters(name)
    if unknown := set(parameters) - set(declared):
        raise BicepError(f"{name} has no parameter {', '.join(sorted(unknown))}")
    if missing := {parameter for parameter, required in declared.items() if required} - set(parameters):
        raise BicepError(f"{name} needs the parameter {', '.join(sorted(missing))}")
    evaluation = _Evaluation(name, parameters)
    for node in parse(INFRA / name).named_children:
        evaluation.declare(node)
    return evaluation.deployed


class _Evaluation:
    """The evaluation of one file. Names are evaluated in order: our files declare them before use."""

    def __init__(self, name: str, parameters: Mapping[str, Any]) -> None:
        self._file = name
        self._stem = name.removesuffix(".bicep")
        self._given = parameters
        self._names: dict[str, Any] = {}
        self.deployed = Deployed()

    def declare(self, node: Node) -> None:
        children = node.named_children
        match node.type:
            case "parameter_declaration":
                name = _text(children[0])
                self._names[name] = (
                    self._given[name] if name in self._given else self._value(children[-1], {})
                )
            case "variable_declaration":
                self._names[_text(children[0])] = self._value(children[-1], {})
            case "resource_declaration":
                self._declare_resource(node)
            case "module_declaration":
                self._declare_module(node)
            case "output_declaration":
                self.deployed.outputs[_text(children[0])] = self._value(children[-1], {})
            case "comment" | "decorators" | "target_scope_assignment":
                pass
            case _:
                raise self._error(node, f"{node.type} is not supported here")

    def _declare_resource(self, node: Node) -> None:
        symbol, kind = _text(node.named_children[0]), self._value(node.named_children[1], {})
        key = f"{self._stem}.{symbol}"
        self._names[symbol] = Later(key)
        existing = any(child.type == "existing" for child in node.children)
        for index, body in self._bodies(node.named_children[-1]):
            where = key if index is None else f"{key}[{index}]"
            self.deployed.resources[where] = Resource(where, kind.partition("@")[0], existing, body)

    def _declare_module(self, node: Node) -> None:
        symbol, name = _text(node.named_children[0]), self._value(node.named_children[1], {})
        outputs: dict[str, Any] = {}
        for index, body in self._bodies(node.named_children[-1]):
            self.deployed.modules.setdefault(name, []).append(body["name"])
            module = evaluate(name, body["params"])
            suffix = "" if index is None else f"[{index}]"
            for key, resource in module.resources.items():
                self.deployed.resources[f"{key}{suffix}"] = replace(resource, key=f"{key}{suffix}")
            outputs = module.outputs
        self._names[symbol] = {"outputs": outputs}

    def _bodies(self, node: Node) -> Iterator[tuple[int | None, dict[str, Any]]]:
        """Yield the bodies of a resource or module: none if its condition is false, one per loop item."""
        if node.type == "for_statement":
            for index, scope, body in self._loop(node, {}):
                for _, value in self._conditional(body, scope):
                    yield index, value
        else:
            yield from self._conditional(node, {})

    def _conditional(self, node: Node, scope: dict[str, Any]) -> Iterator[tuple[None, dict[str, Any]]]:
        if node.type == "if_statement":
            condition, node = node.named_children
            if not self._value(condition, scope):
                return
        yield None, self._value(node, scope)

    def _loop(self, node: Node, scope: dict[str, Any]) -> Iterator[tuple[int, dict[str, Any], Node]]:
        variables, items, body = node.named_children
        names = [_text(each) for each in variables.named_children] or [_text(variables)]
        for index, item in enumerate(self._value(items, scope)):
            yield index, {**scope, **dict(zip(names, (item, index), strict=False))}, body

    def _value(self, node: Node, scope: dict[str, Any]) -> Any:
        children = [each for each in node.named_children if each.type != "comment"]
        match node.type:
            case "string":
                return "".join(self._piece(each, scope) for each in node.children[1:-1])
            case "number":
                return int(_text(node))
            case "null":
                return None
            case "boolean":
                return _text(node) == "true"
            case "array":
                return [self._value(each, scope) for each in children]
            case "object":
                return {
                    self._key(each, scope): self._value(each.named_children[-1], scope) for each in children
                }
            case "for_statement":
                return [self._value(body, inner) for _, inner, body in self._loop(node, scope)]
            case "parenthesized_expression":
                return self._value(children[0], scope)
            case "ternary_expression":
                return self._value(children[1 if self._value(children[0], scope) else 2], scope)
            case "unary_expression":
                return not self._value(children[0], scope)
            case "binary_expression" if _text(node.children[1]) == "-":
                return self._value(children[0], scope) - self._value(children[1], scope)
            case "member_expression":
                return self._member(node, self._value(children[0], scope), _text(children[1]))
            case "subscript_expression":
                return self._member(node, self._value(children[0], scope), self._value(children[1], scope))
            case "call_expression":
                arguments = [self._value(each, scope) for each in children[1].named_children]
                return self._call(node, _text(children[0]), arguments)
            case "identifier":
                name = _text(node)
                known = {**self._names, **scope}
                if name not in known:
                    raise self._error(node, f"{name} is not declared")
                return known[name]
            case _:
                raise self._error(node, f"{node.type} is not supported here")

    def _piece(self, node: Node, scope: dict[str, Any]) -> str:
        if node.type == "interpolation":
            return str(self._value(node.named_children[0], scope))
        return _text(node)[1:] if node.type == "escape_sequence" else _text(node)

    def _key(self, node: Node, scope: dict[str, Any]) -> str:
        name = node.named_children[0]
        return str(self._value(name, scope)) if name.type == "string" else _text(name)

    def _member(self, node: Node, value: Any, name: Any) -> Any:
        if isinstance(value, Later):
            return value.member(name)
        try:
            return value[name]
        except (KeyError, IndexError, TypeError):
            raise self._error(node, f"{_text(node)} does not exist") from None

    def _call(self, node: Node, name: str, arguments: list[Any]) -> Any:
        if name not in _FUNCTIONS:
            raise self._error(node, f"the function {name} is not supported here")
        return _FUNCTIONS[name](*arguments)

    def _error(self, node: Node, what: str) -> BicepError:
        return BicepError(f"{self._file}, line {node.start_point.row + 1}: {what}")


def _text(node: Node) -> str:
    assert node.text is not None
    return node.text.decode()


def _unique(text: str) -> str:
    """Return thirteen lower-case letters for a text. Azure's function does too, but with other letters."""
    digest = hashlib.sha256(text.encode()).digest()
    return "".join(chr(ord("a") + byte % 26) for byte in digest[:13])


def _yaml_part(name: str, path: str) -> Any:
    found: Any = yaml.load((INFRA / name).read_text(encoding="utf-8"), yaml.BaseLoader)
    for part in path.strip(".").split("."):
        found = found[part]
    return found


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "concat": lambda *lists: [item for part in lists for item in part],
    "empty": lambda value: not value,
    "endsWith": lambda text, end: text.endswith(end),
    "environment": lambda: {
        "resourceManager": RESOURCE_MANAGER,
        "suffixes": {"storage": "core.windows.net"},
    },
    "items": lambda value: [{"key": name, "value": each} for name, each in sorted(value.items())],
    "guid": lambda *parts: f"guid({', '.join(parts)})",
    "last": lambda items: items[-1],
    "length": len,
    "listKeys": lambda resource, version: Later(f"listKeys({resource})"),
    "loadJsonContent": lambda name: json.loads((INFRA / name).read_text(encoding="utf-8")),
    "loadYamlContent": _yaml_part,
    "resourceGroup": lambda *names: Later(f"resourceGroup({', '.join(names)})"),
    "split": lambda text, separator: text.split(separator),
    "string": lambda value: json.dumps(value, separators=(",", ":")),
    "subscription": lambda: {"id": "/subscriptions/here"},
    "subscriptionResourceId": lambda kind, name: f"{kind}/{name}",
    "substring": lambda text, start, length: text[start : start + length],
    "union": lambda first, second: {**first, **second},
    "uniqueString": lambda *parts: _unique("/".join(parts)),
}
