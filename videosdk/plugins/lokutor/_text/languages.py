"""The language of each sentence, where the application chooses it.

Rule of this file: it knows sentences and their languages. The choice is the application's, and may fail.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Sequence

from .._shown import shown
from .characters import language_code
from .pieces import Segment

logger = logging.getLogger("videosdk.plugins.lokutor")

ChooseLanguage = Callable[[str], str]
"""Takes the text of a sentence and returns its language: a code such as ``"es"``."""
_warned: set[str] = set()
_ASYNC = "async"
_MOST_ANSWERS = 64
"""Texts of a reply whose language is remembered."""


class SentenceLanguages:
    """The languages of one reply's sentences.

    Args:
        choose: The application's choice.
        language: Language of a sentence for which there is no valid choice, before any other has one.
        can_speak: Returns whether a language can be spoken. Another choice isn't valid.
    """

    def __init__(self, choose: ChooseLanguage, language: str, can_speak: Callable[[str], bool]) -> None:
        self.choose = choose
        """The application's choice."""
        self._language = self._own = language
        self._can_speak = can_speak
        self._answers: dict[str, str | None] = {}

    def take(self, segments: Sequence[Segment], sentences: Sequence[str], count: int) -> tuple[int, str]:
        """Return how many segments go together as one request, and in which language.

        Args:
            segments: The text that is there, at least one.
            sentences: The sentence that each of them belongs to, as far as it is there.
            count: How many of them a request may take.
        """
        sentence_ends = [place for place, segment in enumerate(segments, 1) if segment.sentence]
        taken, language = 0, self._language
        while taken < count:
            end = next((end for end in sentence_ends if end > taken), len(segments))
            following = self._language_of(sentences[taken])
            if taken and following != language:
                break
            taken, language = min(end, count), following
        self._language = language
        return taken, language

    def _language_of(self, sentence: str) -> str:
        """Return the language of a sentence; where there is no valid choice, that of the one before."""
        kept = self._language if self._can_speak(self._language) else self._own
        answer = self._answer(sentence, kept)
        if answer is None:
            return kept
        code = language_code(answer)
        if self._can_speak(code):
            return code
        if not _warned - {_ASYNC}:  # It may be guessed from the text, and be many.
            _warned.add(code)
            logger.warning(
                "The choice of a language returned %s, which Lokutor doesn't speak: it stays %r",
                shown(answer),
                kept,
            )
        return kept

    def _answer(self, sentence: str, kept: str) -> str | None:
        """Return what was chosen for a text, if it may be a code. It is asked for once."""
        if sentence not in self._answers:
            while len(self._answers) >= _MOST_ANSWERS:
                del self._answers[next(iter(self._answers))]
            self._answers[sentence] = self._ask(sentence, kept)
        return self._answers[sentence]

    def _ask(self, sentence: str, kept: str) -> str | None:
        try:
            language: object = self.choose(sentence)
        except Exception:
            # The caller must hear the sentence all the same.
            logger.exception("The choice of a language failed, and stays %r", kept)
            return None
        if inspect.isawaitable(language):
            _discard(language, kept)
            return None
        if isinstance(language, str) and language_code(language):
            return language
        logger.warning(
            "The choice of a language must return a code such as 'es', got %s: it stays %r",
            shown(language),
            kept,
        )
        return None


def _discard(language: object, kept: str) -> None:
    if inspect.iscoroutine(language):
        language.close()  # Else Python warns of one that was never awaited, with each sentence.
    if _ASYNC not in _warned:
        _warned.add(_ASYNC)
        logger.warning(
            "The choice of a language must return a code such as 'es', and nothing to await: it stays %r",
            kept,
        )
