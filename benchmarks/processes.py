"""Processes beside the one that is measured, and how none of them is left behind.

Parent and child talk in lines of JSON. A child ends when its standard input ends: that happens when the
parent closes it, and as well when the parent dies in whatever way.
"""

from __future__ import annotations

import asyncio
import json
import selectors
import subprocess
import sys
import threading
from collections.abc import Coroutine, Iterator, Mapping
from types import TracebackType
from typing import Any, Self

_PATIENCE = 10.0
"""Seconds for a child to end by itself."""


class Child:
    """A Python module running in a process of its own, from ``with`` to its end.

    Args:
        module: Its dotted name.
        *arguments: Its command line.
        environment: Its environment; None takes this process's.
    """

    def __init__(self, module: str, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        self._module = module
        self._process = subprocess.Popen(  # noqa: S603 - our own modules
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._stdin, self._stdout = self._process.stdin, self._process.stdout

    def tell(self, **facts: Any) -> None:
        """Send a line."""
        self._stdin.write(json.dumps(facts) + "\n")
        self._stdin.flush()

    def answer(self) -> dict[str, Any]:
        """Wait for a line.

        Raises:
            RuntimeError: The child ended without one.
        """
        line = self._stdout.readline()
        if not line:
            raise RuntimeError(f"{self._module} ended before it was done")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def lines(self) -> Iterator[dict[str, Any]]:
        """Yield each line, until it ends."""
        for line in self._stdout:
            yield json.loads(line)

    @property
    def id(self) -> int:
        """Its process id."""
        return self._process.pid

    def terminate(self) -> None:
        """End it, wherever it is."""
        self._process.terminate()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:  # Nobody wants its results any more.
            self.terminate()
        self._stdin.close()
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._stdout.close()


def hear() -> dict[str, Any]:
    """Return the next line of the parent.

    Raises:
        SystemExit: The parent is gone.
    """
    line = sys.stdin.readline()
    if not line:
        raise SystemExit(1)
    facts: dict[str, Any] = json.loads(line)
    return facts


def say(**facts: Any) -> None:
    """Send a line to the parent."""
    print(json.dumps(facts), flush=True)


def end_with_parent(end: Any) -> None:
    """Call ``end`` in the running loop when standard input has ended."""
    loop = asyncio.get_running_loop()

    def watch() -> None:
        sys.stdin.read()
        loop.call_soon_threadsafe(end)

    threading.Thread(target=watch, daemon=True).start()


async def parent_gone() -> None:
    """Return when standard input has ended."""
    gone = asyncio.Event()
    end_with_parent(gone.set)
    await gone.wait()


def run_precisely(main: Coroutine[Any, Any, None]) -> None:
    """Run ``main`` until it ends, on a loop whose timers are not rounded.

    The default selector rounds every wait up to the next millisecond; ``select`` doesn't.
    """
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())) as runner:
        runner.run(main)
