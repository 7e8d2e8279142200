"""Tells the page what happens in a call, turn by turn, as it happens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from videosdk.agents import AgentSession, Pipeline

from videosdk.plugins.lokutor import SynthesisMetrics, Viseme, WordSpoken, errors, mouth_shape

from .call import FRAME_SECONDS, Call, Frame
from .written import Unit, count_spoken, find_units

REMEMBERED = 12
"""Messages of the agent's memory that are shown."""
MEMORY_INTERVAL = 10
"""Frames between two looks at it."""

ADVICE: dict[type[Exception], str] = {
    errors.AuthenticationError: "Check LOKUTOR_API_KEY for spaces and quotation marks, and start again.",
    errors.ConfigurationError: "Check LOKUTOR_BASE_URL, then run: lokutor doctor",
    errors.InvalidRequestError: "Choose another voice, language, speed or number of steps under Voice.",
    errors.RateLimitError: "Wait a moment before you go on. Your plan has a limit.",
    errors.NetworkError: "Check that this machine reaches the service, then run: lokutor doctor",
    errors.ServiceError: "Try again in a moment.",
    errors.ProtocolError: "Run: lokutor conformance. Please report what it says.",
}
LOCAL_ADVICE = "The local server has stopped. Start it again under Voice, then ask once more."


class Reporter:
    """Turns the events of the framework, the plugin and the track into events for the page.

    Each has a ``type`` and ``at``, the seconds since the call began; most have the number of a ``turn``.
    What is heard is taken from the track, and the silence after a cut is measured in its frames: no load of
    the machine changes it.
    """

    def __init__(self, call: Call, *, is_service_up: Callable[[], bool]) -> None:
        self._call = call
        self._is_service_up = is_service_up
        self._clock = asyncio.get_running_loop().time
        self._opened = self._clock()
        self._session: AgentSession | None = None
        self.quiet = asyncio.Event()
        """Set while the agent has nothing to say and nothing of it fades out."""
        self._fading = False
        self._turn = self._spoken = 0
        self._unheard: int | None = None  # The last turn, until its first sound or its end.
        self._sent: int | None = None  # The turn whose text has left, whose sound is awaited.
        self._heard = 0  # The turn that is on the track.
        self._words = 0
        self.pronunciations: Mapping[str, str] = {}
        """The spoken form of each written one, for what is sent from now on."""
        self._units: list[Unit] = []  # What was sent of the last turn,
        self._told = ""  # and what was heard of the turn on the track.
        self._failed = 0  # The last turn with an error.
        self._state = ""
        self._frames = self._cut = self._last_fading = 0
        self._memory: list[dict[str, Any]] = []
        call.track.on_frame = self._on_frame

    def follow(self, session: AgentSession, pipeline: Pipeline) -> None:
        """Listen to all who know something."""
        self._session = session
        session.on("agent_state_changed", self._on_agent_state)
        session.on("user_state_changed", lambda data: self.tell("caller", state=data["state"]))
        pipeline.on("transcript_ready", lambda data: self.begin_turn(data["text"], "asked"))
        pipeline.on("error", self._on_component_error)
        tts: Any = pipeline.tts  # Whose own events the base class doesn't list.
        tts.on("word_spoken", self._on_word)
        tts.on("visemes", self._on_visemes)
        tts.on("metrics", self._on_metrics)
        tts.on("error", self._on_error)

    def tell(self, event: str, **details: Any) -> None:
        """Send the page an event."""
        at = round(self._clock() - self._opened, 3)
        self._call.send({"type": event, "at": at, **details})

    def begin_turn(self, text: str, origin: str) -> None:
        """The next thing that the agent says belongs to a new turn."""
        self.drop_turn()
        self._turn = self._unheard = self._turn + 1
        self.tell("turn", turn=self._turn, text=text, origin=origin)

    def drop_turn(self) -> None:
        """The last turn ends before its first sound, if it has not been heard yet."""
        if self._unheard is None:
            return
        if self._sent == self._unheard:
            self._sent = None
        self.tell("dropped", turn=self._unheard)
        self._unheard = None

    def on_text(self, text: str) -> None:
        """A text leaves for Lokutor."""
        if self._spoken != self._turn:
            self._units.clear()
        self._spoken = self._turn
        units = find_units(text, self.pronunciations)
        self._units += units
        if self._turn != self._heard:
            self._sent = self._turn
        self.tell("sent", turn=self._turn, text=text, units=units)

    def _on_agent_state(self, data: dict[str, Any]) -> None:
        before, self._state = self._state, data["state"]
        self.tell("agent", state=self._state)
        if before == "speaking" and self._state == "listening":
            self._fading = True
            self._cut = self._last_fading = self._frames
            self._hear()
            self._sent = None
            self.tell("cut", turn=self._heard, played=self._played, unheard=self._count_unheard())
        elif before == "speaking":
            self._hear()
            self._sent = None
            self.tell("played", turn=self._heard, whole=self._failed != self._heard)
        elif before == "thinking" and self._state == "listening":
            self.drop_turn()
        self._settle()

    def _hear(self) -> None:
        """Begin to hear the turn whose text was sent, if it is another one."""
        if self._sent is not None and self._sent != self._heard:
            self._heard, self._words, self._told = self._sent, 0, ""
        if self._heard == self._unheard:
            self._unheard = None

    def _count_unheard(self) -> int:
        """Count the characters that were sent and not heard.

        The metrics count them only where a turn is cut off before all its audio has come: it comes faster
        than it plays.
        """
        if self._heard != self._spoken:
            return 0
        sent = len(" ".join(unit.spoken for unit in self._units))
        return max(0, sent - count_spoken(self._units, self._told))

    @property
    def _played(self) -> float:
        """Seconds of the track that were played, silence included."""
        return round(self._frames * FRAME_SECONDS, 2)

    def _settle(self) -> None:
        if self._fading or self._state in {"speaking", "thinking"}:
            self.quiet.clear()
        else:
            self.quiet.set()

    def _on_frame(self, frame: Frame) -> None:
        self._frames += 1
        if frame.fading and frame.audible:
            self._last_fading = self._frames
        elif not frame.fading and self._fading:
            self._fading = False
            after = (self._last_fading - self._cut) * FRAME_SECONDS
            self.tell("silent", turn=self._heard, after=round(after, 2))
            self._settle()
        if frame.audible and not frame.fading and self._sent is not None:
            self._hear()
            self._sent = None
            self.tell("sound", turn=self._heard, played=self._played)
        if self._frames % MEMORY_INTERVAL == 0:
            self._tell_memory()

    def _tell_memory(self) -> None:
        if self._session is None or self._session.agent is None:
            return
        memory = [
            {
                "role": item["role"],
                "text": " ".join(map(str, item["content"])),
                "interrupted": bool(item.get("interrupted")),
            }
            for item in self._session.get_context_history()[-REMEMBERED:]
        ]
        if memory != self._memory:
            self._memory = memory
            self.tell("memory", items=memory)

    def _on_word(self, word: WordSpoken) -> None:
        if self._is_first(word):  # It may begin without a sound: a "p" is silent until the lips open.
            self._hear()
        self._words += 1
        self._told = word["cumulative_text"]
        self.tell("word", turn=self._heard, word=word["word"], count=self._words)

    @staticmethod
    def _is_first(word: WordSpoken) -> bool:
        return word["cumulative_text"].strip() == word["word"].strip()

    def _on_visemes(self, reached: list[Viseme]) -> None:
        for viseme in reached:
            shape = mouth_shape(viseme.sound)
            if shape is not None:  # None: it keeps its shape.
                self.tell("mouth", shape=shape, sound=viseme.sound)

    def _on_metrics(self, metrics: SynthesisMetrics) -> None:
        self.tell(
            "metrics",
            # A call that has sent nothing is the newest turn's, which has failed, or nobody's.
            turn=self._spoken if metrics.requests else self._turn if self._turn != self._spoken else None,
            first_byte=metrics.time_to_first_byte,
            standby=metrics.standby_used,
            requests=metrics.requests,
            characters=metrics.characters,
            unheard=metrics.characters_unheard,
            audio=metrics.audio_received,
            interrupted=metrics.interrupted,
        )

    def _on_error(self, error: Exception) -> None:
        advice = next(
            (text for kind, text in ADVICE.items() if isinstance(error, kind)), "Run: lokutor doctor"
        )
        if isinstance(error, errors.NetworkError) and not self._is_service_up():
            advice = LOCAL_ADVICE
        self._tell_error(str(error), advice)

    def _tell_error(self, message: str, advice: str) -> None:
        self._failed = self._turn
        self._unheard = None  # That was the end of it.
        self.tell("error", turn=self._turn, message=message, advice=advice)

    def _on_component_error(self, data: dict[str, Any]) -> None:
        source = str(data.get("source", ""))
        if source.upper() != "TTS":  # Those come with their class by the plugin's own event.
            self._tell_error(f"{source}: {data.get('error')}", "Check its key, and start again.")
