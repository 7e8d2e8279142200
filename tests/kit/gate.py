"""Gates at which the processes of ``kit.deployed`` wait while a test keeps them closed.

A gate is a file in the folder ``GATES`` of the environment: it is closed while the file is there. The fork
server imports this module, and waits at the gate "imports".
"""

from __future__ import annotations

import os
import time
from pathlib import Path


def wait_at(name: str) -> None:
    """Wait while a gate is closed, and say so."""
    gate = Path(os.environ["GATES"], name)
    if gate.exists():
        print(f"waits at {name}\n", end="", flush=True)  # In one write: other processes print there, too.
    while gate.exists():
        time.sleep(0.01)


wait_at("imports")
