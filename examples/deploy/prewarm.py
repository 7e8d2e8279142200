"""What each call needs, imported once.

The worker starts its processes through a *fork server*. What that has imported is there in each of them at
once, in memory that all of them share. ``agent.py`` names this module to it.

Name nothing that starts a thread when it is imported, as ``onnxruntime`` does, which Silero is made of: a
process with threads must not be forked.
"""

import gc
import signal
import sys
from pathlib import Path

import videosdk.agents
import videosdk.plugins.deepgram
import videosdk.plugins.openai

import videosdk.plugins.lokutor  # noqa: F401

# Nothing of it is garbage. A collection that looked at it would stall the call, and copy the memory.
gc.collect()
gc.freeze()
# Ctrl+C in a terminal reaches all processes, but the worker ends the idle ones by itself.
signal.signal(signal.SIGINT, signal.SIG_IGN)

_THREADS = Path("/proc/self/task")
if _THREADS.exists() and len(list(_THREADS.iterdir())) > 1:
    print("prewarm.py imports something that has started a thread: leave it out", file=sys.stderr)
