"""How a value that somebody has given is shown in a message.

Rule of this file: pure. Whatever the value is, what is returned is short, and nothing is raised.
"""

from __future__ import annotations

import reprlib


class _Repr(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = 80
        self.maxlong = 500

    def repr_int(self, x: int, level: int) -> str:
        try:
            return super().repr_int(x, level)
        except ValueError:  # Python prints no number of over 4,300 digits.
            return f"a number of {x.bit_length()} bits"


shown = _Repr().repr
"""Returns a value's ``repr``, shortened, and whatever its own does."""
