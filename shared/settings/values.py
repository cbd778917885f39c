"""Convert the scalars of deployments.yaml from strings. Raises ValueError with the remedy."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import zip_longest
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Annotated, Any

from pydantic import AfterValidator, Field, PlainValidator, ValidationInfo

from shared.model import Column
from shared.planning.observed import OUR_TAGS
from shared.schedule.public_holidays import is_region, regions
from shared.schedule.windows import DAY
from shared.settings.tasks import read_prompt, read_schema
from shared.settings.zone_names import time_zone

_BRACES = re.compile(r"\{([^{}]*[^{}\s][^{}]*)\}")
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*([smhd])\s*", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_LONGEST_DURATION = timedelta(days=30)
_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)|24:00", re.ASCII)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_ACCOUNT_ID = re.compile(
    r"/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.CognitiveServices/accounts/[^/]+",
    re.IGNORECASE,
)
_LONGEST_TAG, _LONGEST_TAG_VALUE = 512, 256
_NOT_IN_TAGS = "<>%&\\?/"
_RESERVED_FOR_AZURE = ("microsoft", "azure", "windows")
_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"


def _text(value: str) -> str:
    if value.strip() in ("", "~", "null"):
        raise ValueError("has no value: write one, or remove the key")
    return value


def _duration(value: Any) -> timedelta:
    parts = _DURATION.findall(str(value))
    if not parts or _DURATION.sub("", str(value)):
        raise ValueError("write a duration such as 90s, 15m, 12h or 1h30m")
    too_long = ValueError(f"is too long: {_LONGEST_DURATION.days} days at most")
    try:
        total = sum((timedelta(**{_UNITS[unit]: float(n)}) for n, unit in parts), timedelta())
    except OverflowError as error:  # longer than a timedelta holds
        raise too_long from error
    if total > _LONGEST_DURATION:
        raise too_long
    return total


def _day_at_most(value: timedelta) -> timedelta:
    if value > DAY:
        raise ValueError("is too long: a day at most")
    return value


def _account_id(value: str) -> str:
    if not _ACCOUNT_ID.fullmatch(value.rstrip("/")):
        raise ValueError(
            "write the account's resource id: /subscriptions/…/resourceGroups/…/providers/"
            "Microsoft.CognitiveServices/accounts/NAME"
        )
    return value.rstrip("/")


def _days(value: Any) -> frozenset[int]:
    """Parse names of days. Numbers are refused: they may begin with Sunday or Monday, at 0 or 1."""
    found: set[int] = set()
    text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    for part in text.lower().replace("daily", "mon-sun").split(","):
        first, dash, last = part.strip().partition("-")
        last = last if dash else first
        if first not in _DAYS or last not in _DAYS:
            raise ValueError("write days as daily, mon-fri or mon,wed,sat")
        begin, end = _DAYS.index(first), _DAYS.index(last)
        found |= {day % 7 for day in range(begin, end + 1 if end >= begin else end + 8)}
    return frozenset(found)


def _moment(value: Any) -> datetime | timedelta:
    """Parse HH:MM as the time since midnight, or the instant of a one-off window."""
    text = str(value)
    if _TIME.fullmatch(text):
        return timedelta(hours=int(text[:2]), minutes=int(text[3:]))
    return _iso_time(text, "write HH:MM, or for a one-off window an ISO time such as 2026-11-22T14:00:00Z")


def _instant(value: Any) -> datetime:
    return _iso_time(str(value), "write an ISO time such as 2026-11-22T14:00:00Z")


def _iso_time(text: str, remedy: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(remedy) from None
    if at.tzinfo is None:
        local = at.isoformat()
        raise ValueError(f"names no zone: write {local}Z for UTC, or an offset such as {local}+01:00")
    if not 2000 <= at.year < 2100:
        raise ValueError("write a year from 2000 to 2099")
    return at.astimezone(UTC)


def _date(value: Any) -> date:
    try:
        if not _DATE.fullmatch(str(value)):
            raise ValueError
        on = date.fromisoformat(str(value))
    except ValueError:
        raise ValueError("write a date such as 2026-12-24") from None
    if not 2000 <= on.year < 2100:
        raise ValueError("write a year from 2000 to 2099")
    return on


def _region(value: str) -> str:
    """Check a country whose public holidays are known, or a subdivision of it: DE, DE-BE."""
    if is_region(value):
        return value
    known = regions()  # loads every country: half a second of CPU time
    country, dash, subdivision = value.partition("-")
    if country not in known:
        close = difflib.get_close_matches(country.upper(), known, n=1)
        hint = f": did you mean {close[0] + dash + subdivision!r}?" if close else ""
        raise ValueError(
            f"unknown country {country[:80]!r}{hint or '; write an ISO code such as DE or DE-BE'}"
        )
    if dash and subdivision not in known[country]:
        names = {name.lower(): name for name in known[country]}
        close = difflib.get_close_matches(subdivision.lower(), names, n=1)
        hint = (
            f"did you mean {f'{country}-{names[close[0]]}'!r}?" if close else _known(country, known[country])
        )
        raise ValueError(f"unknown subdivision {subdivision[:80]!r} of {country}: {hint}")
    return value


def _known(country: str, subdivisions: Sequence[str]) -> str:
    return f"known are {', '.join(subdivisions)}" if subdivisions else f"none is known, write {country}"


def _tags(value: Mapping[str, str]) -> Mapping[str, str]:
    """Check tags by Azure's rules.

    https://learn.microsoft.com/azure/azure-resource-manager/management/tag-resources
    """
    first: dict[str, str] = {}
    for name, text in value.items():
        lower = name.lower()
        if lower in OUR_TAGS:
            raise ValueError(f"the tag {name} is set by Lamplighter itself: remove it")
        if len(name) > _LONGEST_TAG:
            raise ValueError(f"the name {name[:40]!r}… is longer than {_LONGEST_TAG} characters: shorten it")
        if bad := next((character for character in name if character in _NOT_IN_TAGS), None):
            refused = " ".join(_NOT_IN_TAGS)
            raise ValueError(
                f"the name {name!r} holds {bad!r}, and Azure refuses {refused} in names of tags: leave it out"
            )
        if prefix := next((reserved for reserved in _RESERVED_FOR_AZURE if lower.startswith(reserved)), None):
            raise ValueError(
                f"{name!r} begins with {prefix!r}, which Azure keeps for itself: name it otherwise"
            )
        if len(text) > _LONGEST_TAG_VALUE:
            raise ValueError(
                f"the value of {name!r} is longer than {_LONGEST_TAG_VALUE} characters: shorten it"
            )
        if (other := first.setdefault(lower, name)) != name:
            raise ValueError(f"{other!r} and {name!r} are one tag to Azure, which ignores case: remove one")
    return value


def _row_text(value: Any) -> tuple[str | Column, ...]:
    """Parse what a row's request is about: a column's name, or a template with names in braces."""
    if not isinstance(value, str):
        raise ValueError("write one value here, not a list or a section")
    value = _text(value)
    if "{" not in value and "}" not in value:
        return (Column(value.strip()),)
    pieces = list[str | Column]()
    for literal, name in zip_longest(_BRACES.split(value)[::2], _BRACES.findall(value)):
        if "{" in literal or "}" in literal:
            raise ValueError("write each column's name in one pair of braces, such as {title}: {body}")
        pieces += [literal] if literal else []
        pieces += [Column(name.strip())] if name is not None else []
    return tuple(pieces)


def _prompt(value: str, info: ValidationInfo) -> str:
    return read_prompt(_beside(info, value))


def _schema(value: Any, info: ValidationInfo) -> Mapping[str, Any]:
    return read_schema(_beside(info, _text(str(value))))


def _beside(info: ValidationInfo, name: str) -> Path:
    assert isinstance(info.context, Path)
    if PurePosixPath(name).is_absolute() or PureWindowsPath(name).is_absolute():
        raise ValueError(
            "is a path of this machine, and Azure has only what is sent with deployments.yaml: name a file "
            "beside it, such as tasks/summary.md"
        )
    return info.context / name


Text = Annotated[str, AfterValidator(_text)]
Name = Annotated[str, Field(pattern=_NAME)]
Zone = Annotated[str, AfterValidator(time_zone)]
AccountId = Annotated[str, AfterValidator(_account_id)]
Duration = Annotated[timedelta, PlainValidator(_duration)]
Span = Annotated[Duration, AfterValidator(_day_at_most)]
Days = Annotated[frozenset[int], PlainValidator(_days)]
Moment = Annotated[datetime | timedelta, PlainValidator(_moment)]
Date = Annotated[date, PlainValidator(_date)]
Region = Annotated[Text, AfterValidator(_region)]
Instant = Annotated[datetime, PlainValidator(_instant)]
Positive = Annotated[int, Field(gt=0, lt=10**9)]
Price = Annotated[float, Field(ge=0, lt=10**9)]
Tags = Annotated[dict[Text, Text], Field(max_length=40), AfterValidator(_tags)]
Prompt = Annotated[Text, AfterValidator(_prompt)]
RowText = Annotated[tuple[str | Column, ...], PlainValidator(_row_text)]
Schema = Annotated[Mapping[str, Any], PlainValidator(_schema)]
