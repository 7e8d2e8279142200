"""``python -m benchmarks``: measure, print the table, write JSON and the picture.

The exit code is 0 when everything was measured, 1 when a row failed. A missed goal is a result, not a
failure.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .certificates import HOST, make_certificates
from .plan import Plan, ServiceBehaviour
from .processes import Child
from .report import make_document, missing_contenders, table


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return the exit code."""
    options = _parse(arguments)
    plan = Plan.quick() if options.quick else Plan()
    for line in missing_contenders():
        print(line)
    print(f"Measuring with {options.rtt:g} ms round trip:", flush=True)
    begun = time.monotonic()
    try:
        results = _measure(plan, options.rtt / 1000)
    except RuntimeError as error:
        print(f"The benchmark failed: {error}", file=sys.stderr)
        return 1
    document = make_document(results, _parameters(plan, options.rtt), time.monotonic() - begun)
    print("\n" + table(document))
    if options.json:
        options.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    if options.picture:
        # Not at the top: the picture's library is slow to load, and nobody may want a picture.
        from .picture import draw

        draw(document, options.picture)
    return 1 if document["failures"] else 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure LokutorTTS beside its peers."
    )
    parser.add_argument(
        "--quick", action="store_true", help="a smoke test of under a minute; its figures mean little"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything, every sample included")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="write a picture (PNG or SVG)")
    parser.add_argument("--rtt", type=float, default=40.0, metavar="MS", help="round trip (default: 40)")
    return parser.parse_args(arguments)


def _measure(plan: Plan, round_trip: float) -> dict[str, Any]:
    """Run the server, the relay and the client, each in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        environment = make_certificates(Path(folder)).environment
        with (
            Child("benchmarks.client", environment=environment) as client,
            Child("benchmarks.server", folder) as server,
        ):
            ports = server.answer()
            with Child("benchmarks.relay", str(ports["service"]), str(round_trip)) as relay:
                port = relay.answer()["port"]
                client.tell(port=port, control=f"http://{HOST}:{ports['control']}", plan=asdict(plan))
                return client.answer()


def _parameters(plan: Plan, round_trip_ms: float) -> dict[str, Any]:
    behaviour = ServiceBehaviour()
    return {
        "round_trip_ms": round_trip_ms,
        "server_first_audio_ms": behaviour.first_audio * 1000,
        "server_message_seconds": behaviour.piece,
        "server_pace": behaviour.pace,
        **asdict(plan),
    }


if __name__ == "__main__":
    sys.exit(main())
