"""Numbers and tables on a terminal."""

from __future__ import annotations

import numpy as np
import pytest

from euthymia.cli import show


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (1.0, "1.00"),
        (0.99996, "1.00"),
        (0.9994, "0.999"),
        (9.996, "10.0"),
        (99.96, "100"),
        (-0.99996, "-1.00"),
        (1234.4, "1234"),
        (0.012345, "0.0123"),
        (1e-4, "0.000100"),
        (9.9e-5, "9.90e-05"),
        (2.5e6, "2.50e+06"),
        (float("nan"), "–"),
        (float("inf"), "–"),
    ],
)
def test_number_has_three_significant_digits(value: float, text: str):
    assert show.significant(value) == text


def test_spread_is_median_and_limits_or_the_one_value():
    values = np.array([1.0, 2.0, 3.0])
    assert show.spread(values) == "2.00 (1.00–3.00)"
    assert show.spread(values, is_typical=True) == "2.00"
    assert show.spread(np.full(3, np.nan)) == "–"


def test_table_is_not_folded_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]):
    show.table(["name", "value"], [["a" * 90, "[bold]1[/bold]"]], right=[1])
    out = capsys.readouterr().out
    assert "a" * 90 in out
    assert "[bold]1[/bold]" in out, "what a user wrote is not markup"


def test_warning_is_said_once(capsys: pytest.CaptureFixture[str]):
    show.warn(["far", "far", "wide"], is_quiet=True)
    assert capsys.readouterr().err == "warning: far\nwarning: wide\n"


def test_rate_counts_from_the_first_that_were_done(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(show.time, "monotonic", lambda: 12.0)
    assert show.rate_text(5000, 9000, (10.0, 1000), "patients") == "5,000 of 9,000 patients, 2,000/s"
    assert show.rate_text(1000, 9000, (12.0, 1000), "patients") == "1,000 of 9,000 patients"


def test_bar_says_what_is_counted(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    now = iter(range(100))
    monkeypatch.setattr(show.sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(show.time, "monotonic", lambda: 2.0 * next(now))
    with show.progress("Summarising", is_quiet=False, counted="patients") as on_done:
        assert on_done is not None
        on_done(10, 40)
        on_done(40, 40)
    assert "40 of 40 patients, " in capsys.readouterr().err
