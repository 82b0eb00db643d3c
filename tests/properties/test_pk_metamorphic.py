"""Claim: what linear kinetics imply between two runs holds: doses add up, scale, shift, split and repeat."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.registry import COMBINATIONS, INTRAVENOUS, Combination, curves, every, largest, model_of

from euthymia import simulate_concentrations
from euthymia.dosing.order import Dose, Order, Route
from euthymia.dosing.regimen import combine, single
from euthymia.dosing.schedule import AtTimes
from euthymia.engine.linear import respond
from euthymia.model.pk import Given, PkModel, wire_pk
from euthymia.model.trajectory import Trajectory
from euthymia.population.individual import individual_values

# Two routes to one number through sums of some ten terms: rounding of 1e-13 of the peak, and a tenth of the
# engine's tolerance as margin. Patients 1 to 3 are drawn as well as typical ones.
SAME = 1e-12
NUMBERS = (1, 2, 3)
TIMES = np.unique(np.concatenate([np.linspace(0.0, 60.0, 121), np.geomspace(0.01, 12.0, 30)]))
ALL = every()
INFUSED = pytest.mark.parametrize(
    "combination", [one for one in INTRAVENOUS if one.route is Route.IV_INFUSION], ids=str
)


def solved(
    combination: Combination, doses: list[Dose], *, times: np.ndarray = TIMES
) -> dict[str, np.ndarray]:
    return curves(model_of(combination, doses, numbers=NUMBERS), times)


def assert_same(found: dict[str, np.ndarray], right: dict[str, np.ndarray], *, within: float = SAME) -> None:
    assert found.keys() == right.keys()
    for name, values in found.items():
        off = np.abs(values - right[name]) / largest(right[name])
        assert off.max() <= within, f"{name}: {off.max():.1e} of the peak"


@ALL
def test_two_doses_give_the_sum_of_each(combination: Combination):
    first, second = combination.doses(0.0), combination.doses(3.3, factor=1.7)
    both = solved(combination, [*first, *second])
    alone = [solved(combination, list(one)) for one in (first, second)]
    assert_same(both, {name: alone[0][name] + alone[1][name] for name in both})


@ALL
@pytest.mark.parametrize("factor", [0.001, 3.7])
def test_concentrations_are_proportional_to_the_dose(combination: Combination, factor: float):
    one = solved(combination, list(combination.doses()))
    other = solved(combination, list(combination.doses(factor=factor)))
    assert_same(other, {name: factor * values for name, values in one.items()})


@ALL
def test_a_dose_of_nothing_gives_exactly_nothing(combination: Combination):
    for name, values in solved(combination, list(combination.doses(factor=0.0))).items():
        assert np.array_equal(values, np.zeros_like(values)), name


@ALL
def test_nothing_is_there_before_the_first_dose(combination: Combination):
    times = np.linspace(0.0, 5.0, 20, endpoint=False)
    for name, values in solved(combination, list(combination.doses(5.0)), times=times).items():
        assert np.array_equal(values, np.zeros_like(values)), name


@ALL
@pytest.mark.parametrize("shift_h", [-30.25, 168.0])
def test_a_later_dose_gives_the_same_curve_later(combination: Combination, shift_h: float):
    now = solved(combination, [*combination.doses(0.0), *combination.doses(7.0)])
    later = solved(
        combination, [*combination.doses(shift_h), *combination.doses(shift_h + 7.0)], times=shift_h + TIMES
    )
    # times near 200 h are rounded to 3e-14 h, and concentrations rise at up to thousands of peaks per hour
    # within the first seconds of a bolus (hydroxynorketamine delay 0.6 min)
    assert_same(later, now, within=1e-11)


def part(dose: Dose, start_h: float, end_h: float) -> Dose:
    share = (end_h - start_h) / dose.duration_h
    return replace(
        dose, start_h=dose.start_h + start_h, duration_h=end_h - start_h, amount_umol=dose.amount_umol * share
    )


@INFUSED
def test_back_to_back_infusions_equal_one_long_infusion(combination: Combination):
    (whole,) = combination.doses()
    thirds = [whole.duration_h * step / 3 for step in range(4)]
    pieces = [part(whole, a, b) for a, b in itertools.pairwise(thirds)]
    assert_same(solved(combination, pieces), solved(combination, [whole]))


@INFUSED
@pytest.mark.parametrize("point", [1e-6, 0.123, 0.5, 0.999])
def test_an_infusion_may_be_split_anywhere(combination: Combination, point: float):
    (whole,) = combination.doses()
    cut = point * whole.duration_h
    assert_same(
        solved(combination, [part(whole, 0.0, cut), part(whole, cut, whole.duration_h)]),
        solved(combination, [whole]),
    )


@INFUSED
def test_a_short_infusion_tends_to_a_bolus(combination: Combination):
    (whole,) = combination.doses()
    short = replace(whole, duration_h=1e-8)
    bolus = replace(whole, duration_h=0.0, route=Route.IV_BOLUS)
    late = np.linspace(0.5, 30.0, 60)
    # an infusion over T lags a bolus by T / 2 = 5e-9 h, at rates of up to some tens per hour
    assert_same(
        solved(combination, [short], times=late), solved(combination, [bolus], times=late), within=1e-6
    )


# --- steady state --------------------------------------------------------------------------------

INTERVAL_H = 24.0


def steady(combination: Combination, *, repeats: int, start_h: float = 0.0, from_h: float = 0.0) -> PkModel:
    """Return doses that have been repeated for ever, and go on for some more intervals."""
    values = individual_values(
        combination.parameters, [combination.patient] * len(NUMBERS), numbers=np.array(NUMBERS), seed=1
    )
    given = [Given(dose, INTERVAL_H, from_h) for dose in combination.doses(start_h)]
    for turn in range(1, repeats + 1):
        given += [Given(dose) for dose in combination.doses(start_h + turn * INTERVAL_H)]
    return wire_pk(combination.parameters, values, given, patient_count=len(NUMBERS))


@ALL
def test_steady_state_repeats_itself_every_interval(combination: Combination):
    model = steady(combination, repeats=3)
    cycle = np.concatenate([[0.0], np.geomspace(0.01, 23.9, 40)])
    first = curves(model, cycle)
    for turn in range(1, 4):
        assert_same(curves(model, cycle + turn * INTERVAL_H), first)


@ALL
def test_steady_state_repeats_itself_when_the_dose_comes_late_in_the_cycle(combination: Combination):
    model = steady(combination, repeats=2, start_h=5.0)
    cycle = np.linspace(0.0, 23.9, 40)
    assert_same(curves(model, cycle + INTERVAL_H), curves(model, cycle))


@ALL
def test_repeated_doses_converge_to_steady_state(combination: Combination):
    # the slowest of these patients has a half-life of 12.4 h (perez-ruixo-2021): 40 days leave 2 ** -77
    turns = 40
    doses = [dose for turn in range(turns + 1) for dose in combination.doses(turn * INTERVAL_H)]
    cycle = np.linspace(0.0, 23.9, 40)
    many = curves(model_of(combination, doses, numbers=NUMBERS), cycle + turns * INTERVAL_H)
    # times of 960 h are rounded to 1e-13 h; see the shift above
    assert_same(many, curves(steady(combination, repeats=0), cycle), within=1e-11)


@ALL
def test_area_over_a_steady_interval_is_the_area_of_one_dose(combination: Combination):
    model = steady(combination, repeats=0)
    single_dose = model_of(combination, combination.doses(), numbers=NUMBERS)
    areas = respond(
        single_dose.system, single_dose.inputs, np.array([5000.0]), single_dose.observed, integrated=True
    ).values
    breaks = breakpoints(model, INTERVAL_H)
    for name in model.observed:
        np.testing.assert_allclose(gauss(model, name, breaks), areas[name][:, 0], rtol=1e-9)


# --- areas ---------------------------------------------------------------------------------------

NODES, WEIGHTS = np.polynomial.legendre.leggauss(12)


def breakpoints(model: PkModel, end_h: float) -> np.ndarray:
    """Return where a curve may have corners, and points that grow closer after each of them."""
    corners = {0.0, end_h}
    for item in model.inputs:
        for duration in np.ravel(item.duration_h):
            corners |= {float(item.start_h), float(item.start_h + duration)}
    near = [corner + step for corner in corners for step in np.geomspace(1e-4, end_h, 40)]
    points = np.array(sorted({*corners, *near}))
    return np.unique(points[(points >= 0) & (points <= end_h)])


def gauss(model: PkModel, name: str, breaks: np.ndarray) -> np.ndarray:
    """Return the integral of a curve by 12-point Gauss-Legendre rules between points, (P,)."""
    half = np.diff(breaks)[:, None] / 2
    times = (breaks[:-1, None] + half + half * NODES).ravel()
    order = np.argsort(times)
    values = respond(model.system, model.inputs, times[order], {name: model.observed[name]}).values[name]
    weights = (half * WEIGHTS).ravel()[order]
    return values @ weights


@ALL
def test_integral_equals_quadrature_of_the_curve(combination: Combination):
    model = model_of(combination, [*combination.doses(0.0), *combination.doses(9.0)], numbers=NUMBERS)
    end_h = 30.0
    areas = respond(model.system, model.inputs, np.array([end_h]), model.observed, integrated=True).values
    breaks = breakpoints(model, end_h)
    for name in model.observed:
        # 1e-9: what the quadrature itself leaves
        np.testing.assert_allclose(areas[name][:, 0], gauss(model, name, breaks), rtol=1e-9)


def typical(combination: Combination) -> Any:
    """Return the typical values at the weight of the combination, as plain numbers by attribute."""
    from types import SimpleNamespace

    values = individual_values(combination.parameters, [combination.patient], numbers=None, seed=1)
    return SimpleNamespace(**{name: float(np.ravel(value)[0]) for name, value in values.items()})


def expected_areas(combination: Combination, amount_umol: float) -> dict[str, float]:
    """Return AUC to infinity after an intravenous dose by variable: F dose / CL of what is formed."""
    p, structure = typical(combination), combination.parameters.structure
    if structure == "enantiomers":
        shares = {"ketamine": {"s": 0.5, "r": 0.5}, "esketamine": {"s": 1.0}, "arketamine": {"r": 1.0}}
        found = {}
        for letter, share in shares[combination.drug].items():
            dose = share * amount_umol
            clearance = p.s_clearance_L_per_h if letter == "s" else p.r_clearance_L_per_h
            norketamine = dose * p.norketamine_formed_fraction
            found[f"{letter}_ketamine_arterial"] = dose / clearance
            found[f"{letter}_norketamine"] = norketamine / p.norketamine_clearance_L_per_h
            found[f"{letter}_hydroxynorketamine"] = (
                norketamine * p.hydroxynorketamine_formed_fraction / p.hydroxynorketamine_clearance_L_per_h
            )
            if hasattr(p, "venous_rate_per_h"):
                found[f"{letter}_ketamine_venous"] = dose / clearance  # an observer sees the same area
        return found
    site = combination.parameters.site
    if structure == "mammillary":
        return {f"ketamine_{site}": amount_umol / p.clearance_L_per_h}
    if structure == "parent_metabolite":
        found = {f"s_ketamine_{site}": amount_umol / p.clearance_L_per_h}
        if not hasattr(p, "norketamine_clearance_increase_per_h"):
            found["s_norketamine"] = amount_umol * p.formed_ratio / p.norketamine_clearance_L_per_h
        return found
    if structure == "hepatic":
        # E = V (kel + kmet) / (Q + V (kel + kmet)), CL = Q E
        intrinsic = p.liver_volume_L * (p.liver_elimination_per_h + p.liver_formation_per_h)
        clearance = p.liver_flow_L_per_h * intrinsic / (p.liver_flow_L_per_h + intrinsic)
        formed = (
            p.liver_formation_per_h / (p.liver_elimination_per_h + p.liver_formation_per_h) * p.formed_ratio
        )
        return {
            f"s_ketamine_{site}": amount_umol / clearance,
            "s_norketamine": amount_umol * formed / p.norketamine_clearance_L_per_h,
        }
    raise AssertionError(f"write down the areas of the structure {structure!r}")


@pytest.mark.parametrize("combination", INTRAVENOUS, ids=str)
def test_area_to_infinity_after_an_intravenous_dose_is_dose_over_clearance(combination: Combination):
    amount_umol = sum(float(dose.amount_umol) for dose in combination.doses())
    course = simulate_concentrations(
        single(combination.order), parameters=combination.set, patient=combination.patient
    )
    for name, area in expected_areas(combination, amount_umol).items():
        assert course.metrics[name].auc_infinity[0] == pytest.approx(area, rel=1e-10), name


@pytest.mark.parametrize("combination", [one for one in COMBINATIONS if one.drug != "ketamine"], ids=str)
def test_area_by_any_route_is_the_bioavailable_fraction_of_the_intravenous_area(combination: Combination):
    """AUC = F dose / CL, with F as the result states it; a single enantiomer, whose clearance is one."""
    patients = {"patients": 5, "patient": combination.patient, "parameters": combination.set}
    course = simulate_concentrations(single(combination.order), **patients)
    bolus = Combination(combination.set, combination.drug, Route.IV_BOLUS)
    straight = simulate_concentrations(single(bolus.order), **patients)
    dose, reference = (sum(float(one.amount_umol) for one in each.doses()) for each in (combination, bolus))
    for name in course.metrics:
        if "norketamine" not in name:
            ratio = (
                course.metrics[name].auc_infinity / dose / (straight.metrics[name].auc_infinity / reference)
            )
            np.testing.assert_allclose(ratio, course.bioavailable_fraction, rtol=1e-9)


@every(is_run=True)
def test_area_to_a_far_horizon_is_the_area_to_infinity(combination: Combination):
    course = simulate_concentrations(
        single(combination.order),
        parameters=combination.set,
        patient=combination.patient,
        days=3000,
        times_h=[1.0],
    )
    for metrics in course.metrics.values():
        if np.isfinite(metrics.auc_infinity[0]):
            assert metrics.auc_horizon[0] == pytest.approx(metrics.auc_infinity[0], rel=1e-9)


# --- the dosing language -------------------------------------------------------------------------

GRID = np.linspace(0.0, 12.0, 97)


def run(regimen: Any) -> Trajectory:
    return simulate_concentrations(regimen, times_h=GRID, with_metrics=False, days=2)


def assert_same_course(found: Trajectory, right: Trajectory) -> None:
    assert_same(dict(found.values), dict(right.values))


def infusion(amount_mg_per_kg: float, duration_min: float, **more: Any) -> Order:
    return Order.create(
        drug="ketamine",
        route=Route.IV_INFUSION,
        amount=amount_mg_per_kg,
        amount_unit="mg/kg",
        duration_min=duration_min,
        **more,
    )


@pytest.mark.parametrize("stop_min", [6.0, 20.0, 39.9])
def test_a_stopped_infusion_equals_a_shorter_one_at_the_same_rate(stop_min: float):
    stopped = run(single(infusion(0.5, 40.0, stopped_at_min=stop_min)))
    assert_same_course(stopped, run(single(infusion(0.5 * stop_min / 40.0, stop_min))))


def test_a_stopped_infusion_reads_the_same_in_words():
    words = run("ketamine 0.5 mg/kg iv over 40 min, stopped at 20 min")
    assert_same_course(words, run("ketamine 0.25 mg/kg iv over 20 min"))


def test_a_paused_infusion_goes_on_at_the_same_rate_after_the_pause():
    paused = run(single(infusion(0.5, 40.0, pauses=[(10.0, 25.0)])))
    first = single(infusion(0.125, 10.0))
    second = single(infusion(0.375, 30.0), schedule=AtTimes.create(times_h=[25.0 / 60.0]))
    assert_same_course(paused, run(combine(first, second)))


def test_a_stop_after_a_pause_counts_clock_minutes():
    stopped = run(single(infusion(0.5, 40.0, pauses=[(10.0, 25.0)], stopped_at_min=35.0)))
    first = single(infusion(0.125, 10.0))
    second = single(infusion(0.125, 10.0), schedule=AtTimes.create(times_h=[25.0 / 60.0]))
    assert_same_course(stopped, run(combine(first, second)))


def test_a_stop_within_a_pause_equals_a_stop_at_its_start():
    inside = run(single(infusion(0.5, 40.0, pauses=[(10.0, 25.0)], stopped_at_min=20.0)))
    assert_same_course(inside, run(single(infusion(0.125, 10.0))))


def test_a_pause_delivers_the_whole_amount():
    areas = [
        simulate_concentrations(single(infusion(0.5, 40.0, pauses=pauses)))
        .metrics["ketamine_arterial"]
        .auc_infinity[0]
        for pauses in ((), ((10.0, 25.0),), ((5.0, 6.0), (30.0, 90.0)))
    ]
    np.testing.assert_allclose(areas, areas[0], rtol=1e-13)


def test_steps_of_rate_equal_infusions_one_after_the_other():
    steps = run("ketamine 0.14 then 0.28 then 0.57 mg/kg/h iv, 60 min each")
    parts = [
        single(infusion(rate, 60.0), schedule=AtTimes.create(times_h=[start]))
        if start
        else single(infusion(rate, 60.0))
        for start, rate in enumerate((0.14, 0.28, 0.57))
    ]
    assert_same_course(steps, run(combine(*parts)))


def test_racemate_equals_half_of_each_enantiomer():
    racemate = run("ketamine 0.5 mg/kg iv over 40 min").values
    left = run("esketamine 0.25 mg/kg iv over 40 min").values
    right = run("arketamine 0.25 mg/kg iv over 40 min").values
    for name, values in left.items():
        if name.startswith("s_"):
            assert_same({name: racemate[name]}, {name: values})
            other = name.replace("s_", "r_", 1)
            assert_same({other: racemate[other]}, {other: right[other]})


def test_total_is_the_sum_of_the_enantiomers():
    values = run("ketamine 0.5 mg/kg iv over 40 min").values
    for stem in ("ketamine_arterial", "ketamine_venous", "norketamine", "hydroxynorketamine"):
        assert np.array_equal(values[stem], values[f"s_{stem}"] + values[f"r_{stem}"])


def test_what_is_spat_out_reaches_norketamine_no_more():
    kept, spat = run("ketamine 50 mg sublingual"), run("ketamine 50 mg sublingual, spat out")
    assert_same({"c": kept.values["ketamine_arterial"]}, {"c": spat.values["ketamine_arterial"]})
    assert spat.values["norketamine"].max() < 0.5 * kept.values["norketamine"].max()
