"""What event tables promise for every regimen."""

from __future__ import annotations

import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from hypothesis import event, given
from hypothesis import strategies as st
from tests.strategies import DRUGS, numbers, regimens

from euthymia.dosing.limits import device
from euthymia.dosing.order import Dose, Order, Route
from euthymia.dosing.regimen import Regimen, single
from euthymia.dosing.schedule import AtTimes, Repeated
from euthymia.errors import InvalidInputError, ResultWarning
from euthymia.files.events import EventTable, read_events, write_events

ACTIVE = [drug for drug in DRUGS if drug.is_active]


@st.composite
def plain_regimens(draw: st.DrawFn) -> Regimen:
    """Regimens of one uninterrupted order, which an event table can always hold."""
    drug = draw(st.sampled_from(ACTIVE))
    route = draw(st.sampled_from(list(Route)))
    given_: dict = {"drug": drug.name, "route": route, "amount": draw(numbers(0.001, 100.0))}
    if drug.base_per_salt_fraction is not None:
        given_["salt_form"] = draw(st.sampled_from(["base", "hcl"]))
    if device(drug.name, route) is None:
        given_["amount_unit"] = draw(st.sampled_from(["mg", "mg/kg"]))
        given_["amount"] /= 100.0 if given_["amount_unit"] == "mg/kg" else 1.0
    if route is Route.IV_INFUSION:
        given_["duration_min"] = draw(numbers(2.0, 480.0))
    if route is Route.SUBLINGUAL:
        given_.update(hold_min=draw(st.none() | numbers(0.5, 60.0)), spat_out=draw(st.booleans()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResultWarning)
        order = Order.create(**given_)
    every_h, count = draw(numbers(8.0, 400.0)), draw(st.integers(1, 20))
    if draw(st.booleans()):
        from_h = draw(numbers(-500.0, 500.0))
        return single(order, schedule=Repeated.create(every_h=every_h, count=count, from_h=from_h))
    gaps = draw(st.lists(numbers(8.0, 100.0), min_size=1, max_size=6))
    return single(order, schedule=AtTimes.create(times_h=list(np.cumsum(gaps))))


def read_back(regimen: Regimen, weight_kg: float) -> EventTable:
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", ResultWarning)
        path = Path(folder) / "doses.csv"
        write_events(regimen, path, weight_kg=weight_kg)
        return read_events(path)


def rows(doses: list[Dose]) -> list[tuple]:
    """Return doses as tuples in an order that rounding does not touch."""
    found = [
        (
            d.drug,
            d.route,
            d.spat_out,
            d.device_index,
            d.hold_h or -1.0,
            d.duration_h,
            float(d.amount_umol),
            d.start_h,
        )
        for d in doses
    ]
    return sorted(found, key=lambda row: (*row[:4], *(round(value, 7) for value in row[4:])))


def assert_same(events: EventTable, regimen: Regimen, weight_kg: float) -> None:
    (subject,) = events.subjects
    (epoch,) = subject.epochs
    expected = rows([dose for dose in regimen.doses(weight_kg) if dose.amount_umol])
    found = rows([one.dose for one in epoch.given])
    assert [row[:4] for row in found] == [row[:4] for row in expected]
    np.testing.assert_allclose(
        [row[4:] for row in found],
        [row[4:] for row in expected],
        rtol=1e-12,
        # times are written to 14 digits, of which a course that starts long before 0 uses some up
        atol=1e-12 * max([1.0, *(abs(row[-1]) for row in expected)]),
    )


@given(plain_regimens(), numbers(30.0, 150.0))
def test_a_regimen_of_one_order_reads_back_as_the_same_doses(regimen: Regimen, weight_kg: float) -> None:
    assert_same(read_back(regimen, weight_kg), regimen, weight_kg)


@given(regimens())
def test_any_regimen_reads_back_as_the_same_doses_or_is_refused(regimen: Regimen) -> None:
    events = error = None
    try:
        events = read_back(regimen, 70.0)
    except InvalidInputError as refusal:
        error = refusal
    event("refused" if error else "written")
    if events is not None:
        assert_same(events, regimen, 70.0)
    else:
        assert "could not be read" in str(error)


@given(plain_regimens(), st.randoms())
def test_the_order_of_rows_at_one_time_does_not_matter(regimen: Regimen, random) -> None:
    doses = [dose for dose in regimen.doses(70.0) if dose.route is not Route.IV_INFUSION]
    lines = [f"1,{dose.start_h!r},1,{dose.amount_umol / 5!r},im" for dose in doses if dose.device_index == 0]
    lines = [
        line for one in lines for line in (one, one.replace("im", "po"), one[: one.index(",1,")] + ",3,.,.")
    ]
    shuffled = sorted(lines, key=lambda line: (float(line.split(",")[1]), random.random()))
    if not lines:
        return
    with TemporaryDirectory() as folder:
        path = Path(folder) / "doses.csv"
        tables = []
        for some in (lines, shuffled):
            path.write_text("\n".join(["ID,TIME,EVID,AMT,ROUTE", *some]), encoding="utf-8")
            tables.append(read_events(path))
    assert tables[0] == tables[1]


CELLS = ("ID", "TIME", "AMT", "EVID", "ROUTE", "1", "0", "35", "im", ".", "-1", "\n1", '"', ";")


@given(st.text(max_size=200) | st.lists(st.sampled_from(CELLS)).map(",".join))
def test_any_text_is_read_or_refused_by_a_message(text: str) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "doses.csv"
        path.write_text(text, encoding="utf-8", errors="replace")
        subjects, message = (), ""
        try:
            subjects = read_events(path).subjects
        except InvalidInputError as error:
            message = str(error)
    assert subjects or "doses.csv" in message
