"""Holds published exposures beside the model's: ratio, spread, verdict. Never fits anything."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from euthymia.dosing.notation import parse_regimen
from euthymia.dosing.regimen import Regimen
from euthymia.errors import ResultWarning
from euthymia.evidence.load import load_exposures
from euthymia.evidence.records import ExposureRow, ExposureRun, Quantity
from euthymia.model.parameters import ParameterSet, load_parameters
from euthymia.model.trajectory import Trajectory
from euthymia.model.variables import find_variable
from euthymia.population.concentrations import simulate_concentrations
from euthymia.population.patient import Patient
from euthymia.population.request import offered_stems
from euthymia.tables import read_table

CLOSE_FRACTION = 0.2
"""A value without a printed spread is called close within a fifth, the tolerance set for composed routes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """One published number beside the model's typical patient."""

    row_id: str
    role: str
    study: str
    parameters: str
    regimen: str
    analyte: str
    quantity: str
    unit: str
    observed: float | None
    low: float | None
    high: float | None
    spread_kind: str
    simulated: float | None
    ratio: float | None
    verdict: str
    comment: str


def compare_exposures(
    rows: Iterable[ExposureRow] | None = None,
    *,
    parameters: str | ParameterSet | None = None,
    on_done: Callable[[int, int], None] | None = None,
) -> tuple[Comparison, ...]:
    """Return every number of the published exposures beside every set that covers it.

    Rows that cannot be run are kept, with the reason as verdict: none is dropped because it fits badly.

    Parameters
    ----------
    rows : iterable of ExposureRow, optional
        By default all.
    parameters : str or ParameterSet, optional
        Only this set, or this one with overrides.
    on_done : callable, optional
        Called with (rows done, rows in all).
    """
    found: list[Comparison] = []
    only = load_parameters(parameters) if isinstance(parameters, str) else parameters
    chosen = tuple(load_exposures() if rows is None else rows)
    for done, row in enumerate(chosen):
        if on_done is not None:
            on_done(done, len(chosen))
        if not row.run.is_runnable:
            found.append(_not_run(row))
            continue
        for name in row.run.sets:
            if only is None or only.name == name:
                found += _compare(row, only or load_parameters(name))
    return tuple(found)


def run_row(run: ExposureRun, parameters: ParameterSet) -> Trajectory:
    """Return the typical patient of a published exposure, simulated with a set."""
    patient = Patient.create(
        weight_kg=run.weight_kg,
        age_years=run.age_years,
        ancestry=None if run.ancestry == "none" else run.ancestry,
    )
    regimen = parse_regimen(run.regimen)
    times_h = _times_h(run, regimen)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResultWarning)
        return simulate_concentrations(
            regimen, patient=patient, parameters=parameters, times_h=times_h, days=_days(run, regimen)
        )


def _days(run: ExposureRun, regimen: Regimen) -> float | None:
    """Return the end of the printed area, where it is later than the last dose."""
    end_h = run.auc_to_h
    if end_h is None or not np.isfinite(end_h):
        return None
    last_h = max(dose.start_h + dose.duration_h for dose in regimen.doses(70.0))
    return max(end_h, last_h) / 24.0


def _times_h(run: ExposureRun, regimen: Regimen) -> np.ndarray:
    """Return half minutes for the first hours, wider later, with the printed reading time."""
    last_h = max(dose.start_h + dose.duration_h for dose in regimen.doses(70.0))
    fine = np.linspace(0.0, 6.0, 721)
    wide = np.linspace(6.0, max(48.0, last_h + 1.0), 500)
    return np.unique(np.concatenate([fine, wide, [last_h, run.at_h or 0.0]]))


def _compare(row: ExposureRow, parameters: ParameterSet) -> Iterator[Comparison]:
    run = row.run
    course = run_row(run, parameters)
    drugs = [dose.drug for dose in parse_regimen(run.regimen).doses(70.0)]
    offered = offered_stems(parameters, drugs)
    stem = _stem(run.analyte, run.site, offered)
    if stem is None:
        return
    area_stem = _stem(run.auc_analyte or run.analyte, run.site, offered)
    pairs = [
        (
            "Cmax" if run.at == "peak" else f"C at {run.at}",
            "ng/mL",
            run.cmax_ng_per_mL,
            lambda: _peak(course, stem, run),
        ),
        ("Tmax", "h", run.tmax_h, lambda: _peak_time(course, stem, row)),
        (
            _area_name(run),
            "ng*h/mL" + (" per mg" if run.is_auc_per_mg else ""),
            run.auc_ng_h_per_mL,
            lambda: _area(course, area_stem, run),
        ),
        ("half-life", "h", run.half_life_h, lambda: float(course.metrics[stem].half_life_h[0])),
        ("F", "1", run.bioavailable_fraction, lambda: _fraction(course, run, parameters)),
        ("AUC ratio to ketamine", "1", run.auc_ratio, lambda: _area_ratio(course, stem, offered, run)),
    ]
    for quantity, unit, observed, simulate_it in pairs:
        if observed is not None:
            yield _comparison(row, parameters, quantity, unit, observed, simulate_it())


def _stem(analyte: str, site: str, offered: tuple[str, ...]) -> str | None:
    """Return the observable of an analyte at a site, or at a site that the set does not state."""
    names = (f"{analyte}_{site}", f"{analyte}_plasma", f"{analyte}_arterial", f"{analyte}_venous", analyte)
    return next((name for name in names if name in offered), None)


def _factor(stem: str) -> float:
    return find_variable(stem).factor_to("ng/mL")


def _peak(course: Trajectory, stem: str, run: ExposureRun) -> float:
    values = course.values[stem][0] * _factor(stem)
    if run.at == "peak":
        return float(values.max())
    if run.at == "end of infusion":
        doses = parse_regimen(run.regimen).doses(70.0)
        return float(np.interp(max(dose.start_h + dose.duration_h for dose in doses), course.times_h, values))
    return float(np.interp(run.at_h or 0.0, course.times_h, values))


def _peak_time(course: Trajectory, stem: str, row: ExposureRow) -> float:
    peak_h = float(course.times_h[course.values[stem][0].argmax()])
    is_after_last = "after last" in row.printed["tmax_stat"]
    return peak_h - (
        max(dose.start_h for dose in parse_regimen(row.run.regimen).doses(70.0)) if is_after_last else 0.0
    )


def _area_name(run: ExposureRun) -> str:
    end = "inf" if run.auc_to_h is None or not np.isfinite(run.auc_to_h) else f"{run.auc_to_h:g}"
    return f"AUC 0-{end}"


def _area(course: Trajectory, stem: str | None, run: ExposureRun) -> float:
    if stem is None:
        return float("nan")
    one = course.metrics[stem]
    is_whole = run.auc_to_h is None or not np.isfinite(run.auc_to_h)
    area = float((one.auc_infinity if is_whole else one.auc_horizon)[0]) * _factor(stem)
    return area / _dose_mg(run) if run.is_auc_per_mg else area


def _dose_mg(run: ExposureRun) -> float:
    mass_g_per_mol = find_variable("ketamine_arterial").factor_to("ng/mL")
    doses = parse_regimen(run.regimen).doses(run.weight_kg)
    return sum(float(np.ravel(dose.amount_umol)[0]) for dose in doses) * mass_g_per_mol / 1000.0


def _fraction(course: Trajectory, run: ExposureRun, parameters: ParameterSet) -> float:
    """Return the bioavailable fraction of the analyte: of the one enantiomer where the racemate was given."""
    alone = {"s_ketamine": "esketamine", "r_ketamine": "arketamine"}.get(run.analyte)
    if alone is None or not run.regimen.startswith("ketamine") or alone not in parameters.drugs:
        return float(course.bioavailable_fraction[0])
    same = replace(run, regimen=run.regimen.replace("ketamine", alone, 1))
    return float(run_row(same, parameters).bioavailable_fraction[0])


def _area_ratio(course: Trajectory, stem: str, offered: tuple[str, ...], run: ExposureRun) -> float:
    """Return the ratio of areas by mass of a metabolite to the ketamine of the same enantiomer."""
    letter = stem[:2] if stem[:2] in ("s_", "r_") else ""
    parent = _stem(f"{letter}ketamine", run.site, offered)
    if parent is None:
        return float("nan")
    areas = [float(course.metrics[name].auc_infinity[0]) * _factor(name) for name in (stem, parent)]
    return areas[0] / areas[1]


def _comparison(
    row: ExposureRow, parameters: ParameterSet, quantity: str, unit: str, observed: Quantity, simulated: float
) -> Comparison:
    middle = observed.value
    if middle is None and observed.low is not None and observed.high is not None:
        middle = (observed.low + observed.high) / 2.0
    is_known = bool(np.isfinite(simulated)) and middle is not None
    ratio = simulated / middle if is_known and middle else None
    return Comparison(
        row_id=row.row_id,
        role=row.role.value,
        study=row.study,
        parameters=parameters.name,
        regimen=row.run.regimen,
        analyte=row.run.auc_analyte
        if quantity.startswith("AUC 0") and row.run.auc_analyte
        else row.run.analyte,
        quantity=quantity,
        unit=unit,
        observed=observed.value,
        low=observed.low,
        high=observed.high,
        spread_kind=observed.spread_kind,
        simulated=simulated if is_known else None,
        ratio=ratio,
        verdict=_verdict(observed, simulated, ratio),
        comment=_comment(row.row_id, parameters.name, quantity),
    )


def _verdict(observed: Quantity, simulated: float, ratio: float | None) -> str:
    """Return the verdict in words; the printed spread decides where there is one."""
    if ratio is None:
        return "not comparable"
    if observed.low is not None and observed.high is not None:
        kind = {"sd": "1 SD", "range": "the range", "ci90": "the 90 % CI", "ci95": "the 95 % CI"}[
            observed.spread_kind
        ]
        return f"within {kind}" if observed.low <= simulated <= observed.high else f"outside {kind}"
    is_close = abs(np.log(ratio)) <= np.log1p(CLOSE_FRACTION)
    return "within 20 %" if is_close else "off by more than 20 %"


def is_misfit(comparison: Comparison) -> bool:
    """Tell whether a number is neither inside its spread nor close."""
    return comparison.verdict.startswith(("outside", "off"))


def _comment(row_id: str, parameters: str, quantity: str) -> str:
    """Return why a number misfits, where that is known (``evidence/pk/misfits.csv``)."""
    for row in read_table("evidence/pk/misfits.csv"):
        if (
            row_id in row["row_ids"].split(";")
            and row["set"] in (parameters, "any")
            and (row["quantity"] == "any" or quantity.startswith(row["quantity"]))
        ):
            return row["explanation"]
    return ""


def _not_run(row: ExposureRow) -> Comparison:
    return Comparison(
        row_id=row.row_id,
        role=row.role.value,
        study=row.study,
        parameters="",
        regimen="",
        analyte=row.printed["analyte"],
        quantity="",
        unit="",
        observed=None,
        low=None,
        high=None,
        spread_kind="none",
        simulated=None,
        ratio=None,
        verdict=f"not run: {row.run.reason}",
        comment="",
    )
