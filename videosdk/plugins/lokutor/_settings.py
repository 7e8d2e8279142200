"""What is given as an argument, or else by the environment.

Rule of this file: it knows the environment and nothing else of this machine.
"""

from __future__ import annotations

import os

DEFAULT_BASE_URL = "wss://api.lokutor.com"


def given(name: str, value: object, variable: str) -> str:
    """Return an argument, else the environment's value; an empty one counts as not given."""
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{name} must be a string, got a {type(value).__name__}")
    return (value or "").strip() or os.environ.get(variable, "").strip()


def find_key(api_key: str | None) -> str:
    """Return the key that is given, else the environment's.

    Raises:
        ValueError: There is none, or one that no header can hold.
    """
    key = given("api_key", api_key, "LOKUTOR_API_KEY")
    if not key:
        raise ValueError("No API key: pass api_key=..., or set the environment variable LOKUTOR_API_KEY")
    if not (key.isascii() and key.isprintable()):
        raise ValueError("api_key contains a character that isn't allowed in an HTTP header: copy it again")
    return key
