"""``euthymia patient``: one virtual patient alone: covariates, own parameters, first ratings."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from euthymia.cli import options, show

if TYPE_CHECKING:
    from euthymia.model.parameters import ParameterRow, ParameterSet
    from euthymia.population.patient import Patient

SCALES = ("MADRS", "HAM-D17", "QIDS-SR16")
RECORDED = "recorded only"
HEADS = ("", "what", "value", "unit", "typical", "rank", "acts on")
EXPLAINED = (
    "Rank: share of virtual patients whose own value is lower, before body weight, liver, drugs and age act. "
    "Ratings are those of an untreated start, with the swing of mood of that day and the rater's error."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """A virtual patient as the command shows it."""

    number: int
    seed: int
    population: str
    parameters: ParameterSet
    person: Patient
    own: list[dict[str, Any]]
    ratings: list[dict[str, Any]]


def patient(
    context: typer.Context,
    number: Annotated[int, typer.Argument(metavar="NUMBER", help="Number of the patient, from 1.")],
    population: Annotated[
        str,
        typer.Option("--population", metavar="NAME", help="trd-adult, older-adult or acute-suicidality."),
    ] = "trd-adult",
    parameters: options.Parameters = "composed",
    overrides: options.Overrides = None,
    seed: options.Seed = 1,
    json: options.Json = False,
) -> None:
    """Show one virtual patient: what is known of it, how it differs from a typical one, its first ratings.

    Example: euthymia patient 17 --seed 1 --population older-adult
    """
    chosen = options.chosen_set(parameters, overrides)
    found = _found(number, seed, population, chosen)
    if json:
        _dump(found, list(context.obj or []))
    else:
        _print(found)


def _found(number: int, seed: int, population: str, chosen: ParameterSet) -> Shown:
    from euthymia.errors import invalid
    from euthymia.population.covariates import sample_patients, with_ideation

    if not 1 <= number < 2**63:
        raise invalid("NUMBER", must="from 1 to 2**63 - 1", got=number, cure="Patients count from 1.")
    if seed < 0:
        raise invalid("--seed", must="0 or more", got=seed)
    (person,) = sample_patients([number], population=population, seed=seed)
    if chosen.chain:
        chosen = with_ideation(chosen, population=population)
    return Shown(
        number=number,
        seed=seed,
        population=population,
        parameters=chosen,
        person=person,
        own=_own_parameters(chosen, person, number, seed),
        ratings=_ratings(chosen, person, number, seed) if chosen.chain else [],
    )


def _own_parameters(chosen: ParameterSet, person: Patient, number: int, seed: int) -> list[dict[str, Any]]:
    """Return every parameter that is not that of a typical patient of 70 kg of whom nothing is known."""
    from euthymia.population.individual import chain_values, individual_values
    from euthymia.population.patient import Patient

    asked: dict[str, Any] = {"numbers": np.array([number]), "seed": seed}
    found = []
    for rows, draw in ((chosen.rows, individual_values), (chosen.chain, chain_values)):
        if not rows:
            continue
        own, bare = draw(chosen, [person], **asked), draw(chosen, [Patient()], **asked)
        for name, row in rows.items():
            value = float(np.ravel(own[name])[0])
            if value != row.value:
                found.append(_parameter(row, value, float(np.ravel(bare[name])[0])))
    return found


def _parameter(row: ParameterRow, value: float, bare: float) -> dict[str, Any]:
    return {
        "name": row.name,
        "layer": row.layer,
        "field": row.field,
        "value": value,
        "typical": row.value,
        "unit": row.unit,
        "distribution": row.distribution,
        "rank_fraction": _rank(row, bare),
        "source": row.source,
    }


def _rank(row: ParameterRow, value: float) -> float | None:
    """Return the share of virtual patients below a value that covariates have not changed."""
    from scipy.special import ndtr

    if row.distribution == "fixed" or row.sd == 0:
        return None
    scales: Mapping[str, Any] = {
        "lognormal": np.log,
        "logitnormal": lambda one: np.log(one / (1.0 - one)),
        "normal": lambda one: one,
    }
    on_scale = scales[row.distribution]
    return round(float(ndtr((on_scale(value) - on_scale(row.value)) / row.sd)), 6)


def _ratings(chosen: ParameterSet, person: Patient, number: int, seed: int) -> list[dict[str, Any]]:
    from euthymia.model.scales import find_scale
    from euthymia.population.screening import ratings_before

    totals = ratings_before(
        chosen, SCALES, [0.0] * len(SCALES), numbers=np.array([number]), seed=seed, people=person
    )
    kinds = [find_scale(name) for name in SCALES]
    return [
        {"scale": kind.name, "total_points": int(total[0]), "maximum_points": int(kind.map.maximum_points)}
        for kind, total in zip(kinds, totals, strict=True)
    ]


def _covariates(person: Patient) -> list[dict[str, Any]]:
    from euthymia.population.marginals import fields

    found = []
    for row in fields():
        value = getattr(person, row["field"])
        if isinstance(value, tuple):
            value = list(value)
        elif isinstance(value, float):
            value = round(value, 1)
        found.append(
            {
                "field": row["field"],
                "label": row["label"],
                "value": value,
                "unit": row["unit"],
                "acts_on": row["acts_on"] or None,
            }
        )
    return found


def _print(found: Shown) -> None:
    from euthymia.population.marginals import find_population
    from euthymia.population.patient import replicate_and_patient

    about = find_population(found.population)
    replicates, within = replicate_and_patient([found.number])
    whose = f" (patient {within[0]} of replicate {replicates[0]})" if replicates[0] else ""
    print(
        f"Virtual patient {found.number}{whose}, seed {found.seed}, parameters {found.parameters.name}\n"
        f"{about.title} ({about.name}). {about.note}"
    )
    show.table(
        HEADS, [*_covariate_cells(found), *_rating_cells(found), *_parameter_cells(found)], right=(2, 4, 5)
    )
    print(EXPLAINED if found.ratings else f"The set {found.parameters.name!r} ends at concentrations.")
    print(show.NOT_A_DEVICE)


def _covariate_cells(found: Shown) -> list[list[str]]:
    rows = [
        [one["label"], _text(one["value"]), one["unit"], "", "", one["acts_on"] or RECORDED]
        for one in _covariates(found.person)
        if one["value"] is not None
    ]
    return _grouped("person", rows)


def _rating_cells(found: Shown) -> list[list[str]]:
    rows = [
        [one["scale"], f"{one['total_points']}", f"of {one['maximum_points']}", "", "", ""]
        for one in found.ratings
    ]
    return _grouped("rated at the start", rows)


def _parameter_cells(found: Shown) -> list[list[str]]:
    layers = dict.fromkeys(one["layer"] for one in found.own)
    rows = []
    for layer in layers:
        cells = [
            [
                one["field"],
                show.significant(one["value"]),
                "" if one["unit"] == "1" else one["unit"],
                show.significant(one["typical"]),
                "–" if one["rank_fraction"] is None else f"{one['rank_fraction']:.0%}",
                "",
            ]
            for one in found.own
            if one["layer"] == layer
        ]
        rows += _grouped(layer, cells)
    return rows


def _grouped(name: str, rows: list[list[str]]) -> list[list[str]]:
    return [[name if place == 0 else "", *row] for place, row in enumerate(rows)]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(value) or "none"
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def _dump(found: Shown, command: list[str]) -> None:
    from euthymia.files.results import dump_json
    from euthymia.population.marginals import find_population
    from euthymia.population.patient import replicate_and_patient

    about = find_population(found.population)
    replicates, within = replicate_and_patient([found.number])
    document = {
        "schema": "euthymia.patient/1",
        "command": command,
        "version": version("euthymia"),
        "seed": found.seed,
        "number": found.number,
        "replicate": int(replicates[0]),
        "patient": int(within[0]),
        "population": {"name": about.name, "title": about.title, "note": about.note},
        "parameters": found.parameters.name,
        "overrides": dict(found.parameters.overrides),
        "status": "simulated; research software, not a medical device",
        "covariates": _covariates(found.person),
        "ratings": found.ratings,
        "individual": found.own,
        "provenance": {"sources": _sources(found)},
    }
    sys.stdout.write(dump_json(document))


def _sources(found: Shown) -> list[str]:
    from euthymia.population.marginals import marginals

    rows = [row for own in marginals(found.population).values() for row in own]
    keys = [row.source for row in rows] + [key for one in found.own for key in one["source"].split(";")]
    return sorted(set(keys))
