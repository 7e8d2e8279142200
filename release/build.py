"""Builds the sdist, and the wheel from the sdist. The same commit gives the same bytes."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import sys
import tarfile
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from .environment import run
from .project import DIST, ReleaseError, copy_checkout, epoch

_GROUP_AND_OTHERS = 0o077


def build() -> None:
    """Build both into ``dist/``, and the sdist once more from another copy.

    Raises:
        ReleaseError: The second sdist differs.
    """
    shutil.rmtree(DIST, ignore_errors=True)
    DIST.mkdir()
    when = epoch()
    with TemporaryDirectory() as folder:
        first, second = Path(folder, "first"), Path(folder, "elsewhere", "second")
        copy_checkout(first)
        sdist = build_sdist(first, DIST, when)
        build_wheel(sdist, DIST, when)
        before = os.umask(_GROUP_AND_OTHERS)  # What another machine may have otherwise.
        try:
            copy_checkout(second)
            again = build_sdist(second, Path(folder, "again"), when)
        finally:
            os.umask(before)
        if again.read_bytes() != sdist.read_bytes():
            raise ReleaseError("the same commit gave two different sdists")


def build_sdist(source: Path, out: Path, when: int, options: Iterable[str] = ()) -> Path:
    """Build the sdist of a folder.

    Args:
        source: The folder; files are left in it.
        out: Where the sdist goes.
        when: The time that its files bear, in seconds since 1970.
        options: For ``python -m build``.
    """
    run([sys.executable, "-m", "build", "--sdist", *options, "--outdir", out, source], cwd=source)
    (sdist,) = out.glob("*.tar.gz")
    _settle(sdist, when)
    return sdist


def build_wheel(
    sdist: Path,
    out: Path,
    when: int,
    options: Iterable[str] = (),
    *,
    python: Path | str = sys.executable,
    prefix: Iterable[str] = (),
) -> Path:
    """Build the wheel of an sdist.

    Args:
        sdist: The sdist.
        out: Where the wheel goes.
        when: The time that its files bear, in seconds since 1970.
        options: For ``python -m build``.
        python: Whose ``build`` it is.
        prefix: What to put in front of the command.
    """
    with TemporaryDirectory() as folder:
        source = unpack(sdist, Path(folder))
        command = [*prefix, python, "-m", "build", "--wheel", *options, "--outdir", out, source]
        run(command, cwd=source, environment={"SOURCE_DATE_EPOCH": str(when)})
    (wheel,) = out.glob("*.whl")
    return wheel


def unpack(sdist: Path, target: Path) -> Path:
    """Unpack an sdist, and return its one folder."""
    shutil.unpack_archive(sdist, target, filter="data")
    (root,) = target.iterdir()
    return root


def _settle(sdist: Path, when: int) -> None:
    """Write an sdist again without what differs from build to build: times, owners, modes and order.

    setuptools heeds ``SOURCE_DATE_EPOCH`` in wheels only.
    """
    with tarfile.open(sdist) as archive:
        members = [
            (member, archive.extractfile(member)) for member in archive.getmembers() if not member.isdir()
        ]
        contents = sorted(
            (member.name, bool(member.mode & 0o100), file.read()) for member, file in members if file
        )
    with (
        sdist.open("wb") as file,
        gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=when) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name, executable, content in contents:
            member = tarfile.TarInfo(name)
            member.mtime, member.size = when, len(content)
            member.mode = 0o755 if executable else 0o644
            archive.addfile(member, io.BytesIO(content))
