"""Count tokens as the models do.

The encoding is o200k, of gpt-4o and all later models: https://github.com/openai/tiktoken
"""

from __future__ import annotations

from functools import cache

import quicktok

PER_MESSAGE = 4
"""Tokens that surround each message of a chat, its role included."""
PER_REPLY = 3
"""Tokens with which each reply begins. https://cookbook.openai.com/examples/how_to_count_tokens_with_tiktoken"""


def count(text: str) -> int:
    """Return the number of tokens of a text."""
    tokens: int = _encoding().count(_encodable(text))
    return tokens


def cut(text: str, tokens: int) -> str:
    """Return the first `tokens` tokens of a text, without a character that is not complete."""
    encoding = _encoding()
    first = encoding.encode_ordinary(_encodable(text))[:tokens]
    data: bytes = encoding.decode_bytes(first)
    return data.decode(errors="ignore")


def _encodable(text: str) -> str:
    """Replace halves of surrogate pairs, which JSON can carry and UTF-8 cannot."""
    return text if text.isascii() else text.encode(errors="replace").decode()


@cache
def _encoding() -> quicktok.Tokenizer:
    return quicktok.get_encoding("o200k_base")
