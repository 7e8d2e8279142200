"""Cuts replies off at random moments, and compares what the framework remembers with what was heard.

The framework's own ``SpeechGeneration`` speaks through ``LokutorTTS`` on a real track that is played in real
time; the voice is the local server's, behind silence of different lengths. What was heard is known from
elsewhere: the frames that left the track, found again in the audio that the engine made, and the engine's own
timing of it (which ``local/test_visemes.py`` holds against the engine's word events and the audio). Run it
with ``python tests/transcripts.py --cuts 200``.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field, replace
from itertools import islice

import numpy as np
from kit import Lateness, at_track_rate, trimmed
from videosdk.agents.room.output_stream import CustomAudioStreamTrack
from videosdk.agents.speech_generation import SpeechGeneration

from videosdk.plugins.lokutor import LokutorTTS
from videosdk.plugins.lokutor._wire.protocol import SpeechRequest
from videosdk.plugins.lokutor.local.engine import Engine, Speech
from videosdk.plugins.lokutor.local.espeak import EspeakEngine
from videosdk.plugins.lokutor.local.server import LocalServer
from videosdk.plugins.lokutor.visemes import SILENCE, Viseme

FRAME = 960
"""Bytes of one frame of the track."""
FRAME_SECONDS = 0.02
LOUD = 300
"""A sample above this is speech."""
CALLS = 20
"""Calls that go on at the same time."""
LEADS = [0.0, 0.0, 0.1, 0.3, 0.6]
"""Seconds of silence that a request has in front of its own, by chance."""
SHORTEST = 0.2
LONGEST = 6.0
"""Seconds after which a reply is cut off, at the earliest and at the latest."""
LATE = 0.02
"""Seconds: where the loop itself is later than a frame, no cut says anything about the plugin."""
STEADY = 1.0
"""Seconds before a cut in which the loop must not have been late."""

REPLIES = [
    ["Of course, I can help you with that.", "Please give me your order number first."],
    ["The next boat leaves at ten forty, from pier three.", "The crossing takes half an hour."],
    ["A return ticket costs 12 euros.", "Children under six travel free, and dogs pay 3.50 each."],
    ["We open at nine.", "We close at seven, but not on Sundays.", "Then we close at noon."],
    ["Your appointment moved to Tuesday, March 14.", "Shall I send you a short message about it?"],
    ["Let me think.", "I have 3 rooms left, two with a balcony, one without.", "Which would you like?"],
    ["That's a good question; nobody asked me before!", "I believe it depends on your dates."],
    ["First open the settings, then choose network, then press reset.", "Wait until it starts again."],
]
"""Replies as the framework hands them over: a sentence at a time."""

MARKED_REPLIES = [
    [
        'Ask nginx about it, <break time="400ms"/>then press reset.',
        'Wait <prosody rate="80%">until it starts</prosody> again.',
    ],
    [
        'The street is <lang xml:lang="ca">Carrer de Balmes</lang>, near the port.',
        '<break time="0.7s"/>Shall I send you the SQL by mail?',
    ],
    [
        'Dr. Smith speaks <voice name="M2">very good</voice> English.',
        'Call <say-as interpret-as="digits">4711</say-as> and ask.',
    ],
    [
        'We open at nine.<break strength="weak"/> We shut at seven, but not on Sundays.',
        'The <sub alias="World Wide Web">WWW</sub> knows more.',
    ],
]
"""The same with all that makes the spoken text another than the written one."""
PRONUNCIATIONS = {"nginx": "engine x", "SQL": "sequel", "Dr.": "doctor"}
WRITTEN_FOR = {
    "engine x": "nginx",
    "sequel": "SQL",
    "doctor": "Dr.",
    "4 7 1 1": "4711",
    "World Wide Web": "WWW",
}
"""What was written for what is spoken, in those replies."""
PAUSE_BEFORE = {"then press": 0.4, "Shall I send you the sequel": 0.7, "We shut": 0.5}
"""Seconds of the pause in front of a request that begins so."""
_SPOKEN = re.compile("|".join([*(rf"{words}\S*" for words in WRITTEN_FOR), r"\S+"]))


@dataclass(frozen=True)
class Cut:
    """One reply that was cut off.

    Attributes:
        heard: What was certainly heard of it.
        remembered: What the framework remembers.
        estimate: What it would remember by its own estimate.
        late: By how many seconds the event loop was late shortly before the cut.
        doubtful: The words behind ``heard`` that began so close to the cut that the frames can't tell whether
            they were heard.
    """

    heard: str
    remembered: str
    estimate: str
    late: float = 0.0
    doubtful: tuple[str, ...] = ()

    @property
    def error(self) -> int:
        """How many words too many or too few are remembered."""
        return self._error(self.remembered)

    @property
    def estimates_error(self) -> int:
        """The same for the framework's own estimate."""
        return self._error(self.estimate)

    def _error(self, text: str) -> int:
        may_be_heard = (
            " ".join([self.heard, *self.doubtful[:count]]) for count in range(len(self.doubtful) + 1)
        )
        return min(_distance(text, heard) for heard in may_be_heard)


def _distance(text: str, heard: str) -> int:
    """Return by how many words ``text`` is off; a text that is no part of the reply is off by all."""
    longer, shorter = sorted((text.split(), heard.split()), key=len, reverse=True)
    return len(longer) - len(shorter) if longer[: len(shorter)] == shorter else len(longer)


@dataclass
class _Made:
    """What the engine made for one request."""

    text: str
    pcm: bytearray = field(default_factory=bytearray)
    visemes: list[Viseme] = field(default_factory=list)


@dataclass
class _Tap(Engine):
    """An engine for one call: it keeps what it was asked for and what it made."""

    engine: EspeakEngine
    chance: random.Random
    made: list[_Made] = field(default_factory=list)

    async def start(self) -> None:
        return

    async def close(self) -> None:
        return

    async def synthesize(self, request: SpeechRequest) -> AsyncGenerator[Speech, None]:
        made = _Made(request.text)
        self.made.append(made)
        lead = self.chance.choice(LEADS)
        silence = bytes(2 * round(lead * 44_100))
        async with aclosing(self.engine.synthesize(request)) as speech:
            async for plain in speech:
                visemes = tuple(replace(viseme, start=viseme.start + lead) for viseme in plain.visemes)
                piece = Speech(silence + plain.pcm, visemes)
                silence = b""
                made.pcm += piece.pcm
                made.visemes += piece.visemes
                yield piece


@dataclass(frozen=True)
class _Evidence:
    """What is needed to tell afterwards what was heard of a reply."""

    made: list[_Made]
    frames: list[bytes]
    remembered: str
    estimate: str
    late: float
    trimmed: bool


class _Call:
    """One call: a track that is played, and replies that are cut off."""

    def __init__(
        self,
        tap: _Tap,
        server: LocalServer,
        chance: random.Random,
        lateness: Lateness,
        *,
        longest: float,
        trim: bool,
        marked: bool,
    ) -> None:
        self._trim = trim
        self._replies = MARKED_REPLIES if marked else REPLIES
        self._tap = tap
        self._lateness = lateness
        self._longest = longest
        self._chance = chance
        self._frames: list[bytes] = []
        self._track = CustomAudioStreamTrack(asyncio.get_running_loop())
        self._tts = LokutorTTS(
            api_key="local",
            base_url=server.url,
            word_timestamps=True,
            trim_silence=trim,
            markup=marked,
            pronunciations=PRONUNCIATIONS if marked else None,
            language=_english if marked else "en",
        )
        self._speech = SpeechGeneration(tts=self._tts, audio_track=self._track)
        self._speech.set_audio_track(self._track)

    async def run(self, cuts: int) -> list[_Evidence]:
        """Speak and be cut off, again and again: the next reply often begins in the last one's tail."""
        playing = asyncio.create_task(self._play())
        try:
            evidence = []
            for moment in islice(self._moments(cuts), cuts):
                evidence.append(await self._cut(moment))
                await asyncio.sleep(self._chance.uniform(0.0, 0.5))
            return evidence
        finally:
            playing.cancel()
            await self._tts.aclose()

    async def _play(self) -> None:
        while True:
            frame = await self._track.recv()
            self._frames.append(frame.to_ndarray().astype("<i2").tobytes())

    def _moments(self, cuts: int) -> Iterator[float]:
        """Yield after how many seconds each reply is cut off.

        Of two in a row, the later one is cut off, the earlier the other is: all calls take the same time.
        """
        for _ in range(0, cuts, 2):
            moment = self._chance.uniform(SHORTEST, self._longest)
            yield moment
            yield SHORTEST + self._longest - moment

    async def _cut(self, heard_for: float) -> _Evidence:
        self._frames.clear()
        self._tap.made.clear()
        reply = self._chance.choice(self._replies)
        text: str | AsyncIterator[str] = " ".join(reply) if self._chance.random() < 0.3 else _sentences(reply)
        speaking = asyncio.create_task(self._speech.synthesize(text))
        if self._chance.random() < 0.25:  # The framework pauses where it isn't sure of an interruption.
            heard_for -= (paused_at := self._chance.uniform(0.0, heard_for))
            await asyncio.sleep(paused_at)
            await self._speech.pause()
            await asyncio.sleep(self._chance.uniform(0.1, 0.6))
            await self._speech.resume()
        await asyncio.sleep(heard_for)
        evidence = await self._interrupt()
        await asyncio.wait({speaking})
        return evidence

    async def _interrupt(self) -> _Evidence:
        frames, late = list(self._frames), self._lateness.in_the_last(STEADY)
        words, self._speech._tier2_spoken_transcript = self._speech._tier2_spoken_transcript, ""
        estimate = self._speech.compute_spoken_transcript()
        self._speech._tier2_spoken_transcript = words
        made = list(self._tap.made)
        await self._speech.interrupt()
        return _Evidence(made, frames, self._speech.spoken_transcript, estimate, late, self._trim)


async def _sentences(reply: list[str]) -> AsyncIterator[str]:
    for sentence in reply:
        yield sentence
        await asyncio.sleep(0.05)


def _english(_sentence: str) -> str:
    return "en"


def _judge(evidence: _Evidence) -> Cut:
    """Find out what was heard of a reply."""
    parts = _parts(evidence.made)
    audio = b""
    words: list[tuple[str, float]] = []  # Each word, and when it begins in the audio.
    for pause, made in parts:
        requests = [bytes(one.pcm) for one in made]
        pcm, cuts = trimmed(*requests) if evidence.trimmed else (b"".join(requests), [])
        silence = round(pause * 44_100)
        lead = 0
        if silence and evidence.trimmed:  # From sound to sound.
            lead = _silence(pcm)[0]
            silence -= min(_silence(audio)[1], 17_640, silence) if audio else 0
        begun = len(audio) / 88_200 + (silence - lead) / 44_100
        audio += bytes(2 * silence) + pcm[2 * lead :]
        at = 0.0
        for one in made:
            words += [(word, begun + _behind_cuts(at + start, cuts)) for word, start in _words(one)]
            at += len(one.pcm) / 88_200
    least, most, whole = _played(evidence.frames, at_track_rate(audio))
    if not whole:
        return Cut("", evidence.remembered, evidence.estimate, late=float("inf"))
    # The cut falls into a frame, and the loop may have taken frames late.
    doubt = FRAME_SECONDS + evidence.late
    heard = [word for word, start in words if start <= least - doubt]
    doubtful = tuple(word for word, start in words if least - doubt < start <= most + doubt)
    return Cut(" ".join(heard), evidence.remembered, evidence.estimate, evidence.late, doubtful)


def _parts(made: list[_Made]) -> list[tuple[float, list[_Made]]]:
    """Return what lies between pauses, and the pause before each."""
    parts: list[tuple[float, list[_Made]]] = []
    for one in made:
        pause = next((pause for text, pause in PAUSE_BEFORE.items() if one.text.startswith(text)), 0.0)
        if pause or not parts:
            parts.append((pause, []))
        parts[-1][1].append(one)
    return parts


def _silence(pcm: bytes) -> tuple[int, int]:
    """Return how many samples come before the first sound, and how many after the last."""
    samples = np.frombuffer(pcm, "<i2").astype(int)
    sounds = np.flatnonzero(np.abs(samples) > 32)
    return (int(sounds[0]), int(len(samples) - 1 - sounds[-1])) if len(sounds) else (len(samples), 0)


def _behind_cuts(at: float, cuts: list[tuple[float, float]]) -> float:
    """Return where in the trimmed audio that is which was at ``at``."""
    return at - sum(min(max(at - start, 0.0), length) for start, length in cuts)


def _words(made: _Made) -> list[tuple[str, float]]:
    """Return each word that was written for a request, and when it begins.

    That is by the engine's own timing of this very audio.
    """
    words = []
    for spoken in _SPOKEN.finditer(made.text):
        place = range(*spoken.span())
        starts = [item.start for item in made.visemes if item.index in place and item.sound != SILENCE]
        # Of a request that was cut off, the end was never made.
        words.append((_written(spoken.group()), min(starts, default=float("inf"))))
    return words


def _written(spoken: str) -> str:
    for words, written in WRITTEN_FOR.items():
        if spoken.startswith(words):
            return written + spoken.removeprefix(words)
    return spoken


def _played(frames: list[bytes], speech: bytes) -> tuple[float, float, bool]:
    """Return how many seconds of ``speech`` have left the track, at least and at most, and if that is all.

    The frames that left it tell. A quiet one may look like the tail of the reply before, so only from the
    first loud one on are the two the same. All frames are others behind a gap for which the loop was late:
    the last milliseconds before it are filled up with silence.
    """
    expected = [speech[at : at + FRAME] for at in range(0, len(speech), FRAME)]
    first = next((number for number, frame in enumerate(expected) if _is_loud(frame)), len(expected))
    position, whole = first, True
    for frame in frames:
        if position < len(expected) and frame == expected[position]:
            position += 1
        elif position > first:
            whole = whole and not _is_loud(frame)
    return (0.0 if position == first else position * FRAME_SECONDS), position * FRAME_SECONDS, whole


def _is_loud(frame: bytes) -> bool:
    return bool(np.abs(np.frombuffer(frame, "<i2").astype(np.int32)).max(initial=0) > LOUD)


async def cut_replies(
    cuts: int, seed: int, at_once: int = CALLS, longest: float = LONGEST, *, marked: bool = False
) -> list[Cut]:
    """Cut off so many replies, of ``at_once`` calls, and return what became of them."""
    chance = random.Random(seed)
    engine = EspeakEngine()
    async with AsyncExitStack() as stack:
        await engine.start()
        stack.push_async_callback(engine.close)
        calls = []
        lateness = Lateness()
        stack.callback(lateness.stop)
        for number in range(at_once):
            tap = _Tap(engine, random.Random(chance.random()))
            # From a network that is hardly fast enough to one that is no limit.
            pace = [1.1, 4.0, None][number % 3]
            server = LocalServer(tap, first_audio_delay=0.06, pace=pace)
            await stack.enter_async_context(server)
            own = random.Random(chance.random())
            trim = number % 4 > 0
            calls.append(_Call(tap, server, own, lateness, longest=longest, trim=trim, marked=marked))
        rounds = -(-cuts // at_once)
        evidence = await asyncio.gather(*(call.run(rounds) for call in calls))
    return [_judge(one) for call in evidence for one in call][:cuts]


def judged(cuts: list[Cut]) -> list[Cut]:
    """Return the cuts at which the loop was in time: the others show the machine's load."""
    return [cut for cut in cuts if cut.late <= LATE]


def report(cuts: list[Cut]) -> str:
    """Return what came out, the framework's own estimate beside it."""
    left_out = len(cuts) - len(cuts := judged(cuts))
    told = f"{len(cuts)} cuts; {left_out} more are left out, for the event loop was late"
    if not cuts:
        return told
    rows = (
        ("with word timing", [cut.error for cut in cuts]),
        ("the framework's estimate", [cut.estimates_error for cut in cuts]),
    )
    return "\n".join(
        [
            told,
            *(
                f"{name:<25} {sum(not error for error in errors):>4} of {len(errors)} exact, "
                f"at most {max(errors)} words off, {sum(errors) / len(errors):.2f} in the mean"
                for name, errors in rows
            ),
        ]
    )


def main() -> None:
    """Cut replies off and print what came out."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cuts", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.randrange(1000))
    parser.add_argument("--marked", action="store_true", help="with markup and pronunciations")
    options = parser.parse_args()
    logging.getLogger("videosdk.agents").setLevel(logging.CRITICAL)
    cuts = asyncio.run(cut_replies(options.cuts, options.seed, marked=options.marked))
    for cut in judged(cuts):
        if cut.error:
            print(f"off by {cut.error}: heard {cut.heard!r}, remembered {cut.remembered!r}")
    print(f"seed {options.seed}")
    print(report(cuts))
    # One word can be the machine's; more is a defect.
    raise SystemExit(any(cut.error > 1 for cut in judged(cuts)))


if __name__ == "__main__":
    main()
