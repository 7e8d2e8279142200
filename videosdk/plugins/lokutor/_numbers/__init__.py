"""Numbers, prices and units in the words of the caller's language.

Rule of this file: everything is imported when it is asked for. Who needs no numbers loads none of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .numbers_filter import NumbersFilter


def text_filter(language: str) -> NumbersFilter:
    """Return a text filter for a pipeline that says numbers, prices and units in the caller's language.

    Pass it to the pipeline: ``Pipeline(text_filter=text_filter("es"), ...)``. The framework's default filter
    says them in English, whatever the language is.

    Args:
        language: ``en``, ``es``, ``ca``, ``gl``, ``eu``, ``pt``, ``fr``, ``it`` or ``de``. A region may
            follow: ``es-MX`` reads "1.5" and "$" as Mexicans do.

    Raises:
        ValueError: Another language.
        ImportError: The language needs the extra ``numbers``.
    """
    from .languages import LANGUAGES_BY_CODE
    from .numbers_filter import NumbersFilter
    from .speller import Speller

    tag = str(language).strip().replace("_", "-").lower()
    code = tag.partition("-")[0]
    if code not in LANGUAGES_BY_CODE:
        raise ValueError(f"language must be one of {' '.join(LANGUAGES_BY_CODE)}, got {language!r}")
    return NumbersFilter(Speller(tag), code)
