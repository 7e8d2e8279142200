"""The agent's sessions in one call, and what the page asks of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, cast

import aiohttp
from _tap import tapped_session
from videosdk.agents import Agent, AgentSession, AgentState, Pipeline

from videosdk.plugins.lokutor import LokutorTTS
from videosdk.plugins.lokutor.errors import LokutorError

from .call import Call
from .hearing import TypedSTT
from .reporter import Reporter
from .script import SCRIPTS
from .service import Service
from .settings import VOICES, Settings

logger = logging.getLogger(__name__)

LONGEST_TEXT = 2_000
FADE_TIMEOUT = 2.0
"""Seconds within which a reply that was cut off is silent; it fades out for 0.4 s."""
TURN_TIMEOUT = 2.0
"""Seconds within which the framework takes typed words for a turn; it waits 0.1 s for more of them."""
SEE_TERMINAL = "The terminal tells more."

BUSY = {AgentState.SPEAKING, AgentState.THINKING}

MakePipeline = Callable[[Service, Settings, aiohttp.ClientSession], Pipeline]
MakeAgent = Callable[[str], Agent]


class Conversation:
    """Holds a call: obeys the page, and tells it what happens.

    Args:
        call: The caller's.
        service: Whose voice it is.
        make_agent: Returns an agent that greets so.
        make_pipeline: Returns its pipeline, with a ``TypedSTT`` and a ``LokutorTTS``.
        about: What the page says of the agent's parts.
    """

    def __init__(
        self,
        call: Call,
        service: Service,
        make_agent: MakeAgent,
        make_pipeline: MakePipeline,
        about: dict[str, Any],
    ) -> None:
        self._call = call
        self._service = service
        self._make_agent = make_agent
        self._make_pipeline = make_pipeline
        self._about = about
        self._settings = Settings()
        self._reporter = Reporter(call, is_service_up=lambda: service.is_up)
        self._session: AgentSession | None = None
        self._speaking: set[asyncio.Task[Any]] = set()

    async def hold(self) -> None:
        """Obey the page until the caller leaves or this is cancelled."""
        async with tapped_session(self._reporter.on_text) as http:
            try:
                async for message in self._call.messages():
                    await self._obey(message, http)
            finally:
                await self._end()

    async def _obey(self, message: dict[str, Any], http: aiohttp.ClientSession) -> None:
        try:
            match message:
                case {"do": "join", "settings": dict(settings)}:
                    self._introduce()
                    await self._join(settings, http)
                case {"do": "ask", "text": str(text)} if text.strip():
                    await self._ask(text.strip()[:LONGEST_TEXT])
                case {"do": "say", "text": str(text)} if not any(map(str.isalnum, text)):
                    self._reporter.tell("refused", message="There is nothing in it that could be spoken.")
                case {"do": "say", "text": str(text)}:
                    await self._interrupt()
                    await self._say(text.strip()[:LONGEST_TEXT])
                case {"do": "interrupt"}:
                    await self._interrupt()
                case {"do": "change", "settings": dict(settings)}:
                    self._apply(settings)
                case {"do": "service", "run": bool(run)}:
                    await self._switch_service(run=run)
                case _:
                    self._reporter.tell("refused", message="The page asked for something that there isn't.")
        except (TypeError, ValueError) as error:
            self._reporter.tell("refused", message=str(error))

    def _introduce(self) -> None:
        self._reporter.tell(
            "hello",
            **self._about,
            local=self._service.is_local,
            up=self._service.is_up,
            voices=VOICES,
            languages={
                code: {"name": script.name, "questions": list(script.answers)}
                for code, script in SCRIPTS.items()
            },
        )

    @property
    def _pipeline(self) -> Pipeline:
        if self._session is None:
            raise ValueError("The call has not begun.")
        return self._session.pipeline

    async def _begin(self, http: aiohttp.ClientSession, greeting: str) -> None:
        await self._end()
        try:
            pipeline = self._make_pipeline(self._service, self._settings, http)
            session = AgentSession(agent=self._make_agent(greeting), pipeline=pipeline)
        except Exception as error:  # Parts of others raise whatever they like.
            logger.exception("The agent can't be made")
            self._reporter.tell("error", message=f"The agent can't come: {error}", advice=SEE_TERMINAL)
            return
        track = self._call.track
        pipeline.audio_track = cast(LokutorTTS, pipeline.tts).audio_track = track  # What joining a room does.
        self._session = session
        self._reporter.follow(session, pipeline)
        self._reporter.begin_turn("", "greeting")
        self._spawn(session.start())
        self._call.on_audio = pipeline.on_audio_delta

    async def _end(self) -> None:
        session, self._session = self._session, None
        if session is None:
            return
        orchestrator = session.pipeline.orchestrator
        if orchestrator is not None and session.agent_state in BUSY:
            await orchestrator.interrupt()  # close() alone leaves the reply waiting for its end.
        for task in self._speaking:
            task.cancel()
        await asyncio.gather(*self._speaking, return_exceptions=True)
        await session.close()

    async def _ask(self, text: str) -> None:
        """Say something to the agent, as a turn of its own."""
        pipeline = self._pipeline
        if self._session is not None and self._session.agent_state is not AgentState.SPEAKING:
            await self._interrupt()  # Words interrupt only what is heard.
        # The framework waits for more words before it takes them for a turn, so the next question waits, too.
        taken = asyncio.Event()

        def on_transcript(data: dict[str, Any]) -> None:
            taken.set()

        pipeline.on("transcript_ready", on_transcript)
        try:
            await cast(TypedSTT, pipeline.stt).type(text)
            with suppress(TimeoutError):
                async with asyncio.timeout(TURN_TIMEOUT):
                    await taken.wait()
        finally:
            pipeline.off("transcript_ready", on_transcript)

    async def _say(self, text: str) -> None:
        if self._session is None:
            raise ValueError("The call has not begun.")
        self._reporter.begin_turn(text, "said")
        self._spawn(self._session.say(text))
        await asyncio.sleep(0)  # It begins: what comes next can interrupt it.

    async def _interrupt(self) -> None:
        """Cut the agent off, and wait until it is silent."""
        if self._session is None:
            return
        speaking = set(self._speaking)  # Also what waits for its first sound.
        if not speaking and self._session.agent_state not in BUSY:
            return
        self._session.interrupt()
        with suppress(TimeoutError):  # Nobody pulls the audio any more: the caller is leaving.
            async with asyncio.timeout(FADE_TIMEOUT):
                await asyncio.gather(*map(asyncio.shield, speaking), return_exceptions=True)
                await self._reporter.quiet.wait()
        self._reporter.drop_turn()

    async def _join(self, settings: dict[str, Any], http: aiohttp.ClientSession) -> None:
        self._settings = self._settings.changed(settings)
        self._reporter.pronunciations = self._settings.pronunciations
        script = SCRIPTS.get(self._settings.language, SCRIPTS["en"])
        await self._begin(http, script.greeting)

    def _apply(self, changes: dict[str, Any]) -> None:
        settings = self._settings.changed(changes)
        cast(LokutorTTS, self._pipeline.tts).update_options(now=True, **settings.options())
        self._settings = settings
        self._reporter.pronunciations = settings.pronunciations
        self._reporter.tell("changed", settings=changes)

    async def _switch_service(self, *, run: bool) -> None:
        try:
            await (self._service.start() if run else self._service.stop())
        except OSError as error:  # Another program has taken its port meanwhile.
            self._reporter.tell("refused", message=f"The local server can't be started again: {error}")
        self._reporter.tell("service", up=self._service.is_up)

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.create_task(work)
        self._speaking.add(task)
        task.add_done_callback(self._on_spoken)

    def _on_spoken(self, task: asyncio.Task[Any]) -> None:
        self._speaking.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, LokutorError):  # Those come by their own event.
            logger.error("The agent can't speak", exc_info=error)
            self._reporter.tell("error", message=str(error), advice=SEE_TERMINAL)
