"""``euthymia care simulate-day``: a clinic's day with virtual patients: load and alert burden."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from euthymia.cli import options, show

if TYPE_CHECKING:
    from euthymia.care.day import DayResult

Chairs = Annotated[int, typer.Option("--chairs", metavar="N", help="Chairs, 1 to 20.")]
People = Annotated[int, typer.Option("--patients", metavar="N", help="Virtual patients of the day.")]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out", metavar="FILE.jsonl", help="Write every event, one JSON object a line.", show_default=False
    ),
]
STATUS = (
    "Simulated: the patients, what people do and how long it takes them are invented. Research and "
    "record-keeping software; it monitors nobody and raises no dependable alarm."
)


def simulate_day(
    chairs: Chairs = 4,
    patients: People = 8,
    seed: options.Seed = 1,
    is_json: options.Json = False,
    out: Out = None,
) -> None:
    """Run a clinic's day with virtual patients by the core of the record.

    Example: euthymia care simulate-day --chairs 6 --patients 12
    """
    from euthymia.care.day import simulate_day as run

    day = run(chairs=chairs, patients=patients, seed=seed)
    if out is not None:
        _write(day, out)
    if is_json:
        from euthymia.files.results import dump_json

        typer.echo(dump_json(_document(day, chairs=chairs, patients=patients, seed=seed)), nl=False)
        return
    _print(day)
    if out is not None:
        show.note(f"Wrote {out}")


def _write(day: DayResult, out: Path) -> None:
    from euthymia.files.writing import write_whole

    lines = [json.dumps(event.to_dict(), ensure_ascii=False, sort_keys=True) for event in day.events]
    write_whole(out, lambda target: target.write_text("\n".join(lines) + "\n", encoding="utf-8"))


def _document(day: DayResult, *, chairs: int, patients: int, seed: int) -> dict[str, Any]:
    from dataclasses import asdict
    from importlib.metadata import version

    return {
        "schema": "euthymia.care.day/1",
        "version": version("euthymia"),
        "seed": seed,
        "chairs": chairs,
        "patients": patients,
        "status": STATUS,
        "load": dict(day.load),
        "boards": [{"at": at.isoformat(), "rows": [asdict(row) for row in rows]} for at, rows in day.boards],
    }


def _print(day: DayResult) -> None:
    rows = [_session(day, name) for name in day.clinic.sessions]
    heads = ("session", "route", "stage", "given mg", "arrived", "first dose", "left", "readings", "alerts")
    show.table(heads, rows, right=(3, 7, 8))
    load = day.load
    stay, delay = load["stays_min"], load["checks_delay_min"]
    print(
        f"{load['dosed']} of {load['sessions']} sessions with a dose; stay {_range(stay)} min; "
        f"a due check waits {_range(delay)} min."
    )
    tiers = _named(load["alerts_by_tier"])
    print(
        f"{load['alerts']} alerts, {load['alerts_per_session']:g} a session ({tiers}); "
        f"{load['questions']} questions about entries; {load['overrides']} signed overrides; "
        f"{load['deviations']} deviations."
    )
    busy = _named(load["busy_fraction"])
    print(f"{load['events']} events, {load['events_per_session']:g} a session; busy {busy}.")
    print(STATUS)


def _session(day: DayResult, name: str) -> list[str]:
    session = day.clinic.sessions[name]
    arrived, left = session.last.get("patient_arrived"), session.last.get("patient_left")
    alerts = sum(alert.session == name for alert in day.clinic.alerts.values())
    dose = session.first_dose_at
    return [
        name,
        session.route.replace("_", " "),
        session.stage,
        f"{session.given_mg:g}",
        f"{arrived.observed_at:%H:%M}" if arrived else "–",
        f"{dose:%H:%M}" if dose else "–",
        f"{left.observed_at:%H:%M}" if left else "–",
        str(len(session.readings)),
        str(alerts),
    ]


def _range(spread: dict[str, float] | None) -> str:
    return "–" if spread is None else f"{spread['p50']:.0f} ({spread['p05']:.0f}–{spread['p95']:.0f})"


def _named(table: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in table.items()) or "none"
