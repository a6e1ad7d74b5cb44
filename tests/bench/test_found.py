"""Turns, medians and ratios of `make bench`: what is divided by what, and what happens when one of several fails."""

from __future__ import annotations

import pytest

from bench.found import CannotRun, Found, in_turn, ratio, reason, significant, spread


@pytest.mark.parametrize(
    ("value", "against", "expected"),
    [(6.0, 3.0, 2.0), (1.0, 3.0, 0.333), (None, 3.0, None), (6.0, None, None), (6, 0, None)],
)
def test_ratio_is_the_first_by_the_second_or_nothing(value, against, expected):
    assert ratio(value, against) == expected


def test_spread_gives_milliseconds_and_their_number():
    assert spread([0.001] * 19 + [0.1]) == {"p50_ms": 1.0, "p95_ms": 5.95, "n": 20}
    assert spread([]) == {"p50_ms": None, "p95_ms": None, "n": 0}


def test_figures_keep_three_digits():
    assert [significant(value) for value in (1234.5, 0.00123456, None)] == [1230.0, 0.00123, None]


def test_calls_take_turns():
    order: list[str] = []
    calls = {name: lambda name=name: order.append(name) or len(order) for name in "ab"}
    results, reasons = in_turn(calls, 2)
    assert order == ["a", "b", "a", "b"]
    assert results == {"a": [1, 3], "b": [2, 4]}
    assert reasons == {}


def test_who_fails_once_is_not_asked_again_and_counts_for_nothing_while_the_others_go_on():
    asked = {"good": 0, "bad": 0}

    def good() -> int:
        asked["good"] += 1
        return asked["good"]

    def bad() -> int:
        asked["bad"] += 1
        if asked["bad"] == 2:
            raise CannotRun("the engine died")
        return 1

    results, reasons = in_turn({"bad": bad, "good": good}, 4)
    assert results == {"good": [1, 2, 3, 4]}
    assert reasons == {"bad": "the engine died"}
    assert asked["bad"] == 2


def test_reason_names_what_was_not_foreseen():
    assert reason(ValueError("a\nb")) == "ValueError: a b"
    assert reason(KeyboardInterrupt()) == "KeyboardInterrupt"


def test_what_was_not_measured_gives_no_ratio():
    found = Found()
    found.compare("a : b", 4.0, 2.0)
    found.compare("a : c", 4.0, None)
    assert found.ratios == [{"what": "a : b", "ratio": 2.0}]
