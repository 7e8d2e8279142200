"""Forks processes that have imported the plugin already: ``python tests/kit/forkserver.py SOCKET``.

A short process spends its time on importing the framework, and the tests start more than a hundred of them.
What is forked here is a process like any other, with its own session, streams, directory, environment and
arguments. It ends as an interpreter does: what it can't write at the end is its error. That's why this isn't
multiprocessing's fork server, whose processes end without it.

What Python, or a module, reads once when it starts is that of this server: the options ``-X``, the variables
``PYTHON*`` but for ``PYTHONPATH``, the locale. What depends on these, and what an import costs, needs an
interpreter of its own. The certificates in ``SSL_CERT_FILE`` are trusted beside the system's own.

The first process has everything imported. The server ends with its standard input.
"""

from __future__ import annotations

import builtins
import gc
import io
import json
import os
import runpy
import select
import socket
import sys
import warnings
from contextlib import suppress
from importlib import import_module
from typing import Any, TextIO

MODULES = (
    "numpy",
    "videosdk.agents",
    "videosdk.plugins.lokutor._cli.commands",
    "videosdk.plugins.lokutor.local.espeak",
    "videosdk.plugins.lokutor.local.server",
    "videosdk.plugins.lokutor.tts",
)


def serve(address: str) -> None:
    """Fork for each client. Returns in the processes that are forked, and at the end."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(128)
        print(flush=True)
        while listener in select.select([listener, sys.stdin], [], [])[0]:
            client, _ = listener.accept()
            _reap()
            with client:
                _import_all()
                if os.fork() == 0:
                    listener.close()
                    _keep(client)
                    return


def _import_all() -> None:
    if MODULES[-1] not in sys.modules:
        for name in MODULES:
            import_module(name)
        gc.collect()
        gc.freeze()  # A process that looks for garbage writes on what it looks at, which is copied for it.


def _reap() -> None:
    """Leave no keeper that has ended as a zombie."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _keep(client: socket.socket) -> None:
    """Fork the process that the client wants, which returns; tell its id, and how it has ended."""
    _, received, _, _ = socket.recv_fds(client, 1, 3)
    with client.makefile("rb") as file:
        request = json.loads(file.readline())
    process = os.fork()
    if process == 0:
        _become(request, received, client)
        return
    for descriptor in received:
        os.close(descriptor)
    _, status = os.waitpid(process, 0)
    client.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def _become(request: dict[str, object], received: list[int], client: socket.socket) -> None:
    """Take over what the client has."""
    os.setsid()
    streams = request["streams"]
    assert isinstance(streams, list)
    for target in range(3):
        if target in streams:
            os.dup2(received[streams.index(target)], target)
        else:
            os.close(target)
    for descriptor in received:
        os.close(descriptor)
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        stream = _stream(descriptor, "w" if descriptor else "r", getattr(sys, name))
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    os.chdir(str(request["directory"]))
    environment = request["environment"]
    assert isinstance(environment, dict)
    os.environ.clear()
    os.environ.update(environment)
    if certificates := environment.get("SSL_CERT_FILE"):
        with suppress(OSError):  # OpenSSL leaves out what it can't read, too.
            sys.modules["aiohttp"].connector._SSL_CONTEXT_VERIFIED.load_verify_locations(certificates)
    sys.path[1:1] = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    assert isinstance(request["arguments"], list)
    sys.argv = request["arguments"]
    client.sendall(b"%d\n" % os.getpid())
    client.close()


def _stream(descriptor: int, mode: str, like: TextIO) -> TextIO | None:
    """Return what Python makes of a descriptor when it starts."""
    try:
        os.fstat(descriptor)
    except OSError:  # It is closed.
        return None
    buffer: Any = open(descriptor, f"{mode}b", closefd=False)  # noqa: SIM115 - it stays open
    stream: Any = io.TextIOWrapper(
        buffer,
        encoding=like.encoding,
        errors=like.errors,
        newline="\n",
        line_buffering=descriptor == 2 or buffer.isatty(),
    )
    buffer.raw.name = like.name
    stream.mode = mode
    return stream  # type: ignore[no-any-return]


def run(arguments: list[str]) -> None:
    """Do what ``python`` does with these arguments."""
    while arguments[0] == "-W":
        action, _, category = arguments[1].partition("::")
        warnings.simplefilter(action, getattr(builtins, category))  # type: ignore[arg-type]
        del arguments[:2]
    match arguments:
        case ["-m", module, *rest]:
            sys.path[0] = os.getcwd()
            sys.argv = [module, *rest]
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        case ["-c", code, *rest]:
            sys.path[0] = ""
            sys.argv = ["-c", *rest]
            exec(code, {"__name__": "__main__"})  # noqa: S102
        case [script, *_]:
            sys.path[0] = os.path.dirname(script)
            sys.argv = arguments
            runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    [_, address] = sys.argv
    sys.argv = []
    serve(address)
    if sys.argv:
        run(sys.argv)
    else:
        _reap()
