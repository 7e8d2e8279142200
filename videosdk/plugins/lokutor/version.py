"""The version of this distribution, read by ``pyproject.toml`` and by users."""

__version__ = "0.1.0"
