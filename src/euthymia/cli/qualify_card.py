"""The model card: what the model is, for whom, on what it rests, how well it does, and what it is not for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from euthymia.cli.evidence import bounds_of, model_of
from euthymia.cli.qualify_found import CALIBRATE, VALIDATE, fact_counts, frozen_text
from euthymia.cli.qualify_report import SCORE_HEADS, score_cells, statements
from euthymia.cli.qualify_rows import row_cells
from euthymia.cli.show import NOT_A_DEVICE

if TYPE_CHECKING:
    from euthymia.cli.qualify_found import Qualification
    from euthymia.evidence.fact_compare import FactComparison

MOST = 25
"""Failures of one kind that are listed; the report has all."""


def model_card(found: Qualification) -> str:
    """Return the model card as Markdown."""
    said = statements()
    made = found.made
    named = ""
    if made.get("posterior"):
        named = f", posterior {made['posterior']} {made.get('posterior_digest', '')[:12]}"
    parts = [
        "# Model card\n\n",
        f"Euthymia {made['version']}, parameters {made['parameters']}{named}, seed {made['seed']}. Written "
        "by `euthymia qualify --card`; the qualification report has every row.\n\n",
        f"*{NOT_A_DEVICE}*\n",
        _chapter("What it answers", said["question"]),
        _chapter("Scope", said["context_of_use"]),
        _chapter("Users", said["users"], is_list=True),
        _chapter("Not for", said["not_for"], is_list=True),
        _evidence(found),
        _calibration(found),
        _performance(found),
        _failures(found),
        _chapter("Where it applies", said["applicable"], is_list=True),
    ]
    if found.cautions:
        parts.append(_chapter("Read with", found.cautions, is_list=True))
    return "".join(parts)


def _chapter(title: str, texts: Sequence[str], *, is_list: bool = False) -> str:
    lines = "\n".join(f"- {one}" for one in texts) if is_list else "\n\n".join(texts)
    return f"\n## {title}\n\n{lines}\n"


def _evidence(found: Qualification) -> str:
    lines = []
    for table, rows in found.facts.items():
        hit, judged, closed, left = fact_counts(rows)
        lines.append(
            f"{table}: {hit} of {judged} open facts reproduced, {closed} closed, {left} not comparable"
        )
    roles = dict.fromkeys(one.role for one in found.rows)
    for role in roles:
        rows = found.of_role(role)
        trials = len({one.trial for one in rows if one.trial})
        lines.append(f"trials, {role}: {len(rows)} parts of published rows, {trials} protocols")
    return _chapter("Evidence", lines, is_list=True)


def _calibration(found: Qualification) -> str:
    one = found.posterior
    if one is None:
        return _chapter("Calibration data", ["None: numbers are set by hand or assumed; see the parameters."])
    protocols = ", ".join(sorted(one.evidence.get("protocols", {})))
    texts = [
        f"{one.evidence.get('rows', 'Some')} published numbers of rows that may be fitted, through virtual "
        f"trials of {protocols or 'the published ones'}.",
        frozen_text(found),
    ]
    return _chapter("Calibration data", texts)


def _performance(found: Qualification) -> str:
    rows = [
        score_cells(name, found.score(chosen), found.score(chosen, is_first_day_only=True))
        for name, chosen in (
            ("kept to validate", found.of_role(VALIDATE)),
            *found.groups().items(),
            ("may be fitted", found.of_role(CALIBRATE)),
        )
    ]
    lines = [f"| {' | '.join(SCORE_HEADS)} |", f"|{' --- |' * len(SCORE_HEADS)}"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    passed = sum(one.passes for one in found.checks)
    effects = "with" if found.has_study_effects else "without"
    text = (
        f"{passed} of {len(found.checks)} checks of code and calculation pass. Forecasts {effects} effects "
        f"of studies, {found.effort}. {frozen_text(found)}"
    )
    return _chapter("Performance", [text, "\n".join(lines)])


def _failures(found: Qualification) -> str:
    outside = [one for one in found.rows if one.verdict in ("outside", "direction contradicts")]
    trials = [
        f"{cells[0]} {one.trial}, {cells[1]}, {cells[2]}: published {cells[3]}, forecast "
        f"{cells[5] if one.among_studies is not None else cells[4]}"
        for one in outside
        for cells in [row_cells(one)]
    ]
    failed = [f"check: {one.claim}" for one in found.checks if not one.passes]
    facts = [_fact(one) for rows in found.facts.values() for one in rows if one.verdict == "not reproduced"]
    return _chapter("Known failures", [*failed, *_some(trials), *_some(facts)] or ["none"], is_list=True)


def _fact(one: FactComparison) -> str:
    why = f" ({one.comment})" if one.comment else ""
    return f"{one.row_id}{one.part} {one.fact}: published {bounds_of(one)}, model {model_of(one)}{why}"


def _some(texts: Sequence[str]) -> list[str]:
    rest = len(texts) - MOST
    return [*texts[:MOST], *([f"and {rest} more"] if rest > 0 else [])]
