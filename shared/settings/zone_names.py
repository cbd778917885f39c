"""Check that names of time zones are IANA names of a place, and suggest one for all others."""

from __future__ import annotations

import difflib
import functools
import re
from zoneinfo import available_timezones

from shared.settings.windows_zones import WINDOWS_ZONES

_ABBREVIATIONS = {
    **dict.fromkeys(("EST", "EDT", "ET"), "America/New_York"),
    **dict.fromkeys(("CST", "CDT", "CT"), "America/Chicago"),
    **dict.fromkeys(("MST", "MDT", "MT"), "America/Denver"),
    **dict.fromkeys(("PST", "PDT", "PT"), "America/Los_Angeles"),
    **dict.fromkeys(("AKST", "AKDT"), "America/Anchorage"),
    **dict.fromkeys(("AST", "ADT"), "America/Halifax"),
    **dict.fromkeys(("NST", "NDT"), "America/St_Johns"),
    **{"HST": "Pacific/Honolulu", "BRT": "America/Sao_Paulo", "ART": "America/Argentina/Buenos_Aires"},
    **{"CLT": "America/Santiago", "COT": "America/Bogota", "PET": "America/Lima"},
    **dict.fromkeys(("CEST", "MEZ", "MESZ"), "Europe/Berlin"),
    **{"BST": "Europe/London", "WEST": "Europe/Lisbon", "EEST": "Europe/Helsinki"},
    **{"MSK": "Europe/Moscow", "TRT": "Europe/Istanbul", "GST": "Asia/Dubai", "PKT": "Asia/Karachi"},
    **{"IST": "Asia/Kolkata", "ICT": "Asia/Bangkok", "WIB": "Asia/Jakarta", "PHT": "Asia/Manila"},
    **{"SGT": "Asia/Singapore", "HKT": "Asia/Hong_Kong", "JST": "Asia/Tokyo", "KST": "Asia/Seoul"},
    **dict.fromkeys(("AEST", "AEDT"), "Australia/Sydney"),
    **dict.fromkeys(("ACST", "ACDT"), "Australia/Adelaide"),
    **{"AWST": "Australia/Perth"},
    **dict.fromkeys(("NZST", "NZDT"), "Pacific/Auckland"),
    **{"SAST": "Africa/Johannesburg", "EAT": "Africa/Nairobi", "CAT": "Africa/Maputo", "WAT": "Africa/Lagos"},
}
"""Abbreviations that are unknown or have no summer time, with the place that is most likely meant."""

_CONTINENTS = {
    **{"CET": "Europe/Berlin", "MET": "Europe/Berlin", "EET": "Europe/Helsinki", "WET": "Europe/Lisbon"},
    **{"EST5EDT": "America/New_York", "CST6CDT": "America/Chicago"},
    **{"MST7MDT": "America/Denver", "PST8PDT": "America/Los_Angeles"},
}
"""Zones that name no place, with a place that has the same rules."""

_OF_THE_MACHINE = ("localtime", "posixrules", "factory")
_OFFSET = re.compile(r"(?:UTC|GMT|Z)?\s*([+-])(\d{1,2})(?::?(\d{2}))?", re.ASCII | re.IGNORECASE)
_REVERSED = re.compile(r"Etc/GMT([+-])([1-9]\d?)", re.ASCII)
_SHOWN = 80

_zones = functools.cache(available_timezones)  # Python walks through a thousand files at each call


def time_zone(value: str) -> str:
    """Return an IANA name that means the same on every machine. Raises ValueError with the one to write."""
    shown, lower = value[:_SHOWN], value.lower()
    if lower in _OF_THE_MACHINE:
        raise ValueError(
            f"{shown!r} is another zone on every machine: write an IANA name such as 'Europe/Berlin'"
        )
    if place := _ABBREVIATIONS.get(value.upper()):
        raise ValueError(
            f"{shown!r} is an abbreviation, which has no summer time or several meanings: write the IANA "
            f"name of a place, such as {place!r}"
        )
    zones = _zones()
    if value in zones:
        return value
    if same := next((zone for zone in zones if zone.lower() == lower), None):
        raise ValueError(f"unknown time zone {shown!r}: did you mean {same!r}?")
    windows = {name.lower(): zone for name, zone in WINDOWS_ZONES.items()}
    if lower in windows:
        raise ValueError(f"{shown!r} is a name of Windows: write the IANA name {windows[lower]!r}")
    if (offset := _OFFSET.fullmatch(value)) is not None:
        raise ValueError(_instead_of_offset(shown, *offset.groups()))
    close = difflib.get_close_matches(shown, zones - {*_ABBREVIATIONS, *_CONTINENTS, "localtime"}, n=1)
    hint = f": did you mean {close[0]!r}?" if close else "; write an IANA name such as 'Europe/Berlin'"
    raise ValueError(f"unknown time zone {shown!r}{hint}")


def _instead_of_offset(shown: str, sign: str, hours: str, minutes: str | None) -> str:
    """Return the advice for an offset. The names of fixed zones have POSIX's sign, which is reversed."""
    advice = f"{shown!r} is an offset: write the IANA name of a place, which knows its summer time"
    name = f"Etc/GMT{'-' if sign == '+' else '+'}{int(hours)}" if int(hours) else "Etc/UTC"
    if int(minutes or 0) or name not in _zones():
        return advice
    return f"{advice}, or {name!r} for {sign}{int(hours):02}:00 all year" + (
        " (its sign is reversed)" if int(hours) else ""
    )


def zone_doubt(name: str) -> str | None:
    """Return a warning for a valid zone that is likely not intended; else None."""
    if place := _CONTINENTS.get(name):
        return f"the time zone {name!r} is no place's: write one, such as {place!r}"
    if (fixed := _REVERSED.fullmatch(name)) is not None:
        east, hours = fixed[1] == "-", int(fixed[2])
        return (
            f"the time zone {name!r} is {hours} h {'ahead of' if east else 'behind'} UTC all year, as its "
            "sign is reversed: write the IANA name of a place if another is meant, or if it has summer time"
        )
    return None
