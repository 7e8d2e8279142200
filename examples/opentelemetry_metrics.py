"""Export the figures of each call as OpenTelemetry metrics, for Prometheus or any other collector.

Copy :func:`export_metrics` into your agent. Here, two replies are spoken on the local server, and the metrics
are printed::

    pip install -e ".[local]"
    python examples/opentelemetry_metrics.py
"""

from __future__ import annotations

import argparse
import asyncio
import io
import sys

from _ending import end_at_ctrl_c, run

if __name__ == "__main__":
    end_at_ctrl_c()

try:
    from opentelemetry.metrics import Histogram, Meter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import ConsoleMetricExporter, PeriodicExportingMetricReader

    from videosdk.plugins.lokutor import LokutorTTS, SynthesisMetrics
    from videosdk.plugins.lokutor.local.espeak import EspeakEngine, LocalVoiceMissingError
    from videosdk.plugins.lokutor.local.server import LocalServer
except ModuleNotFoundError as missing:
    sys.exit(f'{missing.name} is not installed. All that this example needs: pip install -e ".[local]"')


SECONDS = (0, 0.02, 0.05, 0.08, 0.1, 0.12, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 20)
"""Bounds of the histograms' buckets. Those by default are for milliseconds: 0, 5, 10 and so on."""


def export_metrics(tts: LokutorTTS, meter: Meter) -> None:
    """Record each call of ``tts`` with ``meter``."""

    def seconds(name: str, description: str) -> Histogram:
        return meter.create_histogram(name, "s", description, explicit_bucket_boundaries_advisory=SECONDS)

    first_sound = seconds(
        "lokutor.time_to_first_sound", "From the first request of a turn to its first sound"
    )
    underrun = seconds("lokutor.underrun_time", "Silence that the caller heard in the middle of a reply")
    limiter_wait = seconds("lokutor.limiter_wait", "Waiting for the permits of the rate limiter")
    calls = meter.create_counter("lokutor.calls", description="Calls, by how they ended")
    requests = meter.create_counter("lokutor.requests", description="Requests, repeated ones included")
    retries = meter.create_counter("lokutor.retries", description="Connections that had to be opened again")
    characters = meter.create_counter(
        "lokutor.characters", description="Characters, by whether they were heard"
    )
    left_out = meter.create_counter(
        "lokutor.characters_left_out", description="Characters that the service did not speak"
    )

    def on_metrics(call: SynthesisMetrics) -> None:
        kind = {"streamed": call.streamed}
        outcome = call.error_code or ("interrupted" if call.interrupted else "spoken")
        calls.add(1, {**kind, "outcome": outcome, "standby_used": call.standby_used})
        requests.add(call.requests, kind)
        retries.add(call.retries, kind)
        characters.add(call.characters - call.characters_unheard, {**kind, "heard": True})
        characters.add(call.characters_unheard, {**kind, "heard": False})
        left_out.add(call.characters_left_out, kind)
        underrun.record(call.underrun_time, kind)
        limiter_wait.record(call.limiter_wait, kind)
        if call.time_to_first_sound is not None:
            first_sound.record(call.time_to_first_sound, kind)

    tts.on("metrics", on_metrics)  # type: ignore[arg-type]  # The base class lists its own events only.


async def speak(meter: Meter) -> None:
    """Speak two replies without a track."""
    async with LocalServer(EspeakEngine()) as server, LokutorTTS(api_key="local", base_url=server.url) as tts:
        export_metrics(tts, meter)
        for text in ("Hello there.", "The next boat leaves at ten forty."):
            async for _ in tts.stream_synthesize(text):
                pass


def main() -> None:
    """Speak, and print the metrics."""
    argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]).parse_args()
    printed = io.StringIO()
    provider = MeterProvider([PeriodicExportingMetricReader(ConsoleMetricExporter(printed))])
    try:
        asyncio.run(speak(provider.get_meter("lokutor")))
    except LocalVoiceMissingError as missing:
        sys.exit(str(missing))
    finally:
        provider.shutdown()
    print(printed.getvalue(), end="")


if __name__ == "__main__":
    run(main)
