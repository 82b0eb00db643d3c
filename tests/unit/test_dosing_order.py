"""Orders, and the doses that they become."""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np
import pytest

from euthymia.dosing.order import Dose, Order, Route, TherapySession
from euthymia.errors import InvalidInputError, ResultWarning, UnknownNameError

UMOL_PER_MG = 1000 / 237.73


def infusion(**changes: Any) -> Order:
    given = {"drug": "ketamine", "route": "iv_infusion", "amount": 40.0, "duration_min": 40.0} | changes
    return Order.create(**given)


def spans_min(order: Order) -> list[tuple[float, float, float]]:
    """Start, duration and milligrams of each dose."""
    return [
        (round(d.start_h * 60, 9), round(d.duration_h * 60, 9), round(d.amount_umol / UMOL_PER_MG, 9))
        for d in order.doses(0.0, 70.0)
    ]


def test_a_weight_based_infusion_gives_one_dose_in_micromoles() -> None:
    order = infusion(amount=0.5, amount_unit="mg/kg")
    assert order.doses(3.0, 80.0) == (
        Dose(
            drug="ketamine",
            route=Route.IV_INFUSION,
            amount_umol=pytest.approx(40 * UMOL_PER_MG, rel=1e-14),  # type: ignore[arg-type]
            start_h=3.0,
            duration_h=40 / 60,
        ),
    )


def test_amounts_have_the_shape_of_the_weight() -> None:
    weights_kg = np.array([50.0, 70.0, 90.0])
    (by_weight,) = infusion(amount=0.5, amount_unit="mg/kg").doses(0.0, weights_kg)
    np.testing.assert_allclose(by_weight.amount_umol, weights_kg * 0.5 * UMOL_PER_MG, rtol=1e-14)
    (fixed,) = infusion().doses(0.0, weights_kg)
    np.testing.assert_allclose(fixed.amount_umol, np.full(3, 40 * UMOL_PER_MG), rtol=1e-14)
    (alone,) = infusion().doses(0.0, 70)
    assert isinstance(alone.amount_umol, float)


def test_hydrochloride_counts_by_its_own_mass() -> None:
    (dose,) = Order.create(drug="ketamine", route="intramuscular", amount=35, salt_form="hcl").doses(0, 70)
    assert dose.amount_umol == pytest.approx(35_000 / 274.19, rel=1e-14)
    assert dose.duration_h == 0


def test_saline_gives_doses_without_amount() -> None:
    (dose,) = Order.create(drug="saline", route="iv_infusion", duration_min=40).doses(
        0, np.array([60.0, 80.0])
    )
    np.testing.assert_array_equal(dose.amount_umol, [0, 0])
    assert dose.duration_h == 40 / 60


def test_a_pause_moves_the_rest_to_later() -> None:
    order = infusion(pauses=[(10, 20)])
    assert spans_min(order) == [(0, 10, 10), (20, 30, 30)]
    assert order.end_min == 50


def test_two_pauses_shift_by_their_sum() -> None:
    assert spans_min(infusion(pauses=[(35, 40), (10, 20)])) == [(0, 10, 10), (20, 15, 15), (40, 15, 15)]


def test_a_stop_truncates_at_a_clock_minute() -> None:
    assert spans_min(infusion(stopped_at_min=25)) == [(0, 25, 25)]
    assert spans_min(infusion(stopped_at_min=25, pauses=[(10, 20)])) == [(0, 10, 10), (20, 5, 5)]
    assert spans_min(infusion(stopped_at_min=15, pauses=[(10, 20)])) == [(0, 10, 10)]


def stepped(**changes: Any) -> Order:
    steps = [(10.0, 60.0), (20.0, 30.0)]
    return Order.create(drug="ketamine", route="iv_infusion", rate_steps=steps, rate_unit="mg/h", **changes)


def test_steps_of_rate_add_up_and_follow_each_other() -> None:
    order = stepped()
    assert (order.amount, order.amount_unit, order.duration_min) == (20, "mg", 90)
    assert spans_min(order) == [(0, 60, 10), (60, 30, 10)]


def test_steps_of_rate_by_weight() -> None:
    steps = [(0.14, 60.0), (0.28, 60.0)]
    order = Order.create(drug="ketamine", route="iv_infusion", rate_steps=steps, rate_unit="mg/kg/h")
    assert (order.amount, order.amount_unit) == (pytest.approx(0.42, rel=1e-15), "mg/kg")
    first, second = order.doses(0.0, 50.0)
    assert first.amount_umol == pytest.approx(7 * UMOL_PER_MG, rel=1e-14)
    assert second.amount_umol == pytest.approx(14 * UMOL_PER_MG, rel=1e-14)


@pytest.mark.parametrize(
    ("pauses", "expected"),
    [
        ([(30, 40)], [(0, 30, 5), (40, 30, 5), (70, 30, 10)]),
        ([(60, 70)], [(0, 60, 10), (70, 30, 10)]),
        ([(75, 80)], [(0, 60, 10), (60, 15, 5), (80, 15, 5)]),
    ],
)
def test_pauses_within_and_between_steps(pauses: list, expected: list) -> None:
    assert spans_min(stepped(pauses=pauses)) == expected


def test_a_stop_cuts_steps() -> None:
    assert spans_min(stepped(stopped_at_min=75)) == [(0, 60, 10), (60, 15, 5)]
    assert spans_min(stepped(stopped_at_min=60)) == [(0, 60, 10)]


@pytest.mark.parametrize(("amount", "devices"), [(28, 1), (56, 2), (84, 3)])
def test_intranasal_esketamine_comes_in_devices_five_minutes_apart(amount: float, devices: int) -> None:
    doses = Order.create(drug="esketamine", route="intranasal", amount=amount).doses(1.0, 70)
    assert [dose.device_index for dose in doses] == list(range(devices))
    assert [dose.start_h for dose in doses] == pytest.approx(
        [1 + 5 * i / 60 for i in range(devices)], rel=1e-14
    )
    assert [dose.amount_umol for dose in doses] == pytest.approx([28 * UMOL_PER_MG] * devices, rel=1e-14)


def test_labelled_hydrochloride_counts_as_whole_devices() -> None:
    doses = Order.create(drug="esketamine", route="intranasal", amount=64.6, salt_form="hcl").doses(0, 70)
    assert len(doses) == 2
    assert sum(dose.amount_umol for dose in doses) == pytest.approx(64_600 / 274.19, rel=1e-14)


@pytest.mark.parametrize(("amount", "parts"), [(70, [28, 28, 14]), (14, [14])])
def test_other_amounts_end_in_part_of_a_device_with_a_warning(amount: float, parts: list[float]) -> None:
    message = f"{amount} mg of esketamine is no multiple of the device of 28 mg"
    with pytest.warns(ResultWarning, match=message):
        order = Order.create(drug="esketamine", route="intranasal", amount=amount)
    doses = order.doses(0, 70)
    assert [dose.amount_umol / UMOL_PER_MG for dose in doses] == pytest.approx(parts, rel=1e-12)


def test_the_warning_names_the_whole_devices() -> None:
    with pytest.warns(ResultWarning, match=r"Order 84 mg for 3 whole devices"):
        Order.create(drug="esketamine", route="intranasal", amount=70)


@pytest.mark.parametrize("drug", ["ketamine", "arketamine"])
def test_other_sprays_are_given_at_once_and_may_be_by_weight(drug: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (dose,) = Order.create(drug=drug, route="intranasal", amount=0.5, amount_unit="mg/kg").doses(0, 100)
    assert (dose.device_index, dose.amount_umol) == (0, pytest.approx(50 * UMOL_PER_MG, rel=1e-14))


def test_holds_and_spitting_reach_the_dose() -> None:
    order = Order.create(drug="ketamine", route="sublingual", amount=100, hold_min=10, spat_out=True)
    (dose,) = order.doses(0, 70)
    assert (dose.hold_h, dose.spat_out) == (10 / 60, True)
    (plain,) = Order.create(drug="ketamine", route="sublingual", amount=100).doses(0, 70)
    assert (plain.hold_h, plain.spat_out) == (None, False)


def test_names_are_resolved_to_the_first_name() -> None:
    assert Order.create(drug="S-Ketamine", route=Route.ORAL, amount=10).drug == "esketamine"


def test_inactive_orders_are_equal_whatever_unit_was_named() -> None:
    plain = Order.create(drug="saline", route="intramuscular")
    assert Order.create(drug="saline", route="intramuscular", amount_unit="mg/kg") == plain


IM = {"drug": "ketamine", "route": "intramuscular", "amount": 35.0}
SPRAY = {"drug": "esketamine", "route": "intranasal", "amount": 1.0, "amount_unit": "mg/kg"}
INFUSION = {"drug": "ketamine", "route": "iv_infusion", "amount": 35.0, "duration_min": 40.0}
STEPS = {"drug": "ketamine", "route": "iv_infusion", "rate_steps": [(10.0, 60.0)], "rate_unit": "mg/h"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            INFUSION | {"duration_min": 0.67},
            "'duration_min' of an iv_infusion must be 2\N{EN DASH}1440 (rules/dosing.toml). Got 0.67. "
            "Hours? 0.67 h is 40 min.",
        ),
        (
            INFUSION | {"duration_min": 2400},
            "Got 2400. Seconds? 2400 s is 40 min.",
        ),
        (INFUSION | {"duration_min": None}, "Write 'iv over 40 min', or 'iv bolus'"),
        (
            INFUSION | {"duration_min": float("nan")},
            "'duration_min' of an iv_infusion must be a finite number",
        ),
        (INFUSION | {"duration_min": "forty"}, "must be a finite number. Got forty."),
        (IM | {"duration_min": 40.0}, "Only an intravenous infusion has one."),
        (
            IM | {"amount": 500, "amount_unit": "mg/kg"},
            "'amount' of ketamine must be at most 15 mg/kg (rules/dosing.toml). Got 500 mg/kg. "
            "Micrograms? 500 ug/kg is 0.5 mg/kg.",
        ),
        (
            IM | {"amount": 1001},
            "'amount' of ketamine must be at most 1000 mg (rules/dosing.toml). Got 1001 mg.",
        ),
        (IM | {"amount": 0}, "'amount' of ketamine must be above 0. Got 0."),
        (IM | {"amount": -5}, "'amount' of ketamine must be above 0. Got -5."),
        (IM | {"amount": None}, "'amount' of ketamine must be given. Got nothing."),
        (IM | {"amount_unit": "g"}, "'amount_unit' must be 'mg' or 'mg/kg'. Got 'g'."),
        (IM | {"salt_form": "citrate"}, "'salt_form' must be 'base' or 'hcl'. Got 'citrate'."),
        (IM | {"drug": "saline"}, "'amount' of saline must be left out. Got 35 mg."),
        (IM | {"drug": "CBT"}, "'drug' must be a drug. Got CBT, a therapy."),
        (IM | {"stopped_at_min": 5}, "Injections, sprays and tablets cannot be stopped or paused."),
        (IM | {"pauses": [(1, 2)]}, "'pauses' of an order must be left out. Got the route intramuscular."),
        (IM | {"hold_min": 5}, "'hold_min' of an order must be left out. Got the route intramuscular."),
        (IM | {"spat_out": True}, "'spat_out' of an order must be left out. Got the route intramuscular."),
        (
            IM | {"route": "sublingual", "hold_min": 90},
            "'hold_min' of a sublingual order must be 0.5\N{EN DASH}60 (rules/dosing.toml). Got 90.",
        ),
        (SPRAY, "'amount_unit' of esketamine intranasal must be 'mg'. Got 'mg/kg'. One device holds 28 mg"),
        (
            INFUSION | {"stopped_at_min": 40},
            "'stopped_at_min' must be within the infusion, which would run from 0 to 40 min. Got 40.",
        ),
        (INFUSION | {"stopped_at_min": 0}, "'stopped_at_min' must be within the infusion"),
        (
            INFUSION | {"stopped_at_min": 10, "pauses": [(20, 30)]},
            "'stopped_at_min' must be later than the start of every pause, the last at 20 min. Got 10.",
        ),
        (
            INFUSION | {"pauses": [(40, 50)]},
            "'pauses' must be within the infusion, which would run from 0 to 40 min. Got 40-50.",
        ),
        (INFUSION | {"pauses": [(0, 5)]}, "'pauses' must be within the infusion"),
        (INFUSION | {"pauses": [(20, 10)]}, "'pauses' must be from an earlier to a later minute. Got 20-10."),
        (
            INFUSION | {"pauses": [(10, 20), (15, 25)]},
            "'pauses' must be apart from each other. Got 15 before 20.",
        ),
        (
            STEPS | {"route": "oral"},
            "'rate_steps' must be given by intravenous infusion. Got the route oral.",
        ),
        (STEPS | {"rate_unit": None}, "'rate_unit' must be 'mg/h' or 'mg/kg/h'. Got nothing."),
        (STEPS | {"rate_unit": "mg"}, "'rate_unit' must be 'mg/h' or 'mg/kg/h'. Got 'mg'."),
        (STEPS | {"amount": 10.0}, "'rate_steps' must be given without amount and duration. Got both."),
        (STEPS | {"rate_steps": [(0.0, 60.0)]}, "must be above 0. Got 0. Write a rate of 0 as a pause."),
        (STEPS | {"rate_steps": [(5000.0, 60.0)]}, "'amount' of ketamine must be at most 1000 mg"),
        (STEPS | {"rate_steps": [(5.0, 1.0)]}, "'duration_min' of an iv_infusion must be 2"),
        (INFUSION | {"rate_unit": "mg/h"}, "'rate_unit' must be given with rate_steps. Got 'mg/h'."),
    ],
)
def test_orders_that_cannot_be_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=re.escape(message)):
        Order.create(**given)


def test_unknown_routes_offer_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"Unknown route 'intramusclar'. Did you mean 'intramuscular'"):
        Order.create(drug="ketamine", route="intramusclar", amount=35)


@pytest.mark.parametrize(
    ("weight_kg", "message"),
    [
        (2.9, "'weight_kg' must be 3\N{EN DASH}300 (rules/dosing.toml). Got 2.9."),
        (70_000, "Got 70000. Grams? 70000 g is 70 kg."),
        (float("nan"), "Got nan."),
        (np.array([70.0, 301.0]), "Got 301."),
        ("heavy", "Got 'heavy'."),
    ],
)
def test_weights_outside_the_limit_are_refused(weight_kg: Any, message: str) -> None:
    with pytest.raises(InvalidInputError, match=re.escape(message)):
        infusion().doses(0.0, weight_kg)


@pytest.mark.parametrize("amount", [2.0, 1440.0])
def test_limits_include_their_ends(amount: float) -> None:
    assert infusion(duration_min=amount).duration_min == amount


def test_sessions_are_checked() -> None:
    assert TherapySession.create(therapy="cbt", duration_min=50) == TherapySession(
        therapy="CBT", duration_min=50.0
    )
    assert TherapySession.create(therapy="ECT").duration_min is None
    with pytest.raises(
        InvalidInputError, match=r"'duration_min' of CBT must be given. Got nothing. Write 'CBT 50 min'"
    ):
        TherapySession.create(therapy="CBT")
    with pytest.raises(InvalidInputError, match=r"'duration_min' of CBT must be 1.480 .* Got 500"):
        TherapySession.create(therapy="CBT", duration_min=500)
    with pytest.raises(
        InvalidInputError, match=r"'therapy' must be a therapy or a procedure. Got ketamine, a drug"
    ):
        TherapySession.create(therapy="ketamine", duration_min=50)
