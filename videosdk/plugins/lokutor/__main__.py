"""Entry point of ``python -m videosdk.plugins.lokutor``; the commands are in ``_cli.py``."""

import signal
import sys

from ._cli import main

if __name__ == "__main__":
    # A shell script starts its background jobs with SIGINT ignored, and `kill -INT` must stop them as well.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    sys.exit(main())
