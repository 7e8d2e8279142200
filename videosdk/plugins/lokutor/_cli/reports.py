"""A report in a file, which is whole at every moment.

Rule of this file: a run may end at any time, and what it has found has been paid for. So the file has what is
known after each finding, and never a part of it.
"""

from __future__ import annotations

import json
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from .._conformance.findings import Report


class ReportFile:
    """Keeps the newest report in a file, as a context.

    What is no plain file, such as a pipe, gets it once, at the end of the context. Before there is a finding,
    nothing is written, and an older report stays.

    Args:
        path: Where to write. A link is followed.

    Raises:
        OSError: On entering, keeping or leaving: it can't be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._target = Path(os.path.realpath(path))
        self._newest: Report | None = None
        self._plain = True

    @property
    def is_partial(self) -> bool:
        """Whether it has a report of a run that was interrupted."""
        return self._newest is not None and not self._newest.complete

    def __enter__(self) -> ReportFile:
        is_new = not self._path.exists()
        self._path.open("a").close()  # Before anything is spent for a report that can't be written.
        self._plain = stat.S_ISREG(self._path.stat().st_mode)
        if is_new:
            self._target.unlink()
        return self

    def __exit__(self, *_: object) -> None:
        if self._newest is not None and not self._plain:
            self._path.write_text(_text_of(self._newest), "utf-8")

    def keep(self, report: Report) -> None:
        """Put a report in the place of the one before."""
        self._newest = report
        if self._plain:
            _replace(self._target, _text_of(report))


def _text_of(report: Report) -> str:
    return json.dumps(report.as_json(), indent=2, ensure_ascii=False) + "\n"


def _replace(target: Path, text: str) -> None:
    part = target.parent / f".lokutor-{secrets.token_hex(8)}.part"
    try:
        with suppress(FileNotFoundError):
            mode = stat.S_IMODE(target.stat().st_mode)
            part.touch(mode)
            part.chmod(mode)
        part.write_text(text, "utf-8")
        part.replace(target)
    except PermissionError:  # The file may be written, and nothing else in its directory.
        target.write_text(text, "utf-8")
    finally:
        with suppress(OSError):
            part.unlink()
