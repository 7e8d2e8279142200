"""What a table of cases says of itself: each case is checked, and each that is wrong is named."""

from __future__ import annotations

from inspect import signature

import pytest
from kit.tables import each


def test_every_case_is_checked_and_each_that_is_wrong_is_named() -> None:
    checked = []

    @each(("number", "square"), [(1, 1), (2, 5), (3, 9), (4, 17)])
    def check(number: int, square: int) -> None:
        checked.append(number)
        assert number**2 == square

    with pytest.raises(ExceptionGroup, match="2 of 4 cases are wrong") as caught:
        check()
    assert checked == [1, 2, 3, 4]
    assert [error.__notes__ for error in caught.value.exceptions] == [
        ["The case: number=2, square=5"],
        ["The case: number=4, square=17"],
    ]


def test_tables_multiply_and_leave_the_other_arguments_alone() -> None:
    checked = []

    @each("letter", "ab")
    @each("number", [1, 2])
    def check(letter: str, number: int, rest: str) -> None:
        checked.append(f"{letter}{number}{rest}")

    assert list(signature(check).parameters) == ["rest"]
    check(rest="!")
    assert checked == ["a1!", "a2!", "b1!", "b2!"]


def test_a_table_without_cases_checks_nothing_and_is_refused() -> None:
    with pytest.raises(AssertionError):
        each("number", [])
