"""What an application should know of its pipeline, said once per process.

Rule of this file: it looks and logs, and changes nothing. Source: videosdk-agents 1.0.30,
``tokenize/filters.py`` and ``tokenize/verbalize.py``, which put prices into English words in every language
that isn't Indic.
"""

from __future__ import annotations

import logging

from videosdk.agents.speech_generation import SpeechGeneration
from videosdk.agents.tokenize import BasicTextFilter

from .._wire.protocol import LANGUAGES
from .callers import orchestrator_of

logger = logging.getLogger("videosdk.plugins.lokutor")

_given: set[str] = set()


def warn_of_english_numbers(speech: SpeechGeneration, language: str) -> None:
    """Warn, once per process, if a turn in another language has its prices in English words.

    Args:
        speech: What speaks the pipeline's turns.
        language: The language of the turn.
    """
    if language == "en" or language not in LANGUAGES or not _says_english(speech):
        return
    _warn_once(
        "numbers",
        "The pipeline's text filter says prices in English, and the language is %r: "
        "use Pipeline(text_filter=text_filter(%r)) from videosdk.plugins.lokutor",
        language,
        language,
    )


def warn_of_rewritten_markup(speech: SpeechGeneration, language: str) -> None:
    """Warn, once per process, if the pipeline rewrites the numbers in speech markup.

    Args:
        speech: What speaks the pipeline's turns.
        language: The language of the turn.
    """
    if _has_switch(speech, "_verbalize_numbers", "_expand_symbols"):
        _warn_once(
            "markup",
            'The pipeline\'s text filter rewrites speech markup (time="0.5s" becomes "zero point fives"): '
            "use Pipeline(text_filter=text_filter(%r)) from videosdk.plugins.lokutor",
            language,
        )


def _says_english(speech: SpeechGeneration) -> bool:
    return _has_switch(speech, "_verbalize_currency", "_verbalize_numbers")


def _has_switch(speech: SpeechGeneration, *switches: str) -> bool:
    text_filter = getattr(orchestrator_of(speech), "_text_filter", None)
    if type(text_filter) is not BasicTextFilter:  # A subclass knows what it does.
        return False
    return any(getattr(text_filter, switch, False) for switch in switches)


def _warn_once(subject: str, message: str, *values: object) -> None:
    if subject not in _given:
        _given.add(subject)
        logger.warning(message, *values)
