"""Read from the app's source what it uses in Azure: tables, containers, ARM operations and events."""

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
    """Return the tables that the app names in calls of the port."""
    return set(_named_in_calls(Tables, "tables"))


def containers() -> set[str]:
    """Return the containers that the app names by a constant in calls of the port."""
    return set(_named_in_calls(Blobs, "blobs"))


def arm_operations() -> set[str]:
    """Return the operations of the management SDK that the adapter calls, such as `deployments.list`."""
    source = (ROOT / "shared" / "providers" / "azure_openai" / "arm.py").read_text(encoding="utf-8")
    return {
        f"{call.func.value.attr}.{call.func.attr}"
        for call in ast.walk(ast.parse(source))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and isinstance(call.func.value, ast.Attribute)
        and _is_client(call.func.value.value)
    }


def alerts() -> set[str]:
    """Return the names of all alerts."""
    return {str(alert) for alert in Alert}


def plain_events() -> set[str]:
    """Return the names of all events that are not alerts."""
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
    """Yield every module of the app and its source, except the adapters, which serve any table."""
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
    """Return `tables` for `self._tables`, `control.tables` and `tables`."""
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return name.lstrip("_")


def _is_client(node: ast.expr) -> bool:
    """Return whether the expression is `self._client(…)`."""
    return isinstance(node, ast.Call) and _last_name(node.func) == "client"
