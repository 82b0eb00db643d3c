"""Options that mean the same on every command."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from euthymia.model.parameters import ParameterSet

Patients = Annotated[
    int | None,
    typer.Option(
        "--patients", metavar="N", help="Virtual patients; left out: one typical patient.", show_default=False
    ),
]
Seed = Annotated[int, typer.Option("--seed", metavar="S", help="Keys every random draw.")]
Parameters = Annotated[
    str, typer.Option("--parameters", metavar="NAME", help="Parameter set; 'euthymia sets' lists them.")
]
Posterior = Annotated[
    str | None,
    typer.Option(
        "--posterior",
        metavar="prior|mean|NAME|FILE.json",
        help="Calibrated numbers: draws of a posterior, its mean, or 'prior': as the set has them. Left out: "
        "the posterior that ships ('mean' is of that one), 'prior' while none does.",
        show_default=False,
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Override a parameter; may be repeated.", show_default=False
    ),
]
WeightKg = Annotated[float, typer.Option("--weight-kg", metavar="KG", help="Body weight.")]
AgeYears = Annotated[
    float | None,
    typer.Option("--age-years", metavar="YEARS", help="Age, where the set uses it.", show_default=False),
]
Ancestry = Annotated[
    str | None,
    typer.Option("--ancestry", help="asian or japanese (set perez-ruixo-2021).", show_default=False),
]
Hepatic = Annotated[
    str | None, typer.Option("--hepatic", help="Child-Pugh class: normal or moderate.", show_default=False)
]
Comedication = Annotated[
    list[str] | None,
    typer.Option(
        "--comedication",
        help="ticlopidine, itraconazole, clarithromycin, 'grapefruit juice' or rifampicin; may be repeated.",
        show_default=False,
    ),
]
Hypertension = Annotated[
    bool, typer.Option("--hypertension", help="History of hypertension: larger rises of pressure.")
]
Setting = Annotated[
    str,
    typer.Option(
        "--setting",
        help="What patients believe ('euthymia settings'): open, saline, midazolam, nasal_placebo ...; "
        "'+admission' may follow.",
    ),
]
AlreadyOn = Annotated[
    list[str] | None,
    typer.Option(
        "--already-on",
        metavar="'DRUG DOSE'",
        help="An antidepressant taken for months, 'escitalopram 10 mg' or '... until day 14'; repeatable.",
        show_default=False,
    ),
]
LifeEvents = Annotated[
    bool, typer.Option("--life-events", help="Stressful events arrive by chance (virtual patients).")
]
EntryMadrs = Annotated[
    float | None,
    typer.Option(
        "--entry-madrs",
        metavar="N",
        help="Only virtual patients rated N or more on the MADRS at the start, as trials enrol.",
        show_default=False,
    ),
]
Mechanism = Annotated[
    list[str] | None,
    typer.Option(
        "--mechanism",
        metavar="NAME",
        help="A rival mechanism ('euthymia rivals' lists them); may be repeated.",
        show_default=False,
    ),
]
Check = Annotated[
    int,
    typer.Option(
        "--check",
        metavar="N",
        min=0,
        help="Solve N patients again with the reference and print the largest difference.",
        show_default=False,
    ),
]
Engine = Annotated[
    str | None,
    typer.Option(
        "--engine",
        help="c (compiled, the default), numpy, or reference: SciPy's LSODA, slow, one by one.",
        show_default=False,
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers", metavar="N", min=1, help="Processes; by default one a core.", show_default=False
    ),
]
Trials = Annotated[
    list[str] | None,
    typer.Option("--trial", metavar="NAME", help="Only this trial; may be repeated.", show_default=False),
]
Scales = Annotated[
    str,
    typer.Option("--scales", metavar="NAME,...", help="Scales to report, such as madrs,phq9 or madrs,ssi."),
]
Days = Annotated[
    float | None,
    typer.Option(
        "--days",
        metavar="D",
        help="Horizon; left out: a week after the last item, 48 h after the last dose for concentrations.",
        show_default=False,
    ),
]
Unit = Annotated[
    str, typer.Option("--unit", help="ng/mL or umol/L, for every concentration shown or written.")
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="PATH",
        help="Write the result: .parquet, .csv or .json is a file, no suffix a run folder.",
        show_default=False,
    ),
]
Report = Annotated[
    Path | None,
    typer.Option(
        "--report", metavar="FILE.html", help="Write a self-contained HTML report.", show_default=False
    ),
]
Json = Annotated[bool, typer.Option("--json", help="JSON on standard output.")]
Csv = Annotated[bool, typer.Option("--csv", help="CSV on standard output.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress, no notes.")]


def chosen_set(
    name: str, overrides: Sequence[str] | None, *, mechanisms: Sequence[str] | None = None
) -> ParameterSet:
    """Return a set with the switches of mechanisms, then what '--set' gives."""
    from euthymia.model.mechanisms import with_mechanisms
    from euthymia.model.parameters import load_parameters, parse_override

    chosen = with_mechanisms(load_parameters(name), mechanisms or ())
    return chosen.with_overrides(dict(parse_override(text) for text in overrides or ()))
