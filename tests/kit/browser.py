"""A real browser that joins the example's room, and hears what it is sent.

What is heard is judged in the time of the media (RTP timestamps), which no load of the machine changes.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from kit.waits import PATIENCE
from videosdk.plugins.lokutor._audio.pcm import SAMPLE_RATE
from videosdk.plugins.lokutor._wire.protocol import SpeechRequest
from videosdk.plugins.lokutor.local.espeak import EspeakEngine

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
RTP_RATE = 48_000
"""Opus counts in this rate, whatever it carries."""
STEP = 0.01
"""Seconds for which one loudness is told."""
AUDIBLE = 0.001
"""Loudness (-60 dB of full scale) above which something is heard."""

_OPTIONS = [
    "--no-sandbox",  # As root, in a container.
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
]
_OBSERVER = """
// Copies what comes over the connection: events for the test, and the encoded audio with its RTP timestamps.
(() => {
  const encoded = [];
  window.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(options) {
      super({ ...options, encodedInsertableStreams: true });
      window.testPeer = this;
      this.addEventListener("track", ({ receiver, transceiver }) => {
        const sent = transceiver.sender.createEncodedStreams();
        sent.readable.pipeTo(sent.writable).catch(() => {});
        const copy = new TransformStream({
          transform(frame, controller) {
            encoded.push([frame.getMetadata().rtpTimestamp, frame.data.slice(0)]);
            controller.enqueue(frame);
          },
        });
        const received = receiver.createEncodedStreams();
        received.readable.pipeThrough(copy).pipeTo(received.writable).catch(() => {});
      });
    }
    createDataChannel(...options) {
      const channel = super.createDataChannel(...options);
      channel.addEventListener("message", ({ data }) => window.tellTest(data));
      return channel;
    }
  };
  window.testHeard = async (step) => {
    const heard = [];
    const times = encoded.map(([time]) => time);
    const decoder = new AudioDecoder({
      output(audio) {
        const samples = new Float32Array(audio.numberOfFrames);
        audio.copyTo(samples, { planeIndex: 0, format: "f32-planar" });
        const time = times.shift();
        for (let at = 0; at < samples.length; at += step) {
          let sum = 0;
          for (const sample of samples.subarray(at, at + step)) sum += sample * sample;
          heard.push([time + at, Math.sqrt(sum / step)]);
        }
        audio.close();
      },
      error(error) {
        throw error;
      },
    });
    decoder.configure({ codec: "opus", sampleRate: 48000, numberOfChannels: 2 });
    for (const [timestamp, data] of encoded) {
      decoder.decode(new EncodedAudioChunk({ type: "key", timestamp, data }));
    }
    await decoder.flush();
    return heard;
  };
})();
"""


async def record_voice(file: Path) -> None:
    """Write what a caller says to interrupt, for the microphone."""
    pcm = await speak("Sorry to stop you there, but I have another question for you.", "M2")
    with wave.open(str(file), "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(SAMPLE_RATE)
        wav.writeframes(pcm)


async def speak(text: str, voice: str) -> bytes:
    """Return what the local voice makes of a text."""
    engine = EspeakEngine()
    try:
        request = SpeechRequest(text, voice, "en", 1.05, 5)
        return b"".join([speech.pcm async for speech in engine.synthesize(request)])
    finally:
        await engine.close()


@asynccontextmanager
async def open_browser(microphone: Path | None = None) -> AsyncIterator[Browser]:
    """Start Chromium without a window; its microphone plays a WAV file, once each time it is switched on."""
    from playwright.async_api import async_playwright

    options = [*_OPTIONS]
    if microphone is not None:
        options.append(f"--use-file-for-fake-audio-capture={microphone}%noloop")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        try:
            yield browser
        finally:
            await browser.close()


@dataclass(frozen=True)
class Heard:
    """What the browser was sent: the loudness of each 10 ms, by the time of the media in seconds."""

    times: npt.NDArray[np.float64]
    loudness: npt.NDArray[np.float64]

    def starts(self, pause: float = 0.9) -> list[float]:
        """Return when it begins to sound, after each pause of at least so many seconds."""
        audible = self.times[self.loudness > AUDIBLE]
        if not audible.size:
            return []
        return [float(audible[0]), *audible[1:][np.diff(audible) >= pause].tolist()]

    def last_sound(self, start: float, end: float) -> float:
        """Return when the last sound between the two ends."""
        inside = (self.times >= start) & (self.times < end) & (self.loudness > AUDIBLE)
        return float(self.times[inside][-1]) + STEP


@dataclass
class Visit:
    """A page of the example, and all that it was told."""

    page: Page
    events: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """Errors of the page's own code."""
    _told: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def join(self, speed: float | None = None) -> None:
        """Start the call; the agent talks at this speed, or at its own."""
        if speed is not None:
            await self.page.locator("[name=speed]").fill(str(speed))
        await self.page.click("#join")
        await self.told("hello")

    async def told(self, event: str, *, after: int = 0, **details: Any) -> dict[str, Any]:
        """Wait for an event behind the first ``after`` ones, and return it."""
        try:
            async with asyncio.timeout(PATIENCE), self._told:
                while not (found := self.all_told(event, after=after, **details)):
                    await self._told.wait()
        except TimeoutError:
            told = "\n".join(map(json.dumps, self.events[after:]))
            raise AssertionError(f"no {event!r} with {details} among:\n{told}") from None
        return found[0]

    def all_told(self, event: str, *, after: int = 0, **details: Any) -> list[dict[str, Any]]:
        """Return all such events that have come."""
        wanted = {"type": event, **details}
        return [told for told in self.events[after:] if all(told.get(key) == wanted[key] for key in wanted)]

    async def ask(self, question: str) -> int:
        """Pick a question; return its turn."""
        before = len(self.events)
        await self.page.get_by_role("button", name=question, exact=True).click()
        return int((await self.told("turn", after=before, text=question))["turn"])

    async def say(self, text: str) -> int:
        """Have a text spoken; return its turn."""
        before = len(self.events)
        await self.page.fill("#text", text)
        await self.page.click("#say")
        return int((await self.told("turn", after=before, text=text))["turn"])

    async def shows(self, turn: int, state: str) -> None:
        """Wait until the page shows a turn in this state. (It may forget the turn: no handle holds it.)"""
        await self.page.locator(f"#turns li[data-turn='{turn}'][data-state='{state}']").wait_for()

    async def heard(self) -> Heard:
        """Return all that was sent so far."""
        samples = np.array(await self.page.evaluate("step => testHeard(step)", round(RTP_RATE * STEP)))
        times = samples[:, 0] - samples[0, 0]
        times[times < -(2**31)] += 2**32  # The timestamps have 32 bits.
        return Heard(times / RTP_RATE, samples[:, 1])

    async def take(self, told: str) -> None:
        """Take what came over the connection."""
        async with self._told:
            self.events.append(json.loads(told))
            self._told.notify_all()


@asynccontextmanager
async def visit(browser: Browser, url: str, **options: Any) -> AsyncIterator[Visit]:
    """Open the page as a new visitor, who wants as little motion as can be: drawing it takes the most.

    Args:
        browser: The browser.
        url: The page.
        **options: Of Playwright's ``new_context()``, such as ``viewport``.
    """
    context = await browser.new_context(**{"reduced_motion": "reduce", **options})
    try:
        page = await context.new_page()
        visitor = Visit(page)
        page.on("pageerror", lambda error: visitor.problems.append(str(error)))
        await page.expose_function("tellTest", visitor.take)
        await page.add_init_script(_OBSERVER)
        await page.goto(url)
        yield visitor
    finally:
        await context.close()
    assert not visitor.problems
