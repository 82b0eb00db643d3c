"""Published facts by each mechanism, as tables, JSON and parts of a report."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from euthymia.cli import show
from euthymia.cli.evidence import bounds_of, given_in, model_of

if TYPE_CHECKING:
    from euthymia.files.report import Section
    from euthymia.population.rival_facts import RivalFact

HOW_TO_READ = (
    "Only facts that say which way something goes (direction) can separate mechanisms here. Rivals are not "
    "refitted: where a size or a time decides (size), a miss is no verdict on them. So it is with "
    "'no change' where mechanisms that reproduce it move the same way as those that miss it."
)
NO_SCORE = (
    "Facts are not votes: many are read off one link of the chain, and rows marked validate are predicted "
    "only. No mechanism is chosen or ranked by their number."
)
WHERE_STATED = "'euthymia evidence mechanism --row ID' says what is stated, and where; '--report' shows all."
NOTHING_SEPARATES = "No fact of direction separates these mechanisms."


def print_facts(found: Sequence[RivalFact], *, width: int) -> None:
    """Print fact by mechanism, the facts on which mechanisms differ, and what is not told apart."""
    names = list(found[0].by_mechanism)
    numbers = [str(place) for place in range(1, len(names) + 1)]
    heads = ("fact", "role", "read off", "decided by", *numbers)
    show.table(heads, [[*_cells(one), *_marks(one, "+", "–")] for one in found])
    keys = ", ".join(f"{number} {name}" for number, name in zip(numbers, names, strict=True))
    print(textwrap.fill(f"+ reproduced, – not. {keys}.", width) + "\n")
    groups = _by_misses(found)
    print("Facts that separate, by the mechanisms that miss them:" if groups else NOTHING_SEPARATES)
    for missed_by, members in groups.items():
        print(textwrap.fill(f"{', '.join(missed_by)}:", width, initial_indent="  ", subsequent_indent="  "))
        for one in members:
            print(textwrap.fill(_values_text(one), width, initial_indent="    ", subsequent_indent=" " * 6))
    print()
    for text in (*_summary(found), HOW_TO_READ, NO_SCORE, WHERE_STATED):
        print(textwrap.fill(text, width))


def facts_document(found: Sequence[RivalFact]) -> dict[str, Any]:
    """Return the facts as JSON: every row with each mechanism's value and verdict, and what they separate."""
    from euthymia.population.rival_facts import not_separated

    return {
        "note": f"{HOW_TO_READ} {NO_SCORE}",
        "rows": [_row_document(one) for one in found],
        "separating": [_name(one) for one in found if one.is_separating],
        "separating_none_count": sum(not one.is_separating for one in found),
        "not_separated": [list(names) for names in not_separated(found)],
    }


def fact_sections(found: Sequence[RivalFact]) -> list[Section]:
    """Return the parts of a report: the facts that separate, then all of them."""
    from euthymia.files.report import Section, TableBlock

    names = list(found[0].by_mechanism)
    separating = [one for one in found if one.is_separating]
    differing = TableBlock(
        heads=("fact", "role", "what is stated", "read off", "published", "reproduced by", "not by"),
        rows=[
            [
                _name(one),
                one.stated.role,
                one.stated.fact,
                _read_off(one),
                bounds_of(one.stated),
                _with_values(one, one.reproduced_by),
                _with_values(one, one.missed_by),
            ]
            for one in separating
        ],
    )
    everything = TableBlock(
        heads=("fact", "role", "read off", "decided by", *(name.replace("_", " ") for name in names)),
        rows=[[*_cells(one), *_marks(one, "yes", "no")] for one in found],
        marked=[place for place, one in enumerate(found) if one.is_separating],
        note="Reproduced by each mechanism: yes or no. Shaded: facts that separate.",
    )
    return [
        Section(
            title="Facts that separate",
            texts=[HOW_TO_READ, NO_SCORE, *([] if separating else [NOTHING_SEPARATES])],
            tables=[differing] if separating else [],
        ),
        Section(title="Every fact of a typical patient", texts=_summary(found), tables=[everything]),
    ]


def sources_of(found: Sequence[RivalFact]) -> list[str]:
    """Return the keys of the bibliography that the facts stand on."""
    from euthymia.evidence.facts import load_mechanism_facts

    keys = {row.row_id: row.source_keys for row in load_mechanism_facts()}
    return sorted({key for one in found for key in keys[one.stated.row_id]})


def _name(one: RivalFact) -> str:
    return f"{one.stated.row_id}{one.stated.part}"


def _decided_by(one: RivalFact) -> str:
    return "direction" if one.is_direction else "size"


def _read_off(one: RivalFact) -> str:
    text = f"{one.stated.variable} {one.stated.statistic}"
    return ", with ".join(filter(None, (text, one.stated.changed)))


def _cells(one: RivalFact) -> list[str]:
    return [_name(one), one.stated.role, _read_off(one), _decided_by(one)]


def _marks(one: RivalFact, hit: str, miss: str) -> list[str]:
    return [hit if name in one.reproduced_by else miss for name in one.by_mechanism]


def _by_misses(found: Sequence[RivalFact]) -> dict[tuple[str, ...], list[RivalFact]]:
    """Return the facts that separate, by the mechanisms that miss them."""
    groups: dict[tuple[str, ...], list[RivalFact]] = {}
    for one in found:
        if one.is_separating:
            groups.setdefault(one.missed_by, []).append(one)
    return groups


def _values_text(one: RivalFact) -> str:
    hit, miss = (_range_of(one, names) for names in (one.reproduced_by, one.missed_by))
    return f"{_name(one)} {_read_off(one)}: others {hit}, here {miss}; published {bounds_of(one.stated)}"


def _range_of(one: RivalFact, names: Sequence[str]) -> str:
    """Return the smallest and the largest value of some mechanisms; none where they have no such number."""
    compared = [one.by_mechanism[name] for name in names]
    known = [other for other in compared if other.simulated is not None]
    if not known:
        return "none"
    ends = (
        min(known, key=lambda other: other.simulated or 0.0),
        max(known, key=lambda other: other.simulated or 0.0),
    )
    return " to ".join(dict.fromkeys(model_of(other) for other in ends))


def _with_values(one: RivalFact, names: Sequence[str]) -> str:
    """Return mechanisms with their values; those with one value together."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(model_of(one.by_mechanism[name]), []).append(name)
    return "; ".join(f"{', '.join(members)} ({value})" for value, members in groups.items())


def _summary(found: Sequence[RivalFact]) -> list[str]:
    """Return how many facts separate none, and which mechanisms no fact separates."""
    from euthymia.population.rival_facts import not_separated

    none = [one for one in found if not one.is_separating]
    alike = sum(not one.has_both for one in none)
    texts = [
        f"{len(none)} of {len(found)} facts separate none: on {alike} all mechanisms agree, on "
        f"{len(none) - alike} they differ by size."
    ]
    groups = [", ".join(names) for names in not_separated(found)]
    return [*texts, f"Told apart by no fact of direction: {'; '.join(groups)}."] if groups else texts


def _row_document(one: RivalFact) -> dict[str, Any]:
    stated = one.stated
    return {
        "row_id": stated.row_id,
        "part": stated.part,
        "role": stated.role,
        "layer": stated.layer,
        "fact": stated.fact,
        "grade": stated.grade,
        "source": stated.source,
        "url": stated.url,
        "regimen": given_in(stated),
        "setting": stated.setting,
        "variable": stated.variable,
        "statistic": stated.statistic,
        "unit": stated.unit,
        "low": stated.low,
        "high": stated.high,
        "decided_by": _decided_by(one),
        "is_separating": one.is_separating,
        "by_mechanism": {
            name: {"simulated": compared.simulated, "verdict": compared.verdict}
            for name, compared in one.by_mechanism.items()
        },
    }
