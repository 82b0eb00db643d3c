"""Rival mechanisms as data: what each claims, what speaks for and against it, and which switches it turns."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from euthymia.errors import InvalidInputError, unknown
from euthymia.model.parameters import ParameterSet
from euthymia.tables import list_files, read_text

DEFAULT_MECHANISM = "disinhibition"


@dataclass(frozen=True, kw_only=True, slots=True)
class Mechanism:
    """A mechanism of the effect on mood.

    Attributes
    ----------
    evidence_for, evidence_against, separated_by : tuple of str
        Rows of the evidence (Q..), or words where no row exists.
    cannot_be_told_by : str
        What does not separate it from others.
    overrides : mapping
        ``layer.field`` to value: the switches it turns, within the ranges of their rows.
    """

    name: str
    title: str
    claim: str
    evidence_for: tuple[str, ...]
    evidence_against: tuple[str, ...]
    separated_by: tuple[str, ...]
    cannot_be_told_by: str
    overrides: Mapping[str, float]


@cache
def mechanisms() -> Mapping[str, Mechanism]:
    """Return every mechanism by its name, the default first."""
    read = [tomllib.loads(read_text(path)) for path in list_files("mechanisms", ".toml")]
    lists = ("evidence_for", "evidence_against", "separated_by")
    found = [Mechanism(**{**one, **{field: tuple(one[field]) for field in lists}}) for one in read]
    return {one.name: one for one in sorted(found, key=lambda one: (one.name != DEFAULT_MECHANISM, one.name))}


def find_mechanism(name: str) -> Mechanism:
    """Return a mechanism by its name.

    Raises
    ------
    UnknownNameError
        With the nearest names.
    """
    if name not in mechanisms():
        raise unknown("mechanism", name, mechanisms(), cure="See 'euthymia rivals'.")
    return mechanisms()[name]


def with_mechanisms(parameters: ParameterSet, names: Sequence[str]) -> ParameterSet:
    """Return a set with the switches of some mechanisms turned; its own overrides stay as they are.

    Raises
    ------
    InvalidInputError
        Where two of them turn one switch in different ways, or the set ends at concentrations.
    """
    turned: dict[str, tuple[str, float]] = {}
    chosen = [find_mechanism(name) for name in dict.fromkeys(names)]
    for one in chosen:
        for key, value in one.overrides.items():
            other, before = turned.setdefault(key, (one.name, value))
            if before != value:
                message = (
                    f"The mechanisms {other!r} and {one.name!r} contradict each other: the first sets {key} "
                    f"to {before:g}, the second to {value:g}. Give one of them, or the switches by '--set'."
                )
                raise InvalidInputError(message)
    if turned and not parameters.chain:
        message = f"'--mechanism' needs the whole chain; the set {parameters.name!r} ends at concentrations."
        raise InvalidInputError(message)
    changed = parameters.with_overrides({key: value for key, (_, value) in turned.items()})
    chain = {
        key: replace(row, tag=parameters.chain[key].tag, note=f"mechanism {turned[key][0]}")
        if key in turned
        else row
        for key, row in changed.chain.items()
    }
    return replace(
        changed,
        chain=chain,
        overrides=parameters.overrides,
        mechanisms=(*parameters.mechanisms, *(one.name for one in chosen)),
    )
