"""What a row of any table states, ready to be shown: of a closed row only what is not observed.

Everything that prints rows takes them from here, so that a closed number has one door and it is shut.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from euthymia.evidence.records import Estimate, OutcomeRow, Role, StudyArm, TableName
from euthymia.evidence.select import is_open
from euthymia.evidence.studies import load_outcome_rows
from euthymia.tables import Row

if TYPE_CHECKING:
    from euthymia.evidence.fact_records import FactRow

Cell = str | float | bool | None
SHARES = ("response", "remission")
"""Shares of patients that an outcome may print."""
OPEN_FIELDS: Mapping[TableName, frozenset[str]] = {
    "efficacy": frozenset(
        "row_id role study arm comparator scale quantity kind time time_h t0 remission_rule imputation "
        "population design confidence sources citation url location".split()
    ),
    "safety": frozenset(
        "row_id role domain measure drug route dose population comparator citation url source_quality "
        "confidence source_key".split()
    ),
}
"""What of a closed row is shown; all else of it may be, or tell, what was observed."""
WHY_CLOSED = (
    "Closed: kept to validate. It is predicted first; what was observed opens when a posterior is frozen "
    "(none is yet)."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class StatedRow:
    """A row of a table of evidence as it may be shown.

    Attributes
    ----------
    study : str
        Key of its study; in other tables than efficacy its first source, or the citation where there is none.
    topic : str
        Kind of quantity, domain of an effect, link of the chain, or analyte.
    about : str
        What was measured; never the number.
    printed : str
        The number with its spread, in words; empty where the row is closed.
    fields : mapping of str to Cell
        Every field; of a closed row those of ``OPEN_FIELDS``.
    """

    row_id: str
    table: TableName
    role: Role
    study: str
    topic: str
    about: str
    arm: str
    time: str
    is_open: bool
    printed: str
    source_keys: tuple[str, ...]
    citation: str
    url: str
    fields: Mapping[str, Cell] = field(repr=False, hash=False)


def stated_rows(table: TableName) -> tuple[StatedRow, ...]:
    """Return the rows of a table as they may be shown, in the order of the table."""
    read: Mapping[TableName, Callable[[], tuple[StatedRow, ...]]] = {
        "efficacy": lambda: tuple(state_outcome(row) for row in load_outcome_rows()),
        "safety": _acute_rows,
        "mechanism": _mechanism_rows,
        "pk": _pk_rows,
    }
    return read[table]()


def state_outcome(row: OutcomeRow) -> StatedRow:
    """Return an outcome of a trial as it may be shown."""
    shown = is_open(row)
    arm = row.arm.name if row.arm else row.printed["arm"]
    return StatedRow(
        row_id=row.row_id,
        table="efficacy",
        role=row.role,
        study=row.study,
        topic=row.kind,
        about=row.quantity,
        arm=f"{arm} against {row.comparator.name}" if row.comparator else arm,
        time=row.time,
        is_open=shown,
        printed=printed_outcome(row.printed) if shown else "",
        source_keys=row.source_keys,
        citation=row.citation,
        url=row.url,
        fields=_open_fields("efficacy", outcome_fields(row), is_open=shown),
    )


def outcome_fields(row: OutcomeRow) -> dict[str, Cell]:
    """Return every field of an outcome by name, estimates spread out; for rows that are open."""
    baseline = row.baseline
    return {
        "row_id": row.row_id,
        "role": row.role.value,
        "study": row.study,
        "arm": _name(row.arm),
        "comparator": _name(row.comparator),
        "scale": row.scale,
        "quantity": row.quantity,
        "kind": row.kind,
        "time": row.time,
        "time_h": row.time_h,
        "t0": row.t0,
        **_estimate_fields(row.estimate, "value", ""),
        "value_text": row.value_text,
        **_estimate_fields(row.contrast, "contrast", "contrast_"),
        "contrast_kind": row.contrast_kind,
        **_estimate_fields(row.effect, "effect", "effect_"),
        "effect_kind": row.effect_kind,
        "p": row.p,
        "n": row.n,
        "is_n_seen": row.is_n_seen if row.n else None,
        "response_percent": row.response_percent,
        "remission_percent": row.remission_percent,
        "remission_rule": row.remission_rule,
        "baseline_mean": baseline.mean if baseline else None,
        "baseline_sd": baseline.sd if baseline else None,
        "imputation": row.imputation,
        "population": row.population,
        "design": row.design,
        "confidence": row.confidence,
        "note": row.note,
        "sources": "; ".join(row.source_keys),
        "citation": row.citation,
        "url": row.url,
        "location": row.location,
    }


def _name(arm: StudyArm | None) -> str:
    return "" if arm is None else arm.name


def _estimate_fields(one: Estimate, value: str, stem: str) -> dict[str, Cell]:
    return {
        value: one.value,
        f"{stem}sd": one.sd,
        f"{stem}se": one.se,
        f"{stem}ci95_low": one.ci95_low,
        f"{stem}ci95_high": one.ci95_high,
    }


def _open_fields(table: TableName, fields: Mapping[str, Cell], *, is_open: bool) -> Mapping[str, Cell]:
    return {name: cell for name, cell in fields.items() if is_open or name in OPEN_FIELDS[table]}


def printed_outcome(printed: Mapping[str, str]) -> str:
    """Return what an outcome printed, with spread, contrast and shares of patients, in words."""
    shares = [f"{name} {printed[f'{name}_percent']} %" for name in SHARES if printed[f"{name}_percent"]]
    contrast = _with_spread(printed["contrast"], printed["contrast_spread"])
    parts = (
        _with_spread(printed["value"], printed["spread"]),
        f"{printed['contrast_kind']} {contrast}".strip(),
    )
    return "; ".join(filter(None, (*parts, *shares)))


def _with_spread(value: str, spread: str) -> str:
    return f"{value} ({spread})" if value and spread else value or spread


def _acute_rows() -> tuple[StatedRow, ...]:
    from euthymia.evidence.facts import load_acute_facts

    return tuple(_acute_row(row) for row in load_acute_facts())


def _acute_row(row: FactRow) -> StatedRow:
    printed = row.printed
    given = " ".join(filter(None, (printed["drug"], printed["route"], printed["dose"])))
    value = printed["value"] or "–".join(filter(None, (printed["value_low"], printed["value_high"])))
    beside = f"; {printed['comparator']} {printed['comparator_value']}" if printed["comparator_value"] else ""
    return _fact_row(
        "safety",
        printed,
        row.role,
        topic=printed["domain"],
        about=printed["measure"],
        arm=given,
        time="",
        stated=f"{value} {printed['unit']}{beside}".strip(),
        shown=is_open(row, table="safety"),
    )


def _mechanism_rows() -> tuple[StatedRow, ...]:
    from euthymia.evidence.facts import load_mechanism_facts

    return tuple(
        _fact_row(
            "mechanism",
            row.printed,
            row.role,
            topic=row.printed["link"],
            about=row.printed["quantity"],
            arm=row.printed["species_region"],
            time=row.printed["time_after_dose"],
            stated=_with_spread(row.printed["value"], row.printed["spread"]),
            shown=is_open(row, table="mechanism"),
        )
        for row in load_mechanism_facts()
    )


def _fact_row(
    table: TableName,
    printed: Mapping[str, str],
    role: Role,
    *,
    topic: str,
    about: str,
    arm: str,
    time: str,
    stated: str,
    shown: bool,
) -> StatedRow:
    keys = _keys(printed)
    return StatedRow(
        row_id=printed["row_id"],
        table=table,
        role=role,
        study=keys[0] if keys else printed["citation"],
        topic=topic,
        about=about,
        arm=arm,
        time=time,
        is_open=shown,
        printed=stated if shown else "",
        source_keys=keys,
        citation=printed["citation"],
        url=printed["url"],
        fields=_open_fields(table, dict(printed), is_open=shown),
    )


def _keys(printed: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(part.strip() for part in printed["source_key"].split(";") if part.strip())


def _pk_rows() -> tuple[StatedRow, ...]:
    from euthymia.evidence.load import load_exposures, load_time_courses

    exposures = [
        _pk_row(row.row_id, row.role, dict(row.printed), _exposure_text(row.printed))
        for row in load_exposures()
    ]
    courses = [
        _pk_row(row.row_id, row.role, dict(row.printed), f"{len(row.times_h)} points in {row.unit}")
        for row in load_time_courses()
    ]
    return (*exposures, *courses)


def _exposure_text(printed: Mapping[str, str]) -> str:
    peak = f"Cmax {printed['cmax']} {printed['cmax_unit']}" if printed["cmax"] else ""
    area = f"AUC {printed['auc']} {printed['auc_unit']}" if printed["auc"] else ""
    half = f"half-life {printed['t_half_h']} h" if printed["t_half_h"] else ""
    return "; ".join(filter(None, (peak, area, half, f"F {printed['F']}" if printed["F"] else "")))


def _pk_row(row_id: str, role: Role, printed: Row, stated: str) -> StatedRow:
    keys = _keys(printed)
    dose = printed.get("dosing") or " ".join(
        filter(None, (printed.get(name, "") for name in ("formulation", "dose", "dose_unit", "route")))
    )
    return StatedRow(
        row_id=row_id,
        table="pk",
        role=role,
        study=keys[0],
        topic=printed["analyte"],
        about=f"{printed['analyte']} in {printed['sampling'] or 'blood or plasma'}",
        arm=dose,
        time=printed.get("infusion_or_note", ""),
        is_open=True,
        printed=stated,
        source_keys=keys,
        citation=printed.get("citation") or printed["study"],
        url=printed["source_url"],
        fields=dict(printed),
    )
