"""Ports of loopback that no other test takes: several processes run tests, and each opens many.

The system gives a port to every connection, and to every server that asks for any. So a port that was found
free, and isn't used at once, may be somebody else's soon.
"""

from __future__ import annotations

import os
import socket
from itertools import count, islice

_FIRST = 10_000
_LAST = 32_000
"""Linux gives out those from 32,768 on; macOS and Windows those from 49,152."""
_EACH = 1_000
"""Ports for each process that runs tests."""


def held_port(port: int = 0) -> socket.socket:
    """Return a socket that holds a port until it is closed: connections are refused.

    Args:
        port: The port; 0 takes any that is free.

    Raises:
        OSError: Somebody else has it.
    """
    holder = socket.socket()
    try:
        if os.name == "posix":  # Connections that have ended there don't matter.
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", port))
    except OSError:
        holder.close()
        raise
    return holder


def port_for_a_program() -> int:
    """Return a free port for a program that has to be told one; the system gives it to nobody else."""
    for number in islice(_numbers, _EACH):
        port = _FIRST + (_own + number % _EACH) % (_LAST - _FIRST)
        try:
            held_port(port).close()
        except OSError:
            continue
        return port
    raise OSError(f"no port is free for this process among {_EACH}")


_own = _EACH * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_numbers = count(os.getpid())  # Another run of the tests, beside this one, begins elsewhere.
