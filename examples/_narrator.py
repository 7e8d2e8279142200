"""Tells what happens in a call as it happens, and keeps the record of it."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from _recording import Mouth, Recording, Request, Speech, Turn, Word
from _stage import Line
from videosdk.agents import AgentSession, Pipeline

from videosdk.plugins.lokutor import visemes

if TYPE_CHECKING:
    from videosdk.plugins.lokutor.metrics import SynthesisMetrics

SILENT_FOR = 0.5
"""Seconds without sound after which the agent counts as silent: longer than a gap between words."""


class CallError(Exception):
    """The agent has reported an error: there is nothing more to hear."""


class Narrator:
    """Prints a line for each thing that happens, and notes it in the recording.

    What the agent does is taken from the framework's own events, what is heard from the line.
    """

    def __init__(self, recording: Recording, greeting: str) -> None:
        self.recording = recording
        self._width = min(shutil.get_terminal_size((100, 24)).columns, 110)
        self._clock: Callable[[], float] = lambda: 0.0
        self._history: Callable[[], list[dict[str, Any]]] = list
        self._turn = self._heard = Turn(planned=greeting)  # The one being made, the one on the track.
        self._speaking = False
        self._fading: Turn | None = None
        self._speech: Speech | None = None
        self._failure: str | None = None
        recording.turns.append(self._turn)

    def follow(self, line: Line, session: AgentSession, pipeline: Pipeline) -> None:
        """Listen to all who know something."""
        self._clock = line.now
        self._history = session.get_context_history
        line.on_frame = partial(self._on_frame, line)
        session.on("agent_state_changed", self._on_agent_state)
        pipeline.on("error", self._on_error)
        assert pipeline.tts is not None
        pipeline.tts.on("word_spoken", self._on_word)
        pipeline.tts.on("visemes", self._on_visemes)  # type: ignore[arg-type]  # The plugin's own events.
        pipeline.tts.on("metrics", self._on_metrics)  # type: ignore[arg-type]

    def tell(self, who: str, what: str) -> None:
        """Print a line of the story, with the seconds since the call began."""
        head = f"{self._clock():6.2f}  {who:<7} "
        indent = " " * len(head)
        line = textwrap.fill(what, self._width, initial_indent=head, subsequent_indent=indent)
        try:
            print(line, flush=True)
        except OSError as error:
            # Whoever reads it has had enough. Raised here, it would look like a lost connection.
            # And Python would try again at its end, and complain.
            self._failure = f"The story can't be told: {error}"
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def on_caller(self, speech: Speech, *, over: bool) -> None:
        """The caller begins to speak."""
        self._speech = speech
        if over:
            self._turn.interruption = speech
        self.tell("caller", f'"{speech.text}"' + (" (over the agent's voice)" if over else ""))

    def on_answer(self, text: str) -> None:
        """The language model begins to answer: a new turn."""
        self._turn = Turn(planned=text, question=self._speech)
        self.recording.turns.append(self._turn)
        self.tell("agent", "thinks")

    def on_text(self, text: str) -> None:
        """A text leaves for Lokutor."""
        self._turn.requests.append(Request(text, self._clock()))
        self.tell("sent", f'"{text}"')

    def _on_agent_state(self, data: dict[str, Any]) -> None:
        state = data["state"]
        if state == "speaking":
            self._speaking = True
            self._heard = self._turn
            self._on_first_audio(self._heard)
        elif self._speaking and state == "idle":
            self._speaking = False
            self._on_played(self._heard)
        elif self._speaking and state == "listening":
            self._speaking = False
            self._on_cut(self._heard)

    def _on_word(self, word: dict[str, Any]) -> None:
        self._heard.words.append(Word(word["word"], word["cumulative_text"], self._clock()))

    def _on_visemes(self, reached: list[visemes.Viseme]) -> None:
        shapes = [shape for viseme in reached if (shape := visemes.mouth_shape(viseme.sound))]
        self._heard.mouths += [Mouth(shape, self._clock()) for shape in shapes]

    def _on_error(self, data: dict[str, Any]) -> None:
        self._failure = f"{data.get('source')}: {data.get('error')}"

    def _on_metrics(self, metrics: SynthesisMetrics) -> None:
        if metrics.streamed:  # The caller's voice, made ahead.
            return
        socket = "the standby connection" if metrics.standby_used else "a new connection"
        first = (
            f", first byte after {1000 * metrics.time_to_first_byte:.0f} ms"
            if metrics.time_to_first_byte
            else ""
        )
        end = ", then interrupted" if metrics.interrupted else ""
        self.tell(
            "cost",
            f"{socket}{first}; {metrics.requests} requests, {metrics.characters} characters, "
            f"{metrics.audio_received:.1f} s of audio{end}",
        )

    def _on_frame(self, line: Line) -> None:
        if self._failure:
            raise CallError(self._failure)
        if self._fading and line.silence >= SILENT_FOR:
            self._on_silence(self._fading)
            self._fading = None

    def _on_first_audio(self, turn: Turn) -> None:
        turn.first_audio_at = now = self._clock()
        waits = [f"{1000 * (now - request.at):.0f} ms after the text" for request in turn.requests[:1]]
        if turn.question:
            waits.append(f"{now - turn.question.end:.2f} s after the caller's last word")
        self.tell("agent", "speaks, " + ", ".join(waits))

    def _on_played(self, turn: Turn) -> None:
        heard = self.recording.heard(turn)
        if heard:
            self.tell("agent", f"has spoken {len(turn.words)} words in {heard[1] - heard[0]:.2f} s")

    def _on_cut(self, turn: Turn) -> None:
        turn.cut_at = now = self._clock()
        self._fading = turn
        since = f", {now - turn.interruption.start:.2f} s after the caller began" if turn.interruption else ""
        self.tell("agent", f"is cut off{since}")

    def _on_silence(self, turn: Turn) -> None:
        fade = self.recording.fade(turn) or 0.0
        self.tell("agent", f"is silent, {fade:.2f} s after the cut (the framework fades out)")
        kept = [item["content"] for item in self._history() if item.get("interrupted")]
        turn.remembered = " ".join(kept[-1]) if kept else ""
        words = f"{len(turn.remembered.split())} words"
        which = f"the {words} that were heard" if turn.remembered == turn.heard_text else words
        self.tell("agent", f'remembers {which}: "{turn.remembered}"')
