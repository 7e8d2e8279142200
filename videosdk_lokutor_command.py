"""Entry point of the command ``lokutor``: what must come before its imports, which take over a second.

Rule of this file: it is no part of ``videosdk``, for whatever is imports VideoSDK's own package first.
"""

import signal


def run() -> int:
    """Run the command line and return its exit status."""
    # Nothing has begun that needs an end: Ctrl-C ends the process, as every other signal does by itself.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from videosdk.plugins.lokutor.__main__ import run

    return run()
