"""What is believed of the calibrated parameters: their names, priors, and draws of a posterior."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from hashlib import sha256
from os import environ
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from euthymia.errors import InvalidInputError, invalid, unknown
from euthymia.model.mechanisms import DEFAULT_MECHANISM
from euthymia.model.parameters import DEFAULT_SET, Draws, ParameterSet, load_parameters
from euthymia.streams import uniforms
from euthymia.tables import list_files, read_table, read_text

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
SCHEMA = "euthymia.posterior/1"
PRIOR = "prior"
MEAN = "mean"
TABLE = "calibration/parameters.csv"
FOLDER = "calibration/posteriors"
_FIELDS = ("name", "version", "set", "mechanisms", "parameters", "diagnostics", "evidence", "draws")
POSTERIOR_VARIABLE = "EUTHYMIA_POSTERIOR"
"""Environment variable that says what is believed where nothing is asked for; see `default_posterior`."""
STREAM = "posterior"


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
    digest : str
        Of the file; found from the content where it is not given.
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

    def __post_init__(self) -> None:
        if not self.digest:
            object.__setattr__(self, "digest", digest_of(_content(self)))

    @property
    def label(self) -> str:
        """Name and digest in a line."""
        return f"{self.name} {self.digest[:12]}"

    @property
    def fields(self) -> tuple[str, ...]:
        """Every ``layer.field`` whose value or spread it holds."""
        return tuple(dict.fromkeys(name for one in self.parameters for name in one.fields))

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

    def mean(self) -> Posterior:
        """Return the posterior with its mean as the only draw: nothing of how uncertain it is."""
        return replace(self, name=f"{self.name} {MEAN}", draws=self.center[None, None, :])

    def fits(self, parameters: ParameterSet) -> bool:
        """Tell whether it was fitted to a set under the same mechanisms."""
        own, asked = (
            {name for name in names if name != DEFAULT_MECHANISM}
            for names in (self.mechanisms, parameters.mechanisms)
        )
        return bool(parameters.chain) and self.set == parameters.name and own == asked

    def draws_of(self, numbers: Codes, seed: int) -> Codes:
        """Return the draw that each virtual patient takes, (P,): keyed by the patient."""
        return self._place(uniforms(seed=seed, purpose=STREAM, field="draw of a patient", patients=numbers))

    def draw_of_replicate(self, replicate: int, *, seed: int) -> int:
        """Return the draw that a replicate of any trial takes, for all its patients: keyed by its number."""
        field = "draw of a replicate"
        share = uniforms(seed=seed, purpose=STREAM, field=field, patients=[1], replicate=replicate)
        return int(self._place(share)[0])

    def _place(self, share: Array) -> Codes:
        count = len(self.flat)
        return np.minimum((share * count).astype(np.int64), count - 1)

    def by_patient(self, parameters: ParameterSet) -> ParameterSet:
        """Return a set of which each virtual patient takes one draw, and the typical one the mean."""
        center = self.at_center(parameters)
        if len(self.flat) == 1:
            return center
        values, sds = dict[str, Array](), dict[str, Array]()
        for place, one in enumerate(self.parameters):
            for name in (name for name in one.fields if name not in parameters.overrides):
                row = center.chain[name]
                values.setdefault(name, np.full(len(self.flat), row.value))
                sds.setdefault(name, np.full(len(self.flat), row.sd))
                (sds if one.of == "sd" else values)[name] = self.flat[:, place]
        draws = Draws(values=values, sds=sds, places=self.draws_of)
        return replace(center, posterior=self.label, pilots=center, draws=draws)

    def at_center(self, parameters: ParameterSet) -> ParameterSet:
        """Return a set at the posterior mean, which grids of its draws are chosen for."""
        return replace(self._applied(parameters, self.center, "mean"), pilots=None)

    def at_draw(self, parameters: ParameterSet, draw: int) -> ParameterSet:
        """Return a set at one of the draws; their numbers start again after the last."""
        place = draw % len(self.flat)
        found = self._applied(parameters, self.flat[place], f"draw {place}")
        return replace(found, pilots=self.at_center(parameters))

    def _applied(self, parameters: ParameterSet, values: Array, what: str) -> ParameterSet:
        return with_calibrated(parameters, self.parameters, values, label=f"{self.label} {what}")


def digest_of(content: Mapping[str, Any]) -> str:
    """Return the digest of what a posterior file says, its own digest left out."""
    kept = {key: value for key, value in content.items() if key != "digest"}
    return sha256(json.dumps(kept, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def posterior_json(posterior: Posterior) -> dict[str, Any]:
    """Return a posterior as it stands in a file."""
    content = _content(posterior)
    return {**content, "digest": digest_of(content)}


def _content(posterior: Posterior) -> dict[str, Any]:
    return {
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


def read_posterior(text: str, where: str) -> Posterior:
    """Return the posterior of a file.

    Raises
    ------
    InvalidInputError
        Where it is no such file, was changed by hand, or names other parameters than this version has.
    """
    try:
        content = json.loads(text)
    except ValueError:
        content = None
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        message = f"{where}: must be a posterior file with 'schema': {SCHEMA!r}. 'euthymia fit' writes one."
        raise InvalidInputError(message)
    if content.get("digest") != digest_of(content):
        message = f"{where}: content and digest do not agree: it was changed by hand, or is not whole."
        raise InvalidInputError(message)
    if missing := [name for name in _FIELDS if name not in content]:
        message = f"{where}: must hold {', '.join(missing)}. 'euthymia fit' writes a whole file."
        raise InvalidInputError(message)
    known = {one.name: one for one in calibrated_parameters()}
    strange = [name for name in content["parameters"] if name not in known]
    if strange:
        message = (
            f"{where}: was made by version {content['version']}, which calibrates {', '.join(strange)}; this "
            "version does not. Run 'euthymia fit' again."
        )
        raise InvalidInputError(message)
    parameters = tuple(known[name] for name in content["parameters"])
    return Posterior(
        name=content["name"],
        version=content["version"],
        set=content["set"],
        parameters=parameters,
        draws=_read_draws(content["draws"], parameters, where),
        diagnostics=content["diagnostics"],
        evidence=content["evidence"],
        mechanisms=tuple(content["mechanisms"]),
        digest=content["digest"],
    )


def _read_draws(given: Any, parameters: Sequence[Calibrated], where: str) -> Array:
    """Return draws of the right shape, each within the bounds of its parameter."""
    try:
        draws = np.array(given, float)
    except (TypeError, ValueError):
        draws = np.zeros(0)
    if draws.ndim != 3 or not draws.size or draws.shape[-1] != len(parameters):
        message = f"{where}: 'draws' must be chains of draws of {len(parameters)} numbers."
        raise InvalidInputError(message)
    for one, column in zip(parameters, np.moveaxis(draws, -1, 0), strict=True):
        is_good = (column >= one.low) & (column <= one.high)  # False where it is not a number
        if not is_good.all():
            must = f"{one.low:g}–{one.high:g} ({TABLE})"
            raise invalid(one.name, must=must, got=f"{float(np.extract(~is_good, column)[0]):g} in {where}")
    return draws


@cache
def posterior_names() -> tuple[str, ...]:
    """Return the names of the posteriors that ship, the default first."""
    try:
        return tuple(Path(path).stem for path in list_files(FOLDER, ".json"))
    except FileNotFoundError:  # none ships
        return ()


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
        return _shipped(name)
    path = Path(name)
    if path.suffix != ".json" and not path.is_file():
        raise unknown("posterior", name, (PRIOR, MEAN, *posterior_names()), cure="Or the path of a file.")
    try:
        return _of_file(path, path.stat().st_mtime_ns)
    except (OSError, UnicodeDecodeError) as error:
        message = f"The posterior {name!r} cannot be read: {error}."
        raise InvalidInputError(message) from None


@cache
def _shipped(name: str) -> Posterior:
    return read_posterior(read_text(f"{FOLDER}/{name}.json"), name)


@lru_cache(maxsize=8)
def _of_file(path: Path, changed_ns: int) -> Posterior:
    del changed_ns  # a file that was written anew is read anew
    return read_posterior(path.read_text(encoding="utf-8"), str(path))


def default_names() -> tuple[str, ...]:
    """Return the names of the frozen posteriors, which are used where nothing is asked for."""
    return tuple(tomllib.loads(read_text("calibration/default.toml"))["names"])


def default_posterior(parameters: ParameterSet) -> Posterior | None:
    """Return what is believed of a set where nothing is asked for; None: the prior.

    It is what the environment variable ``EUTHYMIA_POSTERIOR`` names (``prior``, ``mean``, a name or a path),
    else the first frozen one (:func:`default_names`). One that was fitted to another set, or under other
    mechanisms, is passed over.

    Raises
    ------
    InvalidInputError, UnknownNameError
        The variable names nothing that can be read.
    """
    asked = environ.get(POSTERIOR_VARIABLE, "")
    if asked == PRIOR:
        return None
    found = _first_that_fits(parameters)
    return found.mean() if found is not None and asked == MEAN else found


def _first_that_fits(parameters: ParameterSet) -> Posterior | None:
    """Return the posterior that the environment names, or else the first that ships, for a set."""
    named = environ.get(POSTERIOR_VARIABLE, "")
    names = default_names() if named in ("", PRIOR, MEAN) else (named,)
    return next((one for one in map(load_posterior, names) if one.fits(parameters)), None)


def find_posterior(asked: str | Posterior | None, parameters: ParameterSet) -> Posterior | None:
    """Return the posterior that is asked for; None: the prior, which leaves a set as it is.

    Parameters
    ----------
    asked : str, Posterior or None
        ``prior``; ``mean``, of the default; the name or the path of a posterior, for its draws; None is
        :func:`default_posterior`, or nothing more where the set holds a draw already.
    parameters : ParameterSet

    Raises
    ------
    InvalidInputError, UnknownNameError
        It cannot be read, or was fitted to another set or under other mechanisms.
    """
    if asked is None:
        return None if parameters.posterior else default_posterior(parameters)
    if isinstance(asked, str) and asked == PRIOR:
        return None
    if parameters.posterior:
        must = f"left out, or {PRIOR!r}, with a set that holds calibrated numbers ({parameters.posterior})"
        raise invalid("posterior", must=must, got=_named(asked))
    if isinstance(asked, str) and asked == MEAN:
        found = _first_that_fits(parameters)
        if found is None:
            must = f"{PRIOR!r}, a name or the path of a file: no posterior of {_model(parameters)} is frozen"
            raise invalid("posterior", must=must, got=repr(asked), cure="'euthymia fit' writes one.")
        return found.mean()
    found = load_posterior(asked) if isinstance(asked, str) else asked
    if not found.fits(parameters):
        must = f"one that was fitted to {_model(parameters)}"
        got = f"{_named(asked)}, fitted to {_model_of(found.set, found.mechanisms)}"
        raise invalid("posterior", must=must, got=got, cure=f"Give {PRIOR!r}, or fit one.")
    return found


def _named(asked: str | Posterior) -> str:
    return repr(asked if isinstance(asked, str) else asked.name)


def _model(parameters: ParameterSet) -> str:
    return _model_of(parameters.name, parameters.mechanisms)


def _model_of(name: str, mechanisms: Sequence[str]) -> str:
    under = f" under {', '.join(mechanisms)}" if mechanisms else ""
    return f"the set {name!r}{under}"


def with_posterior(
    parameters: ParameterSet, asked: str | Posterior | None, *, is_typical: bool
) -> ParameterSet:
    """Return a set as it is believed: each virtual patient takes a draw, the typical one the mean.

    Raises
    ------
    InvalidInputError, UnknownNameError
        As of :func:`find_posterior`.
    """
    found = find_posterior(asked, parameters)
    if found is None:
        return parameters
    return found.at_center(parameters) if is_typical else found.by_patient(parameters)
