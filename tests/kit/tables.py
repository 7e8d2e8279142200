"""Tables of cases that one test checks: handing out a thousand tests costs more than it takes to run them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from inspect import signature
from typing import Any

Check = Callable[..., None]


def each(names: str | tuple[str, ...], cases: Iterable[Any]) -> Callable[[Check], Check]:
    """Check every case in one test, which fails with all that are wrong, each named.

    It is written like ``pytest.mark.parametrize``, for what computes and needs no fixture of its own.
    """
    keys = (names,) if isinstance(names, str) else names
    table = [dict(zip(keys, (case,) if isinstance(names, str) else case, strict=True)) for case in cases]
    assert table

    def decorate(check: Check) -> Check:
        @wraps(check)
        def check_each(**others: Any) -> None:
            wrong = [error for case in table if (error := _mistake(check, case, others)) is not None]
            if wrong:
                raise ExceptionGroup(f"{len(wrong)} of {len(table)} cases are wrong", wrong)

        left = [value for name, value in signature(check).parameters.items() if name not in keys]
        check_each.__signature__ = signature(check).replace(parameters=left)  # type: ignore[attr-defined]
        return check_each

    return decorate


def _mistake(check: Check, case: dict[str, Any], others: dict[str, Any]) -> Exception | None:
    try:
        check(**case, **others)
    except Exception as error:  # noqa: BLE001 - whatever it is, the other cases are checked as well
        error.add_note("The case: " + ", ".join(f"{name}={value!r}" for name, value in case.items()))
        return error
    return None
