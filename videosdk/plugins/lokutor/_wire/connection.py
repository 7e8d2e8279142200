"""One WebSocket to the service.

Rule of this file: the only one that knows what aiohttp's exceptions mean. It maps them to the tree in
``errors.py``, and raises outside the ``except`` block, so that no ``__context__`` can carry a request (and
with it the API key) into a traceback. Nothing is retried here. Of the plugin, only modules of ``_wire``
import aiohttp.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
from asyncio.trsock import TransportSocket
from collections.abc import Callable, Coroutine, Mapping, Sized
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Protocol

import aiohttp
from yarl import URL

from .._tasks import was_cancelled
from .._timer import Stretch, Timer
from ..errors import (
    AuthenticationError,
    ConfigurationError,
    LokutorError,
    NetworkError,
    ProtocolError,
    RateLimitError,
    ServiceError,
    error_from_reply,
)
from .endpoint import Endpoint, redact_key
from .protocol import (
    API_KEY_HEADER,
    EndOfRequest,
    ErrorReply,
    Event,
    SpeechRequest,
    Visemes,
    decode_binary,
    decode_rest,
    decode_text,
    encode_request,
)
from .quota import Quota, read_quota

logger = logging.getLogger("videosdk.plugins.lokutor")

_MAX_MESSAGE = 16 * 1024 * 1024
"""Largest message in bytes: 190 s of audio. A larger one ends the connection; aiohttp allows a quarter."""
_CLOSE_TIMEOUT = 1.0
"""Seconds for a close frame to leave. A peer that reads nothing would hold it back for ever."""
_LIVENESS_TIMEOUT = 1.0
"""Seconds for a connection that was on standby, or silent for long, to answer the ping that it gets."""
_DOUBTFUL_AFTER = 3.0
"""Seconds without a message after which a connection may be lost without a sign, as behind some routers."""
_LOOK_AGAIN = 0.1
"""Seconds until the plugin checks again whether a connection is alive that nobody received from."""
_POLICY_VIOLATION = 1008
_SERVER_ERROR = 500
"""The lowest HTTP status by which a server says that the fault is its own."""
_BURST_BYTES = 64 * 1024
"""Bytes that may gather in the socket before they are read: 0.7 s of audio."""
_BURST_TIME = 0.1
"""Seconds after which they are read in any case."""
_JOINED_BYTES = 20_000
"""Bytes of audio from which on no more messages are joined: nearly as much as is worked on at a time."""
_FEW = 10
"""Connections at a time, below which a connector's limit may be why there is none free."""

_DATA = frozenset({aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY})
_ALIVE = _DATA | {aiohttp.WSMsgType.PING, aiohttp.WSMsgType.PONG}

Spawn = Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]]
"""Starts a background task that its owner awaits before it closes."""


OnLimit = Callable[[RateLimitError], None]
"""Told of each limit of the plan that the service speaks of, at a handshake or later. Waits for nothing."""


class Keeper(Protocol):
    """Who keeps connections for calls. None of this waits for anything."""

    def on_first_request(self) -> None:
        """Note that a call has sent the first request on a connection."""

    def take_back(self, connection: Connection) -> bool:
        """Park a connection that a call has not used, or return False."""

    def on_parked_end(self) -> None:
        """Note that the connection that is parked has ended."""

    def on_closed(self, connection: Connection) -> None:
        """Note that the socket of a connection is closed."""

    def forget(self, connection: Connection) -> None:
        """Note that as well, and open nothing for it: the loop may be shutting down."""


class Connection:
    """An open WebSocket, for one utterance.

    It may be parked on standby (:meth:`park`, :meth:`unpark`), as long as it is :attr:`untouched`.
    :meth:`drop` is final and works from every state; :meth:`send` and :meth:`receive` then raise
    :class:`~videosdk.plugins.lokutor.errors.NetworkError`.
    """

    keeper: Keeper | None = None
    """Where it goes when a call has no use for it."""
    _on_limit: OnLimit | None = None

    def __init__(
        self, ws: aiohttp.ClientWebSocketResponse, endpoint: Endpoint, spawn: Spawn, handshake_time: float
    ) -> None:
        self.handshake_time = handshake_time
        """Seconds that it took to open."""
        self._ws = ws
        # Kept: aiohttp doesn't name it any more once its heartbeat has given up.
        self._socket: socket.socket | None = ws.get_extra_info("socket")
        self._sockname = _sockname_of(self._socket)
        self._endpoint = endpoint
        self._spawn = spawn
        self._dropped = False
        self._waited = False
        self._parked = False
        self._sent = False  # Whether a request was sent, or the sending of one began.
        self._unanswered = False  # Whether the service has yet to say that the last one has ended.
        self._ended = False  # Whether any request has ended on it,
        self._silent = True  # and whether nothing has come for the last one.
        self._data_came = False
        self._liveness_check = Timer(asyncio.get_running_loop(), self._check_liveness, patient=True)
        self._receiving = False  # Whether somebody waits for a message.
        self._dead = False  # Whether it has ended for giving no sign of life.
        self._answered = False
        self._unread: Visemes | None = None  # A message of which there is more to decode.
        # What ends the gathering, and a handle on the socket.
        self._burst: tuple[asyncio.TimerHandle, socket.socket | TransportSocket] | None = None
        self._burst_time = _BURST_TIME
        self._kept: aiohttp.WSMessage | None = None  # What came behind joined audio, and is no audio.
        self._watcher: asyncio.Task[aiohttp.WSMessage] | None = None
        self._stretch = Stretch()
        self._clock = asyncio.get_running_loop().time
        self._seen_at = self._clock()

    @property
    def waited(self) -> bool:
        """Whether it was opened ahead of its call."""
        return self._waited

    @property
    def replaceable(self) -> bool:
        """Whether it was on standby and has sent nothing yet, so that a new one can replace it unnoticed."""
        return self._waited and not self._answered

    @property
    def untouched(self) -> bool:
        """Whether it is open and has carried nothing: no request, and no data of the service.

        Only then can it serve another call, for nothing that still comes can be an answer to this one.
        """
        ended = self._dropped or self._ws.closed or (self._watcher is not None and self._watcher.done())
        return not (ended or self._sent or self._data_came)

    @classmethod
    async def open(
        cls,
        session: aiohttp.ClientSession,
        endpoint: Endpoint,
        *,
        connect_timeout: float,
        heartbeat: float | None,
        spawn: Spawn,
        proxy: URL | None = None,
        on_limit: OnLimit | None = None,
    ) -> Connection:
        """Resolve, connect and shake hands.

        Args:
            session: Whose connector and TLS settings are used.
            endpoint: URL and key.
            connect_timeout: Seconds for all of it.
            heartbeat: Seconds between pings; a peer is dead after 1.5 times as long without an answer.
                Not for a slow consumer: with over 512 KiB queued, a healthy peer counts as dead too.
            spawn: Starts the background task that closes the socket.
            proxy: The way to the service; None leaves it to the session.
            on_limit: Told of limits of the plan, before whoever opens it or receives from it.

        Raises:
            LokutorError: The handshake failed; the kind says who can act.
        """
        clock = asyncio.get_running_loop().time
        begun = clock()
        try:
            ws = await open_socket(
                session,
                endpoint.url,
                endpoint.headers,
                within=connect_timeout,
                heartbeat=heartbeat,
                proxy=proxy,
            )
        except RateLimitError as error:
            if on_limit is not None:
                on_limit(error)
            raise
        connection = cls(ws, endpoint, spawn, clock() - begun)
        connection._on_limit = on_limit
        if heartbeat is not None:  # A pong that waits in the socket must not come too late.
            connection._burst_time = min(_BURST_TIME, heartbeat / 5)
        return connection

    async def send(self, request: SpeechRequest) -> None:
        """Send one request.

        Raises:
            NetworkError: The connection is lost.
        """
        self.read_at_once()
        first, self._sent = not self._sent, True
        self._unanswered = self._silent = True
        try:
            if self._clock() - self._seen_at > _DOUBTFUL_AFTER and not self._liveness_check.running:
                await self._ping()  # Before the request, with which the service may be busy.
            await self._ws.send_str(encode_request(request))
        except (aiohttp.ClientError, OSError) as error:
            reason = type(error).__name__
        else:
            if first and self.keeper is not None:
                self.keeper.on_first_request()
            return
        raise NetworkError(f"The connection to Lokutor was lost while sending ({reason})")

    async def receive(self, *, joined: bool = False) -> Event:
        """Return the next event of the service.

        Args:
            joined: Whether audio takes along that of the next messages, as far as they have come. Whatever is
                done for each event is done once for all of them then.

        Raises:
            NetworkError: The connection ended.
            ProtocolError: The service sent something that can't be read.
        """
        while True:
            outcome = await self._next_outcome(joined)
            if isinstance(outcome, LokutorError):
                try:
                    raise outcome
                finally:
                    del outcome  # Its traceback refers to this frame.
            if outcome is not None:
                return outcome

    async def _next_outcome(self, joined: bool) -> Event | LokutorError | None:
        """Return what the next message means, or None for a sign of life.

        Errors are returned: one that was raised here would keep the message in its traceback, and the
        service may have quoted the key in it.
        """
        if self._unread is not None and not self._dropped:
            await asyncio.sleep(0)  # A message may hold so much that every other call would have to wait.
            return self._noted(decode_rest(self._unread))
        message = await self._next_message()
        match message.type:
            case aiohttp.WSMsgType.BINARY:
                return decode_binary(await self._join(message.data) if joined else message.data)
            case aiohttp.WSMsgType.TEXT:
                return self._decode(message.data)
            case aiohttp.WSMsgType.PING:
                await self._pong(message.data)
                return None
            case aiohttp.WSMsgType.PONG:
                return None
            case _:
                return self._lost(message)

    def _decode(self, text: str) -> Event | ProtocolError:
        try:
            event = decode_text(text)
            if isinstance(event, EndOfRequest):
                self._unanswered, self._ended = False, True
            return self._noted(self._redacted(event))
        except ProtocolError as error:
            return error.with_traceback(None)

    def _noted(self, event: Event) -> Event:
        """Return ``event``, after taking note of what is left of its message."""
        self._unread = event if isinstance(event, Visemes) and event.rest else None
        if isinstance(event, ErrorReply):
            self._note_refusal(event)
        return event

    def _note_refusal(self, reply: ErrorReply) -> None:
        error = error_from_reply(reply.message, reply.code, reply.request_id)
        if self._on_limit is not None and isinstance(error, RateLimitError):
            self._on_limit(error)

    def _redacted(self, event: Event) -> Event:
        """Return ``event`` without the key, should the service quote it: errors are logged."""
        if not isinstance(event, ErrorReply):
            return event
        hide = self._endpoint.redact
        return replace(
            event,
            message=hide(event.message),
            code=event.code and hide(event.code),
            request_id=event.request_id and hide(event.request_id),
        )

    def gather(self, seconds: float) -> None:
        """Let what comes gather in the socket for up to ``seconds``, 0.1 at most, and read it in one go then.

        Otherwise each message costs a wake-up of the process. For callers who don't need it at once. The end
        of the connection is noticed as ever. The kernel does the waiting (``SO_RCVLOWAT``, on Linux);
        elsewhere nothing is gathered.
        """
        if self._burst is not None or self._dropped or sys.platform != "linux":
            return
        if self._liveness_check.running:  # A sign of life must not wait in the socket.
            return
        own = self._ws.get_extra_info("socket")
        if own is None:  # It has ended.
            return
        # uvloop's own can't be configured.
        handle = own if isinstance(own, TransportSocket) else self._duplicate()
        if handle is not None and _wait_for_bytes(handle, _BURST_BYTES):
            timer = asyncio.get_running_loop().call_later(min(seconds, self._burst_time), self.read_at_once)
            self._burst = timer, handle  # Kept: there may be no descriptor left for another one by then.

    def read_at_once(self) -> None:
        """End the gathering: read what has come, and what comes from now on."""
        if self._burst is not None:
            (timer, handle), self._burst = self._burst, None
            timer.cancel()
            _wait_for_bytes(handle, 1)
            if isinstance(handle, socket.socket):
                handle.close()

    def park(self) -> bool:
        """Put the connection on standby, and watch it while nobody receives from it.

        Its keeper is told if it ends before it is taken.

        Returns:
            Whether it is on standby: one that is not :attr:`untouched` is refused.
        """
        if not self.untouched:
            return False
        self._waited = self._parked = True
        self._watch()
        return True

    def unpark(self) -> bool:
        """Take the connection off standby. Return whether it looks alive.

        A ping finds out whether it is: without a sign of life it ends by itself, within a second.
        """
        was_parked, self._parked = self._parked, False
        if not was_parked or self._sent or self._watch().done():
            return False
        if not self._liveness_check.running:  # Else it was given back before the last ping was answered.
            self._spawn(self._probe())
        return True

    def give_back(self) -> None:
        """End a call's use of it without awaiting anything: park it again if possible, else drop it."""
        if self.keeper is None or not self.untouched or not self.keeper.take_back(self):
            self.drop()

    def drop(self) -> None:
        """Close the socket without awaiting anything.

        A background task sends the close frame and the FIN, because a barge-in must not wait for the network.
        """
        if not self._dropped:
            self._dropped = True
            self._parked = False
            self._liveness_check.close()
            self.read_at_once()
            _end_heartbeat(self._ws)
            self._spawn(self._close()).add_done_callback(self._on_close_ended)

    async def _close(self) -> None:
        twin = self._duplicate()
        try:
            async with asyncio.timeout(_CLOSE_TIMEOUT):
                await self._ws.close()
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            logger.debug("A socket did not close cleanly: %s", type(error).__name__)
        finally:
            _forget_frames(self._ws.exception())
            if twin is not None:
                _shut(twin)
            if self.keeper is not None:
                self.keeper.on_closed(self)

    def _on_close_ended(self, closing: asyncio.Task[None]) -> None:
        if closing.cancelled():  # Perhaps before it began.
            self._close_at_once()
            if self.keeper is not None:
                self.keeper.forget(self)

    def abandon(self) -> None:
        """Tell the peer that it is over, where the loop of this connection is closed."""
        self._dropped = True
        self._parked = False
        self._liveness_check.close()
        self.read_at_once()
        _end_heartbeat(self._ws)
        twin = self._duplicate()
        if twin is not None:
            _shut(twin)

    def _close_at_once(self) -> None:
        """Do the same where the loop is being shut down, which still runs callbacks, but no new task."""
        self.abandon()
        # The socket's own close() needs a task. Without it, aiohttp complains of an unclosed connection if it
        # collects that before the response.
        response = getattr(self._ws, "_response", None)
        if response is not None:
            response.close()

    def _duplicate(self) -> socket.socket | None:
        """Return another handle on the open socket: uvloop's own can't be shut down."""
        if self._socket is None:
            return None
        try:
            twin = self._socket.dup()
        except OSError:
            return None
        # Right after the end, uvloop still names the closed descriptor, which may be somebody else's by now.
        if self._sockname is not None and _sockname_of(twin) == self._sockname:
            return twin
        twin.close()
        return None

    def _watch(self) -> asyncio.Task[aiohttp.WSMessage]:
        """Return the task that receives as long as the connection can be parked."""
        if self._watcher is None:
            self._watcher = asyncio.get_running_loop().create_task(self._await_message())
            self._watcher.add_done_callback(self._watched)
        return self._watcher

    async def _await_message(self) -> aiohttp.WSMessage:
        """Return the first message that a call must see; before that, only pings and chatter come."""
        try:
            return await self._next_but_chatter()
        except asyncio.CancelledError:
            if self._parked and not self._dropped:  # The loop itself is being shut down.
                self._dropped = True
                await self._close()
            raise

    async def _join(self, audio: bytes) -> bytes:
        """Return audio with that of the next messages, as far as they have come."""
        queue = _queue_of(self._ws)
        if not queue:
            return audio
        pieces, size = [audio], len(audio)
        while queue and size < _JOINED_BYTES and not self._stretch.over:
            message = await self._ws.receive()  # It is there, so that this waits for nothing.
            if message.type is not aiohttp.WSMsgType.BINARY:
                self._kept = message
                break
            pieces.append(message.data)
            size += len(message.data)
        return b"".join(pieces)

    async def _receive_message(self) -> aiohttp.WSMessage:
        if self._stretch.over:  # As long as messages are there, aiohttp waits for nothing.
            await asyncio.sleep(0)
        message, self._kept = self._kept, None
        if message is None or self._dropped:
            self._receiving = True
            try:
                message = await self._ws.receive()
            finally:
                self._receiving = False
        self._saw(message)
        return message

    async def _next_but_chatter(self) -> aiohttp.WSMessage:
        while True:
            message = await self._receive_message()
            if message.type is aiohttp.WSMsgType.PING:
                await self._pong(message.data)
            elif not (message.type is aiohttp.WSMsgType.PONG or self._is_chatter(message)):
                return message

    def _is_chatter(self, message: aiohttp.WSMessage) -> bool:
        return self._parked and message.type in _DATA and not _is_refusal(message)

    def _saw(self, message: aiohttp.WSMessage) -> None:
        self._seen_at = self._clock()
        if message.type in _DATA:
            self._data_came, self._silent = True, False
        if message.type in _ALIVE and self._liveness_check.running:
            self._liveness_check.stop()
            logger.debug("The connection is alive")

    def _watched(self, watcher: asyncio.Task[aiohttp.WSMessage]) -> None:
        if watcher.cancelled():
            if self._parked:  # The loop is being shut down, and it was cancelled before it began.
                self._close_at_once()
            return
        if watcher.exception() is not None:
            logger.debug("The standby connection failed: %s", type(watcher.exception()).__name__)
        elif self._parked and _is_refusal(watcher.result()):
            self._decode(watcher.result().data)  # Nobody receives it.
        self._end_parked()

    def _end_parked(self) -> None:
        if self._parked and self.keeper is not None:
            self._parked = False
            self.keeper.on_parked_end()

    def _check_liveness(self) -> None:
        """End what gave no sign of life, in a call or parked again."""
        if not self._receiving:  # What has come is seen only then: a slow track may be taking audio.
            self._liveness_check.start(_LOOK_AGAIN)
            return
        self._dead = True
        self._end_parked()
        self.drop()

    async def _next_message(self) -> aiohttp.WSMessage:
        if self._watcher is None and self._sent:
            message = await self._receive_message()
        else:
            # Two tasks can't receive at once. The watcher outlives a call that ends here and gives it back.
            message = await asyncio.shield(self._watch())
            self._watcher = None
        self._answered = self._answered or message.type in _DATA
        return message

    async def _ping(self) -> None:
        """Send a ping, and begin to wait for its answer when it leaves: the loop may be blocked before."""
        self._liveness_check.start(_LIVENESS_TIMEOUT)
        await self._ws.ping()

    async def _probe(self) -> None:
        try:
            await self._ping()
        except (aiohttp.ClientError, OSError) as error:
            logger.debug("The connection is dead: %s", type(error).__name__)

    async def _pong(self, data: bytes) -> None:
        try:
            await self._ws.pong(data)
        except (aiohttp.ClientError, OSError) as error:
            logger.debug("Could not answer a ping: %s", type(error).__name__)  # receive() tells why.

    def _lost(self, message: aiohttp.WSMessage) -> LokutorError:
        if self._dead:
            return NetworkError("Lokutor gives no sign of life: it doesn't answer a ping")
        if isinstance(message.data, aiohttp.WebSocketError):
            too_big = self._ws.close_code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG
            return ProtocolError(
                f"Lokutor sent a message that can't be read: {self._endpoint.redact(str(message.data))}",
                status=self._ws.close_code,
                retryable=not too_big,
            )
        code = self._ws.close_code
        reason = f"close code {code}"
        if code == _POLICY_VIOLATION:
            # Without a request under way it refuses none: that is how some end a connection that is idle. The
            # next request may have crossed it.
            crossed = self._ended and self._silent
            return ServiceError(
                f"Lokutor ended the connection ({reason})",
                status=code,
                retryable=crossed or not self._unanswered,
            )
        return NetworkError(
            f"Lokutor closed the connection before the end of the audio ({reason})", status=code
        )


async def open_socket(
    session: aiohttp.ClientSession,
    url: URL,
    headers: Mapping[str, str],
    *,
    within: float,
    heartbeat: float | None = None,
    proxy: URL | None = None,
) -> aiohttp.ClientWebSocketResponse:
    """Resolve, connect and shake hands; the pings that come are left to whoever receives.

    Raises:
        LokutorError: The handshake failed; the kind says who can act.
    """
    _check_session(session)
    _refuse_redirects(session)
    try:
        async with asyncio.timeout(within):
            return await session.ws_connect(
                url,
                headers=headers,
                max_msg_size=_MAX_MESSAGE + 1,  # It refuses one of exactly that size.
                heartbeat=heartbeat,
                autoping=False,  # A pong is a sign of life that aiohttp would keep to itself.
                # Without this, close() waits up to 10 s for the peer's close frame.
                timeout=aiohttp.ClientWSTimeout(ws_close=0),
                proxy=proxy,
            )
    except TimeoutError:
        failure: LokutorError = _timed_out(session, url)
    # A user's own session can raise both.
    except (Exception, asyncio.CancelledError) as error:
        if was_cancelled(error):
            raise
        failure = _handshake_failure(error, url)
        if isinstance(error, _RedirectError):  # Its words are not ours.
            failure.args = (_without_key(str(failure), url, headers),)
    try:
        raise failure
    finally:
        del failure  # Its traceback refers to this frame.


def new_session() -> aiohttp.ClientSession:
    """Return a session of the plugin's own, for the running loop. It follows no redirect at all."""
    # No limit: a WebSocket holds its slot, and the 101st call would wait in silence. Nothing is kept
    # alive: a refused handshake's socket would stay open, and the next try would use it again.
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    return aiohttp.ClientSession(
        connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trace_configs=[_no_redirects]
    )


class _RedirectError(aiohttp.ClientError):
    def __init__(self, status: int, host: str) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.host = host


async def _refuse_redirect(
    _session: aiohttp.ClientSession, _context: object, params: aiohttp.TraceRequestRedirectParams
) -> None:
    raise _RedirectError(params.response.status, redirected_to(params.response.headers, params.url))


async def _refuse_redirect_of_key(
    session: aiohttp.ClientSession, context: object, params: aiohttp.TraceRequestRedirectParams
) -> None:
    if API_KEY_HEADER in params.headers:
        await _refuse_redirect(session, context, params)


def _guard(on_redirect: Callable[..., Coroutine[Any, Any, None]]) -> aiohttp.TraceConfig:
    config = aiohttp.TraceConfig()
    config.on_request_redirect.append(on_redirect)
    config.freeze()
    return config


_no_redirects = _guard(_refuse_redirect)
_redirect_guard = _guard(_refuse_redirect_of_key)


def redirected_to(headers: Mapping[str, str], url: URL) -> str:
    """Return the host that an answer redirects to, and nothing else of its address, which may hold a key."""
    location = headers.get("Location") or headers.get("location") or ""
    try:
        return url.join(URL(location)).host or "another address"
    except ValueError:
        return "another address"


def _without_key(text: str, url: URL, headers: Mapping[str, str]) -> str:
    key = headers.get(API_KEY_HEADER) or url.query.get("api_key")
    return redact_key(text, key) if key else text


def _refuse_redirects(session: aiohttp.ClientSession) -> None:
    """Keep requests that carry the key from being redirected.

    ``ws_connect`` follows redirects, and ``X-API-Key`` would travel along to another host. Other
    requests of a user's own session are redirected as ever.
    """
    if _redirect_guard not in session.trace_configs:
        session.trace_configs.append(_redirect_guard)


def _is_refusal(message: aiohttp.WSMessage) -> bool:
    return message.type is aiohttp.WSMsgType.TEXT and isinstance(decode_text(message.data), ErrorReply)


def _check_session(session: aiohttp.ClientSession) -> None:
    if session.closed:
        raise ConfigurationError("The aiohttp.ClientSession to connect with is closed")
    # aiohttp would wait for ever, or fail in the middle. Its public property is deprecated, and warns.
    loop = asyncio.get_running_loop()
    if getattr(session, "_loop", loop) is not loop:
        raise ConfigurationError(
            "The aiohttp.ClientSession to connect with belongs to another event loop: make one in this"
        )


def _queue_of(ws: aiohttp.ClientWebSocketResponse) -> Sized:
    """Return what aiohttp has read and nobody has received, to see whether there is any; () if unknown.

    aiohttp keeps it to itself. In a version that keeps it elsewhere, messages are received one by one.
    """
    queue = getattr(getattr(ws, "_reader", None), "_buffer", ())
    return queue if isinstance(queue, Sized) else ()


def _wait_for_bytes(handle: socket.socket | TransportSocket, count: int) -> bool:
    """Have a socket count as readable from so many bytes on. Return whether it is still open."""
    try:
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, count)
    except OSError as error:
        logger.debug("The socket was already closed: %s", error.strerror)
        return False
    return True


def _sockname_of(raw: socket.socket | None) -> object:
    try:
        return None if raw is None else raw.getsockname()
    except OSError:
        return None


def _end_heartbeat(ws: aiohttp.ClientWebSocketResponse) -> None:
    """Have aiohttp let go of a socket that is being closed.

    Its heartbeat is told of all data by a callback, which refers to the socket in a circle. Data that come
    while the socket is being closed start the heartbeat once more, which keeps all of it, with 256 KiB of
    TLS, for as long. A version that keeps the callback elsewhere is left as it is.
    """
    protocol: Any = getattr(getattr(ws, "_writer", None), "protocol", None)
    if hasattr(protocol, "_data_received_cb"):
        protocol._data_received_cb = None


def _forget_frames(error: BaseException | None) -> None:
    """Let go of what an exception refers to: aiohttp keeps it in the socket, which its frames refer to.

    Such a circle is only freed by a collection of garbage, which stalls every call in the process.
    """
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__


def _shut(raw: socket.socket) -> None:
    """Send FIN at once, and close ``raw``. A dead peer on TLS would otherwise see none for aiohttp's 30 s."""
    try:
        raw.shutdown(socket.SHUT_RDWR)
    except OSError as error:
        logger.debug("The socket was already closed: %s", error.strerror)
    finally:
        raw.close()


def _timed_out(session: aiohttp.ClientSession, url: URL) -> NetworkError:
    text = f"Could not connect to {url.host} within connect_timeout"
    limit = 0 if session.connector is None else session.connector.limit
    # A socket holds its place in the connector while it is open, and the next one waits for it in silence.
    hint = f": the connector of your session allows only {limit} at a time" if 0 < limit < _FEW else ""
    return NetworkError(text + hint)


def _handshake_failure(error: BaseException, url: URL) -> LokutorError:
    """Map aiohttp's exception. Its own text and repr can show the request, so neither is passed on."""
    match error:
        case _RedirectError():
            return ConfigurationError(
                f"{url.host} redirects to {error.host} (HTTP {error.status}), "
                "and a redirect is not followed: check base_url",
                status=error.status,
            )
        case aiohttp.ClientHttpProxyError():
            return unreached(error, url)
        # Of the handshake, or of a session that raises for each status. Without headers it was no HTTP.
        case aiohttp.ClientResponseError() if error.headers is not None:
            return _refusal(error.status, error.headers)
        case aiohttp.InvalidURL():
            return ConfigurationError(f"aiohttp can't read the URL of {url.host}: check base_url")
        case aiohttp.ClientError() | OSError():
            return unreached(error, url)
        case _:
            return ConfigurationError(
                f"Connecting to {url.host} is not possible ({type(error).__name__}): "
                "check base_url, and the session if it is your own"
            )


def unreached(error: Exception, url: URL) -> LokutorError:
    """Map the exception of a host that can't be reached, for whatever reason."""
    host = url.host
    match error:
        case aiohttp.ClientHttpProxyError() | aiohttp.ClientProxyConnectionError():
            return _proxy_failure(error)
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ServerFingerprintMismatch():
            return ConfigurationError(f"The certificate of {host} is not trusted")
        case aiohttp.ClientConnectorDNSError():
            whose = "host" if error.host == url.raw_host else "proxy"
            return NetworkError(f"The {whose} {error.host} can't be resolved")
        case aiohttp.ClientConnectorSSLError():
            return NetworkError(f"The TLS handshake with {host} failed")
        case aiohttp.ClientConnectorError():
            return NetworkError(f"Connecting to {host}:{url.port} failed: {_reason(error)}")
        case _:
            return NetworkError(f"{host} can't be reached ({type(error).__name__})")


def _reason(error: aiohttp.ClientConnectorError) -> str:
    number = error.os_error.errno
    return os.strerror(number) if number else type(error.os_error).__name__


def _proxy_failure(
    error: aiohttp.ClientHttpProxyError | aiohttp.ClientProxyConnectionError,
) -> LokutorError:
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return proxy_refusal(error.status)
    return NetworkError(f"Connecting to the proxy failed: {_reason(error)}")


def proxy_refusal(status: int) -> LokutorError:
    """Return the error for a proxy that answered with ``status`` instead of connecting."""
    text = f"The proxy refused to connect (HTTP {status})"
    if status >= _SERVER_ERROR:
        return NetworkError(text, status=status)
    return ConfigurationError(f"{text}: check the proxy's settings", status=status)


def _limit(quota: Quota) -> RateLimitError:
    return RateLimitError(
        "Too many requests for this Lokutor plan (HTTP 429)",
        status=429,
        retry_after=quota.retry_after,
        limit=quota.limit,
        remaining=quota.remaining,
        reset_after=quota.reset_after,
    )


def _refusal(status: int, headers: Mapping[str, str] | None) -> LokutorError:
    match status:
        case 401 | 403:
            return AuthenticationError(
                f"Lokutor refused the API key (HTTP {status}): check api_key or LOKUTOR_API_KEY",
                status=status,
            )
        case 402:
            return AuthenticationError(
                "Lokutor asks for payment (HTTP 402): check the plan and the balance of this key's account",
                status=status,
            )
        case 429:
            return _limit(read_quota(headers or {}, datetime.now(UTC)))
        case 407:
            return proxy_refusal(status)
        case _ if status == 408 or status >= _SERVER_ERROR:  # noqa: PLR2004 - request timeout
            return ServiceError(f"Lokutor is not available (HTTP {status})", status=status)
        case _:
            return ConfigurationError(
                f"There is no WebSocket at this address (HTTP {status}): check base_url", status=status
            )
