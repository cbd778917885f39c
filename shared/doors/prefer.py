"""Read from the header `Prefer` (RFC 7240) how long the caller waits for a result."""

from __future__ import annotations

import re

from shared.errors import InvalidRequest

LONGEST_WAIT = 200.0
"""Seconds; an HTTP response must come within 230 s."""
_PREFERENCE = re.compile(r'([^\s=,;"]+)\s*(?:=\s*("[^"]*"|[^\s,;"]*))?|"[^"]*"')
_SHOWN = 64  # characters shown of a caller's text


def wait_seconds(prefer: str | None) -> float:
    """Return the seconds of `Prefer: wait=N`, 200 at most; 0 without a wait. Other preferences are ignored.

    The header is untrusted. Raises InvalidRequest for a wait that is no whole number.
    """
    values = (each[2] for each in _PREFERENCE.finditer(prefer or "") if (each[1] or "").lower() == "wait")
    value = next(values, "0")
    digits = (value or "").strip('"')
    if not (digits.isascii() and digits.isdigit()):
        raise InvalidRequest(
            f"Prefer: wait is {digits[:_SHOWN]!r}, and must be a whole number of seconds: write wait=60 "
            f"({LONGEST_WAIT:.0f} at most), or leave the header out"
        )
    return min(float(digits[:9]), LONGEST_WAIT)
