"""The process that is measured: nothing but the contenders.

It trusts the run's certificate authority through ``SSL_CERT_FILE``. Its parent tells it where the
service is as soon as it knows; meanwhile it imports what it needs.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict

from . import barge_in, clocks, contenders, conversation, cost, first_audio, texts
from .bench import Bench, Results
from .plan import Plan
from .processes import end_with_parent, hear, say

logger = logging.getLogger("benchmarks")

_GROUPS: tuple[tuple[str, Callable[[Bench], Awaitable[None]]], ...] = (
    ("first audio, cold", first_audio.cold),
    ("first audio, warm", first_audio.warm),
    ("first audio, from tokens", first_audio.tokens),
    ("barge-in, reply", barge_in.reply),
    ("barge-in, say", barge_in.say),
    ("barge-in, stubborn server", barge_in.stubborn),
    ("processor time", cost.processor),
    ("longest stall", cost.stall),
    ("conversation", conversation.conversation),
    ("memory", cost.memory),
)


async def measure(port: int, control: str, plan: Plan) -> Results:
    """Measure every group; one that fails doesn't keep the others from being measured."""
    bench = Bench({each.name: each for each in contenders.installed()}, port, control, plan)
    current = asyncio.current_task()
    assert current is not None
    end_with_parent(current.cancel)
    begun = time.monotonic()
    await bench.prepare([texts.SHORT, texts.INTERRUPTED, texts.INTERRUPTED_NEXT])
    clocks.leave_imports_alone()
    logger.info("preparation: %.0f s", time.monotonic() - begun)
    for title, group in _GROUPS:
        begun = time.monotonic()
        try:
            await group(bench)
        except Exception as error:  # noqa: BLE001 - reported, and the run goes on
            bench.results.fail(title, "all", error)
        logger.info("%s: %.0f s", title, time.monotonic() - begun)
    return bench.results


def main() -> None:
    """Measure what the parent asks for, and tell it the samples."""
    logging.basicConfig(level=logging.WARNING, format="  %(message)s", stream=sys.stderr)
    logging.getLogger("videosdk").setLevel(logging.CRITICAL)  # What a contender reports is counted.
    logger.setLevel(logging.INFO)
    task = hear()
    with asyncio.Runner(loop_factory=clocks.new_loop) as runner:
        results = runner.run(measure(task["port"], task["control"], Plan(**task["plan"])))
    say(**asdict(results))


if __name__ == "__main__":
    main()
