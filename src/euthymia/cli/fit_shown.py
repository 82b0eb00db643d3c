"""What is said of a calibration: parameters before and after, numbers beside their targets."""

from __future__ import annotations

from math import exp, sin
from typing import TYPE_CHECKING, Any

import numpy as np

from euthymia.cli.show import significant

if TYPE_CHECKING:
    from euthymia.calibration.fit import Fit
    from euthymia.calibration.targets import Target
    from euthymia.population.posterior import Calibrated

PARAMETER_HEADS = (
    "parameter",
    "prior (90 %)",
    "posterior (90 %)",
    "moved",
    "R-hat",
    "effective draws",
    "data alone",
)
INTERVAL = (0.05, 0.95)
NORMAL_90 = 1.6448536269514722
GOOD_R_HAT, GOOD_DRAWS = 1.01, 400


def parameter_rows(found: Fit) -> list[list[str]]:
    """Return every parameter with its prior, its posterior, and how well the draws and the data know it."""
    posterior, rows = found.posterior, []
    bounded = {one.name: one.is_bounded for one in found.profiles}
    for place, one in enumerate(posterior.parameters):
        values = posterior.flat[:, place]
        low, middle, high = np.quantile(values, [INTERVAL[0], 0.5, INTERVAL[1]])
        moved = float(np.mean(one.to_normal(values)))
        rows.append(
            [
                label_of(one),
                _interval(*prior_interval(one)),
                _interval(float(middle), float(low), float(high)),
                f"{moved:+.2f} SD",
                f"{posterior.diagnostics['r_hat'][one.name]:.3f}",
                f"{posterior.diagnostics['ess'][one.name]:,}",
                "bounded" if bounded.get(one.name) else "open",
            ]
        )
    return rows


def label_of(one: Calibrated) -> str:
    """Return the field of a calibrated number, and whether its spread between people is meant."""
    return f"{one.fields[0]}{' (SD between people)' if one.of == 'sd' else ''}"


def prior_interval(one: Calibrated) -> tuple[float, float, float]:
    """Return the middle of a prior and its 90 % interval, within the bounds."""
    middle, low, high = (float(one.from_normal(z)) for z in (0.0, -NORMAL_90, NORMAL_90))
    return middle, max(low, one.low), min(high, one.high)


def _interval(middle: float, low: float, high: float) -> str:
    return f"{significant(middle)} ({significant(low)}–{significant(high)})"


def target_rows(found: Fit) -> list[dict[str, Any]]:
    """Return every fitted number beside what the posterior expects of such a trial, by the emulator.

    ``z`` is how many SDs of the prediction the published number lies above it, as they are compared.
    """
    likelihood, rows = found.likelihood, []
    low, middle, high = np.quantile(found.predicted, [INTERVAL[0], 0.5, INTERVAL[1]], axis=0)
    sd = found.predicted.std(axis=0, ddof=1)
    for place, one in enumerate(likelihood.targets):
        observed = float(likelihood.observed[place])
        rows.append(
            {
                "row": one.name,
                "role": one.role,
                "trial": " + ".join(one.trials),
                "what": one.run.label,
                "quantity": one.run.quantity,
                "observed": as_printed(one, observed),
                "expected": as_printed(one, float(middle[place])),
                "low": as_printed(one, float(low[place])),
                "high": as_printed(one, float(high[place])),
                "z": round(float((observed - found.predicted[:, place].mean()) / sd[place]), 3),
                "is_inside": bool(low[place] <= observed <= high[place]),
                "is_primary": one.run.is_primary_contrast,
                "emulator_explains": round(float(likelihood.emulator.explained[place]), 3),
                "emulator_error": round(float(likelihood.emulator.error_sd[place]), 4),
            }
        )
    return rows


def as_printed(target: Target, value: float) -> float:
    """Return a number of the comparison as papers print it: shares from 0 to 1, SDs in points."""
    unit = target.unit
    if unit == "logarithm":
        return round(exp(value), 4)
    if unit == "arcsine of a share":
        return round(sin(min(max(value, 0.0), np.pi / 2.0)) ** 2, 4)
    return round(value, 4)


def summary_lines(found: Fit) -> list[str]:
    """Return how good the fit is and whether its draws can be trusted, in sentences."""
    rows = target_rows(found)
    inside = sum(row["is_inside"] for row in rows)
    primary = [row for row in rows if row["is_primary"]]
    points = [row for row in rows if row["quantity"] in ("mean_change", "contrast_change")]
    missed = [abs(row["observed"] - row["expected"]) for row in points]
    said = [
        f"{inside} of {len(rows)} fitted numbers lie inside the 90 % interval of such a trial; of the "
        f"primary contrasts {sum(row['is_inside'] for row in primary)} of {len(primary)}.",
    ]
    if missed:
        said.append(f"Means and contrasts miss by {np.mean(missed):.1f} points on average.")
    sds = found.posterior.diagnostics["study_sd_points"]
    said.append(
        "Between studies, beyond chance and parameters: SD "
        f"{sds['control_points']['mean']:.1f} points in all arms, "
        f"{sds['contrast_points']['mean']:.1f} in contrasts."
    )
    return [*said, *trust_lines(found)]


def trust_lines(found: Fit) -> list[str]:
    """Return what the checks of the draws say, and what follows where one fails."""
    diagnostics = found.posterior.diagnostics
    worst, least = max(diagnostics["r_hat"].values()), min(diagnostics["ess"].values())
    is_mixed = worst <= GOOD_R_HAT and least >= GOOD_DRAWS
    said = [
        f"Draws: largest R-hat {worst:.3f}, fewest effective draws {least:,}"
        f"{'' if is_mixed else ': NOT ENOUGH; run more --steps'}."
    ]
    check = diagnostics["recovery"]
    if not check["data_sets"]:
        return [*said, "Known truths were not fitted again (--truths 0): do not call this a posterior."]
    covered = float(np.mean(list(check["coverage_90"].values())))
    verdict = "" if check["smallest_p"] >= 0.01 else ": NOT EVEN; this is no posterior"
    said.append(
        f"Known truths found again in {check['data_sets']} simulated data sets: the 90 % intervals hold "
        f"{100.0 * covered:.0f} %, ranks even with p = {check['smallest_p']:.2f}{verdict}."
    )
    return said
