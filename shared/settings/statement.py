"""Check that the `select` of a source is one statement that only reads, as far as its text shows.

The database has the last word: the statement stands in parentheses as a part of another SELECT, in a
read-only transaction where there are such, and its role should have no right but to read.
"""

from __future__ import annotations

import re

_TOKEN = re.compile(
    r"""--[^\n]* | '(?:[^']|'')*' | "(?:[^"]|"")*" | \[[^\]]*\] | (?P<dollar>\$\w*\$).*?(?P=dollar)
    | (?P<comment>/\*) | (?P<word>\w+) | (?P<mark>[;()'"])""",
    re.VERBOSE | re.DOTALL,
)
_COMMENT = re.compile(r"/\*|\*/")
_WRITES = frozenset(
    {
        *("insert", "update", "delete", "merge", "truncate", "into", "copy"),
        *("create", "alter", "drop", "grant", "revoke", "call", "exec", "execute"),
    }
)


def objection(statement: str) -> str | None:
    """Return why a statement cannot be the `select` of a source; None if it may be."""
    words, depth, at = list[str](), 0, 0
    while (token := _TOKEN.search(statement, at)) is not None:
        at = token.end()
        if token["comment"]:
            at = _after_comment(statement, at)
            if at < 0:
                return "has a comment without an end"
        elif token["word"]:
            words.append(token["word"].lower())
        elif token["mark"] == ";":
            return "must be one statement: remove the semicolon"
        elif token["mark"] in ("'", '"'):
            return "has a quote without an end"
        elif token["mark"]:
            depth += 1 if token["mark"] == "(" else -1
            if depth < 0:
                break
    if depth:
        return "has a parenthesis without its counterpart"
    if not words or words[0] not in ("select", "with"):
        return "must be a SELECT"
    if found := _WRITES.intersection(words):
        return f"must only read, and has {sorted(found)[0].upper()}: put quotes around it if it is a name"
    return None


def _after_comment(statement: str, at: int) -> int:
    """Return where a comment ends, in which others may be nested; -1 if it does not end."""
    depth = 1
    while depth:
        mark = _COMMENT.search(statement, at)
        if mark is None:
            return -1
        depth += 1 if mark[0] == "/*" else -1
        at = mark.end()
    return at
