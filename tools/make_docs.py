"""Write the generated pages: command line, parameters, exposures, facts, outcomes, replication, studies ...

Run by ``make docs``; a test checks that they are current.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from euthymia.care.rules import Rule
    from euthymia.evidence.fact_compare import FactComparison
    from euthymia.evidence.records import Study

os.environ["EUTHYMIA_ENGINE"] = "numpy"  # in double precision, as the tests
os.environ["EUTHYMIA_POSTERIOR"] = "prior"  # facts are held against the own values of the tables
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
        REFERENCE / "outcomes.md": outcomes(),
        REFERENCE / "replication.md": replication(),
        REFERENCE / "studies.md": studies(),
        REFERENCE / "variables.md": variables(),
        ROOT / "docs" / "care" / "rules.md": care_rules(),
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


LAYERS = {
    "site": "Drug at its site",
    "receptor": "Receptor and transporter",
    "circuit": "Circuit",
    "plasticity": "Plasticity",
    "connectivity": "Brain network",
    "comparators": "Antidepressants",
    "symptoms": "Beliefs and mood",
    "acute": "Effects during a session",
}


def facts() -> str:
    from euthymia.evidence.fact_compare import compare_facts

    found = [*compare_facts("mechanism"), *compare_facts("safety")]
    return _fact_page("Published facts beside the model", _about_facts(), found, LAYERS, by="layer")


GROUPS = {
    "control": "Controls and contrasts",
    "comparator": "Comparators",
    "therapy": "Therapies",
    "ideation": "Suicidal ideation",
    "relapse": "Relapse and maintenance",
    "schedule": "Schedules",
}
Grouping = Literal["layer", "topic"]
OWN_VALUES = (
    "Simulated at the values of the [parameter tables](parameters.md) (`--posterior prior`); at the mean of "
    "the posterior they stand in the page of `euthymia qualify`.\n\n"
)


def outcomes() -> str:
    from euthymia.evidence.fact_compare import compare_facts

    found = list(compare_facts("efficacy"))
    return _fact_page("Published outcomes beside the model", _about_outcomes(), found, GROUPS, by="topic")


def _fact_page(
    title: str, about: str, found: Sequence[FactComparison], groups: Mapping[str, str], *, by: Grouping
) -> str:
    parts = [
        WIDE,
        f"# {title}\n\n",
        about,
        OWN_VALUES,
        _fact_counts(found, groups, by=by),
        _misses(found),
        *_sections(found, groups, by=by),
        _left_facts(found),
    ]
    return "".join(parts)


def _sections(found: Sequence[FactComparison], groups: Mapping[str, str], *, by: Grouping) -> Iterable[str]:
    for group, title in groups.items():
        own = _compared_in(found, group, by=by)
        tables = (
            f"{_open_facts(own)}{_closed_facts(own)}" if own else "No row of this group can be compared.\n"
        )
        yield f"\n## {title}\n\n{tables}"


def _compared_in(found: Sequence[FactComparison], group: str, *, by: Grouping) -> list[FactComparison]:
    return [one for one in found if one.variable and getattr(one, by) == group]


def _left_facts(found: Sequence[FactComparison]) -> str:
    rows = [
        [f"{one.row_id}{one.part}", one.fact, _studied(one), one.verdict.partition(": ")[2]]
        for one in found
        if not one.variable
    ]
    return (
        "\n## Not comparable\n\nThese rows stay out, each with its reason; none is left out because it fits "
        f"badly.\n\n{_table(('row', 'fact', 'studied in; read; source', 'reason'), rows)}"
    )


def _about_outcomes() -> str:
    return (
        "What trials of ketamine, of its controls and of other treatments printed. Made by `euthymia "
        "evidence efficacy`; how a verdict is reached, what the roles are and how rows were read stands on "
        "the page of [facts](facts.md). Every row of the table is here.\n\n"
        "**Printed.** The printed 95 % interval; else the one that a printed SD or SE and the number of "
        "patients give, of a share that of Wilson; else the number, met within 20 %. An interval of ten or "
        "twenty patients is wide: easy to meet, and little support.\n\n"
        "**Simulated.** Virtual patients in an episode, not chosen by how ill they are and none of them "
        "lost; trials took people above a cut-off. In the setting named, patients believe what a trial of "
        "that design lets them believe. The contrast of two arms is taken in the same patients.\n\n"
        "**Closed.** Rows kept to validate: the model's value is shown, the printed one and the verdict open "
        "with the frozen posterior. Meeting a row marked *calibrate* is partly by construction: constants of "
        "expectancy, antidepressants, ECT and ideation were set by hand with such rows at hand.\n\n"
        "Nothing here forecasts a person, least of all suicidal thoughts: ideation is that of a group.\n"
    )


def _about_facts() -> str:
    from euthymia.evidence.fact_compare import MOST_PATIENTS

    return (
        "Each link of the chain is held against its own literature. Made by `euthymia evidence mechanism` "
        "(rows Q) and `euthymia evidence safety` (rows AE). Every row of both tables is here.\n\n"
        "**Verdict.** *Reproduced*: the model's value lies within the printed bounds. A number printed "
        "without spread counts within 20 % either way, a printed share also within one per cent of patients. "
        "Where the bounds say *direction*, only more or less was compared: easy to meet, and no support for "
        "a size; of a correlation only the sign counts, however weak. A fact of animals or slices is "
        "compared in a simulated person at the clinical dose; what that supposes stands in the last column. "
        "*Closed*: kept to validate the acute layer; the model's value is shown, the printed one and the "
        "verdict open with the frozen posterior.\n\n"
        "**Role.** Rows marked *calibrate* were at hand when constants were set, so meeting them is partly "
        "by construction; rows marked *validate* were read by no fit.\n\n"
        "**Read.** *Seen in source*: the number was read there, often in an abstract or a label. *Derived*: "
        "worked out from what was read. *Recalled*: from memory, never compared.\n\n"
        f"**Simulated.** The typical patient, or at most {MOST_PATIENTS} virtual ones. Readings of pressure, "
        "CADSS and MOAA/S are taken when staff take them, noise included. Nobody expects anything of the "
        "treatment unless a setting is named.\n"
    )


def _fact_counts(found: Sequence[FactComparison], groups: Mapping[str, str], *, by: Grouping) -> str:
    from euthymia.evidence.fact_compare import CLOSED, NOT_REPRODUCED, REPRODUCED

    rows = []
    for group, title in groups.items():
        own = _compared_in(found, group, by=by)
        hit = [one for one in own if one.verdict == REPRODUCED]
        counts = (
            len(hit) + sum(one.verdict == NOT_REPRODUCED for one in own),
            len(hit),
            sum(one.kind == "direction" for one in hit),
            sum(one.verdict == NOT_REPRODUCED for one in own),
            sum(one.verdict == CLOSED for one in own),
        )
        rows.append([f"[{title}](#{_anchor(title)})", *map(str, counts)])
    heads = (
        "layer" if by == "layer" else "group",
        "open",
        "reproduced",
        "of these as a direction",
        "not reproduced",
        "closed",
    )
    left = len({(one.row_id, one.part) for one in found if not one.variable})
    return (
        f"\n## Counts\n\nA row that prints several facts counts once for each.\n\n{_table(heads, rows)}\n"
        f"{left} more cannot be compared.\n"
    )


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-")


def _misses(found: Sequence[FactComparison]) -> str:
    from euthymia.evidence.fact_compare import is_misfit

    missed = [one for one in found if is_misfit(one)]
    rows = []
    for why in dict.fromkeys(one.comment for one in missed):
        own = [f"{one.row_id}{one.part}" for one in missed if one.comment == why]
        rows.append([", ".join(own), why])
    return f"\n## What the model misses\n\n{_table(('rows', 'why'), rows)}"


def _open_facts(found: Sequence[FactComparison]) -> str:
    from euthymia.cli.evidence import bounds_of, model_of
    from euthymia.evidence.fact_compare import CLOSED

    rows = [
        [
            f"{one.row_id}{one.part}",
            one.role,
            one.fact,
            _studied(one),
            _simulated(one),
            bounds_of(one),
            model_of(one),
            f"**{one.verdict}**" if one.comment else one.verdict,
            "; ".join(filter(None, (one.comment, one.assumption and f"supposed: {one.assumption}"))),
        ]
        for one in found
        if one.verdict != CLOSED
    ]
    heads = ("row", "role", "fact", "studied in; read; source", "simulated", "printed", "model", "verdict")
    return _table((*heads, "why missed, what is supposed"), rows)


def _closed_facts(found: Sequence[FactComparison]) -> str:
    from euthymia.cli.evidence import model_of
    from euthymia.evidence.fact_compare import CLOSED

    rows = [
        [f"{one.row_id}{one.part}", one.fact, _studied(one), _simulated(one), model_of(one)]
        for one in found
        if one.verdict == CLOSED
    ]
    heads = ("row", "fact", "studied in; read; source", "simulated", "model")
    intro = "\n### Kept to validate\n\nPrinted values and verdicts open with the frozen posterior.\n\n"
    return f"{intro}{_table(heads, rows)}" if rows else ""


def _studied(one: FactComparison) -> str:
    """Return in whom or what, whether it was read, and where."""
    name = one.source.replace("[", "(").replace("]", ")") or "no source"
    source = f"[{name}](<{one.url}>)" if one.url else name
    return "; ".join(filter(None, (one.studied, one.grade, source)))


def _simulated(one: FactComparison) -> str:
    """Return what was read off which observable, in whom and after what."""
    from euthymia.cli.evidence import run_of
    from euthymia.model.variables import find_variable

    return f"{find_variable(one.variable).meaning}: {one.statistic}. {run_of(one)}"


def studies() -> str:
    from euthymia.cli.evidence_list import counts_of
    from euthymia.evidence.stated import stated_rows
    from euthymia.evidence.studies import load_studies

    rows = stated_rows("efficacy")
    cells = [
        _study_line(study, sum(row.study == key for row in rows)) for key, study in load_studies().items()
    ]
    heads = ("study", "role", "what was done", "design", "people", "arms", "definitions", "rows", "source")
    return (
        f"{WIDE}# Published studies\n\n"
        "Every study behind a row of [outcomes](outcomes.md). `euthymia evidence show STUDY` prints one with "
        "its arms, schedules, baselines and rows, `euthymia evidence list --rows` the rows themselves. Words "
        "are ours; what was not on a page read is left out. A study marked *validate* is predicted only: no "
        "fit reads its rows, and what it observed opens with the frozen posterior.\n\n"
        f"{' '.join(counts_of('efficacy', rows).splitlines())}\n\n{_table(heads, cells)}"
    )


def _study_line(study: Study, rows: int) -> list[str]:
    from euthymia.citations import cite, format_source

    arms = [f"{arm.name} (n {arm.n})" if arm.n else arm.name for arm in study.arms]
    rules = [f"remission {rule}" for rule in study.remission]
    rules += [f"{name} {rule}" for name in ("response", "relapse") if (rule := getattr(study, name))]
    return [
        f"`{study.key}`",
        study.role.value,
        study.title,
        "; ".join(filter(None, (study.design, study.blinding))),
        "; ".join(filter(None, (study.population, f"n {study.n}" if study.n else ""))),
        "; ".join(arms),
        "; ".join([*rules, *([f"imputation: {study.imputation}"] if study.imputation else [])]),
        str(rows),
        format_source(cite(study.source_keys[0])[0]),
    ]


def _believed(document: dict[str, Any]) -> str:
    name = document.get("posterior")
    if not name:
        return "not calibrated"
    digest = document["posterior_digest"][:12]
    return f"a draw of the posterior [{name}](../science/calibration.md) (`{digest}`) each"


def replication() -> str:
    """Return published trials beside their simulations, from the result that is kept (`make replicate`)."""
    import json
    from collections import Counter

    from euthymia.cli.replicate import number, rows_from

    document = json.loads((REFERENCE / "replication.json").read_text(encoding="utf-8"))
    found = rows_from(document)
    compared = [one for one in found if one.verdict != "not comparable"]
    verdicts = list(dict.fromkeys(one.verdict for one in found))
    counts = Counter((one.role, one.verdict) for one in found)
    roles = list(dict.fromkeys(one.role for one in found))
    primary = [one for one in found if one.is_primary and one.verdict in ("inside", "outside")]
    parts = [
        WIDE,
        "# Published trials, simulated\n\n",
        f"`euthymia evidence replicate`: {document['replicates']} replicates of every trial that ships "
        f"([how](../trials.md)), seed {document['seed']}, set {document['parameters']}, "
        f"{_believed(document)}. "
        "*Inside* means that the published number lies in the middle 90 % of single trials of that size, "
        "without what differs between studies beyond chance and parameters: "
        "[forecasts with it](../science/validation.md) are wider. Rows of role *validate* were predicted, "
        "never fitted. No row is left out.\n\n"
        f"Of the primary contrasts that are open {sum(one.verdict == 'inside' for one in primary)} of "
        f"{len(primary)} are inside.\n\n",
        _table(
            ("role", *verdicts),
            [[role, *(str(counts[role, verdict] or "") for verdict in verdicts)] for role in roles],
        ),
    ]
    for trial in dict.fromkeys(one.trial for one in compared):
        own = [one for one in compared if one.trial == trial]
        rows = [
            [
                one.row_id + (" *" if one.is_primary else ""),
                one.role,
                one.label,
                one.measure,
                number(one.observed, one.measure),
                f"{number(one.simulated, one.measure)} ({number(one.low, one.measure)} to "
                f"{number(one.high, one.measure)})",
                one.verdict,
            ]
            for one in own
        ]
        heads = ("row", "role", "what", "measure", "published", "simulated (90 %)", "verdict")
        parts.append(f"\n## {trial}\n\n{own[0].title}.\n\n{_table(heads, rows)}")
    left = [
        [one.row_id, one.role, one.trial or "–", one.label, one.reason]
        for one in found
        if one not in compared
    ]
    parts.append("\n## What a simulation cannot speak to\n\n")
    parts.append(_table(("row", "role", "trial", "what", "why"), left))
    return "".join(parts)


def variables() -> str:
    from euthymia.model.variables import variables as all_variables

    rows = [
        [f"`{one.stem}`", one.unit, one.meaning, one.layer, _mass(one.molar_mass_g_per_mol)]
        for one in all_variables().values()
    ]
    heads = ("variable", "unit inside", "meaning", "layer", "molar mass (g/mol)")
    return (
        f"{NOTE}# Variables\n\nEvery observable. In results a name ends in the unit chosen with `--unit`: "
        f"`ketamine_arterial_ng_per_mL`.\n\n{_table(heads, rows)}"
    )


CARE_RULES = """# Rules of care

Every rule that screening, planning, sessions and follow-up look at, as it stands in `data/rules`: rows of
`data/evidence/safety`, copied one by one, and rules of our own, which say so. What a rule says is material
for a person who decides; how severe it is here is this project's reading of the row.
[Screening](screening.md) says how they are used.

*On* is the severity for the drug and route that the source speaks of, *else* that for every other ketamine
and route. `block`: no override. `countersign`: a prescriber's reason and a second signature. `override`: a
prescriber's reason. `record`: has to be on record. `inform`: is shown. Rows written from memory only inform.

"""


def care_rules() -> str:
    from euthymia.care.rules import MOMENTS, rows_without_rule, rule_set_version, rules

    tested = ("rule", "what must hold", "fails if, or needs", "on", "else", "where", "source", "confidence")
    shown = ("rule", "what", "value", "says", "source", "confidence")
    parts = [WIDE, CARE_RULES, f"Version {rule_set_version()}, {len(rules())} rules.\n"]
    for moment in MOMENTS:
        found = [one for one in rules().values() if one.moments[0] == moment]
        parts.append(f"\n## First looked at: {moment.replace('_', ' ')}\n\n")
        parts.append(_table(tested, [_tested_rule(one) for one in found if one.is_tested]))
        rest = [_shown_rule(one) for one in found if not one.is_tested]
        if rest:
            parts.append(f"\nNumbers and texts that are used or shown:\n\n{_table(shown, rest)}")
    left = [[one.row, one.reason, one.see] for one in rows_without_rule().values()]
    parts.append("\n## Rows that no rule was made of\n\n" + _table(("row", "why", "see"), left))
    return "".join(parts)


def _tested_rule(one: Rule) -> list[str]:
    ways = [] if one.fails_if is None else [" and ".join(map(str, way)) for way in one.fails_if.ways]
    needs = [*(f"`{way}`" for way in ways), *(f"needs `{field}`" for field in one.records)]
    where = ", ".join(filter(None, (", ".join(one.drugs), ", ".join(one.routes), one.jurisdiction))) or "any"
    is_recalled = one.confidence == "recalled-not-verified"
    severities = ("inform", "") if is_recalled else (one.severity, one.elsewhere or "")
    return [one.id, one.holds, "<br>".join(needs), *severities, where, one.source, _confidence(one)]


def _shown_rule(one: Rule) -> list[str]:
    numbers = [one.value] if one.value is not None else [one.low, one.high]
    told = " to ".join(
        f"{each:g}" if isinstance(each, float) else str(each) for each in numbers if each is not None
    )
    value = " ".join(filter(None, (told, one.unit, one.timing)))
    return [one.id, one.title, value, one.says, one.source, _confidence(one)]


def _confidence(one: Rule) -> str:
    marks = [one.confidence, "own rule" if one.is_own_rule and one.confidence != "own" else ""]
    marks.append("consensus needed" if one.is_consensus_needed else "")
    return ", ".join(filter(None, marks))


def _mass(molar_mass_g_per_mol: float | None) -> str:
    return "–" if molar_mass_g_per_mol is None else f"{molar_mass_g_per_mol:g}"


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
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
    if "--check" in sys.argv[1:] and stale:
        print(f"Out of date: {', '.join(stale)}. Run: python tools/make_docs.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
