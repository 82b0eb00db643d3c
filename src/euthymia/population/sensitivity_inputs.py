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
from euthymia.population.posterior import Calibrated, Posterior, calibrated_parameters, with_calibrated
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
    """Return the set that inputs are moved around: the medians of a posterior where there is one."""
    if posterior is None:
        return parameters
    medians = np.median(posterior.flat, axis=0)
    return with_calibrated(
        parameters, posterior.parameters, medians, label=f"{posterior.name} {posterior.digest[:12]} medians"
    )


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
        Its marginal distributions take the place of the priors.

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


def values_of(
    parameters: ParameterSet, inputs: Sequence[Input], z: Array
) -> tuple[dict[str, Array], Array]:
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
                name: spread(rows[name], found.get(name, rows[name].value), column) for name in one.fields
            }
    return found, dose_relative


def spread(row: ParameterRow, typical: Any, z: Any) -> Array:
    """Return the values of people at standard normals around a typical value, by the row's distribution."""
    if row.distribution == "lognormal":
        return typical * np.exp(row.sd * np.asarray(z))
    if row.distribution == "logitnormal":
        return 1.0 / (1.0 + (1.0 / np.asarray(typical) - 1.0) * np.exp(-row.sd * np.asarray(z)))
    return typical + row.sd * np.asarray(z)


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
                    value=partial(spread, row, row.value),
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
    chain = parameters.chain
    offered = calibrated_parameters() if posterior is None else posterior.parameters
    found = []
    for place, one in enumerate(offered):
        # a field with another value than the prior's middle was set by the caller or a mechanism
        fields = tuple(name for name in one.fields if _is_free(parameters, name, one.middle))
        if one.of == "sd" or not fields:
            continue
        found.append(
            Input(
                name=one.name,
                group=NOT_KNOWN,
                fields=fields,
                unit=chain[fields[0]].unit,
                about=_about(one) if posterior is None else f"margin of the posterior {posterior.name}",
                value=partial(_of_prior, one)
                if posterior is None
                else partial(_of_draws, posterior.flat[:, place]),
            )
        )
    return found


def _is_free(parameters: ParameterSet, name: str, middle: float) -> bool:
    return name not in parameters.overrides and parameters.chain[name].value == middle


def _about(one: Calibrated) -> str:
    return f"prior: {one.scale}-normal, SD {one.prior_sd:g}, within {one.low:g} and {one.high:g}"


def _of_prior(one: Calibrated, z: Any) -> Array:
    return np.clip(one.from_normal(z), one.low, one.high)


def _of_draws(draws: Array, z: Any) -> Array:
    return np.quantile(draws, _below(z))
