"""Ends an example in one line: at Ctrl+C, or when nobody reads what it prints any more."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable

INTERRUPTED = 130
"""The exit code that a shell gives to what Ctrl+C has ended."""


def end_at_ctrl_c() -> None:
    """End the program at Ctrl+C at once. The imports take seconds, and there is nothing to clean up yet."""
    signal.signal(signal.SIGINT, lambda *_: (os.write(2, b"Interrupted.\n"), os._exit(INTERRUPTED)))


class Printer:
    """Prints what callbacks tell, but outside of them: whoever calls them drops what they raise.

    It prints where standard output was when it was made, whatever that is redirected to later.
    """

    def __init__(self) -> None:
        self._shown = sys.stdout
        self._lines: list[str] = []

    def add(self, line: str) -> None:
        """Have a line printed with the next :meth:`show`."""
        self._lines.append(line)

    def show(self) -> None:
        """Print what was added since; raises ``BrokenPipeError`` where nobody reads it."""
        lines, self._lines = self._lines, []
        if lines:
            print(*lines, sep="\n", file=self._shown, flush=True)


def run(main: Callable[[], None]) -> None:
    """Run an example to its end, whatever ends it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    broken = False
    try:
        try:
            main()
            sys.stdout.flush()
        except* BrokenPipeError:
            # What is left to print would raise it once more when Python ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            broken = True
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        sys.exit(INTERRUPTED)
    finally:
        end_at_ctrl_c()  # There is nothing to clean up any more.
    if broken:
        sys.exit("The example has ended early: nobody reads what it prints.")
