"""Text chunks to requests.

Rule of this file: no I/O, no clock, no event loop. Chunks and flush markers go in, the texts of the
requests come out, and :attr:`TextPlanner.quiet_time` says how long the caller should wait before it
declares the input quiet.

Two kinds of stream arrive here and look alike for their first chunk. The framework's pipeline hands
over ready sentences: no white space at their edges, so joining two needs a space. A user's own
iterator hands over raw LLM tokens: what separates two words is in the tokens, so joining two must add
nothing. Sentences in tokens are found by the framework's own chunker.

Often it is known which of them comes: :class:`Chunks`. Where it isn't, white space at the edge of a chunk
settles it: tokens. Without any, it is what the first chunks look like (:meth:`TextPlanner._joins`): a first
chunk that looks like a whole sentence is taken for one. One white space proves nothing: the framework's
chunker leaves it in front of a whole sentence that it lets go of while the LLM pauses.

A first chunk that is no whole sentence may be a line ("Your options", "Apples") or end inside of a word ("on
your Mac", "Book"). Such a joint is in doubt, and the text behind it waits, until further chunks tell
(:meth:`TextPlanner._guess`).

A pipeline's hook stands behind the chunker and mostly passes its sentences on, but may yield anything. They
are taken for sentences then, unless most of the last chunks look like tokens
(:meth:`TextPlanner._goes_on`).
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum, auto
from itertools import accumulate

from videosdk.agents.tokenize import STRONG_TERMINATORS, BasicSentenceChunker

from .characters import are_one, has_space, is_speakable, joined, mended, parts_words
from .joints import (
    CLOSING,
    IDLE_WORD,
    TERMINATORS,
    TRAILING,
    Chunks,
    begins_line,
    closes,
    ends_in_address,
    ends_in_number,
    ends_line,
    ends_sentence,
    goes_on_in_word,
    goes_on_small,
    has_edge_space,
    is_bullet,
    is_clause,
    is_idle_sentence,
    is_token,
    may_begin_line,
    may_join,
    opens,
    splits_name,
    takes_no_space,
)
from .markup import LONGEST_PAUSE, MarkedText, Pause, Style
from .pieces import (
    MAX_REQUEST_CHARS,
    Piece,
    RequestText,
    Segment,
    is_on_new_line,
    request_of,
    text_after,
)
from .spoken import Replacement

_WINDOW = 2 * MAX_REQUEST_CHARS
"""Characters that are looked at for the next request."""

_TOKEN_QUIET = 0.15  # Seconds; the framework's own chunker waits as long before it lets a sentence go.
_CUT_QUIET = 2.0  # The rest of a number that the chunker cut comes with its whole clause.
_NUMBER_QUIET = 0.5  # A number ("3.") may go on ("14"), an address ("www.example.") too: both wait longer.
_LINES = 3  # So many joints in a row that may be those of lines are.
_MOST_EVIDENCE = 3  # So many words in parts, and one more, outweigh any number of sentences.
_LATEST = 6  # So many chunks show whether a hook yields sentences or tokens.
_PER = "%‰°"
_TERMINATOR = re.compile(f"[{re.escape(TERMINATORS)}]")
"""What the framework's chunker cuts behind, if anything follows."""
_NO_TERMINATORS = {ord(mark): " " if mark.isspace() else "x" for mark in TERMINATORS}
# Where the framework's chunker cuts a number in two: "10:" off "30", "1,250." off "75".
_CUT_NUMBER = re.compile(r"(?:\d:|,\d{3}\.)$")
# The same where a comma leads the decimals: "1.250," off "75", "23," off "5", and "1." off "250,75". A number
# without decimals is not cut, so "12." and "500" are the end of a sentence and the beginning of the next.
_CUT_COMMA_NUMBER = re.compile(r"\.\d{3},$")
_CUT_DECIMAL = re.compile(r"(?<=.{18})(?<![\d.,])\d{1,3},$", re.DOTALL)  # No shorter clause is cut off.
_ONE_DIGIT = re.compile(r"\d(?!\d)")  # The framework cuts no more digits off than one.
_CUT_GROUP = re.compile(r"(?<![\d.,])\d{1,3}\.$")
_GROUP_AND_DECIMALS = re.compile(r"\d{3},\d")
_POINT_LANGUAGES = frozenset({"bn", "en", "he", "hi", "ja", "ko", "ms", "ta", "th", "ur", "zh"})
"""Those that write 1,250.75; all others write 1.250,75, or leave the groups apart."""
_ORDINAL_SIGNS = "ªº°"  # The framework cuts "2." off "ª", "n." off "º",
# "U." off "S.", and "c." off "-à-d."; but "I." ends a sentence.
_INITIAL = re.compile(r"(?<!\w)(?!I\.)[^\W\d_]\.$")
_NEXT_INITIAL = re.compile(r"[^\W\d_]\.|[-‐‑][^\W\d_].*", re.DOTALL)
# The chunker uses private-use characters as placeholders, and garbles a path around an address.
_CHUNKER_TRAPS = re.compile(r"[/\\\ue000-\uf8ff]")


class _Stream(Enum):
    """What the chunks seen so far look like."""

    UNDECIDED = auto()
    SENTENCES = auto()
    TOKENS = auto()


class TextPlanner:
    """Gathers the chunks of one utterance and cuts them into requests.

    The caller pushes what arrives and asks for the next request whenever the service is free. What has
    gathered by then goes out together: better prosody, and fewer requests.

    Args:
        language: Two-letter code for the sentence chunker's abbreviations.
        chunks: What is known of them.
    """

    def __init__(self, language: str, *, chunks: Chunks = Chunks.UNKNOWN) -> None:
        self._chunker = BasicSentenceChunker(language=language)
        self._decimal_comma = language not in _POINT_LANGUAGES
        self._chunks = chunks
        known = {Chunks.SENTENCES: _Stream.SENTENCES, Chunks.TOKENS: _Stream.TOKENS}
        self._stream = known.get(chunks, _Stream.UNDECIDED)
        self._evidence = 0  # Joints that look like those of sentences, less those inside of words.
        self._closed: deque[Piece] = deque()
        self._open = Piece()
        self._confirmed = 0  # This much of the open text is complete: something follows it.
        self._begun = ""  # What was taken of a sentence that goes on.
        self._complete = False  # Whether the rest is complete too, as long as nothing goes on with it.
        self._last = ""  # The last chunk since the last flush, with all that it went on with,
        self._last_whole = False  # and whether it looks like a whole sentence.
        self._previous = self._current = ""  # The last two chunks as they came.
        self._latest: deque[bool] = deque(maxlen=_LATEST)  # Which of the last ones look like tokens.
        self._held = False  # Whether the last chunk's rest was held back, and comes with the next.
        self._referred = False  # Whether the last chunk has ended in a character reference.
        self._ended = False

    @property
    def exhausted(self) -> bool:
        """Whether the text has ended and every request was taken."""
        return self._ended and not self._closed

    @property
    def quiet_time(self) -> float | None:
        """Seconds without a chunk after which :meth:`release` is due; None where only more text helps."""
        rest = _as_cut(self._open.text, self._open.replacements)[self._ready :].rstrip()
        if not is_speakable(rest) or not ends_sentence(rest):
            return None
        initial = self._ends_in_initial(rest)
        cut = self._may_be_cut(rest) or (initial and rest[-2].islower())  # No sentence ends in such a letter.
        if self._last_whole and has_space(rest) and not (cut or initial or self._open.doubts):
            return 0.0
        if self._chunks.are_sentences and self._stream is not _Stream.TOKENS and cut:
            return _CUT_QUIET
        goes_on = initial or ends_in_number(rest) or ends_in_address(rest)
        return _NUMBER_QUIET if goes_on else _TOKEN_QUIET

    @property
    def ready(self) -> bool:
        """Whether there is text for a request."""
        return any(piece.text for piece in self._closed) or is_speakable(self._open.text[: self._ready])

    def push(self, chunk: str) -> None:
        """Take the next chunk of text."""
        self._push(chunk)

    def _push(self, chunk: str, replacements: Iterable[Replacement] = (), *, held: bool = False) -> str:
        """Take a chunk of text, and return what of it is kept.

        Args:
            chunk: The text.
            replacements: What of it is spoken in another way.
            held: Whether its rest is held back, so that it doesn't end at the edge of what has come.
        """
        kept = self._trimmed(chunk, held=held) if chunk else ""
        if kept:
            lead = chunk.find(kept)
            self._add(kept, [each.moved(-lead) for each in replacements], held=held)
        if chunk:
            self._held = held and (bool(kept) or self._held)
        return kept

    def push_marked(self, chunk: MarkedText, *, pending: bool) -> None:
        """Take the next chunk of text with speech markup.

        Args:
            chunk: The text, and what its tags say.
            pending: Whether the text behind it is held back until a tag is complete.
        """
        stripped = self._push(chunk.text, chunk.replacements, held=pending)
        if chunk.marks:
            self._open.doubts.clear()
        lead = chunk.text.find(stripped)
        begin = len(self._open.text) - len(stripped) - lead
        begin -= self._give_back()
        for place, mark in chunk.marks:
            # White space at the edges of a sentence was dropped.
            inside = min(max(place, lead), lead + len(stripped))
            begin -= self._mark(begin + inside, mark)
        self._referred = chunk.ends_in_reference
        if pending or (self._referred and may_join(self._open.text)):
            self._complete = False

    def take_pause(self) -> float:
        """Return the seconds of silence that are due before the next text, and forget them."""
        front = self._closed[0] if self._closed else self._open
        seconds, front.pause = front.pause, 0.0
        if self._closed and not front.text:
            self._closed.popleft()
        return seconds

    def _mark(self, place: int, mark: Style | Pause) -> int:
        """Have a style or a pause begin in the open text; return how much text before it was closed."""
        while opens(self._open.text[:place]):
            place -= 1
        closed = self._close_before(place)
        if isinstance(mark, Style):
            self._open.style = mark
        else:
            self._open.pause = min(self._open.pause + mark.seconds, LONGEST_PAUSE)
            self._open.paused = True
        return closed

    def _close_before(self, place: int) -> int:
        """Make a piece of the open text before ``place``, unless nothing in it can be said.

        Returns:
            How much of the open text it took.
        """
        head = self._open.head(place)
        if not is_speakable(head.text):
            return 0
        head.parted = True
        self._closed.append(head)
        self._shorten(place)
        self._open.pause, self._open.paused = 0.0, False
        # Whether it does is known when its first character is there.
        self._open.touches = not (head.text[-1].isspace() or self._open.text[:1].isspace())
        return place + self._give_back()

    def _give_back(self) -> int:
        """Have a full stop or comma behind a tag end the piece before it, if that has not been taken.

        Returns:
            How much of the open text it took.
        """
        text = self._open.text
        marks = len(text) - len(text.lstrip(TRAILING + _PER))
        ends = text[marks : marks + 1].strip() == ""
        if not (self._closed and self._closed[-1].text and self._open.touches and marks and ends):
            return 0
        self._closed[-1].text += text[:marks]
        self._shorten(marks)
        self._open.touches = not self._open.text
        return marks

    def _shorten(self, count: int) -> None:
        self._open.drop(count)
        self._confirmed = max(0, self._confirmed - count)

    def _add(self, chunk: str, replacements: Sequence[Replacement] = (), *, held: bool = False) -> None:
        whole = chunk.rstrip() if held else chunk
        joins = self._held or self._follows_reference(chunk) or not whole or self._joins(whole)
        text = self._open.text
        if not text:
            self._open.touches = self._open.touches and joins and not chunk[0].isspace()
        if not joins:
            if self._last_whole:
                self._confirmed = len(text)
            if takes_no_space(text):
                self._open.text = text + chunk
            else:
                self._open.joints.append(len(text))
                self._open.text = joined(text, chunk)
            self._last = ""
        else:
            self._open.text += chunk
        # Before anything is let go of: nothing is cut inside of one.
        begin = len(self._open.text) - len(chunk)
        self._open.replacements += [each.moved(begin) for each in replacements]
        chunk = _as_cut(chunk, replacements)
        tokens = self._stream is _Stream.TOKENS
        self._last = chunk if tokens else self._last + chunk
        self._last_whole = not tokens and self._is_whole(self._last)
        self._complete = self._last_whole and not (self._open.doubts or self._may_go_on(self._last))
        self._confirm()

    def flush(self) -> None:
        """Take a ``FlushMarker``: what is buffered becomes a request of its own."""
        self._open.doubts.clear()
        if is_speakable(self._open.text):
            self._closed.append(self._open)
        elif self._closed:
            self._closed[-1].flushed = True
        else:
            self._begun = ""
        if not is_speakable(self._open.text) and self._open.pause:
            self._closed.append(Piece(pause=self._open.pause))
        self._open, self._confirmed, self._complete = Piece(style=self._open.style), 0, False
        self._held = False
        self._last, self._last_whole = "", False

    def end(self) -> None:
        """Take the end of the text."""
        self.flush()
        self._ended = True

    def release(self) -> None:
        """Take a quiet spell of :attr:`quiet_time`: the sentence in the making is complete after all."""
        self._open.doubts.clear()
        self._complete = True

    def segments(self) -> list[Segment]:
        """Return what :meth:`next_request` may take by now: sentences and clauses up to the next flush.

        A piece without anything to say belongs to the segment after it, or to the one before where none is
        after it.
        """
        return self._segments_of(self._front, closed=bool(self._closed))

    @property
    def _front(self) -> Piece:
        return self._closed[0] if self._closed else self._open.head(self._ready)

    def _segments_of(self, piece: Piece, *, closed: bool) -> list[Segment]:
        if not is_speakable(piece.text):
            return []
        # A long text isn't looked at whole for each request. The rest comes when this was taken.
        window = piece.head(_WINDOW) if len(piece.text) > _WINDOW else piece
        if not is_speakable(window.text):
            window = piece
        ends = self._segment_ends(window)
        segments = []
        start = 0
        for end in ends:
            if is_speakable(window.text[start:end]):
                whole = closed and end == len(piece.text) and not piece.parted
                clause = is_clause(window.text[:end]) or goes_on_small(window.text, end)
                cut = piece.parted and end == len(piece.text) and not ends_sentence(piece.text.rstrip())
                segments.append(Segment(end - start, sentence=whole or not (clause or cut)))
                start = end
        if len(window.text) < len(piece.text):
            return segments[:-1] or segments  # The last is cut by the window.
        rest = len(piece.text) - start
        return [*segments[:-1], Segment(segments[-1].length + rest, segments[-1].sentence)]

    def sentences(self, segments: Sequence[Segment]) -> list[str]:
        """Return the sentence that each of the :meth:`segments` belongs to, as far as it is complete.

        It begins with what of it was taken before, and goes on behind the tags inside of it.
        """
        sentences: list[str] = []
        text, count = self._begun_before(self._front), 0
        for number, (part, ends) in enumerate(self._parts()):
            if number >= len(segments) and not count:
                break
            text += part if text else part.lstrip()
            count += number < len(segments)
            if ends:
                sentences += [text] * count
                text, count = "", 0
        sentences += [text] * count
        return [mended(sentence.strip()) for sentence in sentences]

    def _parts(self) -> Iterator[tuple[str, bool]]:
        """Yield the text of all segments that are complete, and whether their sentence ends there."""
        pieces = [*self._closed, self._open.head(self._ready)]
        before = self._begun_before(pieces[0])
        for number, piece in enumerate(pieces):
            if number and is_on_new_line(piece):
                yield "", True
            segments = self._segments_of(piece, closed=number < len(self._closed))
            begin = 0
            for segment in segments:
                end = begin + segment.length
                part = piece.text[begin:end]
                yield (
                    part if begin else text_after(before, part, piece),
                    segment.sentence or ends_line(piece.text[:end]),
                )
                begin = end
            if segments and begin < len(piece.text):
                return  # The rest is looked at when this was taken.
            if not segments:
                yield text_after(before, piece.text, piece), False
            if piece.flushed:
                yield "", True
            before = piece.text

    def _begun_before(self, piece: Piece) -> str:
        """Return what was taken of the sentence that goes on in ``piece``."""
        return "" if is_on_new_line(piece) else self._begun

    def _note_taken(self, piece: Piece, length: int, sentences: Sequence[int]) -> None:
        """Keep what was taken of a sentence that goes on behind it.

        Args:
            piece: The piece, before anything of it is dropped.
            length: How much of it was taken.
            sentences: Where sentences end in it.
        """
        text = piece.text[:length]
        end = max((end for end in sentences if end <= length), default=0)
        begun = self._begun_before(piece)
        begun = text[end:] if end else f"{begun}{text_after(begun, text, piece)}"
        over = ends_line(text) or (piece.flushed and length == len(piece.text))
        self._begun = "" if over or not is_speakable(begun) else begun

    def next_request(self, segments: Sequence[Segment] | None = None) -> RequestText | None:
        """Return the text of the next request and forget it, or None while nothing is complete.

        A piece without anything to say (a stray quotation mark, a row of dots) waits for the text
        that follows it. It is dropped where none follows, or where it would fill a request by itself.

        Args:
            segments: The first of the :meth:`segments`, which it takes. None takes all. It takes fewer where
                they are more than one request may hold.
        """
        segments = self.segments() if segments is None else segments
        if not segments:
            return None
        piece = self._closed[0] if self._closed else self._open
        begin, taken = self._take(piece.head(sum(segment.length for segment in segments)))
        ends = accumulate(segment.length for segment in segments)
        sentences = [end for end, segment in zip(ends, segments, strict=True) if segment.sentence]
        request = request_of(piece, begin, taken, sentences)
        self._note_taken(piece, taken, sentences)
        piece.drop(taken)
        if piece is self._open:
            self._confirmed = max(0, self._confirmed - taken)
        elif not is_speakable(piece.text):
            self._closed.popleft()
        return request

    @property
    def _ready(self) -> int:
        return len(self._open.text) if self._complete else self._confirmed

    def _segment_ends(self, piece: Piece) -> list[int]:
        joints = (end for end in piece.joints if 0 < end < len(piece.text))
        cuts = {*self._boundaries(piece.text, piece.replacements), *joints}
        return [*sorted(cuts), len(piece.text)]

    def _trimmed(self, chunk: str, *, held: bool = False) -> str:
        """Return ``chunk`` without the white space at its edges, where sentences are joined with a space.

        Where a part of it was held back, or is now, it has no edge.
        """
        inside = self._held and not self._open.text[-1:].isspace()
        trimmed = chunk if inside else chunk.lstrip()
        trimmed = trimmed.rstrip() if not held else trimmed
        self._previous, self._current = self._current, chunk
        if self._chunks is Chunks.MOSTLY_SENTENCES and not (self._held or held):
            self._weigh(chunk)
        sentences = self._stream is _Stream.SENTENCES and (
            self._chunks.are_sentences or is_idle_sentence(chunk)
        )
        return trimmed if sentences else chunk

    def _weigh(self, chunk: str) -> None:
        """Learn from a chunk of a hook whether it yields sentences or tokens."""
        tokens = is_token(chunk) or self._splits_word(chunk)
        # The first token has no space as a rule, and a closing mark may stand alone in either.
        if tokens or (self._previous and chunk.strip(CLOSING)):
            self._latest.append(tokens)
        if self._previous:
            most = any(self._latest) and 2 * sum(self._latest) >= len(self._latest)
            self._stream = _Stream.TOKENS if most else _Stream.SENTENCES

    def _splits_word(self, chunk: str) -> bool:
        """Return whether ``chunk`` looks like a part of the word or address that the last one has begun."""
        before = self._previous.lstrip()
        if not before or has_space(before) or has_space(chunk):
            return False
        if before[-1].isalnum():
            return chunk[0].isalnum() and not chunk[0].isupper() and len(chunk) < IDLE_WORD
        return not is_speakable(before)

    def _goes_on(self, chunk: str) -> bool:
        """Return whether a hook's ``chunk`` goes on right where the last one stopped."""
        if self._last[-1].isspace() or chunk[0].isspace():
            return True  # What separates them is there.
        if closes(chunk) or self._splits_abbreviation(chunk) or self._splits_number(chunk):
            return True
        if self._stream is not _Stream.TOKENS:
            return self._splits_word(self._current)
        # Behind a mark, a token is a word at most, and a sentence is more than one.
        ended = self._last[-1] in (TERMINATORS if is_speakable(self._last) else STRONG_TERMINATORS)
        return not (ended and has_space(chunk)) or splits_name(self._last, chunk)

    def _joins(self, chunk: str) -> bool:
        """Return whether ``chunk`` goes on right where the last one stopped, and learn from both."""
        if self._chunks is Chunks.MOSTLY_SENTENCES:
            return not self._last or self._goes_on(chunk)
        doubtful = bool(self._open.doubts)
        if (has_edge_space(chunk) and (doubtful or not is_idle_sentence(chunk))) or (
            doubtful and is_token(chunk)
        ):
            self._settle(_Stream.TOKENS)
        if self._stream is _Stream.TOKENS or not self._last or chunk[0].isspace():
            return True  # What separates them, if anything does, is there.
        undecided = self._stream is _Stream.UNDECIDED
        if undecided and not self._last_whole:
            return self._guess(chunk)
        if closes(chunk) or self._splits_abbreviation(chunk) or self._splits_number(chunk):
            return True
        if undecided and splits_name(self._last, chunk) and not self._is_whole(chunk):
            return True
        if self._chunks is Chunks.UNKNOWN:
            goes_on = goes_on_in_word(self._last, chunk)
            self._evidence = min(self._evidence + (-1 if goes_on else 1), _MOST_EVIDENCE)
        return self._settle(_Stream.SENTENCES if self._evidence >= 0 else _Stream.TOKENS)

    def _guess(self, chunk: str) -> bool:
        """Return the same where nothing is known yet, and the last chunk is no whole sentence.

        A space that may be inside of a word is in doubt until a chunk comes that shows what they are.
        """
        last = self._last
        if begins_line(last, chunk) or self._begins_sentence(chunk):
            self._evidence = 1
            return self._settle(_Stream.SENTENCES)
        if not (self._open.doubts or may_begin_line(last, chunk)) or goes_on_in_word(last, chunk):
            return self._settle(_Stream.TOKENS)
        text = self._open.text
        if not takes_no_space(text) and joined(text, chunk) != text + chunk:
            self._open.doubts.append(len(text))
            if len(self._open.doubts) == _LINES:
                self._settle(_Stream.SENTENCES)
        return False

    def _settle(self, stream: _Stream) -> bool:
        """Note what the chunks look like, and with it whether the spaces in doubt are inside of words.

        Returns:
            Whether they look like tokens.
        """
        self._stream = stream
        if stream is _Stream.TOKENS:
            self._open.close_doubts()
        self._open.doubts.clear()
        return stream is _Stream.TOKENS

    def _follows_reference(self, chunk: str) -> bool:
        """Return whether a word goes on in ``chunk`` that the framework cut behind a character reference."""
        return self._referred and may_join(self._open.text) and (chunk[0].isalnum() or chunk[0] in "/!?")

    def _splits_number(self, chunk: str) -> bool:
        """Return whether a number goes on in ``chunk``; among sentences only one that the framework cut."""
        if self._stream is not _Stream.SENTENCES or any(self._latest):
            cut = ends_in_number(self._last)
        else:
            cut = self._may_be_cut(self._last)
            if cut and _CUT_GROUP.search(self._last):
                return _GROUP_AND_DECIMALS.match(chunk) is not None
            if cut and _CUT_DECIMAL.search(self._last):
                return _ONE_DIGIT.match(chunk) is not None
        return cut and chunk[0].isdigit()

    def _splits_abbreviation(self, chunk: str) -> bool:
        """Return whether an ordinal or an abbreviation goes on in ``chunk``, behind a full stop."""
        last = self._last
        ordinal = last.endswith(".") and chunk[0] in _ORDINAL_SIGNS
        if ordinal or not (self._ends_in_initial(last) and _NEXT_INITIAL.fullmatch(chunk)):
            return ordinal
        # "D." and "h." at the beginning of a sentence; but "B.C." or "vitamin C." and "e." are two.
        return not (last[-2].isupper() and chunk[0].islower()) or len(last) == len("D.")

    def _ends_in_initial(self, text: str) -> bool:
        """Return whether a sentence of the framework's chunker may be the first part of an abbreviation."""
        return self._chunks.are_sentences and _INITIAL.search(text) is not None

    def _may_be_cut(self, text: str) -> bool:
        """Return whether ``text`` ends as where the framework cuts a number in two."""
        if _CUT_NUMBER.search(text):
            return True
        cuts = (_CUT_COMMA_NUMBER, _CUT_DECIMAL, _CUT_GROUP)
        return self._decimal_comma and any(cut.search(text) for cut in cuts)

    def _begins_sentence(self, chunk: str) -> bool:
        """Return whether ``chunk`` is a sentence of its own behind an opening mark or a full stop."""
        begins = opens(self._last) or is_bullet(self._last) or ends_sentence(self._last)
        return begins and has_space(chunk) and self._is_whole(chunk)

    def _is_whole(self, text: str) -> bool:
        """Return whether the chunker would let this text go as it stands, or clearly did."""
        if self._stream is _Stream.SENTENCES and (has_space(text) or ends_sentence(text)):
            return True
        end = text[-MAX_REQUEST_CHARS:]
        return self._boundaries(f"{end} x")[-1:] == [len(end)]

    def _may_go_on(self, text: str) -> bool:
        """Return whether a complete-looking text could be the first part of a word or a number."""
        if self._ends_in_initial(text):
            return True
        if self._stream is _Stream.SENTENCES:
            return self._may_be_cut(text)
        return ends_in_number(text) or (text[0].islower() and not has_space(text))

    def _confirm(self) -> None:
        """Let go of every sentence or clause that is followed by something."""
        text = self._open.text
        if len(text) - self._confirmed > MAX_REQUEST_CHARS:
            self._open.doubts.clear()
        while len(text) - self._confirmed > MAX_REQUEST_CHARS:
            self._confirmed += self._cut(text[self._confirmed :], self._replaced_from(self._confirmed))
        rest = text[self._confirmed :]
        # Where white space has come, whatever comes next isn't part of the same word.
        whole = rest + "x" if rest[-1:].isspace() else rest
        boundaries = self._boundaries(whole, self._replaced_from(self._confirmed))
        if self._open.doubts:  # What is behind waits.
            certain = self._open.doubts[0] - self._confirmed
            boundaries = [end for end in boundaries if end <= certain]
        if boundaries:
            self._confirmed += boundaries[-1]

    def _boundaries(self, text: str, replaced: Sequence[Replacement] = ()) -> list[int]:
        """Return where the framework's chunker cuts ``text``, without cuts inside a word or number.

        Nor are there any inside of what is ``replaced``, and behind it only where what is spoken ends so.
        """
        if not _TERMINATOR.search(text, 0, len(text) - 1):
            return []  # Most tokens end nothing, and the chunker would compile its abbreviations for each.
        masked = _CHUNKER_TRAPS.sub("\ufffd", _as_cut(text, replaced))
        segments = self._chunker.tokenize_raw(masked)
        ends = list(accumulate(map(len, segments)))[:-1]
        return [end for end in ends if parts_words(text[end - 1], text[end]) and not _inside(end, replaced)]

    def _replaced_from(self, begin: int) -> list[Replacement]:
        return [each.moved(-begin) for each in self._open.replacements if each.end > begin]

    def _take(self, piece: Piece) -> tuple[int, int]:
        """Return where the next request of a speakable piece begins and ends."""
        begin, end = 0, self._cut(piece.text, piece.replacements)
        while not is_speakable(piece.text[begin:end]):
            begin = end
            end += self._cut(piece.text[begin:], [each.moved(-begin) for each in piece.replacements])
        return begin, end

    def _cut(self, text: str, replaced: Sequence[Replacement]) -> int:
        """Return one request's worth of ``text``: up to a sentence, else a clause, a word, a character."""
        if len(text) <= MAX_REQUEST_CHARS:
            return len(text)
        window = self._boundaries(text[: MAX_REQUEST_CHARS + 1], replaced)
        ends = [end for end in window if end <= MAX_REQUEST_CHARS]
        sentences = [end for end in ends if ends_sentence(text[:end].rstrip()) or text[end - 1] == "\n"]
        return (sentences or ends or [_last_space(text, replaced) or _last_character(text)])[-1]


def _last_space(text: str, replaced: Sequence[Replacement]) -> int:
    """Return where the last word that fits into a request ends, or 0."""
    window = text[: MAX_REQUEST_CHARS + 1]
    spaces = (i for i in range(len(window) - 1, 0, -1) if window[i].isspace())
    return next((i for i in spaces if not _inside(i, replaced)), 0)


def _last_character(text: str) -> int:
    """Return the last place that doesn't part a character from its accents, or an emoji's parts."""
    places = range(MAX_REQUEST_CHARS, MAX_REQUEST_CHARS // 2, -1)
    return next((i for i in places if not are_one(text[i - 1], text[i])), MAX_REQUEST_CHARS)


def _as_cut(text: str, replaced: Sequence[Replacement]) -> str:
    """Return ``text`` with no mark inside of what is ``replaced`` at which the framework's chunker would cut.

    The last one stands where what is spoken ends in such a mark: "Dr." may be no end, but "Doctor." is.
    """
    for each in replaced:
        kept = each.spoken.rstrip().endswith(tuple(TERMINATORS))
        begin, end = max(each.start, 0), each.end - kept
        text = text[:begin] + text[begin:end].translate(_NO_TERMINATORS) + text[end:]
    return text


def _inside(place: int, replaced: Sequence[Replacement]) -> bool:
    return any(each.start < place < each.end for each in replaced)
