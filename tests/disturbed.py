"""Runs tests on event loops that are disturbed at random, as on a slow network and a busy machine.

What comes is read late, in odd pieces (without TLS), and in another order between the sockets; now and then
the loop stands still. No order within a connection changes, so every test should pass. One that doesn't
depends on when things happen, and will fail some day without this as well.

Run it with ``python tests/disturbed.py --seed 1``, with the names of tests if it isn't to be most of them,
and options of pytest behind ``--``. A test gets the same disturbances from the same seed each time, but not
at the same moments.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
from asyncio import selector_events
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

TESTS = Path(__file__).parent
FOLDERS = [str(TESTS / name) for name in ("unit", "wire", "framework", "faults", "local")]
LATE = 0.3
"""Share of the events that are seen in a later pass of the loop."""
STILL = 0.02
"""Share of the passes before which the loop stands still,"""
LONGEST = 0.02
"""and for how many seconds at most."""
SPLIT = 0.2
"""Share of the reads that take less than there is."""
SIZES = (1, 7, 100, 1_000, 5_000, 20_000)
"""Bytes that such a read takes at most."""


class Disturbances:
    """What happens to asyncio's own event loops, except on Windows. A plugin of pytest.

    Args:
        seed: Begins each test's random numbers, with its name.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._random = random.Random(seed)
        self._process_events = selector_events.BaseSelectorEventLoop._process_events  # type: ignore[attr-defined]
        self._whole = selector_events._SelectorTransport.max_size  # type: ignore[attr-defined]

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        self._random.seed(f"{self._seed} {item.nodeid}")

    def disturb(self) -> None:
        """Begin, for good."""

        def process_events(loop: asyncio.AbstractEventLoop, events: list[Any]) -> None:
            if self._random.random() < STILL:
                time.sleep(LONGEST * self._random.random())
            # What is left out is still there in the next pass.
            seen = [event for event in events if self._random.random() >= LATE]
            self._random.shuffle(seen)
            self._process_events(loop, seen)

        def max_size(_: object) -> int:
            return self._random.choice(SIZES) if self._random.random() < SPLIT else self._whole

        mock.patch.object(selector_events.BaseSelectorEventLoop, "_process_events", process_events).start()
        mock.patch.object(selector_events._SelectorTransport, "max_size", property(max_size)).start()  # type: ignore[attr-defined]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--disturbance", type=int, default=0, help="what the disturbances begin with")


def pytest_configure(config: pytest.Config) -> None:
    if sys.platform == "win32" or config.getoption("--loop") == "uvloop":
        raise pytest.UsageError("Only asyncio's selector loops can be disturbed")
    disturbances = Disturbances(config.getoption("--disturbance"))
    disturbances.disturb()
    config.pluginmanager.register(disturbances)


def main() -> int:
    parser = argparse.ArgumentParser(
        usage="%(prog)s [--seed SEED] [TEST ...] [-- OPTION ...]",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000), help="random if omitted")
    parser.add_argument("tests", nargs="*", default=FOLDERS, metavar="TEST", help="most of them if omitted")
    own, options = sys.argv[1:], []
    if "--" in own:
        options = own[own.index("--") + 1 :]
        own = own[: own.index("--")]
    parsed = parser.parse_args(own)
    print(f"Seed {parsed.seed}", flush=True)
    return pytest.main(
        ["-p", Path(__file__).stem, "--disturbance", str(parsed.seed), *options, *parsed.tests]
    )


if __name__ == "__main__":
    sys.exit(main())
