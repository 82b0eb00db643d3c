"""Typed records of published exposures and concentration-time courses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Role(StrEnum):
    """What a row of evidence may be used for."""

    CALIBRATE = "calibrate"
    PRIOR = "prior"
    BACKGROUND = "background"
    VALIDATE = "validate"
    CONTEXT = "context"
    OTHER_INDICATION = "other-indication"


FITTABLE_ROLES = frozenset({Role.CALIBRATE, Role.PRIOR, Role.BACKGROUND})

SITES = ("arterial", "venous")
ANCESTRIES = ("none", "asian", "japanese")
SPREAD_KINDS = ("sd", "range", "ci90", "ci95", "none")
ANALYTES = (
    "ketamine",
    "s_ketamine",
    "r_ketamine",
    "norketamine",
    "s_norketamine",
    "r_norketamine",
    "hydroxynorketamine",
    "s_hydroxynorketamine",
    "r_hydroxynorketamine",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Quantity:
    """A printed number with its limits, in the unit that the field holding it names.

    Attributes
    ----------
    value : float or None
        None where only a range was printed.
    low, high : float or None
        Mean minus and plus one SD (low cut at 0) for ``"sd"``, else the printed limits; None if there are
        none.
    spread_kind : str
        One of ``SPREAD_KINDS``.
    """

    value: float | None
    low: float | None
    high: float | None
    spread_kind: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ExposureRun:
    """How a row of exposures is run in the model, and the numbers that it is compared with.

    Attributes
    ----------
    is_runnable : bool
        False where the model cannot give the row; `reason` says why and `regimen` is empty.
    regimen : str
        In the regimen language; amounts of the base.
    analyte : str
        One of ``ANALYTES``; for `auc_ratio` the numerator, over ketamine of the same enantiomer.
    auc_analyte : str
        What the area belongs to; differs from `analyte` in a few rows; empty without an area.
    sets : tuple of str
        Parameter sets that cover drug, route, analyte and, where a peak is compared, the sampling site.
    ancestry : str
        One of ``ANCESTRIES``.
    at : str
        Where the printed peak is read: ``"peak"``, ``"end of infusion"`` or a time such as ``"0.083 h"``.
    at_h : float or None
        That time; None for the other two.
    auc_ng_h_per_mL : Quantity or None
        From `auc_from_h` to `auc_to_h`, which may be infinite; per mg of dose where `is_auc_per_mg`.
    half_life_window_h : float or None
        End of sampling, where known.
    assumption : str
        What the source does not print and the run supposes; what was left out.
    """

    row_id: str
    is_runnable: bool
    reason: str
    regimen: str
    analyte: str
    auc_analyte: str
    site: str
    sets: tuple[str, ...]
    weight_kg: float
    age_years: float
    ancestry: str
    cmax_ng_per_mL: Quantity | None
    at: str
    at_h: float | None
    tmax_h: Quantity | None
    auc_ng_h_per_mL: Quantity | None
    auc_from_h: float | None
    auc_to_h: float | None
    is_auc_per_mg: bool
    half_life_h: Quantity | None
    half_life_window_h: float | None
    bioavailable_fraction: Quantity | None
    auc_ratio: Quantity | None
    assumption: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ExposureRow:
    """A published exposure: where it comes from, what was printed and how it is run.

    Attributes
    ----------
    source_keys : tuple of str
        The source that the number was read in comes first, then the study or repository behind it.
    printed : mapping of str to str
        Every column of the table as it stands there.
    """

    row_id: str
    role: Role
    source_keys: tuple[str, ...]
    study: str
    population: str
    data_kind: str
    confidence: str
    run: ExposureRun
    printed: Mapping[str, str] = field(repr=False, hash=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class TimeCourse:
    """A published concentration-time course: mean or median values of one group.

    Attributes
    ----------
    row_id : str
        Name of its file, without the suffix.
    variable : str or None
        One of ``ANALYTES``; None where no layer of the model covers it.
    times_h, concentrations : tuple of float (points,)
        All points of the file, in `unit`; see ``select.usable_points``.
    unit : str
        ``"ng/mL"`` or ``"nmol/mL"`` (which equals µmol/L).
    weight_kg : float
        Assumed for doses by weight.
    censored_from_h : float or None
        Values from here on are below what the figure resolves.
    is_first_point_artefact : bool
        The value at time 0 is a line of the figure, not a concentration.
    printed : mapping of str to str
        Every column of the manifest as it stands there, notes and licence included.
    """

    row_id: str
    role: Role
    source_keys: tuple[str, ...]
    study: str
    analyte: str
    variable: str | None
    site: str
    regimen: str
    weight_kg: float
    unit: str
    times_h: tuple[float, ...]
    concentrations: tuple[float, ...]
    censored_from_h: float | None
    is_first_point_artefact: bool
    printed: Mapping[str, str] = field(repr=False, hash=False)
