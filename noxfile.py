"""Tasks for contributors: ``nox -s tests lint docs bench release``. Each has an environment of its own.

``.ci/run`` is what must pass before a change lands, and needs no nox.
"""

import nox

nox.options.sessions = ["tests", "lint", "docs"]


@nox.session(python=["3.11", "3.12", "3.13"])
def tests(session: nox.Session) -> None:
    """Run the tests: ``nox -s tests-3.12 -- tests/unit``."""
    session.install("-e", ".[test]")
    session.run("pytest", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, spelling and types."""
    session.install("-e", ".[test]")  # The types of all that is imported.
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("codespell")
    session.run("mypy")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documents into ``docs/_build/html``."""
    session.install("-e", ".[docs]")
    session.run("python", "-m", "sphinx", "-W", "--keep-going", "-b", "html", "docs", "docs/_build/html")


@nox.session
def bench(session: nox.Session) -> None:
    """Measure the plugin beside others: ``nox -s bench -- --help``."""
    session.install("-e", ".[bench]")
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session
def release(session: nox.Session) -> None:
    """Make a release and check it, or do one step: ``nox -s release -- check``."""
    session.install("-e", ".[release]")
    session.run("python", "-m", "release", *session.posargs)
