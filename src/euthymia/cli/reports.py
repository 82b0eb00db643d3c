"""Puts results, figures and tables together into report pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from euthymia.cli.show import NOT_A_DEVICE, significant, spread
from euthymia.files.report import Section, TableBlock, render_report
from euthymia.model.parameters import ParameterSet
from euthymia.model.trajectory import Certificate, Provenance, Trajectory
from euthymia.model.variables import Variable, find_variable, variables
from euthymia.plots.concentrations import Curve, Panel, Points, concentration_figure, library, to_html

if TYPE_CHECKING:
    from euthymia.evidence.compare import Comparison

FAMILIES = (
    ("ketamine", "Ketamine"),
    ("norketamine", "Norketamine"),
    ("hydroxynorketamine", "Hydroxynorketamine"),
)
FOCUS_H = 6.0
MOST_PEOPLE_SHOWN = 6


def simulation_report(course: Trajectory, parameters: ParameterSet, *, unit: str) -> str:
    """Return the report of one simulation as HTML."""
    made = course.provenance
    people = people_of(course)
    sections = [
        Section(
            title="What was simulated",
            regimen=made.regimen,
            texts=_sentences(course, parameters),
            cards=_cards(course, unit),
        ),
        course_section(
            "Concentrations", [one for one, _ in people], unit=unit, labels=[name for _, name in people]
        ),
        Section(title="Exposure", tables=[exposure_table(one, unit, title=name) for one, name in people]),
        parameter_section(parameters),
    ]
    overlaid = [key for one in matching_courses(made.regimen) for key in one.source_keys]
    return render_report(
        kind="simulation",
        title=made.regimen,
        lead=[parameters.summary],
        sections=sections,
        sources=sorted({*made.sources, *overlaid}),
        footer=footer_of(course),
        library=library(),
        warnings=course.warnings,
    )


def evidence_report(found: Sequence[Comparison]) -> str:
    """Return published exposures beside the model's as HTML."""
    from euthymia.cli.evidence import COLUMNS
    from euthymia.evidence.compare import is_misfit
    from euthymia.evidence.load import load_exposures

    compared = [one for one in found if one.ratio is not None]
    keys = {row.row_id: row.source_keys for row in load_exposures()}
    marked = [place for place, one in enumerate(found) if is_misfit(one)]
    sections = [
        Section(
            title="Model over published",
            texts=[
                "The typical patient of the set over every number that was printed. Shaded: within 20 %. "
                "Rows marked validate are predicted and were read by no fit."
            ],
            figure=to_html(ratio_figure_of(compared)),
            caption="Hover for row, quantity and spread. Simulated: typical patient.",
        ),
        Section(
            title="Every row",
            tables=[
                TableBlock(
                    heads=(*COLUMNS, "why"),
                    rows=[_evidence_row(one) for one in found],
                    right=(6, 7, 8),
                    marked=marked,
                )
            ],
        ),
    ]
    sources = sorted({key for one in found for key in keys[one.row_id]})
    return render_report(
        kind="qualification of the pharmacokinetics",
        title="Published exposures beside the model's",
        lead=[
            "No row is dropped because it fits badly; misfits are marked, with the reason where it is known."
        ],
        sections=sections,
        sources=sources,
        footer=[NOT_A_DEVICE],
        library=library(),
    )


def ratio_figure_of(compared: Sequence[Comparison]):
    """Return the forest of ratios, grouped by role."""
    from euthymia.plots.ratios import Ratio, ratio_figure

    return ratio_figure(
        [
            Ratio(
                line=f"{one.study[:28]} · {one.parameters}",
                group=one.role,
                value=one.ratio or 1.0,
                text=f"{one.row_id} {one.analyte} {one.quantity}: {one.ratio:.2f}, {one.verdict}",
            )
            for one in compared
        ]
    )


def _evidence_row(one: Comparison) -> list[str]:
    from euthymia.cli.evidence import row_of

    return [*row_of(one), one.comment]


# --- parts that other reports use --------------------------------------------------------------


def matching_courses(regimen: str) -> list:
    """Return the published time courses of exactly this regimen, which may be drawn over it."""
    from euthymia.dosing.notation import parse_regimen
    from euthymia.errors import InvalidInputError
    from euthymia.evidence.load import load_time_courses

    try:
        plan = parse_regimen(regimen)
    except InvalidInputError:
        return []
    return [
        one for one in load_time_courses() if one.variable is not None and parse_regimen(one.regimen) == plan
    ]


def course_section(title: str, courses: Sequence[Trajectory], *, unit: str, labels: Sequence[str]) -> Section:
    """Return a section with one panel for each analyte, published points drawn over."""
    panels, drawn, order = [], [], {}
    sites = _ketamine_sites(courses)
    for family, name in FAMILIES:
        curves = [
            curve
            for course, label in zip(courses, labels, strict=True)
            for curve in _curves(course, family, unit, label)
        ]
        curves = [_styled(curve, order.setdefault(curve.label, len(order))) for curve in curves]
        if not curves:
            continue
        points = [
            point
            for course, label in zip(courses, labels, strict=True)
            for point in _points(course, family, unit, label, curves)
        ]
        drawn += points
        panels.append(
            Panel(
                quantity=f"{name}, {next(iter(sites))}" if family == "ketamine" and len(sites) == 1 else name,
                unit=unit,
                curves=tuple(curves),
                points=tuple(points),
            )
        )
    horizon_h = max(float(course.times_h[-1]) for course in courses)
    starts = sorted({time for course in courses for time in course.session_starts_h})
    marks = starts if len(starts) > 1 else []
    figure = concentration_figure(
        panels, focus_h=min(FOCUS_H, horizon_h), horizon_h=horizon_h, dose_times_h=marks
    )
    many = any(len(course.patients) > 1 for course in courses)
    caption = "Lines: simulated median" + (
        " with the 5–95 % band over patients." if many else " (typical patient)."
    )
    if len(sites) == 2:
        caption += " Ketamine is arterial where no site is named."
    if drawn:
        caption += " Marks: published mean or median values; the model was not fitted to them here."
    return Section(title=title, figure=to_html(figure), caption=caption)


def _curves(course: Trajectory, family: str, unit: str, label: str) -> list[Curve]:
    found = []
    members = [variable for variable in course.variables() if _family(variable.stem) == family]
    is_only = len(members) == 1
    for variable in members:
        values = course.values[variable.stem] * variable.factor_to(unit)
        low, middle, high = np.quantile(values, (0.05, 0.5, 0.95), axis=0)
        is_one = len(values) == 1
        name = label if label and is_only else curve_label(variable.stem, label)
        found.append(
            Curve(
                label=name,
                times_h=course.times_h,
                median=middle,
                low=None if is_one else low,
                high=None if is_one else high,
            )
        )
    return found


def _styled(curve: Curve, place: int) -> Curve:
    from dataclasses import replace

    return replace(curve, style=place)


def curve_label(stem: str, label: str) -> str:
    """Return the short name of a curve; its panel names the analyte."""
    part = {"s_": "S", "r_": "R"}.get(stem[:2], "total")
    site = "venous" if stem.endswith("_venous") else ""
    return ", ".join(text for text in (label, part, site) if text)


def _family(stem: str) -> str:
    bare = stem[2:] if stem[:2] in ("s_", "r_") else stem
    return bare.rsplit("_", 1)[0] if bare.endswith(("_arterial", "_venous", "_plasma")) else bare


def _points(course: Trajectory, family: str, unit: str, label: str, curves: Sequence[Curve]) -> list[Points]:
    from euthymia.evidence.select import usable_points

    found = []
    for one in matching_courses(course.provenance.regimen):
        stem = one.variable if one.variable in variables() else f"{one.variable}_{one.site}"
        if _family(stem) != family or stem not in course.values:
            continue
        variable = find_variable(stem)
        factor = (
            variable.factor_to(unit)
            if one.unit == "nmol/mL"
            else variable.factor_to(unit) / variable.factor_to("ng/mL")
        )
        times_h, values = usable_points(one)
        own = curve_label(stem, label)
        place = next((curve.style for curve in curves if curve.label == own), 0)
        how = ", digitised" if "digitised" in one.printed["figure_or_table"] else ""
        name = f"{own}: {one.study.split('(')[0].strip()} measured{how}"
        found.append(
            Points(label=name, times_h=np.array(times_h), values=np.array(values) * factor, style=place)
        )
    return found


def _ketamine_sites(courses: Sequence[Trajectory]) -> set[str]:
    """Return where the ketamine of some results is sampled."""
    stems = {stem for course in courses for stem in course.values if _family(stem) == "ketamine"}
    return {stem.split("_")[-1] for stem in stems} & {"arterial", "venous"}


def people_of(course: Trajectory) -> list[tuple[Trajectory, str]]:
    """Return the people of a small event table one by one with their names, else the result as a whole."""
    is_table = course.provenance.regimen.startswith("event table")
    if not is_table or not 2 <= len(course.patients) <= MOST_PEOPLE_SHOWN:
        return [(course, "")]
    return [(course.of_patient(label), f"ID {label}") for label in course.patients]


def exposure_rows(course: Trajectory, unit: str, *, label: str = "") -> list[list[str]]:
    """Return a row of exposure for each variable: meaning, Cmax, Tmax, both areas, half-life."""
    is_typical = len(course.patients) == 1
    rows = []
    for variable in course.variables():
        if variable.stem not in course.metrics:
            continue
        one = course.metrics[variable.stem].in_unit(variable.factor_to(unit))
        cells = (one.cmax, one.tmax_h, one.auc_horizon, one.auc_infinity, one.half_life_h)
        spreads = [spread(quantiles(cell), is_typical=is_typical) for cell in cells]
        rows.append([f"{label}{variable.meaning}", *spreads])
    return rows


def exposure_table(course: Trajectory, unit: str, *, title: str = "") -> TableBlock:
    """Return the table of exposure of a result."""
    is_typical = len(course.patients) == 1
    rows = exposure_rows(course, unit)
    horizon = f"AUC 0–{course.provenance.horizon_h:g} h (h·{unit})"
    return TableBlock(
        title=title,
        heads=("", f"Cmax ({unit})", "Tmax (h)", horizon, f"AUC to infinity (h·{unit})", "half-life (h)"),
        rows=rows,
        right=(1, 2, 3, 4, 5),
        note=("Typical patient." if is_typical else "Median (5–95 % of patients).")
        + " Tmax counts from the start of the session before the peak. Peaks are read off the curve (a "
        "minute or two apart near doses); areas over all doses and half-lives are exact. "
        "A dash: not defined.",
    )


def parameter_section(parameters: ParameterSet) -> Section:
    """Return what the set is, what must be said with it, and every parameter, folded."""
    rows = [
        [
            row.field,
            significant(row.value),
            row.unit,
            "–" if row.distribution == "fixed" else f"{row.distribution}, SD {row.sd:.2g}",
            row.tag,
            row.source,
            row.location,
            row.note,
        ]
        for row in parameters.rows.values()
    ]
    block = TableBlock(
        title=f"All {len(rows)} parameters of the set {parameters.name}",
        heads=("parameter", "value", "unit", "between patients", "tag", "source", "location", "note"),
        rows=rows,
        right=(1,),
        is_folded=True,
        note="Amounts are of the base. Between patients: SD on the scale of the distribution.",
    )
    return Section(
        title="Parameters",
        texts=[f"{parameters.title}. {parameters.population}.", f"Say with it: {parameters.disclaimer}"],
        tables=[block],
    )


def footer_of(course: Trajectory) -> list[str]:
    """Return what makes a result again, and what it is."""
    return made_again(course.provenance, course.certificate, len(course.patients))


def made_again(made: Provenance, certificate: Certificate, patients: int) -> list[str]:
    """Return what makes the result of a number of patients again, and what it is."""
    changed = "".join(f" --set {key}={value:g}" for key, value in made.overrides.items())
    return [
        f"Euthymia {made.version} · set {made.parameters}{changed} · seed {made.seed} · "
        f"{patients} {'patient' if patients == 1 else 'patients'} · "
        f"engine {made.engine} ({certificate.method}; "
        f"{certificate.patients_by_matrix_exponential} patients by matrix exponentials).",
        NOT_A_DEVICE,
    ]


def _sentences(course: Trajectory, parameters: ParameterSet) -> list[str]:
    low, high = course.provenance.weight_kg
    weight = f"{low:g} kg" if low == high else f"{low:g} to {high:g} kg"
    who = "One typical patient" if len(course.patients) == 1 else f"{len(course.patients)} virtual patients"
    low_share, share, high_share = quantiles(course.bioavailable_fraction)
    fraction = spread(quantiles(course.bioavailable_fraction), is_typical=len(course.patients) == 1)
    reaching = "All" if low_share == share == high_share == 1.0 else f"A fraction of {fraction}"
    return [
        f"{who} of {weight}. {reaching} of the dose reaches the circulation as ketamine. "
        f"Horizon {course.provenance.horizon_h:g} h after time 0."
        + (f" {', '.join(course.provenance.covariates)}." if course.provenance.covariates else "")
    ]


def _cards(course: Trajectory, unit: str) -> list[tuple[str, str]]:
    cards = []
    for variable in _headline(course):
        one = course.metrics[variable.stem].in_unit(variable.factor_to(unit))
        middle = quantiles(one.cmax)[1]
        cards.append((f"{significant(middle)} {unit}", f"peak, {variable.meaning.lower()}"))
        cards.append(
            (f"{quantiles(one.tmax_h)[1] * 60:.0f} min", f"time of that peak, {variable.meaning.lower()}")
        )
    return cards[:4]


def _headline(course: Trajectory) -> list[Variable]:
    return [one for one in course.variables() if _family(one.stem) == "ketamine"]


def quantiles(values: np.ndarray) -> np.ndarray:
    """Return 5 %, median and 95 % of the finite values; NaN where there are none."""
    known = values[np.isfinite(values)]
    return np.quantile(known, (0.05, 0.5, 0.95)) if len(known) else np.full(3, np.nan)
