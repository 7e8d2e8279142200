"""Keeps the port of a server that is down, so that it can be started again where it was."""

from __future__ import annotations

import os
import socket


def keep_port(port: int) -> socket.socket:
    """Keep a port of 127.0.0.1 from other programs until the socket is closed; connections are refused.

    Raises:
        OSError: Another program has it.
    """
    kept = socket.socket()
    try:
        if os.name == "posix":  # Connections that have ended there don't matter.
            kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        kept.bind(("127.0.0.1", port))
    except BaseException:
        kept.close()
        raise
    return kept
