"""What a sensitivity analysis moves: what is not known, what differs between people, what is chosen."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from euthymia.errors import invalid, unknown
from euthymia.model.parameters import ParameterRow, ParameterSet
from euthymia.population.individual import spread
from euthymia.population.posterior import Calibrated, Posterior, calibrated_parameters
from euthymia.streams import inverse_normal_cdf

Array = NDArray[np.float64]
NOT_KNOWN, BETWEEN_PEOPLE, CHOSEN = "not_known", "between_people", "chosen"
GROUPS = {
    CHOSEN: "chosen",
    BETWEEN_PEOPLE: "differs between people",
    NOT_KNOWN: "not known",
}
"""Groups of inputs and how they are called."""
DOSE = "dose"
DOSE_RANGE = (0.5, 1.5)
LEAST_DOSE, MOST_DOSE = 0.05, 5.0
"""Beyond these the dose is another treatment."""
_EDGE = 1e-6


@dataclass(frozen=True, kw_only=True, slots=True)
class Input:
    """One number that is moved, on a scale on which its distribution is standard normal.

    Attributes
    ----------
    name : str
        Of a calibrated number, ``layer.field`` of one that differs between people, or ``dose``.
    group : str
        A key of :data:`GROUPS`.
    fields : tuple of str
        ``layer.field`` of every parameter that moves with it; none for the dose.
    unit : str
    about : str
        Its distribution, in words.
    value : callable (z (...,)) -> (...,)
        The number of a standard normal; of the first field where there are several.
    nominal : float
        The standard normal of the typical value.
    """

    name: str
    group: str
    fields: tuple[str, ...]
    unit: str
    about: str
    value: Callable[[Any], Any]
    nominal: float = 0.0


def base_set(parameters: ParameterSet, posterior: Posterior | None) -> ParameterSet:
    """Return the set that inputs are moved around: as the typical patient has it."""
    return parameters if posterior is None else posterior.at_center(parameters)


def inputs_of(
    parameters: ParameterSet,
    *,
    dose_range: tuple[float, float] = DOSE_RANGE,
    posterior: Posterior | None = None,
) -> tuple[Input, ...]:
    """Return everything that may be moved: the dose, what differs between people, what is calibrated.

    What the caller or a mechanism has set is known and not moved; its spread between people stays.

    Parameters
    ----------
    parameters : ParameterSet
        With the chain; what overrides and mechanisms set is in it, the posterior is not.
    dose_range : (low, high)
        Times the regimen, with 1 between.
    posterior : Posterior, optional
        The margins of its draws take the place of the priors.

    Raises
    ------
    InvalidInputError
    """
    base = base_set(parameters, posterior)
    return (_dose(dose_range), *_between_people(base), *_not_known(parameters, posterior))


def chosen_inputs(inputs: Sequence[Input], only: Collection[str]) -> tuple[Input, ...]:
    """Return the inputs of some names or groups; all where nothing is named.

    Raises
    ------
    UnknownNameError
    """
    names = {one.name for one in inputs} | {one.group for one in inputs}
    asked = {name if name in names else f"pk.{name}" for name in only}
    for name in only:
        if name not in names and f"pk.{name}" not in names:
            raise unknown("input", name, names, cure="See '--json' without '--only'.")
    return tuple(one for one in inputs if not asked or asked & {one.name, one.group})


def values_of(parameters: ParameterSet, inputs: Sequence[Input], z: Array) -> tuple[dict[str, Array], Array]:
    """Return the fields that inputs move, {"layer.field": (P,)}, and the dose relative to the regimen, (P,).

    Between people a number varies around what is not known of its middle.

    Parameters
    ----------
    parameters : ParameterSet
        The set that inputs are moved around.
    inputs : sequence of Input (K)
    z : array (P, K)
        Standard normals.
    """
    found: dict[str, Array] = {}
    dose_relative = np.ones(len(z))
    for place in sorted(range(len(inputs)), key=lambda one: inputs[one].group == BETWEEN_PEOPLE):
        one, column = inputs[place], z[:, place]
        if one.group == CHOSEN:
            dose_relative = np.asarray(one.value(column), float)
        elif one.group == NOT_KNOWN:
            found |= dict.fromkeys(one.fields, np.asarray(one.value(column), float))
        else:
            rows = _rows(parameters)
            found |= {
                name: spread_of(rows[name], found.get(name, rows[name].value), column) for name in one.fields
            }
    return found, dose_relative


def spread_of(row: ParameterRow, typical: Any, z: Any) -> Array:
    """Return the values of people at standard normals around a typical value, by the row's distribution."""
    return spread(row.distribution, np.asarray(typical), row.sd, np.asarray(z))


def _rows(parameters: ParameterSet) -> Mapping[str, ParameterRow]:
    return {row.name: row for row in (*parameters.rows.values(), *parameters.chain.values())}


def _dose(dose_range: tuple[float, float]) -> Input:
    low, high = dose_range
    if not LEAST_DOSE <= low < 1.0 < high <= MOST_DOSE:
        raise invalid(
            "dose range",
            must=f"two numbers around 1 within {LEAST_DOSE:g} and {MOST_DOSE:g}, times the regimen's dose",
            got=f"{low:g} to {high:g}",
        )
    return Input(
        name=DOSE,
        group=CHOSEN,
        fields=(),
        unit="times",
        about=f"even from {low:g} to {high:g} times the regimen",
        value=lambda z: low + (high - low) * _below(z),
        nominal=float(inverse_normal_cdf((1.0 - low) / (high - low))),
    )


def _below(z: Any) -> Any:
    """Return the share of a standard normal below some values."""
    from scipy.special import ndtr

    return ndtr(np.asarray(z, float))


def _between_people(parameters: ParameterSet) -> list[Input]:
    """Return the random effects that are drawn on their own, each with every field that shares it."""
    found = []
    for rows in (parameters.rows, parameters.chain):
        for key, row in rows.items():
            if row.distribution == "fixed" or row.draw_with or not _can_vary(row):
                continue
            sharing = [other.name for other in rows.values() if other.draw_with == key and _can_vary(other)]
            found.append(
                Input(
                    name=row.name,
                    group=BETWEEN_PEOPLE,
                    fields=(row.name, *sharing),
                    unit=row.unit,
                    about=f"{row.distribution} between people, SD {row.sd:.2g}",
                    value=partial(spread_of, row, row.value),
                )
            )
    return found


def _can_vary(row: ParameterRow) -> bool:
    """Tell whether a spread moves a row: a share of 0 or 1, or none of something, stays what it is."""
    if row.distribution == "logitnormal":
        return 0.0 < row.value < 1.0
    return row.distribution == "normal" or row.value != 0.0


def _not_known(parameters: ParameterSet, posterior: Posterior | None) -> list[Input]:
    """Return the calibrated typical values, each by its prior or by the margin of a posterior."""
    if posterior is None:
        moved = [(one, _free_fields(parameters, one), _by_prior(one)) for one in calibrated_parameters()]
    else:
        margins = zip(posterior.parameters, posterior.flat.T, posterior.center, strict=True)
        moved = [
            (one, _unset_fields(parameters, one), _by_margin(posterior.name, draws, float(center)))
            for one, draws, center in margins
        ]
    return [
        Input(name=one.name, group=NOT_KNOWN, fields=fields, unit=parameters.chain[fields[0]].unit, **by)
        for one, fields, by in moved
        if one.of == "value" and fields
    ]


def _unset_fields(parameters: ParameterSet, one: Calibrated) -> tuple[str, ...]:
    return tuple(name for name in one.fields if name not in parameters.overrides)


def _free_fields(parameters: ParameterSet, one: Calibrated) -> tuple[str, ...]:
    """Return the fields that neither the caller nor a mechanism has set."""
    unset = _unset_fields(parameters, one)
    return tuple(name for name in unset if parameters.chain[name].value == one.middle)


def _by_prior(one: Calibrated) -> dict[str, Any]:
    return {"about": _about(one), "value": partial(_of_prior, one)}


def _by_margin(name: str, draws: Array, center: float) -> dict[str, Any]:
    """Return how a number varies over the draws of a posterior, around its mean."""
    ordered = np.sort(draws)
    below = float(np.interp(center, ordered, np.linspace(0.0, 1.0, len(ordered))))
    return {
        "about": f"margin of the posterior {name}",
        "value": partial(_of_draws, ordered),
        "nominal": float(inverse_normal_cdf(np.clip(below, _EDGE, 1.0 - _EDGE))),
    }


def _about(one: Calibrated) -> str:
    return f"prior: {one.scale}-normal, SD {one.prior_sd:g}, within {one.low:g} and {one.high:g}"


def _of_prior(one: Calibrated, z: Any) -> Array:
    return np.clip(one.from_normal(z), one.low, one.high)


def _of_draws(draws: Array, z: Any) -> Array:
    return np.quantile(draws, _below(z))
