"""``euthymia demo``: the worked example on published data and the chain behind it, left as reports."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from euthymia.cli import options, show

CHAIN_REGIMENS = (
    "ketamine 0.5 mg/kg iv over 40 min, twice weekly x 6",
    "esketamine 84 mg intranasal, twice weekly x 6",
)
CHAIN_DAYS = 60.0
NASAL_ROWS = (("E068", "E069"), ("E070", "E071"), ("E072", "E073"))
"""Rows of the exposures: esketamine and noresketamine of each dose."""


def demo(
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Where the reports are left.")] = Path(
        "build/demo"
    ),
    patients: Annotated[
        int, typer.Option("--patients", metavar="N", help="Virtual patients of each part.")
    ] = 500,
    seed: options.Seed = 1,
    quiet: options.Quiet = False,
) -> None:
    """Simulate published infusions and sprays beside their data, and a course from dose to mood.

    report.html: Kamp 2020, two three-step infusions, measured arterial points; Perez-Ruixo 2021, 28, 56 and
    84 mg of nasal esketamine, printed Cmax and AUC (that paper's model output). chain.html: six infusions
    beside six sprays over 60 days, the whole chain.

    Example: euthymia demo --out build/demo
    """
    from euthymia.files.writing import check_writable, write_whole

    path, chain_path = out / "report.html", out / "chain.html"
    check_writable(path)
    check_writable(chain_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        html = demo_report(patients=patients, seed=seed, is_quiet=quiet)
    write_whole(path, lambda target: target.write_text(html, encoding="utf-8"))
    _chain(chain_path, patients=patients, seed=seed, is_quiet=quiet)
    print(f"Concentrations beside published data: {path}")
    print(f"From dose to mood: {chain_path}")


def _chain(path: Path, *, patients: int, seed: int, is_quiet: bool) -> None:
    """Print and report the whole chain of two courses, as ``euthymia simulate --compare`` does."""
    from euthymia.cli.chain import simulate_chain
    from euthymia.cli.simulate import Asked
    from euthymia.model.parameters import load_parameters
    from euthymia.population.patient import Patient

    asked = Asked(
        chosen=load_parameters(),
        patient=Patient.create(),
        patients=patients,
        seed=seed,
        days=CHAIN_DAYS,
        report=path,
        is_quiet=is_quiet,
    )
    simulate_chain(CHAIN_REGIMENS, asked, scales="madrs")


def demo_report(*, patients: int, seed: int, is_quiet: bool) -> str:
    """Return the demonstration as one HTML page."""
    from euthymia.cli import reports
    from euthymia.files.report import Section, render_report
    from euthymia.model.parameters import load_parameters
    from euthymia.plots.concentrations import library
    from euthymia.population.concentrations import simulate_concentrations

    sections, sources = [], set()
    kamp = kamp_regimens()
    for regimen in kamp:
        name = "racemic ketamine" if regimen.startswith("ketamine") else "esketamine"
        course = simulate_concentrations(
            regimen, patients=patients, seed=seed, variables=_kamp_variables(name)
        )
        section = reports.course_section(
            f"Kamp 2020: {name}, three steps of an hour", [course], unit="ng/mL", labels=[""]
        )
        sections.append(
            Section(
                title=section.title,
                regimen=regimen,
                texts=[_kamp_sentence(course)],
                figure=section.figure,
                caption=section.caption
                + " Arterial plasma of 20 healthy volunteers, digitised by a third party.",
                tables=[reports.exposure_table(course, "ng/mL")],
            )
        )
        sources |= set(course.provenance.sources) | {"Kamp2020", "Srinivasan2026"}
        show.note(f"Kamp 2020, {name}: done", is_quiet=is_quiet)
    for name in ("perez-ruixo-2021", "composed"):
        sections.append(_nasal_section(name, patients=patients, seed=seed))
        sources |= set(load_parameters(name).sources)
        show.note(f"Perez-Ruixo 2021, set {name}: done", is_quiet=is_quiet)
    sections += [
        reports.parameter_section(load_parameters(name)) for name in ("composed", "perez-ruixo-2021")
    ]
    first = simulate_concentrations(kamp[0], patients=patients, seed=seed, variables=["ketamine_arterial"])
    return render_report(
        kind="demonstration",
        title="From an order to a concentration: infusions and nasal sprays beside published data",
        lead=[
            f"{patients} virtual patients of 70 kg in each part. The model was assembled from these and "
            "other papers, so this shows transcription and assembly, not prediction; "
            "'euthymia evidence pk' lists what was only predicted."
        ],
        sections=sections,
        sources=sorted(sources),
        footer=reports.footer_of(first),
        library=library(),
    )


def kamp_regimens() -> list[str]:
    """Return the two infusions of Kamp 2020, racemate first, as the time courses have them."""
    from euthymia.evidence.load import load_time_courses

    found = dict.fromkeys(one.regimen for one in load_time_courses() if "Kamp2020" in one.source_keys)
    return sorted(found, key=lambda regimen: not regimen.startswith("ketamine"))


def _nasal_runs() -> list[tuple[str, str]]:
    """Return (dose as a label, regimen) of the printed nasal exposures."""
    from euthymia.evidence.load import load_exposures

    regimens = {row.row_id: row.run.regimen for row in load_exposures()}
    return [(" ".join(regimens[first].split(" ")[1:3]), regimens[first]) for first, _ in NASAL_ROWS]


def _kamp_variables(name: str) -> list[str]:
    both = ["s_ketamine_arterial", "s_norketamine"]
    return (
        both
        if name == "esketamine"
        else [*both, "r_ketamine_arterial", "r_norketamine", "hydroxynorketamine"]
    )


def _kamp_sentence(course) -> str:
    """Return how far the median lies from the measured points, by analyte."""
    from euthymia.cli.reports import matching_courses
    from euthymia.evidence.select import usable_points
    from euthymia.model.variables import find_variable, variables

    parts = []
    for one in matching_courses(course.provenance.regimen):
        stem = one.variable if one.variable in variables() else f"{one.variable}_{one.site}"
        if stem not in course.values:
            continue
        times_h, values = (np.array(column) for column in usable_points(one))
        simulated = np.interp(times_h, course.times_h, np.median(course.values[stem], axis=0))
        known = (values > 0.05 * values.max()) & (simulated > 0)
        ratio = np.exp(np.mean(np.log(simulated[known] / values[known])))
        parts.append(f"{find_variable(stem).meaning} {ratio:.2f}")
    return (
        "Geometric mean of simulated over measured (points above 5 % of the peak): " + "; ".join(parts) + "."
    )


def _nasal_section(name: str, *, patients: int, seed: int):
    from dataclasses import replace

    from euthymia.cli import reports
    from euthymia.files.report import Section, TableBlock
    from euthymia.population.concentrations import simulate_concentrations

    variables = ["s_ketamine_venous", "s_norketamine"]
    runs = _nasal_runs()
    courses = [
        simulate_concentrations(
            regimen, patients=patients, seed=seed, parameters=name, variables=variables, days=1
        )
        for _, regimen in runs
    ]
    labels = [label for label, _ in runs]
    section = reports.course_section("", courses, unit="ng/mL", labels=labels)
    printed = _printed_table(name)
    return replace(
        Section(title=f"Perez-Ruixo 2021: nasal esketamine 28, 56 and 84 mg, set {name}"),
        texts=[
            "The same doses with the paper's own model, and with the composed set, whose nasal absorption is "
            "re-estimated on its own disposition."
            if name == "composed"
            else "The paper's own model, transcribed. Its printed Cmax and AUC are model output, "
            "not measurements."
        ],
        figure=section.figure + _printed_figure(courses),
        caption=section.caption
        + " Below: exposure by dose; open diamonds are the printed values, that paper's model output.",
        tables=[
            TableBlock(
                title="Typical patient beside the printed values (that paper's model output)",
                heads=("row", "dose", "analyte", "quantity", "printed", "model", "ratio", "verdict"),
                rows=printed,
                right=(4, 5, 6),
                marked=[place for place, row in enumerate(printed) if row[-1].startswith("off")],
                note="Noresketamine areas: literal use of the printed equations over-predicts them "
                "(see the science page).",
            )
        ],
    )


def _printed_figure(courses: list) -> str:
    """Return Cmax and AUC by dose beside the printed ones, as an HTML fragment."""
    from euthymia.evidence.load import load_exposures
    from euthymia.model.variables import find_variable
    from euthymia.plots.concentrations import to_html
    from euthymia.plots.exposure import ExposurePanel, exposure_figure

    printed = {row.row_id: row.run for row in load_exposures()}
    panels = []
    for stem, name, row_ids in (
        ("s_ketamine_venous", "Esketamine", [parent for parent, _ in NASAL_ROWS]),
        ("s_norketamine", "Noresketamine", [metabolite for _, metabolite in NASAL_ROWS]),
    ):
        factor = find_variable(stem).factor_to("ng/mL")
        for quantity, field, column in (
            ("Cmax (ng/mL)", "cmax", "cmax_ng_per_mL"),
            ("AUC (h\u00b7ng/mL)", "auc_horizon", "auc_ng_h_per_mL"),
        ):
            spread = [
                np.quantile(getattr(course.metrics[stem], field) * factor, (0.05, 0.5, 0.95))
                for course in courses
            ]
            panels.append(
                ExposurePanel(
                    quantity=f"{name} {quantity}",
                    doses=[label for label, _ in _nasal_runs()],
                    median=[float(one[1]) for one in spread],
                    low=[float(one[0]) for one in spread],
                    high=[float(one[2]) for one in spread],
                    printed=[getattr(printed[row_id], column).value for row_id in row_ids],
                )
            )
    return to_html(exposure_figure(panels, printed_label="printed in Perez-Ruixo 2021 (model output)"))


def _printed_table(name: str) -> list[list[str]]:
    from euthymia.evidence.compare import compare_exposures
    from euthymia.evidence.load import load_exposures

    wanted = {row_id for pair in NASAL_ROWS for row_id in pair}
    chosen = [row for row in load_exposures() if row.row_id in wanted]
    return [
        [
            one.row_id,
            one.regimen.split(" ")[1] + " mg",
            one.analyte,
            f"{one.quantity} ({one.unit})",
            f"{one.observed:g}" if one.observed is not None else "",
            show.significant(one.simulated or 0.0),
            f"{one.ratio:.2f}" if one.ratio is not None else "",
            one.verdict,
        ]
        for one in compare_exposures(chosen, parameters=name)
    ]
