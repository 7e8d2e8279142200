"""Checks what was built: metadata, contents, and that the sdist builds without a network."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import sys
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile

from .build import build_wheel
from .environment import Environment, network_cut, run
from .project import DIST, NAME, PACKAGE, ReleaseError, copy_checkout, epoch, settings, version

_NOWHERE = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:9")


def built() -> tuple[Path, Path]:
    """Return the sdist and the wheel in ``dist/``.

    Raises:
        ReleaseError: There is something else, or one is missing.
    """
    stem = f"{NAME.replace('-', '_')}-{version()}"
    expected = [DIST / f"{stem}-py3-none-any.whl", DIST / f"{stem}.tar.gz"]
    found = sorted(DIST.glob("*"))
    if found != expected:
        raise ReleaseError(
            f"dist/ has {[path.name for path in found]}, not {[path.name for path in expected]}"
        )
    return expected[1], expected[0]


def check() -> None:
    """Check the sdist and the wheel in ``dist/``.

    Raises:
        ReleaseError: A check failed.
    """
    sdist, wheel = built()
    run([sys.executable, "-m", "twine", "check", "--strict", sdist, wheel])
    with TemporaryDirectory() as folder:
        copy = Path(folder, "checkout")
        copy_checkout(copy)
        check_wheel(wheel, copy)
        check_sdist(sdist, copy)
    check_offline(sdist, wheel)


def check_wheel(wheel: Path, source: Path) -> None:
    """Hold the files of a wheel against those of a checkout, and against its own list with hashes.

    Raises:
        ReleaseError: A file is missing, too many or changed.
    """
    with ZipFile(wheel) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    info = f"{'-'.join(wheel.name.split('-')[:2])}.dist-info"
    expected = {path.relative_to(source).as_posix(): path for path in (source / PACKAGE).rglob("*.py")}
    expected[f"{PACKAGE}/py.typed"] = source / PACKAGE / "py.typed"
    expected[f"{info}/licenses/LICENSE"] = source / "LICENSE"
    made = {f"{info}/{name}" for name in ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "top_level.txt")}
    _compare(wheel.name, set(contents), {*expected, *made})
    for name, path in expected.items():
        if contents[name] != path.read_bytes():
            raise ReleaseError(f"{name} in {wheel.name} isn't what the checkout has")
    rows = csv.reader(io.StringIO(contents[f"{info}/RECORD"].decode()))
    listed = {name: digest for name, digest, _ in rows}
    digests = {name: f"sha256={_digest(content)}" for name, content in contents.items()}
    digests[f"{info}/RECORD"] = ""  # It can't hold its own.
    if listed != digests:
        raise ReleaseError(f"the RECORD of {wheel.name} isn't what is in it")


def check_sdist(sdist: Path, source: Path) -> None:
    """Hold the files of an sdist against those of a checkout: all of it, and what setuptools adds.

    Raises:
        ReleaseError: A file is missing, too many or changed.
    """
    with tarfile.open(sdist) as archive:
        contents = {
            member.name.partition("/")[2]: file.read()
            for member in archive.getmembers()
            if (file := archive.extractfile(member))
        }
    info = f"{NAME.replace('-', '_')}.egg-info"
    made = {name for name in contents if name in {"PKG-INFO", "setup.cfg"} or name.startswith(f"{info}/")}
    expected = {path.relative_to(source).as_posix(): path for path in source.rglob("*") if path.is_file()}
    _compare(sdist.name, set(contents) - made, set(expected))
    for name, path in expected.items():
        if contents[name] != path.read_bytes():
            raise ReleaseError(f"{name} in {sdist.name} isn't what the checkout has")


def check_offline(sdist: Path, wheel: Path) -> None:
    """Build the wheel again and install the sdist, both without a network.

    Raises:
        ReleaseError: It needs a network, or gives another wheel.
    """
    with TemporaryDirectory() as folder:
        tools = Environment(Path(folder, "tools"))
        tools.pip("install", "pip", "build", *settings()["build-system"]["requires"])
        prefix: list[str | Path] = [*network_cut(), tools.python, "-m"]
        variables = {"SOURCE_DATE_EPOCH": str(epoch()), "PIP_NO_INDEX": "1", **_NOWHERE}
        again = build_wheel(
            sdist,
            Path(folder, "again"),
            epoch(),
            options=["--no-isolation"],
            python=tools.python,
            prefix=network_cut(),
        )
        if again.read_bytes() != wheel.read_bytes():
            raise ReleaseError("the same sdist gave two different wheels")
        prefix += ["pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation", sdist]
        run(prefix, cwd=Path(folder), environment=variables)
        found = tools.distributions().get(NAME)
        if found is None or found.version != version():
            raise ReleaseError(f"the sdist installed {found and found.version}, not {version()}")
    if not network_cut():
        sys.stderr.write("the network can't be cut off here: pip and build were told not to use it\n")


def _compare(where: str, found: set[str], expected: set[str]) -> None:
    if found != expected:
        more, less = sorted(found - expected), sorted(expected - found)
        raise ReleaseError(f"{where} has too many files: {more}, and lacks: {less}")


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
