"""Forks what multiprocessing would start anew, with all that is imported.

It imports nothing but the standard library, so that a program has no more for it.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from multiprocessing import util
from types import ModuleType
from typing import Any


def fork_instead() -> None:
    """Have multiprocessing fork its servers from now on."""
    util.spawnv_passfds = _fork


def _fork(path: bytes, args: Sequence[Any], passfds: Sequence[int]) -> int:
    """Do what ``multiprocessing.util.spawnv_passfds`` does for ``python -c``, without another interpreter."""
    if child := os.fork():
        return child
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):  # What is ignored stays so, as in a new interpreter.
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    kept = sorted({0, 1, 2, *map(int, passfds)})
    for before, after in zip(kept, [*kept[1:], os.sysconf("SC_OPEN_MAX")], strict=True):
        os.closerange(before + 1, after)
    sys.modules["__main__"] = module = ModuleType("__main__")
    try:
        exec(args[-1], vars(module))  # noqa: S102
    finally:
        os._exit(0)
