"""How results and messages look on a terminal: tables to standard output, the rest to standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from euthymia.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Callable

NOT_A_DEVICE = "Simulated. Research software, not a medical device; no dosing advice."


def check_one_format(*, is_json: bool, is_csv: bool, cure: str = "") -> None:
    """Raise where both JSON and CSV are to go to standard output."""
    if is_json and is_csv:
        message = f"'--json' and '--csv' both want standard output. Give one.{cure}"
        raise InvalidInputError(message)


def note(text: str, *, is_quiet: bool = False) -> None:
    """Print a line to standard error."""
    if not is_quiet:
        print(text, file=sys.stderr)


def warn(texts: Iterable[str], *, is_quiet: bool = False) -> None:
    """Print warnings to standard error, each once; a quiet run still says what a result may not mean."""
    for text in dict.fromkeys(texts):
        print(f"warning: {text}", file=sys.stderr)


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    right: Sequence[int] = (),
    width: int = 200,
) -> None:
    """Print a table to standard output; columns listed in ``right`` are aligned to the right.

    ``width`` holds where standard output is no terminal.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table

    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for place, column in enumerate(columns):
        shown.add_column(column, justify="right" if place in right else "left", overflow="fold")
    for row in rows:
        shown.add_row(*row)
    Console(width=None if sys.stdout.isatty() else width, highlight=False, markup=False).print(shown)


def signed(value: float) -> str:
    """Return a change with its sign and one decimal; what rounds to 0 is 0.0."""
    return f"{value:+.1f}" if abs(value) >= 0.05 else "0.0"


def spread(values: NDArray[np.float64], *, digits: int = 3, is_typical: bool = False) -> str:
    """Return ``median (5 %-95 %)`` of three quantiles, or the one value of a typical patient."""
    if not np.isfinite(values[1]):
        return "–"
    middle = significant(values[1], digits)
    return (
        middle
        if is_typical
        else f"{middle} ({significant(values[0], digits)}–{significant(values[2], digits)})"
    )


def significant(value: float, digits: int = 3) -> str:
    """Return a number with so many significant digits, without an exponent where it is readable."""
    if value == 0 or not np.isfinite(value):
        return "0" if value == 0 else "–"
    if not 1e-4 <= abs(value) < 1e6:
        return f"{value:.{digits - 1}e}"
    rounded = float(f"{value:.{digits - 1}e}")  # 0.9999 becomes 1, which has one place fewer
    places = max(digits - 1 - int(np.floor(np.log10(abs(rounded)))), 0)
    return f"{value:.{places}f}"


@contextmanager
def progress(title: str, *, is_quiet: bool, counted: str = "") -> Iterator[Callable[[int, int], None] | None]:
    """Yield a callback (done, total) that shows a bar on standard error once a run takes over a second.

    Where it is said what is counted, the bar says how many are done, and how many in a second.
    """
    if is_quiet or not sys.stderr.isatty():
        yield None
        return
    started, bar = time.monotonic(), None
    first: tuple[float, int] | None = None

    def on_done(done: int, total: int) -> None:
        nonlocal bar, first
        first = first or (time.monotonic(), done)
        if bar is None and time.monotonic() - started > 1.0:
            from rich.console import Console
            from rich.progress import Progress, TextColumn

            columns = [
                *Progress.get_default_columns(),
                *([TextColumn("{task.fields[rate]}")] if counted else ()),
            ]
            bar = Progress(*columns, console=Console(stderr=True), transient=True)
            bar.start()
            bar.add_task(title, total=total, rate="")
        if bar is not None:
            bar.update(bar.task_ids[0], completed=done, rate=rate_text(done, total, first, counted))

    try:
        yield on_done
    finally:
        if bar is not None:
            bar.stop()


def rate_text(done: int, total: int, first: tuple[float, int], counted: str) -> str:
    """Return how many are done and how many in a second since the first were (time, how many)."""
    elapsed_s = time.monotonic() - first[0]
    rate = f", {(done - first[1]) / elapsed_s:,.0f}/s" if done > first[1] and elapsed_s > 0 else ""
    return f"{done:,} of {total:,} {counted}{rate}"
