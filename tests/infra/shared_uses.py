"""What the app uses of Azure, read from its own source: tables, containers, calls to ARM, events."""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from shared.alerts import Alert
from shared.ports import Blobs, Tables

ROOT = Path(__file__).parents[2]


def tables() -> set[str]:
    """The tables that any part of the app names in a call of the port."""
    return set(_named_in_calls(Tables, "tables"))


def containers() -> set[str]:
    """The containers that any part of the app names in a call of the port by a constant."""
    return set(_named_in_calls(Blobs, "blobs"))


def arm_operations() -> set[str]:
    """The operations of the management SDK that the adapter calls, such as `deployments.list`."""
    source = (ROOT / "shared" / "adapters" / "arm.py").read_text(encoding="utf-8")
    return {
        f"{call.func.value.attr}.{call.func.attr}"
        for call in ast.walk(ast.parse(source))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and isinstance(call.func.value, ast.Attribute)
        and _is_client(call.func.value.value)
    }


def alerts() -> set[str]:
    """The names of all alerts."""
    return {str(each) for each in Alert}


def plain_events() -> set[str]:
    """The names of all events that are no alerts."""
    return {
        call.args[0].value
        for _, tree in _modules()
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id == "event"
        and call.args
        and isinstance(call.args[0], ast.Constant)
    }


def _modules() -> Iterator[tuple[ModuleType, ast.Module]]:
    """Every module of the app but the adapters, which serve any table and container, and its source."""
    for path in sorted((ROOT / "shared").rglob("*.py")):
        relative = path.relative_to(ROOT).with_suffix("")
        if "adapters" in relative.parts or relative.name == "__main__":
            continue
        name = ".".join(relative.parts).removesuffix(".__init__")
        yield importlib.import_module(name), ast.parse(path.read_text(encoding="utf-8"))


def _named_in_calls(port: type, receiver: str) -> Iterator[str]:
    methods = {name for name, _ in inspect.getmembers(port, inspect.isfunction) if not name.startswith("_")}
    for module, tree in _modules():
        for call in ast.walk(tree):
            if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
                continue
            if call.func.attr not in methods or _last_name(call.func.value) != receiver:
                continue
            name = call.args[0]
            if isinstance(name, ast.Constant):
                yield str(name.value)
            elif isinstance(name, ast.Name) and isinstance(value := getattr(module, name.id, None), str):
                yield value


def _last_name(node: ast.expr) -> str:
    """`tables` of `self._tables`, of `control.tables` and of `tables`."""
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return name.lstrip("_")


def _is_client(node: ast.expr) -> bool:
    """Whether it is `self._client(…)`."""
    return isinstance(node, ast.Call) and _last_name(node.func) == "client"
