"""The qualification report as a page, in the headings of ASME V&V 40."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from euthymia.cli.evidence import bounds_of, fact_summary, model_of, run_of
from euthymia.cli.qualify_found import CALIBRATE, VALIDATE, fact_counts, frozen_text
from euthymia.cli.qualify_rows import gap_table, row_table
from euthymia.cli.show import significant
from euthymia.cli.trial_report import footer, known_sources
from euthymia.files.report import Section, TableBlock, render_report
from euthymia.plots.arms import absent, panels_html
from euthymia.plots.concentrations import library
from euthymia.plots.validation import Covered, coverage_figure, pit_figure
from euthymia.tables import read_text

if TYPE_CHECKING:
    from euthymia.calibration.scoring import Coverage, Score
    from euthymia.calibration.verification import Check
    from euthymia.cli.qualify_found import Qualification
    from euthymia.evidence.fact_compare import FactComparison

TABLES = {
    "mechanism": "From receptor to mood",
    "safety": "During a session",
    "efficacy": "Outcomes of trials",
}
MOST_SHOWN = 16
"""Rows of a table of a hard case; longer ones are closed at first."""
SCORE_HEADS = (
    "group",
    "contrasts inside (95 %)",
    "primary inside (95 %)",
    "MADRS error",
    "rates' error",
    "SDs met",
    "skill, 24 h",
    "skill, all",
)


@cache
def statements() -> Mapping[str, Any]:
    """Return what no run can tell: question, context of use, risk (``data/qualification.toml``)."""
    return tomllib.loads(read_text("qualification.toml"))


def qualification_report(found: Qualification, *, command: Sequence[str]) -> str:
    """Return the page of a qualification as HTML that needs nothing else."""
    said = statements()
    code = [one for one in found.checks if one.of == "code"]
    calculation = [one for one in found.checks if one.of == "calculation"]
    return render_report(
        kind="qualification",
        title="What Euthymia has been held against",
        lead=[
            "Every check, fact and published trial with its verdict, in the order of ASME V&V 40. None is "
            "left out because it fits badly.",
        ],
        sections=[
            _summary_section(found),
            Section(title="Question of interest", texts=said["question"]),
            Section(title="Context of use", texts=said["context_of_use"], points=_not_for()),
            _risk_section(),
            _check_section("Verification: code", code, CODE_TEXT),
            _check_section("Verification: calculation", calculation, CALCULATION_TEXT),
            _model_section(found),
            _comparator_section(found),
            _score_section(found),
            _pit_section(found),
            *_case_sections(found),
            *(_fact_section(table, rows) for table, rows in found.facts.items()),
            *_trial_sections(found),
            Section(title="Applicability", points=said["applicable"]),
            _adequacy_section(found),
            Section(title="What this cannot say", points=LIMITS),
        ],
        sources=known_sources([*found.sources, *(one.source for one in found.rows)]),
        footer=footer(found.made, command, seed=found.made["seed"], parameters=found.made["parameters"]),
        library=library(),
        warnings=found.cautions,
    )


CODE_TEXT = (
    "Laws, closed forms and known answers, computed again for this page. The test suite holds many more, "
    "among them the mixed model, shares and survival against stored results of R."
)
CALCULATION_TEXT = "The numbers that a run gives, against independent solvers and finer steps."
LIMITS = (
    "Trials are not independent of each other: some share patients, all share drugs and scales. Intervals of "
    "coverage count them as if they were.",
    "Where many numbers of one trial are scored they rise and fall together; one primary contrast a trial is "
    "the fair count, and there are few of these.",
    "What a published table does not say of its trial - dropout, raters, moods of the staff - was assumed, "
    "and stands on the page of each trial (euthymia trial show NAME).",
    "Facts are compared at one set of parameters: the mean of the posterior, or the prior. Agreement on a "
    "direction says less than on a number.",
    "A score on rows that were fitted is no evidence that the model predicts.",
)


def _not_for() -> list[str]:
    return [f"Not for {one}." for one in statements()["not_for"]]


# --- in short ------------------------------------------------------------------------------------


def _summary_section(found: Qualification) -> Section:
    passed = sum(one.passes for one in found.checks)
    counts = [fact_counts(rows) for rows in found.facts.values()]
    hit, judged = sum(one[0] for one in counts), sum(one[1] for one in counts)
    fitted, kept = found.score(found.of_role(CALIBRATE)), found.score(found.of_role(VALIDATE))
    closed = sum(one.state == "closed" for one in found.of_role(VALIDATE))
    cards = [
        (f"{passed} of {len(found.checks)}", "checks of code and calculation pass"),
        (f"{hit} of {judged}", "open facts reproduced"),
        (_of(fitted.contrasts), "contrasts that may be fitted, inside 90 %"),
        (
            _of(kept.contrasts) if kept.contrasts.total else "closed",
            "contrasts kept to validate, inside 90 %",
        ),
    ]
    texts = [frozen_text(found)]
    if closed:
        texts.append(f"{closed} numbers kept to validate are closed.")
    source = "from a stored run" if found.is_stored else "run for this page"
    effects = "with" if found.has_study_effects else "without"
    texts.append(f"{found.effort}, {source}; verdicts are {effects} effects of studies.")
    return Section(title="In short", texts=texts, cards=cards)


def _of(one: Coverage) -> str:
    return f"{one.inside} of {one.total}" if one.total else "–"


def _risk_section() -> Section:
    said = statements()
    rows = [
        ["influence of the model on the decision", said["influence"]],
        ["consequence of a wrong decision", said["consequence"]],
        ["model risk", said["risk"]],
    ]
    return Section(title="Model risk", tables=[TableBlock(heads=("", ""), rows=rows)])


# --- verification --------------------------------------------------------------------------------


def _check_section(title: str, checks: Sequence[Check], text: str) -> Section:
    rows = [
        [one.claim, one.against, f"{one.value:.2g}", f"{one.tolerance:.2g}", one.unit, _passes(one)]
        for one in checks
    ]
    failed = [place for place, one in enumerate(checks) if not one.passes]
    heads = ("claim", "against", "found", "at most", "of what", "verdict")
    return Section(
        title=title, texts=[text], tables=[TableBlock(heads=heads, rows=rows, right=(2, 3), marked=failed)]
    )


def _passes(one: Check) -> str:
    return "passes" if one.passes else "FAILS"


# --- validation ----------------------------------------------------------------------------------


def _model_section(found: Qualification) -> Section:
    title = "Validation: the model"
    one = found.posterior
    if one is None:
        text = (
            "No posterior stands behind these numbers: sizes of effects are set by hand to some of the "
            "trials that may be fitted, or assumed. Intervals hold chance alone."
        )
        return Section(title=title, texts=[text])
    known = one.diagnostics
    worst, least = max(known["r_hat"].values()), min(known["ess"].values())
    texts = [
        f"Posterior {one.name} ({one.digest[:12]}), fitted by version {one.version} to "
        f"{one.evidence.get('rows', 'some')} published numbers: {len(one.parameters)} parameters, "
        f"{len(one.flat):,} draws.",
        f"Largest R-hat {worst:.3f}, fewest effective draws {least:,}.",
    ]
    check = known.get("recovery", {})
    if check.get("data_sets"):
        covered = float(np.mean(list(check["coverage_90"].values())))
        texts.append(
            f"Known truths found again in {check['data_sets']} simulated data sets: the 90 % intervals hold "
            f"{100.0 * covered:.0f} %; ranks even with p = {check['smallest_p']:.2f}."
        )
    sds = known.get("study_sd_points")
    if sds:
        texts.append(
            f"Between studies, beyond chance and parameters: SD {sds['control_points']['mean']:.1f} points "
            f"in all arms, {sds['contrast_points']['mean']:.1f} in contrasts. A draw of each is added to "
            "every replicate, once for each study."
        )
    return Section(title=title, texts=texts, tables=[_shift_table(one)])


def _shift_table(one: Any) -> TableBlock:
    rows = []
    moved = {row.get("name", ""): row for row in one.diagnostics.get("shifts", ())}
    for place, parameter in enumerate(one.parameters):
        values = one.flat[:, place]
        low, middle, high = np.quantile(values, [0.05, 0.5, 0.95])
        shift = moved.get(parameter.name, {}).get("shift_in_prior_sds")
        rows.append(
            [
                parameter.name,
                significant(parameter.middle),
                f"{significant(middle)} ({significant(low)}–{significant(high)})",
                "–" if shift is None else f"{shift:+.2f}",
                f"{one.diagnostics['r_hat'].get(parameter.name, float('nan')):.3f}",
            ]
        )
    heads = ("parameter", "prior, middle", "posterior (90 %)", "moved (SDs of the prior)", "R-hat")
    return TableBlock(heads=heads, rows=rows, right=(1, 2, 3, 4), title="Parameters", is_folded=True)


def _comparator_section(found: Qualification) -> Section:
    roles = list(dict.fromkeys(one.role for one in found.rows))
    verdicts = list(dict.fromkeys(one.verdict for one in found.rows))
    counts = Counter((one.role, one.verdict) for one in found.rows)
    rows = [
        [role, *(str(counts[role, word] or "") for word in verdicts), str(len(found.of_role(role)))]
        for role in roles
    ]
    groups = [
        [name, ", ".join(dict.fromkeys(one.trial for one in rows)), str(len(rows))]
        for name, rows in found.groups().items()
    ]
    return Section(
        title="Validation: the comparator",
        texts=[
            "Published results of trials, each with its source, role and how it was read. Rows to calibrate, "
            "priors and background may be fitted; rows to validate are predicted only, and were set apart "
            "before anything was fitted."
        ],
        tables=[
            TableBlock(
                title="Parts of rows, by role and verdict",
                heads=("role", *verdicts, "all"),
                rows=rows,
                right=range(1, len(verdicts) + 2),
            ),
            TableBlock(
                title="Kept to validate, by what is new",
                heads=("group", "trials", "parts"),
                rows=groups,
                right=(2,),
            ),
        ],
    )


def _score_section(found: Qualification) -> Section:
    kept, fitted = found.of_role(VALIDATE), found.of_role(CALIBRATE)
    named = [
        ("all kept to validate", kept),
        *found.groups().items(),
        ("may be fitted", fitted),
    ]
    ways = [("", False)]
    if found.has_study_effects:
        ways = [("with effects of studies", True), ("without effects of studies", False)]
    tables = [
        TableBlock(
            title=f"Scores {title}".strip(),
            heads=SCORE_HEADS,
            rows=[
                score_cells(
                    name,
                    found.score(rows, is_among_studies=way),
                    found.score(rows, is_among_studies=way, is_first_day_only=True),
                )
                for name, rows in named
            ],
            right=range(1, len(SCORE_HEADS)),
            note=_skill_note(found),
        )
        for title, way in ways
    ]
    drawn = [_covered(name, found.score(rows).contrasts) for name, rows in named]
    shown = [one for one in drawn if one is not None]
    return Section(
        title="Validation: assessment",
        texts=[
            "A contrast is inside where it lies in the middle 90 % of simulated trials of its size. One "
            "primary contrast a trial counts once; intervals of coverage are exact (binomial). Errors are of "
            "the median of the forecast.",
            *([] if found.frozen else ["Groups without a number are closed."]),
        ],
        figure=panels_html([("", coverage_figure(shown))]) if shown else "",
        caption="Contrasts inside their intervals; bars: 95 % binomial. Dotted: 90 %." if shown else "",
        tables=tables,
    )


def _covered(name: str, one: Coverage) -> Covered | None:
    if not one.total:
        return None
    text = f"{one.inside} of {one.total}"
    return Covered(label=f"{name} ({text})", share=one.share, low=one.low, high=one.high, text=text)


def _skill_note(found: Qualification) -> str:
    from euthymia.calibration.validation import baselines

    said = " and of ".join(f"'{name}' ({value:.2f})" for name, value in baselines(found.rows))
    return (
        "Errors: mean absolute, of MADRS contrasts in points, of rates in percentage points; how many in "
        "brackets. SDs met: within 20 %. Skill: 1 less the ratio of errors of MADRS contrasts to those of "
        f"{said}, in this order; above 0 is better."
    )


def score_cells(name: str, score: Score, first: Score) -> list[str]:
    """Return the cells of a line of scores; ``first`` has the skills of the first day."""
    return [
        name,
        _covered_text(score.contrasts),
        _covered_text(score.primary),
        f"{score.points_error:.1f} ({score.points_total})" if score.points_total else "–",
        f"{score.rates_error:.1f} ({score.rates_total})" if score.rates_total else "–",
        _of_sds(score),
        _skills(first),
        _skills(score),
    ]


def _covered_text(one: Coverage) -> str:
    interval = f" ({100 * one.low:.0f} to {100 * one.high:.0f} %)" if one.total else ""
    return f"{_of(one)}{interval}"


def _of_sds(score: Score) -> str:
    return f"{score.sds_close} of {score.sds_total}" if score.sds_total else "–"


def _skills(score: Score) -> str:
    known = [one for one in score.skills if np.isfinite(one.skill)]
    told = " / ".join(f"{one.skill:+.2f}" for one in known)
    return f"{told} ({known[0].total})" if known else "–"


def _pit_section(found: Qualification) -> Section:
    panels = []
    for title, role in (("Kept to validate", VALIDATE), ("May be fitted", CALIBRATE)):
        score = found.score(found.of_role(role))
        if score.pits:
            heading = f"{title}: {len(score.pits)} numbers, {score.evenness:.2f} from even at most"
            panels.append((heading, pit_figure(score.pits)))
        else:
            closed = role == VALIDATE and not found.frozen
            why = "Closed until a posterior is frozen." if closed else "Its replicates are not at hand."
            panels.append((title, absent(why)))
    return Section(
        title="Validation: are forecasts even?",
        texts=[
            "Where in its forecast each published number lies. Even heights are right; high ends mean "
            "intervals that are too narrow, a high middle ones that are too wide, a slope a bias."
        ],
        figure=panels_html(panels),
        caption="Band: 95 % of what an even distribution of independent numbers would give.",
    )


# --- row by row ----------------------------------------------------------------------------------


def _case_sections(found: Qualification) -> list[Section]:
    from euthymia.calibration.validation import hard_cases

    sections = []
    for case in hard_cases():
        rows = [one for one in found.rows if case.picks(one)]
        closed = sum(one.state == "closed" for one in rows)
        texts = [case.asks]
        if closed:
            texts.append(f"{closed} of {len(rows)} numbers are closed.")
        table = row_table(rows, is_with_trial=True, is_folded=len(rows) > MOST_SHOWN)
        titled = replace(table, title=f"All {len(rows)} numbers") if table.is_folded else table
        gaps = [one for one in found.gaps if one.gap in case.gaps]
        tables = [*([gap_table(gaps)] if gaps else []), *([titled] if rows else [])]
        sections.append(Section(title=f"Hard case: {case.name}", texts=texts, tables=tables))
    return sections


def _fact_section(table: str, rows: Sequence[FactComparison]) -> Section:
    by = "topic" if table == "efficacy" else "layer"
    heads = ("row", "role", "fact", "run", "read off", "published", "model", "verdict")
    cells = [
        [
            f"{one.row_id}{one.part}",
            one.role,
            one.fact,
            run_of(one),
            f"{one.variable} {one.statistic}".strip() or "–",
            bounds_of(one),
            model_of(one),
            one.verdict,
        ]
        for one in rows
    ]
    missed = [place for place, one in enumerate(rows) if one.verdict == "not reproduced"]
    return Section(
        title=f"Facts: {TABLES[table].lower()}",
        points=fact_summary(list(rows), by=by).splitlines(),
        tables=[
            TableBlock(
                heads=heads, rows=cells, right=(5, 6), marked=missed, title="Every fact", is_folded=True
            )
        ],
    )


def _trial_sections(found: Qualification) -> list[Section]:
    trials = dict.fromkeys(one.trial for one in found.rows)
    tables = []
    for name in trials:
        rows = [one for one in found.rows if one.trial == name]
        words = Counter(one.verdict for one in rows)
        table = row_table(rows, is_folded=True)
        title = f"{name or 'no protocol'}: {', '.join(f'{count} {word}' for word, count in words.items())}"
        tables.append(replace(table, title=title))
    return [Section(title="Every trial, row by row", tables=tables)]


def _adequacy_section(found: Qualification) -> Section:
    from euthymia.calibration.validation import adequacy

    rows = adequacy(found.score(found.of_role(VALIDATE)))
    words = Counter(one.verdict for one in rows)
    if words["unknown"] == len(rows):
        text = "Nothing that was kept to validate is open, so adequacy is not told. It is not claimed."
    elif words["not met"]:
        text = (
            f"{words['not met']} of {len(rows)} aims are not met: forecasts of new trials are to be read "
            "with that error, group by group, and the model is not adequate where it stands above."
        )
    else:
        text = (
            "All aims that can be told are met within the context of use; outside of it nothing is claimed."
        )
    return Section(
        title="Adequacy assessment",
        texts=[text, "Aims were set before anything was scored."],
        tables=[
            TableBlock(
                heads=("of rows kept to validate", "aim", "found", "verdict"),
                rows=[[one.name, one.aim, one.value, one.verdict] for one in rows],
                right=(1, 2),
                marked=[place for place, one in enumerate(rows) if one.verdict == "not met"],
            )
        ],
    )
