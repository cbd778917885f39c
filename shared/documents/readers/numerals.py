"""Write the numbers of lists and headings: 7, g, VII."""

from __future__ import annotations

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_MOST_LETTERS = 30 * len(_LETTERS)  # a number beyond is no honest one, and long
_ROMAN = {
    **{1000: "m", 900: "cm", 500: "d", 400: "cd", 100: "c", 90: "xc", 50: "l", 40: "xl"},
    **{10: "x", 9: "ix", 5: "v", 4: "iv", 1: "i"},
}
_MOST_ROMAN = 3999

BULLET = "• "
"""In place of any sign before an item, with the space after it."""


def letters(number: int) -> str:
    """Return a to z, then aa, bb and so on, as Word counts."""
    if not 0 < number <= _MOST_LETTERS:
        return str(number)
    return _LETTERS[(number - 1) % len(_LETTERS)] * ((number - 1) // len(_LETTERS) + 1)


def columns(number: int) -> str:
    """Return a to z, then aa, ab and so on, as web pages and OpenDocument count."""
    if not 0 < number <= _MOST_LETTERS:
        return str(number)
    text = ""
    while number:
        number, letter = divmod(number - 1, len(_LETTERS))
        text = _LETTERS[letter] + text
    return text


def roman(number: int) -> str:
    """Return a Roman number in small letters."""
    if not 0 < number <= _MOST_ROMAN:
        return str(number)
    text = ""
    for value, sign in _ROMAN.items():
        text += sign * (number // value)
        number %= value
    return text
