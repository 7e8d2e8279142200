"""The process of callers in real time: ``python -m benchmarks.caller WAY CONTENDER PORT NICENESS``.

With ``one`` all calls share the process and its event loop. With ``each`` every call has a process of its
own, as VideoSDK's worker has it; they are forked after the imports, which would take a second each.

The parent writes lines: how many calls there shall be, what they say and how often. Each call writes a line
for each turn: when it ended, the milliseconds to its first sound, its frames, and how many were missing.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import random
import signal
import sys
import threading
import time
from typing import Any

import videosdk.agents  # noqa: F401 - loaded before any fork, and weighed

from .call import Call
from .contenders import Contender, by_name
from .processes import hear

_GOLDEN = 0.618
"""Its multiples are spread evenly over one, however many are taken."""
_UNTIL_ORPHANED = 1.0

Task = dict[str, Any]


async def live(contender: Contender, port: int, number: int, task: Task) -> None:
    """Have one call, for ever: a turn in each period, all calls spread over it."""
    async with Call(contender, port, keep=False) as call:
        await call.tts.prewarm()
        due = time.monotonic() + number * _GOLDEN % 1 * task["period"]
        for turn in range(sys.maxsize):
            await asyncio.sleep(due - time.monotonic())
            await call.track.reach((number + turn) * _GOLDEN % 1)
            await _turn(call, task["text"])
            due = max(due + task["period"], time.monotonic())


async def _turn(call: Call, text: str) -> None:
    call.track.listen()
    asked = time.monotonic()
    turn = call.reply(text)
    try:
        first = await call.first_sound()
        await turn
        await call.track.drained()
    except RuntimeError as error:
        _report(error=str(error))
        turn.cancel()
        await asyncio.wait({turn})
        await asyncio.sleep(random.random())  # noqa: S311 - so that not all of them try again at once
        return
    _report(first=(first - asked) * 1000, frames=call.track.played, missing=call.track.missing)


def _report(**facts: Any) -> None:
    # One write of less than a pipe's atomic size: the lines of several processes don't mix.
    os.write(sys.stdout.fileno(), (json.dumps({"at": time.monotonic(), **facts}) + "\n").encode())


async def _one(contender: Contender, port: int) -> None:
    """Keep as many calls in this loop as the parent wants."""
    loop = asyncio.get_running_loop()
    wanted: asyncio.Queue[Task | None] = asyncio.Queue()

    def listen() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(wanted.put_nowait, json.loads(line))
        loop.call_soon_threadsafe(wanted.put_nowait, None)

    threading.Thread(target=listen, daemon=True).start()
    calls: list[asyncio.Task[None]] = []
    while (task := await wanted.get()) is not None:
        for each in calls[task["calls"] :]:
            each.cancel()
        del calls[task["calls"] :]
        for number in range(len(calls), task["calls"]):
            calls.append(asyncio.create_task(live(contender, port, number, task)))
            await asyncio.sleep(0.003)
    os._exit(0)  # Closing all of them takes longer than measuring them.


async def _forked(contender: Contender, port: int, number: int, task: Task) -> None:
    call = asyncio.create_task(live(contender, port, number, task))
    parent = os.getppid()
    while not call.done():
        await asyncio.wait({call}, timeout=_UNTIL_ORPHANED)
        if os.getppid() != parent:
            os._exit(0)


def _each(contender: Contender, port: int) -> None:
    """Keep as many processes as the parent wants."""
    children: list[int] = []
    try:
        while True:
            task = hear()
            for child in children[task["calls"] :]:
                _end(child)
            del children[task["calls"] :]
            for number in range(len(children), task["calls"]):
                child = os.fork()
                if not child:
                    signal.signal(signal.SIGTERM, signal.SIG_DFL)
                    asyncio.run(_forked(contender, port, number, task))
                    os._exit(1)
                children.append(child)
    finally:
        for child in children:
            _end(child)


def _end(child: int) -> None:
    os.kill(child, signal.SIGTERM)
    os.waitpid(child, 0)


def main() -> None:
    """Do what the command line says; with ``framework`` for a contender, just be there."""
    logging.getLogger("videosdk").setLevel(logging.CRITICAL)
    way, name, port, niceness = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    if name == "framework":
        _report(ready=True)
        sys.stdin.read()
        return
    os.nice(niceness)
    contender = by_name(name)
    contender.load()
    # As docs/running-many-calls.md recommends: what was imported is left out of collections of garbage, each
    # of which would stall all calls for a tenth of a second.
    gc.collect()
    gc.freeze()
    _report(ready=True)
    if way == "one":
        asyncio.run(_one(contender, port))
    else:
        _each(contender, port)


if __name__ == "__main__":
    main()
