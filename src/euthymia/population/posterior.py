"""What is believed of the calibrated parameters: their names, priors, and draws of a posterior."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from euthymia.errors import InvalidInputError, unknown
from euthymia.model.parameters import DEFAULT_SET, ParameterSet, load_parameters
from euthymia.tables import list_files, read_table, read_text

Array = NDArray[np.float64]
SCHEMA = "euthymia.posterior/1"
PRIOR = "prior"
MEAN = "mean"
TABLE = "calibration/parameters.csv"
FOLDER = "calibration/posteriors"


@dataclass(frozen=True, kw_only=True, slots=True)
class Calibrated:
    """One calibrated number: the value, or the spread between people, of some fields.

    Attributes
    ----------
    fields : tuple of str
        ``layer.field``; those of one calibrated number share it.
    of : {"value", "sd"}
    scale : {"log", "logit"}
        On which it is normal before.
    middle, prior_sd : float
        Of that normal; ``middle`` is the number of the parameter tables, as it is there.
    low, high : float
        Bounds.
    """

    name: str
    fields: tuple[str, ...]
    of: Literal["value", "sd"]
    scale: Literal["log", "logit"]
    middle: float
    prior_sd: float
    low: float
    high: float
    step: int
    informs: str
    note: str

    def to_normal(self, value: Any) -> Any:
        """Return a number on the scale of its prior in units of the prior's SD, 0 in the middle."""
        return (self._wide(value) - self._wide(self.middle)) / self.prior_sd

    def from_normal(self, z: Any) -> Any:
        """Return the number of a value on the scale of its prior; see :meth:`to_normal`."""
        wide = self._wide(self.middle) + self.prior_sd * np.asarray(z, float)
        return np.exp(wide) if self.scale == "log" else 1.0 / (1.0 + np.exp(-wide))

    def _wide(self, value: Any) -> Any:
        array = np.asarray(value, float)
        return np.log(array) if self.scale == "log" else np.log(array) - np.log1p(-array)


@cache
def calibrated_parameters() -> tuple[Calibrated, ...]:
    """Return everything that is calibrated on trials (``data/calibration/parameters.csv``)."""
    chain = load_parameters(DEFAULT_SET).chain
    found = []
    for row in read_table(TABLE):
        fields = tuple(row["fields"].split(";"))
        first = chain[fields[0]]
        found.append(
            Calibrated(
                name=row["name"],
                fields=fields,
                of="sd" if row["of"] == "sd" else "value",
                scale="logit" if row["scale"] == "logit" else "log",
                middle=first.sd if row["of"] == "sd" else first.value,
                prior_sd=float(row["prior_sd"]),
                low=float(row["low"]),
                high=float(row["high"]),
                step=int(row["step"]),
                informs=row["informs"],
                note=row["note"],
            )
        )
    return tuple(found)


def with_calibrated(
    parameters: ParameterSet, calibrated: Sequence[Calibrated], values: Sequence[float] | Array, *, label: str
) -> ParameterSet:
    """Return a set with calibrated numbers in place.

    Grids are chosen for the set as it was before, so that they do not change from draw to draw.

    Parameters
    ----------
    parameters : ParameterSet
        With the chain.
    calibrated : sequence of Calibrated (K)
    values : array (K,)
    label : str
        Where they come from, ``posterior:draw 7``.
    """
    chain = dict(parameters.chain)
    for one, value in zip(calibrated, values, strict=True):
        for name in one.fields:
            if name in parameters.overrides:  # what the user has set stands
                continue
            change = {"sd": float(value)} if one.of == "sd" else {"value": float(value)}
            chain[name] = replace(chain[name], **change, tag="calibrated", note=label)
    return replace(parameters, chain=chain, posterior=label, pilots=parameters.pilots or parameters)


@dataclass(frozen=True, kw_only=True)
class Posterior:
    """Draws of the calibrated parameters given the evidence, and how far they can be trusted.

    Attributes
    ----------
    draws : array (C, D, K)
        Chains, draws, parameters; as they stand in the model.
    diagnostics : mapping
        ``r_hat`` and ``ess`` by parameter, and what else the fit has checked.
    evidence : mapping
        Digests of what it was fitted to: rows, protocols, training runs.
    mechanisms : tuple of str
        Rivals that it was fitted under; none for the model itself.
    """

    name: str
    version: str
    set: str
    parameters: tuple[Calibrated, ...]
    draws: Array
    diagnostics: Mapping[str, Any]
    evidence: Mapping[str, Any]
    mechanisms: tuple[str, ...] = ()
    digest: str = field(default="", compare=False)

    @property
    def flat(self) -> Array:
        """All draws, (C * D, K)."""
        return self.draws.reshape(-1, self.draws.shape[-1])

    @property
    def center(self) -> Array:
        """The mean on the scale of the priors, as it stands in the model, (K,)."""
        return np.array(
            [
                float(one.from_normal(one.to_normal(self.flat[:, place]).mean()))
                for place, one in enumerate(self.parameters)
            ]
        )

    def at_center(self, parameters: ParameterSet) -> ParameterSet:
        """Return a set at the posterior mean, which grids of its draws are chosen for."""
        return replace(self._applied(parameters, self.center, "mean"), pilots=None)

    def at_draw(self, parameters: ParameterSet, draw: int) -> ParameterSet:
        """Return a set at one of the draws; their numbers start again after the last."""
        place = draw % len(self.flat)
        found = self._applied(parameters, self.flat[place], f"draw {place}")
        return replace(found, pilots=self.at_center(parameters))

    def _applied(self, parameters: ParameterSet, values: Array, what: str) -> ParameterSet:
        return with_calibrated(parameters, self.parameters, values, label=f"{self.name} {self.digest[:12]} {what}")


def digest_of(content: Mapping[str, Any]) -> str:
    """Return the digest of what a posterior file says, its own digest left out."""
    kept = {key: value for key, value in content.items() if key != "digest"}
    return sha256(json.dumps(kept, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def posterior_json(posterior: Posterior) -> dict[str, Any]:
    """Return a posterior as it stands in a file."""
    content: dict[str, Any] = {
        "schema": SCHEMA,
        "name": posterior.name,
        "version": posterior.version,
        "set": posterior.set,
        "mechanisms": list(posterior.mechanisms),
        "parameters": [one.name for one in posterior.parameters],
        "diagnostics": dict(posterior.diagnostics),
        "evidence": dict(posterior.evidence),
        "draws": [[[float(f"{x:.6g}") for x in draw] for draw in chain] for chain in posterior.draws],
    }
    return {**content, "digest": digest_of(content)}


def read_posterior(text: str, where: str) -> Posterior:
    """Return the posterior of a file.

    Raises
    ------
    InvalidInputError
        Where it is no such file, was changed by hand, or names other parameters than this version has.
    """
    try:
        content = json.loads(text)
        is_ours = isinstance(content, dict) and content.get("schema") == SCHEMA
    except ValueError:
        is_ours = False
    if not is_ours:
        message = f"{where}: must be a posterior file with 'schema': {SCHEMA!r}. 'euthymia fit' writes one."
        raise InvalidInputError(message)
    if content["digest"] != digest_of(content):
        message = f"{where}: content and digest do not agree: it was changed by hand, or is not whole."
        raise InvalidInputError(message)
    known = {one.name: one for one in calibrated_parameters()}
    strange = [name for name in content["parameters"] if name not in known]
    if strange:
        message = (
            f"{where}: was made by version {content['version']}, which calibrates {', '.join(strange)}; this "
            "version does not. Run 'euthymia fit' again."
        )
        raise InvalidInputError(message)
    return Posterior(
        name=content["name"],
        version=content["version"],
        set=content["set"],
        parameters=tuple(known[name] for name in content["parameters"]),
        draws=np.array(content["draws"], float),
        diagnostics=content["diagnostics"],
        evidence=content["evidence"],
        mechanisms=tuple(content["mechanisms"]),
        digest=content["digest"],
    )


def posterior_names() -> tuple[str, ...]:
    """Return the names of the posteriors that ship, the default first."""
    return tuple(Path(path).stem for path in list_files(FOLDER, ".json"))


@cache
def load_posterior(name: str) -> Posterior:
    """Return a posterior that ships, or of a file.

    Parameters
    ----------
    name : str
        One of :func:`posterior_names`, or the path of a ``.json`` file.

    Raises
    ------
    InvalidInputError, UnknownNameError
    """
    if name in posterior_names():
        return read_posterior(read_text(f"{FOLDER}/{name}.json"), name)
    path = Path(name)
    if path.suffix != ".json" and not path.is_file():
        raise unknown("posterior", name, (PRIOR, MEAN, *posterior_names()), cure="Or the path of a file.")
    try:
        return read_posterior(path.read_text(encoding="utf-8"), name)
    except (OSError, UnicodeDecodeError) as error:
        message = f"The posterior {name!r} cannot be read: {error}."
        raise InvalidInputError(message) from None
