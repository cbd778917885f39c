"""Values that conform to a JSON schema, chosen deterministically from the schema and a text."""

import hashlib
import math
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import jsonschema
from referencing.exceptions import Unresolvable

_DEEP = 8  # from this depth on, only required properties
_TOO_DEEP = 64
_SPREAD = 100  # the range of a number that has only one bound
_Pick = Callable[[int], int]  # a number below the given one


class Unanswerable(Exception):
    """No value was found for the schema; the message names the keyword."""


def conforming_value(schema: dict[str, Any], text: str) -> object:
    """Return a value that conforms to the schema; strings are words of the text.

    Raises jsonschema.SchemaError for an invalid schema, and Unanswerable if no value was found: the value is
    only checked against `pattern`, `not` and conditions, not chosen by them.
    """
    jsonschema.Draft202012Validator.check_schema(schema)
    value = _Maker(schema, text).make(schema, "$", 0)
    try:
        checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
        jsonschema.validate(value, schema, jsonschema.Draft202012Validator, format_checker=checker)
    except jsonschema.ValidationError as error:
        raise Unanswerable(f"'{error.validator}' at {error.json_path} is not met") from error
    except Unresolvable as error:
        raise Unanswerable("a '$ref' leads out of the schema") from error
    return value


class _Maker:
    def __init__(self, root: dict[str, Any], text: str) -> None:
        self._root = root
        self._words = text.split() or ["text"]
        self._seed = hashlib.sha256(text.encode()).hexdigest()

    def make(self, schema: object, path: str, depth: int) -> object:
        if depth > _TOO_DEEP:
            raise Unanswerable(f"it never ends at {path[:80]}")
        if not isinstance(schema, dict):
            return self._string({}, path)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return schema["enum"][self._pick(path, len(schema["enum"]))]
        if "$ref" in schema:
            rest = {key: value for key, value in schema.items() if key != "$ref"}
            return self.make({**self._resolved(schema["$ref"]), **rest}, path, depth + 1)
        if schema.get("allOf"):
            return self.make(self._merged(schema), path, depth + 1)
        for choice in ("anyOf", "oneOf"):
            if schema.get(choice):
                rest = {key: value for key, value in schema.items() if key != choice}
                return self.make(rest | self._branch(schema[choice], path, depth), path, depth + 1)
        return self._of_type(schema, path, depth)

    def _of_type(self, schema: Mapping[str, Any], path: str, depth: int) -> object:
        kind = schema.get("type") or _implied_type(schema)
        if isinstance(kind, list):
            kind = "null" if depth >= _DEEP and "null" in kind else kind[0]
        match kind:
            case "object":
                return self._object(schema, path, depth)
            case "array":
                return self._array(schema, path, depth)
            case "integer" | "number":
                return self._number(schema, path, whole=kind == "integer")
            case "boolean":
                return self._pick(path, 2) == 1
            case "null":
                return None
            case _:
                return self._string(schema, path)

    def _object(self, schema: Mapping[str, Any], path: str, depth: int) -> dict[str, object]:
        properties = schema.get("properties", {})
        required = schema.get("required", [])
        names = [*properties, *(name for name in required if name not in properties)]
        if depth >= _DEEP:
            names = [name for name in names if name in required]
        return {name: self.make(properties.get(name, {}), f"{path}.{name}", depth + 1) for name in names}

    def _array(self, schema: Mapping[str, Any], path: str, depth: int) -> list[object]:
        first = schema.get("prefixItems", [])
        least = schema.get("minItems", 0)
        wanted = max(least, len(first)) if depth >= _DEEP else max(least, len(first), 1)
        size = min(wanted, schema.get("maxItems", wanted))
        items = [*first[:size], *[schema.get("items", {})] * (size - len(first[:size]))]
        return [self.make(item, f"{path}[{at}]", depth + 1) for at, item in enumerate(items)]

    def _number(self, schema: Mapping[str, Any], path: str, *, whole: bool) -> int | float:
        if not whole and "multipleOf" not in schema:
            return self._fraction(schema, path)
        step = schema.get("multipleOf", 1)
        least = [math.ceil(schema["minimum"] / step)] if "minimum" in schema else []
        most = [math.floor(schema["maximum"] / step)] if "maximum" in schema else []
        if "exclusiveMinimum" in schema:
            least.append(math.floor(schema["exclusiveMinimum"] / step) + 1)
        if "exclusiveMaximum" in schema:
            most.append(math.ceil(schema["exclusiveMaximum"] / step) - 1)
        low = max(least) if least else min([0, *(bound - _SPREAD for bound in most)])
        high = min(most) if most else low + _SPREAD
        if high < low:
            raise Unanswerable(f"no number lies within the bounds at {path}")
        value = (low + self._pick(path, high - low + 1)) * step
        return int(value) if whole else value

    def _fraction(self, schema: Mapping[str, Any], path: str) -> float:
        lows = [schema[key] for key in ("minimum", "exclusiveMinimum") if key in schema]
        highs = [schema[key] for key in ("maximum", "exclusiveMaximum") if key in schema]
        low = max(lows) if lows else min([0, *(bound - _SPREAD for bound in highs)])
        high = min(highs) if highs else low + _SPREAD
        # Strictly inside, so that exclusive bounds are met as well.
        return float(low + (high - low) * (1 + self._pick(path, _SPREAD - 1)) / _SPREAD)

    def _string(self, schema: Mapping[str, Any], path: str) -> str:
        form = schema.get("format")
        if isinstance(form, str) and form in _FORMATS:
            return _FORMATS[form](lambda below: self._pick(path, below))
        start = self._pick(path, len(self._words))
        value = " ".join(self._words[start : start + 3])
        least = schema.get("minLength", 0)
        value += "".join("." for _ in range(least - len(value)))
        return value[: schema.get("maxLength", max(least, 80))]

    def _branch(self, branches: list[Any], path: str, depth: int) -> dict[str, Any]:
        usable = [branch for branch in branches if isinstance(branch, dict)]
        if depth >= _DEEP:
            # To end a recursion, prefer null, then a branch that is not a reference.
            usable.sort(key=lambda branch: (branch.get("type") != "null", "$ref" in branch))
            return usable[0] if usable else {}
        return usable[self._pick(path, len(usable))] if usable else {}

    def _merged(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        merged = {key: value for key, value in schema.items() if key != "allOf"}
        for part in schema["allOf"]:
            whole = {**self._resolved(part["$ref"]), **part} if "$ref" in part else dict(part)
            whole.pop("$ref", None)
            for key, value in whole.items():
                if key == "properties":
                    merged[key] = {**merged.get(key, {}), **value}
                elif key in ("required", "allOf"):
                    merged[key] = [*merged.get(key, []), *value]
                else:
                    merged[key] = value
        return merged

    def _resolved(self, reference: object) -> dict[str, Any]:
        if not isinstance(reference, str) or not reference.startswith("#"):
            raise Unanswerable("a '$ref' leads out of the schema")
        found: Any = self._root
        for part in reference.lstrip("#").split("/")[1:]:
            part = part.replace("~1", "/").replace("~0", "~")
            found = found.get(part) if isinstance(found, dict) else None
        if not isinstance(found, dict):
            raise Unanswerable(f"a '$ref' has no target: {reference[:80]}")
        return found

    def _pick(self, path: str, below: int) -> int:
        digest = hashlib.sha256(f"{self._seed}{path}".encode()).digest()
        return int.from_bytes(digest[:8], "big") % max(1, below)


def _implied_type(schema: Mapping[str, Any]) -> str:
    if "properties" in schema or "required" in schema:
        return "object"
    if "items" in schema or "prefixItems" in schema:
        return "array"
    return "number" if "minimum" in schema or "maximum" in schema else "string"


def _moment(pick: _Pick) -> datetime:
    return datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=pick(366), seconds=pick(86_400))


_FORMATS: dict[str, Callable[[_Pick], str]] = {
    "date": lambda pick: _moment(pick).date().isoformat(),
    "date-time": lambda pick: _moment(pick).isoformat().replace("+00:00", "Z"),
    "time": lambda pick: _moment(pick).time().isoformat() + "Z",
    "duration": lambda pick: f"P{pick(30) + 1}D",
    "email": lambda pick: f"person{pick(1000)}@example.com",
    "hostname": lambda pick: f"host{pick(1000)}.example.com",
    "ipv4": lambda pick: f"192.0.2.{pick(255)}",
    "ipv6": lambda pick: f"2001:db8::{pick(0xFFFF) + 1:x}",
    "uri": lambda pick: f"https://example.com/{pick(1000)}",
    "uuid": lambda pick: str(uuid.UUID(int=pick(2**62), version=4)),
}
