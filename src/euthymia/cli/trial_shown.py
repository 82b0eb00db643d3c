"""What sections of a trial's page share: a result with the look of its arms, numbers as they are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from euthymia.cli import trial_numbers as numbers
from euthymia.cli.show import significant
from euthymia.cli.trial_numbers import RATIO_MEASURES, Summary
from euthymia.plots.arms import ArmStyle, absent, arm_styles, key_html, panels_html
from euthymia.trials.design import Endpoint
from euthymia.trials.published import Observed, ObservedEstimate
from euthymia.trials.records import TrialResult

UNITS = {
    "share": "%",
    "risk difference": "%",
    "SD": "points",
    "mean": "points",
    "difference": "points",
    "paired difference": "points",
}
SHARES = ("share", "risk difference")
SMALLEST = 0.001
"""Ratio below which only that is said; one over it above."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """A result with the look of its arms, its estimates over replicates, and what is published and open."""

    result: TrialResult
    styles: dict[str, ArmStyle]
    found: tuple[Summary, ...]
    observed: Observed

    @property
    def count(self) -> int:
        """Replicates."""
        return len(self.result.replicates)

    @property
    def level(self) -> str:
        """What intervals over replicates are."""
        if self.count == 1:
            return f"{percent(1.0 - self.result.protocol.alpha)} interval of the one replicate's own analysis"
        return f"90 % interval (5th to 95th percentile) over {self.count} replicates"

    def key(self, names: Sequence[str], *, has_observed: bool = False) -> str:
        """Return the key to some arms."""
        return key_html([self.styles[name] for name in names], has_observed=has_observed)

    def label(self, name: str) -> str:
        """Return what an arm is called."""
        return self.styles[name].label if name in self.styles else name

    def published(
        self, endpoint: str, arm: str, measure: str, reference: str = ""
    ) -> ObservedEstimate | None:
        """Return a published result, where one is open."""
        wanted = (endpoint, arm, measure, reference)
        for one in self.observed.estimates:
            if (one.endpoint, one.arm, one.measure, one.reference) == wanted:
                return one
        return None


def shown(result: TrialResult, observed: Observed | None) -> Shown:
    """Return a result with what is shown of it; where the observed side is closed it is empty."""
    labels = numbers.labels_of(result)
    named = [one.arm for replicate in result.replicates for one in (*replicate.arms, *replicate.estimates)]
    labels |= {name: name for name in named if name and name not in labels}
    beside = observed or Observed()
    return Shown(
        result=result,
        styles=arm_styles(labels),
        found=tuple(numbers.summaries(result)),
        observed=Observed(closed=beside.closed) if beside.closed else beside,
    )


def replicate_words(one: Shown) -> str:
    """Return which replicate the individuals are of."""
    return "the one replicate" if one.count == 1 else f"replicate 0 of {one.count}"


def nobody(text: str) -> str:
    """Return a figure that says why it is empty."""
    return panels_html([("", absent(text))])


def endpoint_words(endpoint: Endpoint) -> str:
    """Return an endpoint with its rule, analysis, imputation and estimand in words."""
    rule = ""
    if endpoint.kind == "response":
        rule = f", a fall of {percent(endpoint.fraction)} or more from baseline"
    return (
        f"{endpoint.text}{rule}; analysis {endpoint.method}, missing ratings: {endpoint.imputation}, "
        f"estimand {endpoint.estimand}"
    )


def percent(share: float, places: int = 0) -> str:
    """Return a share in per cent."""
    return f"{100.0 * share:.{places}f} %"


def sized(measure: str, value: float) -> str:
    """Return an estimate as it is read: shares in per cent, ratios plain, the rest with a sign or unit."""
    if not np.isfinite(value):
        return "–"
    if numbers.is_share(measure):
        return percent(value)
    if measure == "risk difference":
        return f"{100.0 * value:+.0f} %"
    if measure in ("difference", "paired difference"):
        return f"{value:+.1f}"
    if measure in RATIO_MEASURES and not SMALLEST <= value <= 1.0 / SMALLEST:
        return f"< {SMALLEST:g}" if value < 1.0 else f"> {1.0 / SMALLEST:g}"
    if measure == "standardised difference":
        return f"{value:+.2f}"
    return f"{value:.1f}" if measure in ("mean", "SD", "median days") else significant(value)


def interval_text(one: Summary) -> str:
    """Return the interval of an estimate in brackets, or nothing where there is none."""
    if not (np.isfinite(one.low) and np.isfinite(one.high)):
        return ""
    low, high = sized(one.measure, one.low), sized(one.measure, one.high)
    return f"({low} to {high})"


def measure_label(measure: str) -> str:
    """Return the label of an axis with the unit of a measure."""
    unit = UNITS.get(measure)
    name = measure[:1].upper() + measure[1:]
    return f"{name} ({unit})" if unit else name
