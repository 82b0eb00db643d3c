"""``euthymia care init``, ``screen`` and ``plan``: an intake, what the rules say of it, the plan in it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from euthymia.cli import options, show

if TYPE_CHECKING:
    from euthymia.care.expected import ExpectedCourse
    from euthymia.care.findings import Finding
    from euthymia.care.plan import CarePlan
    from euthymia.care.screening import Screening
    from euthymia.population.patient import Patient

NOT_A_DEVICE = (
    "Research and record-keeping software, not a medical device. No verdict, no dosing advice: a person "
    "decides."
)
HEADS = ("rule", "says", "", "observed", "threshold", "source")
WIDEST = 70
File = Annotated[
    Path, typer.Argument(metavar="FILE.yaml", help="An intake; 'euthymia care init' writes one.")
]
Drug = Annotated[
    str | None,
    typer.Option("--drug", metavar="NAME", help="Instead of the file's: ketamine, esketamine, arketamine."),
]
RouteName = Annotated[
    str | None, typer.Option("--route", metavar="ROUTE", help="Instead of the file's.", show_default=False)
]
Report = Annotated[
    Path | None,
    typer.Option(
        "--report", metavar="FILE.html", help="Write a page that needs nothing else.", show_default=False
    ),
]


def init(
    path: Annotated[Path, typer.Argument(metavar="FILE.yaml", help="A new file.")],
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that is there.")] = False,
) -> None:
    """Write an annotated intake of an invented person to start from.

    Example: euthymia care init intake.yaml
    """
    from euthymia.errors import invalid
    from euthymia.files.care_intake import SUFFIXES
    from euthymia.files.writing import write_whole
    from euthymia.tables import read_text

    if path.suffix not in SUFFIXES:
        raise invalid("FILE", must="a name that ends in .yaml", got=str(path))
    if path.exists() and not force:
        raise invalid("FILE", must="new", got=f"{path}, which is there", cure="'--force' overwrites it.")
    text = read_text("intake_template.yaml")
    write_whole(path, lambda target: target.write_text(text, encoding="utf-8"))
    show.note(f"Wrote {path}. Next: euthymia care screen {path}")


def screen(
    context: typer.Context,
    path: File,
    drug: Drug = None,
    route: RouteName = None,
    everything: Annotated[bool, typer.Option("--all", help="Also what is met.")] = False,
    json: options.Json = False,
    report: Report = None,
) -> None:
    """Say what the rules make of an intake, never a verdict: what stops, what is open, what to do first.

    Example: euthymia care screen intake.yaml --drug ketamine --route iv_infusion
    """
    from euthymia.files.care_intake import read_intake

    found = read_intake(path).screening(drug=drug, route=route)
    if report is not None:
        _write(report, screening_page(found))
    if json:
        _dump(screening_document(found, list(context.obj or [])))
    else:
        _print_screening(found, is_whole=everything)


def plan(
    context: typer.Context,
    path: File,
    against: Annotated[
        Path | None,
        typer.Option("--against", metavar="OLD.yaml", help="Say how it differs from an earlier one."),
    ] = None,
    patients: Annotated[
        int,
        typer.Option("--patients", metavar="N", help="Virtual patients of the expected course; 0: none."),
    ] = 200,
    seed: options.Seed = 1,
    posterior: options.Posterior = None,
    json: options.Json = False,
    report: Report = None,
) -> None:
    """Show the plan of an intake file, what stands by the rules of planning, and the model's expected course.

    Example: euthymia care plan intake.yaml --patients 500
    """
    from euthymia.care.expected import expected_course
    from euthymia.care.plan import compare
    from euthymia.files.care_intake import read_intake

    read = read_intake(path)
    found = read.plan()
    changes = compare(read_intake(against).plan(), found) if against is not None else None
    person = virtual(read.intake().facts())
    given: dict[str, Any] = {"patient": person, "patients": patients, "seed": seed, "posterior": posterior}
    course = expected_course(found, **given) if patients else None
    if report is not None:
        _write(report, plan_page(found, course, changes))
    if json:
        _dump(plan_document(found, course, changes, list(context.obj or [])))
    else:
        _print_plan(found, course, changes)


def virtual(facts: Any) -> Patient:
    """Return a virtual patient with the weight, age and measured drugs that are on record."""
    from euthymia.population.patient import Patient
    from euthymia.tables import read_table

    measured = {row["name"] for row in read_table("comedications.csv")}
    known = {
        name: facts[name] for name in ("weight_kg", "age_years", "height_cm") if facts.get(name) is not None
    }
    taken = [name for name in facts.get("comedications") or () if name in measured]
    return Patient.create(**known, comedications=taken)


def screening_document(found: Screening, command: list[str]) -> dict[str, Any]:
    """Return a screening as plain JSON."""
    return {
        "schema": "euthymia.screening/1",
        "command": command,
        "version": version("euthymia"),
        "rules_version": found.version,
        "status": NOT_A_DEVICE,
        "patient": found.patient_id,
        "drug": found.drug,
        "route": found.route.value,
        "as_of_utc": found.as_of_utc.isoformat(),
        "says": list(found.says),
        "findings": [_finding(one) for one in found.findings],
        "standing": [one.rule_id for one in found.standing],
        "blocking": [one.rule_id for one in found.blocking],
        "needing_override": [one.rule_id for one in found.needing_override],
        "overridden": [
            {
                "rule_id": override.rule_id,
                "of": override.of,
                "reason": override.reason,
                "by": override.by,
                "countersigned_by": override.countersigned_by or None,
                "signed_utc": override.signed_utc.isoformat(),
            }
            for _, override in found.overridden
        ],
        "lapsed": [one.rule_id for one in found.lapsed],
        "open_fields": list(found.open_fields),
        "questions": [
            {"kind": one.kind, "fields": list(one.fields), "says": one.says} for one in found.questions
        ],
        "work_up": [
            {
                "says": one.says,
                "fields": list(one.fields),
                "rules": list(one.rule_ids),
                "is_required": one.is_required,
            }
            for one in found.work_up
        ],
    }


def plan_document(
    found: CarePlan, course: ExpectedCourse | None, changes: Sequence[str] | None, command: list[str]
) -> dict[str, Any]:
    """Return a plan as plain JSON."""
    from dataclasses import asdict

    home = found.at_home
    return {
        "schema": "euthymia.care_plan/1",
        "command": command,
        "version": version("euthymia"),
        "rules_version": found.rules_version,
        "status": NOT_A_DEVICE,
        "patient": found.patient_id,
        "plan_version": found.version,
        "plan_status": found.status,
        "author": found.author,
        "author_role": found.author_role,
        "created_utc": found.created_utc.isoformat(),
        "reason": found.reason or None,
        "drug": found.drug,
        "route": found.route.value,
        "indication": found.indication,
        "basis": found.basis,
        "regimen": found.regimen,
        "phases": [{"name": one.name, "regimen": one.regimen, "basis": one.basis} for one in found.phases],
        "dose_rule": found.dose_rule,
        "monitoring": list(found.monitoring),
        "therapy": list(found.therapy),
        "daily_practice": found.daily_practice or None,
        "go_on_rules": list(found.go_on_rules),
        "stop_rules": list(found.stop_rules),
        "goals": list(found.goals),
        "expectations": list(found.expectations),
        "comorbidity": list(found.comorbidity),
        "least_that_holds": found.least_that_holds,
        "step_down_review": found.step_down_review.isoformat(),
        "at_home": {
            "status": home.status,
            "reasons": list(home.reasons),
            "assessed_by": home.assessed_by or None,
            "countersigned_by": home.countersigned_by or None,
            "assessed_on": home.assessed_on.isoformat() if home.assessed_on else None,
        },
        "contingency": found.contingency or None,
        "findings": [_finding(one) for one in found.findings],
        "standing": [one.rule_id for one in found.standing],
        "expected": None if course is None else _plain(asdict(course)),
        "changes": None if changes is None else list(changes),
    }


def _plain(course: dict[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in course.items()}


def _finding(one: Finding) -> dict[str, Any]:
    observed = list(one.observed) if isinstance(one.observed, tuple) else one.observed
    return {
        "rule_id": one.rule_id,
        "status": one.status,
        "severity": one.severity,
        "is_stopping": one.is_stopping,
        "observed": observed,
        "threshold": one.threshold,
        "unit": one.unit,
        "says": one.says,
        "asks": list(one.asks),
        "source": one.source,
        "url": one.url or None,
        "jurisdiction": one.jurisdiction,
        "confidence": one.confidence,
        "is_own_rule": one.is_own_rule,
    }


def _print_screening(found: Screening, *, is_whole: bool) -> None:
    print(f"{found.patient_id}: {found.drug}, {found.route.value}, {found.as_of_utc:%Y-%m-%d %H:%M} UTC")
    for text in found.says:
        print(f"  {text}")
    for one in found.questions:
        print(f"  Asked again: {one.says}")
    shown = [one for one in found.findings if is_whole or one.status == "fails"]
    if shown:
        show.table(HEADS, [_cells(one) for one in shown])
    _print_open(found)
    for one in found.work_up:
        print(f"To do{'' if one.is_required else ' (as advised)'}: {one.says} [{', '.join(one.rule_ids)}]")
    print(f"Rules {found.version}. {NOT_A_DEVICE}")


def _print_open(found: Screening) -> None:
    from euthymia.care.intake import fields

    if found.open_fields:
        print(f"Not known ({len(found.open_fields)}), what can stop first:")
    for name in found.open_fields:
        print(f"  {name}: {fields()[name].asks}")


def _cells(one: Finding) -> list[str]:
    own = " (own rule)" if one.is_own_rule else ""
    return [
        one.rule_id,
        _short(one.says),
        f"{one.status}, {one.severity}",
        _text(one.observed),
        " ".join(filter(None, (_text(one.threshold), one.unit))),
        f"{_short(one.source)}{own}",
    ]


def _short(text: str) -> str:
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return "; ".join(map(str, value))
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def _print_plan(found: CarePlan, course: ExpectedCourse | None, changes: Sequence[str] | None) -> None:
    print(
        f"{found.patient_id}: plan version {found.version}, {found.status}, by {found.author} "
        f"({found.author_role}), {found.created_utc:%Y-%m-%d}"
    )
    for label, text in plan_lines(found):
        print(f"  {label}: {text}")
    for one in found.standing:
        print(f"  Stands: {one.rule_id}, {one.status}, {one.severity}: {one.says}")
    for text in changes or ():
        print(f"  Changed: {text}")
    if changes is not None and not changes:
        print("  No difference.")
    if course is not None:
        _print_course(course)
    print(NOT_A_DEVICE)


def plan_lines(found: CarePlan) -> list[tuple[str, str]]:
    """Return what a plan says as (label, text), in the order in which it is read."""
    from euthymia.care.rules import find_rule

    watched = (f"{find_rule(one).title} [{one}]" for one in found.monitoring)
    lines = [
        ("Basis", found.basis),
        *((f"Phase {one.name}", one.regimen) for one in found.phases),
        ("Dose rule", found.dose_rule),
        *(("Watched", text) for text in watched),
        *(("Therapy", text) for text in found.therapy),
        ("Daily practice", found.daily_practice),
        *(("Goes on", text) for text in found.go_on_rules),
        *(("Stops", text) for text in found.stop_rules),
        *(("Goal", text) for text in found.goals),
        *(("Expectation", text) for text in found.expectations),
        *(("Comorbidity", text) for text in found.comorbidity),
        ("Least that holds", f"{found.least_that_holds} Looked at by {found.step_down_review}."),
        ("At home", str(found.at_home)),
        ("Contingency", found.contingency),
    ]
    return [(label, text) for label, text in lines if text]


def _print_course(course: ExpectedCourse) -> None:
    print(f"Expected by the model ({course.patients} virtual patients, seed {course.seed}), {course.scale}:")
    show.table(
        ("day", "5 %", "half", "95 %"),
        [[f"{one:g}" for one in row] for row in _course_rows(course)],
        right=(0, 1, 2, 3),
    )
    for text in course.caveats:
        print(f"  {text}")


def _course_rows(course: ExpectedCourse) -> list[tuple[float, float, float, float]]:
    return list(zip(course.days, course.low_points, course.middle_points, course.high_points, strict=True))


def screening_page(found: Screening) -> str:
    """Return a screening as one HTML page."""
    from euthymia.care.intake import fields
    from euthymia.files.report import Section, TableBlock

    rows = [_page_cells(one) for one in found.findings]
    marked = [place for place, one in enumerate(found.findings) if one.is_stopping]
    asked = [[name, fields()[name].asks] for name in found.open_fields]
    listed = [
        [one.says, ", ".join(one.rule_ids), "yes" if one.is_required else "advised"] for one in found.work_up
    ]
    signed = [
        [
            one.rule_id,
            override.reason,
            override.by,
            override.countersigned_by,
            f"{override.signed_utc:%Y-%m-%d %H:%M}",
        ]
        for one, override in found.overridden
    ]
    heads = ("rule", "says", "status", "severity", "observed", "threshold", "source", "confidence")
    sections = [
        Section(title="Where it stands", points=[*found.says, *(one.says for one in found.questions)]),
        Section(
            title="Overrides",
            tables=[TableBlock(heads=("rule", "reason", "by", "countersigned", "UTC"), rows=signed)],
        ),
        Section(title="Not known", tables=[TableBlock(heads=("field", "question"), rows=asked)]),
        Section(title="To do first", tables=[TableBlock(heads=("what", "rules", "required"), rows=listed)]),
        Section(title="Every rule", tables=[TableBlock(heads=heads, rows=rows, marked=marked)]),
    ]
    title = f"{found.patient_id}: {found.drug}, {found.route.value}"
    filled = [one for one in sections if one.points or any(table.rows for table in one.tables)]
    return _page(
        "Screening", title, filled, f"Rules {found.version}. As of {found.as_of_utc:%Y-%m-%d %H:%M} UTC."
    )


def plan_page(found: CarePlan, course: ExpectedCourse | None, changes: Sequence[str] | None) -> str:
    """Return a plan as one HTML page."""
    from euthymia.files.report import Section, TableBlock

    sections = [
        Section(
            title="Plan", tables=[TableBlock(heads=("", ""), rows=[list(one) for one in plan_lines(found)])]
        ),
        Section(title="What stands", points=[f"{one.rule_id}: {one.says}" for one in found.standing]),
        Section(title="What changed", points=list(changes or ())),
    ]
    if course is not None:
        rows = [[f"{one:g}" for one in row] for row in _course_rows(course)]
        block = TableBlock(heads=("day", "5 %", "half", "95 %"), rows=rows, right=(0, 1, 2, 3))
        title = f"Expected by the model, {course.scale}"
        sections.append(Section(title=title, points=list(course.caveats), tables=[block]))
    filled = [one for one in sections if one.points or one.tables]
    title = f"{found.patient_id}: plan version {found.version}, {found.status}"
    return _page(
        "Care plan", title, filled, f"By {found.author}, {found.created_utc:%Y-%m-%d}. {found.basis}"
    )


def _page_cells(one: Finding) -> list[str]:
    confidence = f"{one.confidence}{', own rule' if one.is_own_rule else ''}"
    threshold = " ".join(filter(None, (_text(one.threshold), one.unit)))
    return [
        one.rule_id,
        one.says,
        one.status,
        one.severity,
        _text(one.observed),
        threshold,
        one.source,
        confidence,
    ]


def _page(kind: str, title: str, sections: Sequence[Any], foot: str) -> str:
    from euthymia.files.report import render_report

    return render_report(
        kind=kind,
        title=title,
        lead=[NOT_A_DEVICE],
        sections=sections,
        sources=[],
        footer=[foot, f"Euthymia {version('euthymia')}"],
        library="",
    )


def _write(path: Path, html: str) -> None:
    from euthymia.files.writing import write_whole

    write_whole(path, lambda target: target.write_text(html, encoding="utf-8"))
    show.note(f"Wrote {path}.")


def _dump(document: dict[str, Any]) -> None:
    from euthymia.files.results import dump_json

    sys.stdout.write(dump_json(document))
