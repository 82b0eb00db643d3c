"""Write the generated pages: command line, parameters, exposures, facts, variables.

Run by ``make docs``; a test checks that they are current.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Sequence
from contextlib import redirect_stdout
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "docs" / "reference"
NOTE = "<!-- Written by tools/make_docs.py; do not edit. -->\n\n"
WIDE = "---\nhide:\n  - toc\n---\n\n" + NOTE


def pages() -> dict[Path, str]:
    """Return every generated page by its path."""
    return {
        REFERENCE / "cli.md": command_line(),
        REFERENCE / "parameters.md": parameters(),
        REFERENCE / "exposures.md": exposures(),
        REFERENCE / "facts.md": facts(),
        REFERENCE / "variables.md": variables(),
    }


def command_line() -> str:
    from typer.main import get_command

    from euthymia.cli.main import app

    command = get_command(app)
    parts = [
        NOTE,
        "# Command line\n\n",
        "Results go to standard output, everything else to standard error. Exit codes: 0 done; 1 a run ",
        "failed (solver, disk, interrupted resource); 2 bad input; 130 Ctrl-C. The version and the seed ",
        "stand in every result.\n",
    ]
    for name in _commands(command):
        parts.append(f"\n## euthymia {name}\n\n```text\n{_help(name)}```\n")
    return "".join(parts)


def _commands(command: object, prefix: str = "") -> list[str]:
    found: list[str] = []
    for name, one in getattr(command, "commands", {}).items():
        found += _commands(one, f"{prefix}{name} ") if getattr(one, "commands", None) else [f"{prefix}{name}"]
    return found


def _help(name: str) -> str:
    from euthymia.cli.main import call

    text = io.StringIO()
    with redirect_stdout(text):
        call([*name.split(" "), "--help"])
    lines = [line.rstrip() for line in text.getvalue().strip().splitlines()]
    return "\n".join(lines) + "\n"


def parameters() -> str:
    from euthymia.model.parameters import load_parameters, set_names

    parts = [
        WIDE,
        "# Parameters\n\n",
        "One row a number. *Between patients* is the SD on the scale of the distribution; a name in ",
        "brackets shares its random draw. Override any with `--set KEY=VALUE` within its range.\n",
    ]
    for name in set_names():
        one = load_parameters(name)
        parts.append(
            f"\n## {name}\n\n{one.title}. {one.summary}\n\nPopulation: {one.population}. "
            f"Range: {one.valid.weight_kg[0]:g}–{one.valid.weight_kg[1]:g} kg, "
            f"{one.valid.age_years[0]:g}–{one.valid.age_years[1]:g} years, "
            f"{one.valid.dose_mg_per_kg[0]:g}–{one.valid.dose_mg_per_kg[1]:g} mg/kg a session; outside it "
            f'a warning is given.\n\n!!! warning "Say with it"\n    {one.disclaimer}\n\n'
        )
        rows = [
            [
                f"`{row.field}`",
                f"{row.value:g}",
                row.unit,
                "–"
                if row.distribution == "fixed"
                else f"{row.distribution} {row.sd:.2g}" + _with(row.draw_with),
                f"{row.low:g}–{row.high:g}",
                row.tag,
                row.source,
                row.location,
                row.sampling,
                row.confidence,
                row.note,
            ]
            for row in one.rows.values()
        ]
        heads = ("parameter", "value", "unit", "between patients", "range", "tag", "source", "location")
        parts.append(_table((*heads, "sampling", "confidence", "note"), rows))
    return "".join(parts)


def _with(name: str) -> str:
    return f" (with `{name}`)" if name else ""


def exposures() -> str:
    from euthymia.cli.evidence import COLUMNS, row_of, summary
    from euthymia.evidence.compare import compare_exposures

    found = list(compare_exposures())
    rows = [[*row_of(one), one.comment] for one in found]
    table = _table((*COLUMNS, "why"), rows)
    counts = "\n".join(f"- {line}" for line in summary(found).splitlines())
    return (
        f"{WIDE}# Published exposures beside the model's\n\n"
        "Made by `euthymia evidence pk`: every row of the evidence, every set that covers it, the typical "
        "patient. A value with a printed spread is judged by it (mean ± SD, range, interval); one without by "
        "20 % either way. Rows marked *calibrate* gave numbers to a set or were estimated together with it, "
        "so they test transcription and assembly; rows marked *validate* were read by no fit.\n\n"
        f"{counts}\n\n{table}"
    )


def facts() -> str:
    from euthymia.cli.evidence import FACT_COLUMNS, fact_row_of, fact_summary
    from euthymia.evidence.fact_compare import MOST_PATIENTS, Table, compare_facts

    parts = [
        WIDE,
        "# Published facts beside the model\n\n",
        "Made by `euthymia evidence mechanism` and `euthymia evidence safety`: every row of the two tables, ",
        "the part of it that was run, the printed bounds and the model's value. A fact is reproduced where ",
        "the value lies within the bounds; a printed number without spread counts within 20 % either way, a ",
        "printed share also within one per cent of patients. Most bounds are directions, which are easy to ",
        f"meet. At most {MOST_PATIENTS} virtual patients are simulated; readings of pressure, CADSS and ",
        "MOAA/S include their noise and are taken when staff take them. Nobody expects anything of the ",
        "treatment unless a setting is named. Acute effects kept to validate show the model's value only: ",
        "their printed values open with the frozen posterior.\n",
    ]
    titles: dict[Table, str] = {"mechanism": "From receptor to mood", "safety": "Acute effects"}
    for table, title in titles.items():
        found = list(compare_facts(table))
        counts = "\n".join(f"- {line}" for line in fact_summary(found).splitlines())
        run = [one for one in found if one.variable]
        rows = [[*fact_row_of(one), one.comment, one.assumption] for one in run]
        parts.append(f"\n## {title}\n\n{counts}\n\n{_table((*FACT_COLUMNS, 'why', 'supposed'), rows)}")
        left = [
            [f"{one.row_id}{one.part}", one.role, one.fact, one.verdict] for one in found if not one.variable
        ]
        parts.append(f"\n### {title}: not comparable\n\n{_table(('row', 'role', 'fact', 'reason'), left)}")
    return "".join(parts)


def variables() -> str:
    from euthymia.model.variables import variables as all_variables

    rows = [
        [f"`{one.stem}`", one.unit, one.meaning, one.layer, f"{one.molar_mass_g_per_mol:g}"]
        for one in all_variables().values()
    ]
    heads = ("variable", "unit inside", "meaning", "layer", "molar mass (g/mol)")
    return (
        f"{NOTE}# Variables\n\nEvery observable. In results a name ends in the unit chosen with `--unit`: "
        f"`ketamine_arterial_ng_per_mL`.\n\n{_table(heads, rows)}"
    )


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [_line(heads), _line(["---"] * len(heads)), *(_line(row) for row in rows)]
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def main() -> int:
    REFERENCE.mkdir(parents=True, exist_ok=True)
    stale = []
    for path, text in pages().items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(path.name)
            if "--check" not in sys.argv[1:]:
                path.write_text(text, encoding="utf-8")
    if "--check" in sys.argv[1:] and stale:
        print(f"Out of date: {', '.join(stale)}. Run: python tools/make_docs.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
