"""Claim: the engine equals the closed forms of the textbooks for any compartments, input and schedule."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

import numpy as np
import pytest
from tests.analytic import textbook

from euthymia.engine.linear import Input, Response, assemble, respond

RELATIVE = 1e-10  # of the peak; the engine promises 1e-10 and accepts estimates of up to 1e-11

# Four patients whose rates lie well apart, so that the modal solution answers and no fallback.
VOLUME = np.array([11.6, 192.0, 4.41, 75.6])
CLEARANCE = np.array([88.8, 109.0, 115.9, 20.0])
FIRST = (np.array([39.0, 143.0, 10.6, 221.8]), np.array([145.8, 84.3, 156.6, 39.9]))
SECOND = (np.array([174.0, 417.0, 178.2, 830.0]), np.array([72.6, 37.6, 156.1, 11.0]))
KA = np.array([4.3, 2.93, 0.97, 1.45])
DURATION = np.array([0.218, 0.53, 1.9, 3.3])
LAG = np.array([0.15, 0.4, 1.1, 2.3])
AMOUNT = np.array([147.2, 80.0, 210.0, 1.0])
COMPARTMENTS = (1, 2, 3)


class Kind(NamedTuple):
    """How a dose enters: where, over what duration, after what lag."""

    node: str
    duration: float | np.ndarray
    lag: float | np.ndarray


KINDS = {
    "bolus": Kind("central", 0.0, 0.0),
    "infusion": Kind("central", 0.7, 0.0),
    "zero-order input": Kind("central", DURATION, 0.0),
    "first-order input": Kind("depot", 0.0, 0.0),
    "zero-then-first-order input": Kind("depot", DURATION, 0.0),
    "lagged bolus": Kind("central", 0.0, 0.25),
    "lagged zero-order input": Kind("central", DURATION, LAG),
    "lagged first-order input": Kind("depot", 0.0, LAG),
    "lagged zero-then-first-order input": Kind("depot", DURATION, LAG),
}
TIMES = np.concatenate([[0.0, 0.01], np.linspace(0.03, 11.9, 31), [14.0, 20.0, 26.5, 40.0]])


def system_of(compartments: int):
    flows = [("depot", "central", KA, True), ("central", "out", CLEARANCE / VOLUME, True)]
    for name, (volume, flow) in list({"first": FIRST, "second": SECOND}.items())[: compartments - 1]:
        flows += [("central", name, flow / VOLUME, True), (name, "central", flow / volume, True)]
    return assemble(flows, len(VOLUME))


def modes_of(compartments: int, patient: int) -> list[textbook.Mode]:
    basic = {"volume": VOLUME[patient], "clearance": CLEARANCE[patient]}
    first, second = ([one[patient] for one in pair] for pair in (FIRST, SECOND))
    if compartments == 1:
        return textbook.one_compartment(**basic)
    if compartments == 2:
        return textbook.two_compartments(**basic, peripheral=first)
    return textbook.three_compartments(**basic, first=first, second=second)


def of(value: float | np.ndarray, patient: int) -> float:
    return float(value if np.ndim(value) == 0 else value[patient])


def expected(
    compartments: int, kind: Kind, doses: list[tuple[float, float]], *, interval: float | None = None
):
    """Return (P, T); doses are (start, multiple of AMOUNT); with an interval the first repeats for ever."""
    rows = []
    for patient in range(len(VOLUME)):
        modes = modes_of(compartments, patient)
        if kind.node == "depot":
            modes = textbook.absorbed(modes, KA[patient])
        total = [Decimal(0)] * len(TIMES)
        for place, (start, multiple) in enumerate(doses):
            dose = {"amount": AMOUNT[patient] * multiple, "duration": of(kind.duration, patient)}
            since = [
                textbook.exact(time) - textbook.exact(start) - textbook.exact(of(kind.lag, patient))
                for time in TIMES
            ]
            parts = [textbook.single_dose(modes, **dose, times=since)]
            if interval is not None and place == 0:
                parts.append(textbook.earlier_doses(modes, **dose, times=since, interval=interval))
            total = [sum(values) for values in zip(total, *parts, strict=True)]
        rows.append([float(value) for value in total])
    return np.array(rows)


def solved(
    compartments: int, kind: Kind, doses: list[tuple[float, float]], *, interval: float | None = None
) -> Response:
    inputs = [
        Input(kind.node, AMOUNT * multiple, start, kind.duration, kind.lag, None if place else interval, 0.0)
        for place, (start, multiple) in enumerate(doses)
    ]
    return respond(system_of(compartments), inputs, TIMES, {"c": {"central": 1.0 / VOLUME}})


def assert_close(response: Response, wanted: np.ndarray) -> None:
    assert not response.by_exponential.any(), "these rates lie apart: the modal solution should answer"
    off = np.abs(response.values["c"] - wanted).max(axis=1) / np.abs(wanted).max(axis=1)
    assert off.max() <= RELATIVE, f"relative to the peak, by patient: {off}"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("compartments", COMPARTMENTS)
class TestClosedForms:
    def test_single_dose(self, compartments: int, kind: str):
        doses = [(0.0, 1.0)]
        assert_close(solved(compartments, KINDS[kind], doses), expected(compartments, KINDS[kind], doses))

    def test_multiple_doses_at_uneven_times_overlapping(self, compartments: int, kind: str):
        doses = [(0.0, 1.0), (0.5, 0.3), (6.0, 2.0), (13.7, 0.7)]
        assert_close(solved(compartments, KINDS[kind], doses), expected(compartments, KINDS[kind], doses))

    def test_steady_state_of_doses_every_12_hours(self, compartments: int, kind: str):
        doses = [(0.0, 1.0), (12.0, 1.0), (24.0, 1.0), (36.0, 1.0)]
        wanted = expected(compartments, KINDS[kind], doses, interval=12.0)
        assert_close(solved(compartments, KINDS[kind], doses, interval=12.0), wanted)

    def test_steady_state_whose_dose_comes_late_in_the_cycle(self, compartments: int, kind: str):
        doses = [(3.0, 1.0)]
        wanted = expected(compartments, KINDS[kind], doses, interval=12.0)
        assert_close(solved(compartments, KINDS[kind], doses, interval=12.0), wanted)


@pytest.mark.parametrize("start", [-500.0, 1e4])
def test_doses_far_from_time_zero_keep_the_digits(start: float):
    system = system_of(3)
    item = Input("depot", AMOUNT, start, DURATION, LAG)
    # 1e4 h + t is rounded to 1e-12 h, which moves a curve whose rates are tens per hour by 1e-11 or so
    found = respond(system, [item], start + TIMES, {"c": {"central": 1.0 / VOLUME}})
    assert_close(found, expected(3, KINDS["lagged zero-then-first-order input"], [(0.0, 1.0)]))


def test_peripheral_amount_after_a_bolus():
    """A2 = D k12 / (alpha - beta) (exp(-beta t) - exp(-alpha t))."""
    found = respond(system_of(2), [Input("central", AMOUNT, 0.0)], TIMES, {"a": {"first": 1.0}}).values["a"]
    for patient in range(len(VOLUME)):
        (_, alpha), (_, beta) = modes_of(2, patient)
        factor = (
            textbook.exact(AMOUNT[patient])
            * textbook.exact(FIRST[1][patient])
            / textbook.exact(VOLUME[patient])
        )
        wanted = [
            float(
                factor
                / (alpha - beta)
                * ((-beta * textbook.exact(t)).exp() - (-alpha * textbook.exact(t)).exp())
            )
            for t in TIMES
        ]
        assert np.abs(found[patient] - wanted).max() <= RELATIVE * max(wanted)


@pytest.mark.parametrize("kind", KINDS)
def test_integral_is_the_closed_form(kind: str):
    """AUC to t = (given so far into the centre - what is still inside) / CL in one compartment."""
    chosen = KINDS[kind]
    item = Input(chosen.node, AMOUNT, 0.0, chosen.duration, chosen.lag)
    system = system_of(1)
    area = respond(system, [item], TIMES, {"c": {"central": 1.0 / VOLUME}}, integrated=True).values["c"]
    gone = respond(system, [item], TIMES, {"out": {"out": 1.0}}).values["out"]
    late = respond(
        system, [item], np.array([2000.0]), {"c": {"central": 1.0 / VOLUME}}, integrated=True
    ).values["c"]
    np.testing.assert_allclose(
        area, gone / CLEARANCE[:, None], rtol=0, atol=1e-12 * (AMOUNT / CLEARANCE).max()
    )
    np.testing.assert_allclose(late[:, 0], AMOUNT / CLEARANCE, rtol=1e-12)


# --- inputs at the edge of what the engine takes -------------------------------------------------


@pytest.mark.parametrize(("duration", "lag"), [(1.5, 0.0), (0.0, 1.3), (0.8, 0.7)])
def test_steady_state_of_inputs_that_outlast_their_interval(duration: float, lag: float):
    system = system_of(1)
    times, outputs = np.linspace(0.0, 0.95, 12), {"c": {"central": 1.0}}
    steady = respond(system, [Input("central", AMOUNT, 0.0, duration, lag, 1.0)], times, outputs).values["c"]
    row = [Input("central", AMOUNT, -float(turn), duration, lag) for turn in range(80)]
    np.testing.assert_allclose(steady, respond(system, row, times, outputs).values["c"], rtol=1e-8)


def test_some_patients_may_take_at_once_what_others_take_slowly():
    durations = np.array([0.0, 1.0, 0.0, 2.0])
    found = respond(
        system_of(1), [Input("central", AMOUNT, 0.0, durations)], TIMES, {"c": {"central": 1.0}}
    ).values["c"]
    bolus = respond(system_of(1), [Input("central", AMOUNT, 0.0)], TIMES, {"c": {"central": 1.0}}).values["c"]
    assert np.array_equal(found[[0, 2]], bolus[[0, 2]])


def test_integral_over_a_steady_cycle_is_dose_over_clearance():
    item = Input("central", AMOUNT, 0.0, 0.0, 0.0, 12.0)
    area = respond(
        system_of(1), [item], np.array([12.0]), {"c": {"central": 1.0 / VOLUME}}, integrated=True
    ).values["c"]
    np.testing.assert_allclose(area[:, 0], AMOUNT / CLEARANCE, rtol=1e-10)
