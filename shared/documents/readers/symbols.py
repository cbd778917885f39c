"""Give symbols of Word's picture fonts (w:sym) as characters: their codes are places in a font."""

from __future__ import annotations

_PRIVATE = range(0xF000, 0xF100)  # where Windows puts the codes of such fonts
_UNKNOWN = "\ufffd"
_WINGDINGS = {
    **{0x6C: "●", 0x6E: "■", 0x6F: "☐", 0x71: "☐", 0x72: "☐", 0x78: "☒", 0xA7: "▪", 0xA8: "☐"},
    **{0xD8: "➢", 0xDF: "←", 0xE0: "→", 0xE1: "↑", 0xE2: "↓", 0xE8: "➔"},
    **{0xFB: "✗", 0xFC: "✓", 0xFD: "☒", 0xFE: "☑"},
}
_WINGDINGS_2 = {0x4F: "✗", 0x50: "✓", 0x51: "☒", 0x52: "☑", 0x53: "☒", 0x54: "☒", 0xA3: "☐"}
_SYMBOL = {
    **dict(enumerate("ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ", 0x41)),
    **dict(enumerate("αβχδεφγηιϕκλμνοπθρστυϖωξψζ", 0x61)),
    **{0xA3: "≤", 0xA5: "∞", 0xAB: "↔", 0xAC: "←", 0xAD: "↑", 0xAE: "→", 0xAF: "↓", 0xB0: "°", 0xB1: "±"},
    **{0xB3: "≥", 0xB4: "×", 0xB7: "•", 0xB8: "÷", 0xB9: "≠", 0xBA: "≡", 0xBB: "≈", 0xD2: "®", 0xD3: "©"},
    **{0xD4: "™", 0xD5: "∏", 0xD6: "√", 0xD7: "⋅", 0xDE: "⇒", 0xE5: "∑", 0xF2: "∫"},
}
_FONTS = {"wingdings": _WINGDINGS, "wingdings 2": _WINGDINGS_2, "symbol": _SYMBOL}


def symbol(font: str, code: str) -> str:
    """Return the character. `code`: in hexadecimal. An unknown one is U+FFFD: a sign stands there."""
    try:
        place = int(code, 16)
    except ValueError:
        return _UNKNOWN
    if place in _PRIVATE:
        place -= _PRIVATE.start
    known = _FONTS.get(font.lower())
    if known is not None:
        return known.get(place, _ascii(place) if known is _SYMBOL else _UNKNOWN)
    return chr(place) if 0x20 <= place < 0xD800 else _UNKNOWN


def _ascii(place: int) -> str:
    """Return digits and punctuation, which stand in Symbol where ASCII has them."""
    return chr(place) if 0x20 <= place < 0x40 else _UNKNOWN
