"""The example that exports metrics, with OpenTelemetry's own in-memory reader."""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import json
import re
from collections.abc import AsyncIterator, Callable
from types import ModuleType
from typing import Any

import pytest
from documents import DOCS
from kit import ScriptedServer, pushed_samples, requests_of, speak, until
from kit.examples import EXAMPLES, run_example
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from videosdk.agents.event_emitter import EventEmitter
from videosdk.agents.room.output_stream import CustomAudioStreamTrack

from videosdk.plugins.lokutor import LokutorTTS, SynthesisMetrics

Maker = Callable[..., LokutorTTS]
EXAMPLE = EXAMPLES / "opentelemetry_metrics.py"
UNEVENTFUL: dict[str, Any] = {
    "time_to_first_byte": 0.1,
    "time_to_first_sound": 0.1,
    "leading_silence": 0.0,
    "connect_time": 0.0,
    "standby_used": True,
    "characters": 10,
    "characters_unheard": 0,
    "characters_left_out": 0,
    "requests": 1,
    "audio_received": 1.0,
    "audio_pushed": 1.0,
    "underruns": 0,
    "underrun_time": 0.0,
    "interrupted": False,
    "retries": 0,
    "limiter_wait": 0.0,
    "error_code": None,
    "streamed": False,
}


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("opentelemetry_metrics", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXAMPLES))
        spec.loader.exec_module(module)
    return module


def points(reader: InMemoryMetricReader) -> dict[str, list[tuple[dict[str, Any], Any]]]:
    """Return the data points of each metric: attributes, and the sum or the value."""
    data = json.loads(reader.get_metrics_data().to_json())  # type: ignore[union-attr]
    metrics = data["resource_metrics"][0]["scope_metrics"][0]["metrics"]
    return {
        metric["name"]: [
            (point["attributes"], point.get("value", point.get("sum")))
            for point in metric["data"]["data_points"]
        ]
        for metric in metrics
    }


async def test_each_call_is_recorded(
    make_tts: Maker, scripted: ScriptedServer, track: CustomAudioStreamTrack, example: ModuleType
) -> None:
    scripted.scripts.extend([speak] * 3)
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    tts = make_tts(scripted.url)
    example.export_metrics(tts, provider.get_meter("test"))
    await tts.synthesize(requests_of("One.", "Two."))

    async def endless() -> AsyncIterator[str]:
        yield "Three is cut off. "
        await asyncio.Event().wait()

    pushed = pushed_samples(track)
    turn = asyncio.create_task(tts.synthesize(endless()))
    await until(lambda: pushed_samples(track) > pushed)
    await tts.interrupt()
    await turn
    found = points(reader)
    provider.shutdown()
    assert sum(value for _, value in found["lokutor.calls"]) == 2
    assert {attributes["outcome"] for attributes, _ in found["lokutor.calls"]} == {"spoken", "interrupted"}
    assert [value for _, value in found["lokutor.requests"]] == [3]
    sent = sum(map(len, scripted.texts))
    assert sum(value for _, value in found["lokutor.characters"]) == sent
    assert any(value for attributes, value in found["lokutor.characters"] if not attributes["heard"])
    [(_, first_sound)] = found["lokutor.time_to_first_sound"]
    assert 0 < first_sound < 10


def test_the_p95_can_be_read(example: ModuleType) -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    source = EventEmitter[str]()
    example.export_metrics(source, provider.get_meter("test"))
    for hundredths in range(1, 101):  # From 0.01 to 1 s: the P95 is 0.95 s.
        figures = SynthesisMetrics(
            **{**UNEVENTFUL, "time_to_first_sound": hundredths / 100, "underrun_time": hundredths / 100}
        )
        source.emit("metrics", figures)
    data = json.loads(reader.get_metrics_data().to_json())  # type: ignore[union-attr]
    provider.shutdown()
    metrics = data["resource_metrics"][0]["scope_metrics"][0]["metrics"]
    histograms = {each["name"]: each["data"]["data_points"][0] for each in metrics if each["unit"] == "s"}
    assert set(histograms) == {
        "lokutor.time_to_first_sound",
        "lokutor.underrun_time",
        "lokutor.limiter_wait",
    }
    for name in ("lokutor.time_to_first_sound", "lokutor.underrun_time"):
        bounds, counts = histograms[name]["explicit_bounds"], histograms[name]["bucket_counts"]
        assert 0.95 in [
            pytest.approx(bound, rel=0.25)
            for at, bound in enumerate(bounds)
            if sum(counts[:at]) < 95 <= sum(counts[: at + 1])
        ]


def test_what_the_documents_say_to_watch_is_exported(example: ModuleType) -> None:
    text = (DOCS / "running-many-calls.md").read_text(encoding="utf-8").split("## What to watch")[1]
    watched = set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))
    source = inspect.getsource(example.export_metrics)
    assert watched
    assert {name for name in watched if f"call.{name}" not in source} == set()


def test_the_example_prints_its_metrics() -> None:
    done = run_example(EXAMPLE.name)
    assert done.returncode == 0, done.stderr
    assert "lokutor.time_to_first_sound" in done.stdout
