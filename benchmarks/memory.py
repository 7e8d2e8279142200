"""The process in which one contender's memory is measured.

Resident memory, for what TLS keeps is not on Python's heap. The first calls only load what is loaded
once; then many plugins, and many calls, are compared with none.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from contextlib import AsyncExitStack

from . import clocks, texts
from .call import Call
from .contenders import by_name
from .processes import parent_gone, say

_TALKED = 1.5
_KIB = 1024


async def _main(name: str, port: int, count: int) -> None:
    contender = by_name(name)
    say(ready=True)
    for _ in range(2):
        async with Call(contender, port) as call:
            await call.tts.prewarm()
            call.say(texts.INTERRUPTED)
            await call.first_audio()
            await call.interrupt()
    async with AsyncExitStack() as stack:
        none = _resident()
        calls = [await stack.enter_async_context(Call(contender, port, keep=False)) for _ in range(count)]
        await asyncio.gather(*(call.tts.prewarm() for call in calls))
        idle = _resident()
        for call in calls:
            call.say(texts.INTERRUPTED)
        await asyncio.gather(*(call.first_audio() for call in calls))
        await asyncio.sleep(_TALKED)
        running = _resident()
        say(
            memory_idle=(idle - none) / count / _KIB,
            memory_call=(running - none) / count / _KIB,
        )
        await parent_gone()  # Closing all of them takes longer than measuring them: the parent ends this.


def _resident() -> int:
    gc.collect()
    return clocks.resident_bytes() or 0


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
