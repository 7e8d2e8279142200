"""The language of each sentence, where the application chooses it.

Rule of this file: it knows sentences and their languages. The choice is the application's, and may fail.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from .._shown import shown
from .characters import language_code
from .planner import Segment

logger = logging.getLogger("videosdk.plugins.lokutor")

ChooseLanguage = Callable[[str], str]
"""Takes the text of a sentence and returns its language: a code such as ``"es"``."""
_warned: set[str] = set()


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
        self._inside = False  # Whether the last request has ended inside a sentence.

    def take(self, segments: Sequence[Segment], texts: Sequence[str], count: int) -> tuple[int, str]:
        """Return how many segments go together as one request, and in which language.

        Args:
            segments: The text that is there, at least one.
            texts: What is in them.
            count: How many of them a request may take.
        """
        sentence_ends = [place for place, segment in enumerate(segments, 1) if segment.sentence]
        taken, language = 0, self._language
        while taken < count:
            end = next((end for end in sentence_ends if end > taken), len(segments))
            following = (
                language if self._inside and not taken else self._ask("".join(texts[taken:end]).strip())
            )
            if taken and following != language:
                break
            taken, language = min(end, count), following
        self._inside = not segments[taken - 1].sentence
        self._language = language
        return taken, language

    def _ask(self, sentence: str) -> str:
        kept = self._language if self._can_speak(self._language) else self._own
        try:
            language = self.choose(sentence)
        except Exception:
            # The caller must hear the sentence all the same.
            logger.exception("The choice of a language failed, and stays %r", kept)
            return kept
        code = language_code(language) if isinstance(language, str) else ""
        if not code:
            logger.warning(
                "The choice of a language must return a code such as 'es', got %s: it stays %r",
                shown(language),
                kept,
            )
            return kept
        if self._can_speak(code):
            return code
        if not _warned:  # It may be guessed from the text, and be many.
            _warned.add(code)
            logger.warning(
                "The choice of a language returned %s, which Lokutor doesn't speak: it stays %r",
                shown(language),
                kept,
            )
        return kept
