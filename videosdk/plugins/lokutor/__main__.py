"""Entry point of ``lokutor`` and ``python -m videosdk.plugins.lokutor``; see ``_cli/commands.py``."""

import os
import signal
import sys
from types import FrameType

from ._cli.commands import main
from ._cli.terminal import INTERRUPTED

_ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)]


def run() -> int:
    """Run the command line in this process, which is its own, and return its exit status."""
    _fill_standard_streams()
    received = _end_in_order()
    status = main()
    for number in (signal.SIGINT, *_ENDING):
        signal.signal(number, signal.SIG_IGN)  # All is done, and Python's own end would show a traceback.
    return 128 + received[0] if received and status == INTERRUPTED else status


def _end_in_order() -> list[int]:
    """Have every signal that ends a process act like Ctrl-C; return a list that tells which one it was."""
    received: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        if not received:  # A terminal that closes sends more than one, and would disturb the cleaning up.
            received.append(number)
            signal.raise_signal(signal.SIGINT)

    # A shell script starts its background jobs with SIGINT ignored, and `kill -INT` must stop them as well.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in _ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:  # As nohup sets it.
            signal.signal(number, interrupt)
    return received


def _fill_standard_streams() -> None:
    """Occupy those of the descriptors 0 to 2 that are closed, or a file or socket of ours will."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:  # noqa: PLR2004
        os.set_inheritable(descriptor, True)
    os.close(descriptor)


if __name__ == "__main__":
    sys.exit(run())
