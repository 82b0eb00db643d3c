"""What a model hands to the engine, and how a failed solve is reported."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from euthymia.errors import RunFailedError

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Equations:
    """A system of ordinary differential equations, written once over a namespace ``m``.

    Parameters
    ----------
    states : tuple of str
    drives : tuple of str
        Given functions of time.
    parameters : tuple of str
        One value a patient, (P,), or one number for all; a :class:`euthymia.engine.table.Table2` too.
    rates : callable (m, state, drive, parameter) -> {state: derivative per hour}
    outputs : callable (m, state, drive, parameter) -> {observable: value}
        Algebra only.
    structural : tuple of str
        Parameters that are one number for all and are written into the program as constants. A new value
        makes a new program, so this is for exponents and switches.
    """

    states: tuple[str, ...]
    drives: tuple[str, ...]
    parameters: tuple[str, ...]
    rates: Callable[[Any, Values, Values, Values], Mapping[str, Any]]
    outputs: Callable[[Any, Values, Values, Values], Mapping[str, Any]]
    structural: tuple[str, ...] = ()


class Drive(Protocol):
    """Given functions of time, smooth between grid points and continuous from the right at them."""

    def __call__(self, times_h: Array, *, is_left: Flags) -> tuple[Mapping[str, Array], Mapping[str, Array]]:
        """Return values and their derivatives per hour, each (P, T), (T,) or (P, 1).

        Parameters
        ----------
        times_h : array (T,)
            Ascending; a time may occur twice, first with the limit from the left.
        is_left : array (T,)
            Where the limit from the left is wanted. A smooth drive need not look at it.
        """
        ...


class Knots(NamedTuple):
    """Values of each patient at some times, ascending, (K,) and (P, K); linear in between."""

    times_h: Array
    values: Array


class PartedDrive(Drive, Protocol):
    """A drive that can say what it is made of, so that a compiled march evaluates most of it itself."""

    def linear(self) -> Sequence[Any]:
        """Return responses of linear systems (:class:`euthymia.engine.linear.Responder`).

        An output named as a drive gives it.
        """
        ...

    def knots(self) -> Mapping[str, Knots]:
        """Return what is piecewise linear, by drive; it bends on grid points."""
        ...

    def outside(self, times_h: Array, *, is_left: Flags) -> tuple[Mapping[str, Array], Mapping[str, Array]]:
        """Return values and slopes of all the rest; a drive left out is 0."""
        ...


class _Whole:
    """A drive of which nothing is known but its values."""

    def __init__(self, drive: Drive) -> None:
        self.outside = drive

    def linear(self) -> Sequence[Any]:
        return ()

    def knots(self) -> Mapping[str, Knots]:
        return {}


def as_parted(drive: Drive) -> Any:
    """Return a drive in parts; one that does not know them is all outside."""
    return drive if hasattr(drive, "outside") else _Whole(drive)


Jump = tuple[float, Callable[[Any, Values, Values], Mapping[str, Any]]]
"""(time_h, jump(m, state, parameter) -> {state: new value}); the time is a grid point."""


Decide = tuple[float, Callable[[Values], object]]
"""(time_h, decide(state)): looks at the states of all patients and changes none; the time is a grid point."""


class SolveFailedError(RunFailedError):
    """A state or output stopped being a finite number.

    Parameters
    ----------
    patient : int
        Position in the batch.
    time_h : float
        Start of the step that failed; for outputs and jumps the time itself.
    state : str
        The state whose rate failed first, or the output.
    term : str
        The first part of the equations that is not finite.
    """

    def __init__(self, *, patient: int, time_h: float, state: str, term: str) -> None:
        self.patient, self.time_h, self.state, self.term = patient, time_h, state, term
        super().__init__(
            f"The solve of patient {patient} failed after {time_h:g} h: '{state}' is not finite, "
            f"first at the term {term}."
        )
