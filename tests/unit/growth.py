"""Check that work grows with its input, by two sizes in one run: absolute times are too noisy."""

from __future__ import annotations

import time
from collections.abc import Callable

_TIMES = 4
_NOISE = 2.5  # quadratic work takes 4 times as long as linear work at four times the size


def grows_linearly(work: Callable[[int], object], size: int) -> bool:
    """Return whether four times the size takes about four times the CPU time, and not sixteen times.

    `size`: so large that the work takes 10 ms or more.
    """
    small, large = (min(_seconds(work, each) for _ in range(3)) for each in (size, _TIMES * size))
    return large < _NOISE * _TIMES * small


def _seconds(work: Callable[[int], object], size: int) -> float:
    began = time.process_time()
    work(size)
    return time.process_time() - began
