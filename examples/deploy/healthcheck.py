"""``python healthcheck.py``: ends with 0 if the worker is registered, and else says why not.

The worker's ``/health`` says OK as long as its event loop runs, also when it has lost VideoSDK's registry and
given up: it would never get a call again. ``/worker`` tells.
"""

import json
import os
import sys
import urllib.request

PORT = int(os.environ.get("AGENT_PORT", "8081"))


def main() -> str | None:
    """Return what is wrong, or None."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/worker", timeout=5) as answer:
            worker = json.load(answer)
    except (OSError, ValueError) as error:
        return f"The worker doesn't answer: {error}"
    return None if worker.get("connected") else "The worker isn't registered"


if __name__ == "__main__":
    sys.exit(main())
