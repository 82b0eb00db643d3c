"""Published facts under rival mechanisms: which of them tell the mechanisms apart. Never fits anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from euthymia.evidence.fact_compare import (
    REPRODUCED,
    SMALLEST_CHANGE,
    FactComparison,
    compare_facts,
    is_closed,
)
from euthymia.evidence.fact_records import FactRow, FactRun
from euthymia.evidence.facts import load_mechanism_facts
from euthymia.model.mechanisms import mechanisms, with_mechanisms
from euthymia.model.parameters import ParameterSet
from euthymia.population.rivals import check_several, naming

NO_CHANGES = ("no_change", "no_change_of_rise")
CONTRAST = "contrast_at"
DIRECTIONS = ("increases", "decreases", CONTRAST, *NO_CHANGES)
"""Statistics that say which way, and not how much or when; a contrast only where its bounds say no size."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RivalFact:
    """One published fact and the model's value by each mechanism.

    Attributes
    ----------
    statistic : str
        A key of ``STATISTICS``.
    by_mechanism : {mechanism: FactComparison}
    """

    statistic: str
    by_mechanism: Mapping[str, FactComparison]

    @property
    def stated(self) -> FactComparison:
        """What is stated and how it is read off, the same whatever the mechanism."""
        return next(iter(self.by_mechanism.values()))

    @property
    def reproduced_by(self) -> tuple[str, ...]:
        """Mechanisms that reproduce it."""
        return tuple(name for name, one in self.by_mechanism.items() if one.verdict == REPRODUCED)

    @property
    def missed_by(self) -> tuple[str, ...]:
        """Mechanisms that do not."""
        return tuple(name for name, one in self.by_mechanism.items() if one.verdict != REPRODUCED)

    @property
    def has_both(self) -> bool:
        """Whether some mechanisms reproduce it and others do not."""
        return bool(self.reproduced_by) and bool(self.missed_by)

    @property
    def is_direction(self) -> bool:
        """Whether a direction decides it, and no size or time, which are not fitted for rivals.

        "No change" has bounds: where some reproduce it and move the same way as others that miss it, the
        size of the move decides.
        """
        if self.statistic == CONTRAST:
            return self.stated.kind == "direction"
        if self.statistic not in NO_CHANGES:
            return self.statistic in DIRECTIONS
        return not self._ways(self.reproduced_by) & self._ways(self.missed_by)

    @property
    def is_separating(self) -> bool:
        """Whether mechanisms differ on it, and not by sizes."""
        return self.is_direction and self.has_both

    def _ways(self, names: Sequence[str]) -> set[bool]:
        """Return which ways mechanisms move: True up, False down; nothing for those that stay."""
        values = [self.by_mechanism[name].simulated for name in names]
        return {one > 1.0 for one in values if one is not None and abs(one - 1.0) > SMALLEST_CHANGE}


def typical_facts() -> tuple[FactRow, ...]:
    """Return the open facts of the mechanism table with only those parts that ask for the typical patient."""
    rows = [
        replace(row, runs=tuple(run for run in row.runs if _is_typical(run)))
        for row in load_mechanism_facts()
        if not is_closed("mechanism", row)
    ]
    return tuple(row for row in rows if row.runs)


def compare_rival_facts(
    rows: Sequence[FactRow] | None = None,
    *,
    parameters: ParameterSet,
    names: Sequence[str] = (),
    on_done: Callable[[int, int], None] | None = None,
) -> tuple[RivalFact, ...]:
    """Return every fact under each mechanism, in the order of the table; a scene is simulated once for each.

    Parameters
    ----------
    rows : sequence of FactRow, optional
        By default ``typical_facts``.
    parameters : ParameterSet
        With the whole chain.
    names : sequence of str
        Mechanisms, two or more; none for all.
    on_done : callable, optional
        Called with (simulations done, simulations in all).
    """
    chosen = tuple(names or mechanisms())
    check_several(chosen)
    facts = typical_facts() if rows is None else tuple(rows)
    sets = {name: with_mechanisms(parameters, [name]) for name in chosen}
    keys = {name: _numbers_of(one) for name, one in sets.items()}
    columns: dict[tuple[float, ...], tuple[FactComparison, ...]] = {}
    for name in chosen:
        if keys[name] not in columns:  # mechanisms with the same numbers are simulated once
            part = _part_of(on_done, len(columns), len(set(keys.values())))
            with naming(name):
                columns[keys[name]] = compare_facts("mechanism", facts, parameters=sets[name], on_done=part)
    runs = [run for row in facts for run in row.runs]
    return tuple(
        RivalFact(
            statistic=run.statistic,
            by_mechanism={name: columns[keys[name]][place] for name in chosen},
        )
        for place, run in enumerate(runs)
    )


def not_separated(facts: Sequence[RivalFact]) -> tuple[tuple[str, ...], ...]:
    """Return groups of two or more mechanisms that agree on every fact of direction."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for name in facts[0].by_mechanism if facts else ():
        verdicts = tuple(one.by_mechanism[name].verdict for one in facts if one.is_direction)
        groups.setdefault(verdicts, []).append(name)
    return tuple(tuple(names) for names in groups.values() if len(names) > 1)


def _numbers_of(parameters: ParameterSet) -> tuple[float, ...]:
    return tuple(row.value for rows in (parameters.rows, parameters.chain) for row in rows.values())


def _is_typical(run: FactRun) -> bool:
    return run.is_comparable and run.patients_count is None


def _part_of(
    on_done: Callable[[int, int], None] | None, place: int, parts: int
) -> Callable[[int, int], None] | None:
    """Return a callback of one part that counts over all parts."""
    if on_done is None:
        return None
    return lambda done, total: on_done(place * total + done, parts * total)
