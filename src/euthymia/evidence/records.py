"""Typed records of published exposures and concentration-time courses, of studies and their outcomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from euthymia.errors import unknown


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


TableName = Literal["efficacy", "safety", "mechanism", "pk"]
TABLES: tuple[TableName, ...] = ("efficacy", "safety", "mechanism", "pk")
KINDS: Mapping[str, str] = {
    "baseline": "score before treatment",
    "score": "mean score",
    "change": "mean change of a score",
    "spread": "standard deviation between patients",
    "difference": "difference between arms, in points of a scale",
    "standardised": "standardised difference or coefficient",
    "response": "share of patients with a response, often beside that with a remission",
    "remission": "share of patients in remission",
    "relapse": "share of patients who relapsed, or who did not",
    "time": "time to an event",
    "share": "share of something else than patients",
    "ratio": "odds ratio, relative risk or hazard ratio",
    "predictor": "what goes with a response",
    "class": "course of a class of patients",
    "flow": "who was treated with what and for how long",
    "words": "a finding in words",
}
"""Kinds of quantity that an outcome may be, with their meaning."""
SCALES = (
    *("MADRS", "MADRS suicide item", "HAM-D", "HAM-D6", "HAM-D17", "HAM-D21", "HAM-D25"),
    *("QIDS-SR", "QIDS-SR16", "QIDS suicide item", "PHQ-9", "SSI", "CGI-SS-r"),
    *("Beck Scale for Suicide Ideation (BSS)", "Beck Hopelessness Scale", "STAI state anxiety"),
    *("POMS depression", "several scales"),
)
ROUTES = ("", "IV", "IN", "SC", "PO", "PO-ER", "ECT")
CONTRAST_KINDS = (
    *("", "difference of means", "difference of medians", "hazard ratio"),
    *("percentage points of response", "percentage points of remission"),
)
START_OF_TREATMENT = "start of treatment"


@dataclass(frozen=True, kw_only=True, slots=True)
class Baseline:
    """Score of an arm before treatment, in points of its scale; `sd` is None where it was not printed."""

    scale: str
    mean: float
    sd: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyArm:
    """One arm of a study, or one group that its rows tell apart.

    Attributes
    ----------
    drug, route, dose, dosing_days : str
        As read; empty where the pages read do not say. `dosing_days` lists days or says the schedule.
    infusion_min : float or None
        Length of an infusion in minutes.
    n : int or None
        Patients; None where the number was not on a page read.
    baselines : tuple of Baseline
        From the table of studies, then those that have a row of their own.
    """

    name: str
    drug: str
    route: str
    dose: str
    infusion_min: float | None
    infusion_note: str
    dosing_days: str
    n: int | None
    baselines: tuple[Baseline, ...]

    @property
    def regimen(self) -> str:
        """What the arm was given, in words, as far as it was read."""
        dose = "" if self.dose == "0" else self.dose
        route = "" if self.route == self.drug else self.route
        length = f"over {self.infusion_min:g} min" if self.infusion_min else ""
        given = " ".join(filter(None, (self.drug, dose, route, length)))
        is_list = self.dosing_days.replace(",", "").replace(" ", "").isdigit()
        word = ("days " if "," in self.dosing_days else "day ") if is_list else ""
        days = f"{word}{self.dosing_days}" if self.dosing_days else ""
        return "; ".join(filter(None, (given, self.infusion_note, days)))


@dataclass(frozen=True, kw_only=True, slots=True)
class Study:
    """A published study: who was treated how, and by what definitions. No outcome stands here.

    Attributes
    ----------
    key : str
        Author and year, or the name of the trial: ``"fava-2018"``, ``"kads"``.
    role : Role
        Of every row of the study.
    source_keys : tuple of str
        The main paper first, then tables and later papers that its rows were read in.
    doi : str
        Of the main paper, where it was seen; else empty.
    is_registry_seen : bool
        Whether the registry numbers stood on a page that was read.
    n : int or None
        Patients in all.
    response, relapse, imputation, primary : str
        Definitions as read; empty where they were not. An empty `response` is a fall of half or more.
    remission : tuple of str
        Rules such as ``"MADRS <=12"``.
    same_patients_as : tuple of str
        Studies that report the same people.
    times_h : tuple of float
        Times since the start of treatment at which a row has an outcome.
    """

    key: str
    title: str
    role: Role
    source_keys: tuple[str, ...]
    doi: str
    registry: tuple[str, ...]
    is_registry_seen: bool
    design: str
    blinding: str
    population: str
    n: int | None
    concomitant: str
    response: str
    remission: tuple[str, ...]
    relapse: str
    primary: str
    imputation: str
    same_patients_as: tuple[str, ...]
    note: str
    arms: tuple[StudyArm, ...]
    times_h: tuple[float, ...]

    def arm(self, name: str) -> StudyArm:
        """Return an arm by its name.

        Raises
        ------
        UnknownNameError
            If the study has no such arm.
        """
        found = next((one for one in self.arms if one.name == name), None)
        if found is None:
            raise unknown("arm", name, [one.name for one in self.arms], cure=f"These are of {self.key}.")
        return found


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A printed number with its spread; every field is None where it was not printed.

    `sd` is between patients, `se` and the 95 % interval are of the estimate. An interval may be open above.
    """

    value: float | None = None
    sd: float | None = None
    se: float | None = None
    ci95_low: float | None = None
    ci95_high: float | None = None

    @property
    def is_given(self) -> bool:
        """Whether anything was printed."""
        return any(one is not None for one in (self.value, self.sd, self.se, self.ci95_low, self.ci95_high))


@dataclass(frozen=True, kw_only=True, slots=True)
class OutcomeRow:
    """A published outcome of a trial, typed.

    Attributes
    ----------
    study : str
        Key of its study.
    arm, comparator : StudyArm or None
        Of the study; None where the row is of no arm, or is not held against another.
    scale : str
        One of ``SCALES``; empty where the row is not of a scale.
    quantity : str
        What was measured, in words.
    kind : str
        A key of ``KINDS``.
    time_h : float or None
        Hours since `t0`.
    estimate : Estimate
        Of the arm.
    value_text : str
        What was printed where it is no number.
    contrast : Estimate
        Active less control, or a ratio; its unit is `contrast_kind`.
    effect : Estimate
        A second, standardised effect that the source prints beside it; positive favours (es)ketamine.
    n : int or None
        Patients behind the number; `is_n_seen` is False where that number was recalled.
    response_percent, remission_percent : float or None
        Share of the arm.
    remission_rule : str
        By the study's definition for this scale; empty where unknown.
    """

    row_id: str
    role: Role
    study: str
    arm: StudyArm | None
    comparator: StudyArm | None
    scale: str
    quantity: str
    kind: str
    time: str
    time_h: float | None
    t0: str
    estimate: Estimate
    value_text: str
    contrast: Estimate
    contrast_kind: str
    effect: Estimate
    effect_kind: str
    p: str
    n: int | None
    is_n_seen: bool
    response_percent: float | None
    remission_percent: float | None
    remission_rule: str
    imputation: str
    population: str
    design: str
    confidence: str
    note: str
    source_keys: tuple[str, ...]
    citation: str
    url: str
    location: str
    printed: Mapping[str, str] = field(repr=False, hash=False)

    @property
    def baseline(self) -> Baseline | None:
        """Score of the arm before treatment on the scale of the row; None where it was not read."""
        known = self.arm.baselines if self.arm is not None else ()
        return next((one for one in known if one.scale == self.scale), None)
