"""Pages of trials, power and replication: their numbers are those of the results, and none is closed."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.unit.plots.drawn import figures
from tests.unit.trials.cohorts import CROSSOVER, PARALLEL, make_cohort, make_protocol, make_result

from euthymia.cli import trial_numbers as numbers
from euthymia.cli.trial_protocol import protocol_yaml
from euthymia.cli.trial_report import UNCALIBRATED, power_report, replication_report, trial_report
from euthymia.cli.trial_shown import interval_text, sized
from euthymia.trials.endpoints import has_outcome, stretches
from euthymia.trials.estimates import estimates_of, summarise
from euthymia.trials.protocols import check_protocol, load_protocol, parse_source, protocol_names
from euthymia.trials.published import Observed, ObservedEstimate, ObservedMean, ReplicationRow
from euthymia.trials.records import Cohort, Estimate, PowerCurve, TrialResult

NAN = float("nan")
COMMAND = ["euthymia", "trial", "run", "made up.yaml", "--seed", "3"]
ENDPOINTS: dict[str, Any] = {
    "day-14": {"kind": "change", "at": "day 14", "is_primary": True},
    "response": {"kind": "response", "at": "day 14", "imputation": "failure"},
    "remission": {"kind": "remission", "at": "day 14", "at_most": 10},
}
WITHDRAWAL: dict[str, Any] = PARALLEL | {
    "id": "made-up-withdrawal",
    "design": "withdrawal",
    "arms": {
        "ketamine": {"n": 12, "regimen": "ketamine 0.5 mg/kg iv over 40 min, weekly x 4"},
        "saline": {
            "n": 12,
            "regimen": "ketamine 0.5 mg/kg iv over 40 min, weekly x 1 then saline iv over 40 min, weekly x 3",
            "is_control": True,
        },
    },
    "withdrawal": {"at": "day 7", "rule": "remission", "at_most": 40},
    "visits": [{"at": f"day {day}"} for day in (0, 7, 14, 21, 28, 35)],
    "endpoints": {"relapse": {"kind": "relapse", "rule": "MADRS 22 once", "start": "day 7"}},
}
SINGLE: dict[str, Any] = PARALLEL | {
    "id": "made-up-lone",
    "design": "single-arm",
    "arms": {"ketamine": {"n": 7, "regimen": "ketamine 0.5 mg/kg iv over 40 min"}},
}
DESIGNS = {
    "parallel": PARALLEL | {"endpoints": ENDPOINTS},
    "crossover": CROSSOVER
    | {"visits": [{"at": "day 0"}, {"at": "day 3"}], "endpoints": ENDPOINTS["remission"]},
    "withdrawal": WITHDRAWAL,
    "single-arm": SINGLE,
}
DESIGNS["crossover"]["endpoints"] = {"day-3": {"kind": "change", "at": "day 3", "analysis": "paired"}}


def simulated(content: dict[str, Any], count: int = 4, **changes: Any) -> TrialResult:
    """Return a result whose estimates are those of made-up cohorts."""
    protocol = make_protocol(content)
    cohorts = [_entered(make_cohort(protocol, replicate=place)) for place in range(count)]
    made = make_result(protocol, replicates=1)
    return replace(made, first=cohorts[0], replicates=tuple(summarise(one) for one in cohorts), **changes)


def _entered(cohort: Cohort) -> Cohort:
    """Return a cohort of which, in a withdrawal, only some enter the comparison."""
    withdrawal = cohort.protocol.withdrawal
    if withdrawal is None:
        return cohort
    entered = (cohort.left_h > withdrawal.at) & (cohort.number % 3 > 0)
    return replace(cohort, is_analysed=entered)


def sections(page: str) -> list[str]:
    return re.findall(r"<h2>(.*?)</h2>", page)


def words(page: str) -> str:
    """Return what a reader sees of a page, without figures, scripts and styles."""
    text = re.sub(r"<(script|style)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


# --- over replicates ---------------------------------------------------------------------------


def estimate(value: float, p: float = 0.5, **changes: Any) -> Estimate:
    given: dict[str, Any] = {
        "endpoint": "day-14",
        "arm": "ketamine",
        "reference": "saline",
        "measure": "difference",
        "method": "ancova",
        "value": value,
        "se": 1.0,
        "low": value - 2.0,
        "high": value + 2.0,
        "p": p,
        "n": 12,
    }
    return Estimate(**given | changes)


def with_estimates(*estimates: Estimate) -> TrialResult:
    """Return a result with one estimate a replicate."""
    made = make_result(replicates=1)
    kept = made.replicates[0]
    return replace(made, replicates=tuple(replace(kept, estimates=(one,)) for one in estimates))


def test_an_estimate_over_replicates_is_its_mean_and_5_to_95_per_cent():
    result = with_estimates(*(estimate(float(value), p=value / 100.0) for value in range(21)))

    (found,) = numbers.summaries(result)

    assert (found.value, found.low, found.high) == pytest.approx((10.0, 1.0, 19.0))
    assert found.significant == pytest.approx(5 / 21)  # p of 0.00 to 0.04
    assert found.count == found.replicates == 21


def test_replicates_without_an_estimate_are_counted_and_left_out():
    result = with_estimates(estimate(1.0, p=0.01), estimate(3.0, p=NAN), estimate(NAN, p=NAN))

    (found,) = numbers.summaries(result)

    assert found.value == 2.0
    assert (found.count, found.replicates) == (2, 3)
    assert found.significant == 1.0


def test_power_counts_tests_also_where_there_is_no_size():
    result = with_estimates(*(estimate(NAN, p=0.01), estimate(NAN, p=0.5), estimate(-1.0, p=NAN)))

    (found,) = numbers.summaries(result)

    assert (found.significant, found.tested, found.count) == (0.5, 2, 1)


def test_one_replicate_has_the_interval_of_its_own_analysis():
    (found,) = numbers.summaries(with_estimates(estimate(-5.0, p=0.03)))

    assert (found.value, found.low, found.high, found.p) == (-5.0, -7.0, -3.0, 0.03)


def test_courses_over_replicates_are_quantiles_of_the_means_of_trials():
    result = simulated(DESIGNS["parallel"], count=6)

    (course, *_) = numbers.courses(result, "MADRS")

    means = np.array([one.mean for kept in result.replicates for one in kept.arms if one.scale == "MADRS"])
    own = means[::2]  # two arms a replicate
    assert course.mean == pytest.approx(own.mean(axis=0))
    assert course.low == pytest.approx(np.quantile(own, 0.05, axis=0))


def test_course_of_one_replicate_has_students_interval():
    result = simulated(DESIGNS["parallel"], count=1)
    (course, *_) = numbers.courses(result, "MADRS")
    cohort = result.first
    rated = cohort.scores["MADRS"][cohort.arm == 0, 2]
    rated = rated[np.isfinite(rated)]

    from scipy.stats import t

    low, high = t.interval(0.95, len(rated) - 1, rated.mean(), rated.std(ddof=1) / np.sqrt(len(rated)))
    assert (course.low[2], course.high[2]) == pytest.approx((low, high))


def test_event_share_of_one_replicate_has_wilsons_interval():
    result = simulated(DESIGNS["parallel"], count=1)
    kept = replace(result.replicates[0], enrolled={"ketamine": 20}, events={"ketamine": {"nausea": 4}})

    found = numbers.event_shares(replace(result, replicates=(kept,)), "ketamine", "nausea")

    # Wilson by hand: (p + z2/2n -/+ z sqrt(p(1-p)/n + z2/4n2)) / (1 + z2/n)
    z2 = 1.959963984540054**2
    centre, half = 0.2 + z2 / 40.0, np.sqrt(z2 * (0.16 / 20.0 + z2 / 1600.0))
    assert found == pytest.approx((0.2, (centre - half) / (1 + z2 / 20), (centre + half) / (1 + z2 / 20)))


# --- individuals and flow ----------------------------------------------------------------------


def test_patients_of_the_waterfall_respond_as_the_endpoint_counts_them():
    content = DESIGNS["parallel"] | {"endpoints": {"response": ENDPOINTS["response"] | {"is_primary": True}}}
    cohort = make_cohort(make_protocol(content))
    endpoint = cohort.protocol.endpoints["response"]
    (part,) = stretches(cohort)
    has_it, _ = has_outcome(part, endpoint)

    for place, arm in enumerate(numbers.individuals(cohort, "MADRS", endpoint.at or 0.0)):
        assert (arm.percent <= -50.0).sum() == (has_it & (cohort.arm == place)).sum()


def test_everybody_of_a_crossover_is_in_each_treatment_with_what_was_given_in_its_period():
    cohort = make_cohort(make_protocol(DESIGNS["crossover"]), leaving_share=0.0)

    ketamine, midazolam = numbers.individuals(cohort, "MADRS", 72.0)

    assert len(ketamine.total) == len(midazolam.total) == len(cohort.arm)
    first = cohort.arm == 0  # ketamine, then midazolam
    assert ketamine.given_mg[: first.sum()] == pytest.approx(cohort.sessions.given_mg[first, 0])
    assert midazolam.given_mg[-first.sum() :] == pytest.approx(cohort.sessions.given_mg[first, 1])
    assert np.array_equal(ketamine.baseline[: first.sum()], cohort.scores["MADRS"][first, 0])


@pytest.mark.parametrize("name", DESIGNS)
def test_flow_loses_nobody(name: str):
    cohort = _entered(make_cohort(make_protocol(DESIGNS[name])))

    arms = numbers.flow_counts(cohort)

    out = sum(count for _, count in numbers.not_randomised(cohort))
    assert sum(arm.allocated for arm in arms) + out == len(cohort.number)
    for arm in arms:
        assert sum(count for _, count in arm.left) + arm.completed == arm.allocated
    assert (out > 0) == (name == "withdrawal")


def test_relapse_is_followed_as_it_is_analysed():
    from euthymia.trials.analysis.survival import kaplan_meier

    cohort = _entered(make_cohort(make_protocol(WITHDRAWAL)))
    shares = {one.arm: one for one in estimates_of(cohort) if one.measure == "share"}

    for name, (days, has_relapsed) in numbers.followed(cohort, cohort.protocol.endpoints["relapse"]).items():
        curve = kaplan_meier(days, has_relapsed)
        assert len(days) == shares[name].n
        assert 1.0 - curve.share[-1] == pytest.approx(shares[name].value)


# --- the page ----------------------------------------------------------------------------------


def test_page_has_its_sections_in_order():
    page = trial_report(simulated(DESIGNS["parallel"]), command=COMMAND)

    assert sections(page) == [
        "What was simulated",
        "Flow of patients",
        "Arms over time",
        "Each patient, day 14",
        "Response and remission",
        "Adverse events",
        "Change by exposure",
        "The primary endpoint over replicates: MADRS change, day 14",
        "All estimates",
        "Protocol",
        "What was assumed",
    ]
    assert "--seed 3" in page
    assert "&#39;made up.yaml&#39;" in page
    assert UNCALIBRATED in words(page)


@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize("name", DESIGNS)
def test_pages_of_every_design_name_what_is_missing(name: str, count: int):
    page = trial_report(simulated(DESIGNS[name], count=count), command=COMMAND)

    assert not re.search(r"\b(nan|inf|None)\b", words(page).replace("Run again", ""))
    assert ("Still well" in sections(page)) == (name == "withdrawal")
    assert "http" not in re.sub(r"https://doi\.org\S*", "", re.sub(r"(?s)<script.*?</script>", "", page))


def test_an_arm_without_completers_and_a_scale_that_nobody_rated_say_so():
    def emptied(cohort: Cohort) -> Cohort:
        gone = (cohort.arm[:, None] == 0) & (cohort.visits_h > 0.0)
        scores = {scale: np.where(gone, NAN, totals) for scale, totals in cohort.scores.items()}
        scores["HAM-D17"] = np.full_like(scores["HAM-D17"], NAN)
        return replace(cohort, scores=scores, left_h=np.where(cohort.arm == 0, 5.0, cohort.left_h))

    protocol = make_protocol(
        PARALLEL, endpoints={"day-14": {"kind": "change", "at": "day 14", "estimand": "hypothetical"}}
    )
    cohorts = [emptied(make_cohort(protocol, replicate=place)) for place in range(3)]
    made = replace(
        make_result(protocol), first=cohorts[0], replicates=tuple(summarise(one) for one in cohorts)
    )

    text = words(trial_report(made, command=COMMAND))

    assert "HAM-D17: not rated in anybody." in text
    assert "Nobody was rated with MADRS at day 14." in text
    assert "An estimate in 0 of 3 replicates only." in text


def test_what_is_assumed_is_on_the_page_in_full():
    assumed = [f"arms.*.n: the {place}th thing that no source states" for place in range(20)]

    text = words(trial_report(simulated(DESIGNS["parallel"] | {"assumed": assumed}), command=COMMAND))

    assert "What was assumed (20)" in text
    assert all(one in text for one in assumed)


def observed(**changes: Any) -> Observed:
    given: dict[str, Any] = {
        "means": (ObservedMean(arm="ketamine", scale="MADRS", time_h=24.0, value=17.125, source="Fava2018"),),
        "estimates": (
            ObservedEstimate(
                endpoint="day-14",
                arm="ketamine",
                reference="saline",
                measure="difference",
                value=-77.7,
                low=-88.8,
                high=-66.6,
                source="Fava2018",
            ),
        ),
    }
    return Observed(**given | changes)


def test_open_published_values_stand_beside_the_simulated_ones():
    page = trial_report(simulated(DESIGNS["parallel"], count=5), command=COMMAND, observed=observed())

    assert "-77.7 (-88.8 to -66.6)" in words(page)
    points = [trace for traces, _ in figures(page) for trace in traces if trace.get("mode") == "markers"]
    assert any(list(trace["y"]) == [17.125] for trace in points)
    assert any(list(trace["x"]) == [-77.7] for trace in points)
    assert "Fava et al. (2018)" in words(page)


def test_closed_published_values_are_nowhere_on_the_page():
    why = "Closed until a posterior is frozen."

    page = trial_report(
        simulated(DESIGNS["parallel"], count=5), command=COMMAND, observed=observed(closed=why)
    )

    assert why in words(page)
    drawn = [value for traces, _ in figures(page) for trace in traces for value in _numbers(trace)]
    assert "77.7" not in words(page)
    assert -77.7 not in drawn
    assert 17.125 not in drawn
    assert "Fava et al." not in words(page)


def _numbers(trace: dict[str, Any]) -> list[float]:
    flat = [np.ravel(trace[axis]).tolist() for axis in ("x", "y") if axis in trace]
    return [value for part in flat for value in part if isinstance(value, float)]


def test_labels_from_a_file_cannot_break_out_of_the_page():
    content = DESIGNS["parallel"] | {"title": "<script>alert(1)</script>", "assumed": ["<img src=x>"]}
    arms = {name: arm | {"label": f"</script><i>{name}"} for name, arm in PARALLEL["arms"].items()}

    page = trial_report(simulated(content | {"arms": arms}), command=["<b>"])

    body = page[page.index("<body>") :]
    assert "<script>alert" not in body
    assert "<img src=x>" not in body
    assert "</script><i>" not in body


@pytest.mark.parametrize("command", [["trial", "run", "x.yaml"], ["euthymia", "trial", "run", "x.yaml"]])
def test_page_says_what_to_run_to_make_it_again(command: list[str]):
    text = words(trial_report(simulated(DESIGNS["parallel"], count=1), command=command))

    assert "Run again: euthymia trial run x.yaml" in text


def test_a_posterior_takes_the_warning_away():
    result = simulated(DESIGNS["parallel"], count=1, provenance={"posterior": "sha256:0", "version": "9.9"})

    text = words(trial_report(result, command=COMMAND))

    assert UNCALIBRATED not in text
    assert "Euthymia 9.9" in text


def test_the_same_result_gives_the_same_bytes():
    result = simulated(DESIGNS["parallel"])

    assert trial_report(result, command=COMMAND) == trial_report(result, command=COMMAND)


@pytest.mark.parametrize(
    ("measure", "value", "text"),
    [
        ("share", 0.256, "26 %"),
        ("risk difference", 0.256, "+26 %"),
        ("difference", -4.26, "-4.3"),
        ("hazard ratio", 0.4567, "0.457"),
        ("hazard ratio", 2e-9, "< 0.001"),
        ("odds ratio", 1e300, "> 1000"),
        ("median days", 21.0, "21.0"),
        ("share", NAN, "–"),
    ],
)
def test_estimates_are_written_as_they_are_read(measure: str, value: float, text: str):
    assert sized(measure, value) == text


def test_an_interval_with_an_end_that_is_not_known_is_not_written():
    (found,) = numbers.summaries(with_estimates(estimate(1.0, low=NAN)))

    assert interval_text(found) == ""


# --- protocol ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", protocol_names())
def test_a_protocol_written_out_reads_back_the_same(name: str):
    protocol = load_protocol(name)

    text = protocol_yaml(protocol)

    assert check_protocol(parse_source(text, "again.yaml", None)) == protocol
    assert protocol_yaml(check_protocol(parse_source(text, "again.yaml", None))) == text


def test_times_keep_every_digit():
    protocol = make_protocol(visits=[{"at": "day 0"}, {"at": "100.123 h"}, {"at": "day 14"}])

    again = check_protocol(parse_source(protocol_yaml(protocol), "again.yaml", None))

    assert again.visits_h == (0.0, 100.123, 336.0)


# --- power -------------------------------------------------------------------------------------


def curve(power: list[float], **changes: Any) -> PowerCurve:
    middle = np.array(power)
    given: dict[str, Any] = {
        "endpoint": "day-14",
        "arm": "high",
        "reference": "saline",
        "sizes": np.array([20, 40, 60]),
        "power": middle,
        "low": middle - 0.06,
        "high": middle + 0.06,
        "replicates": 200,
        "alpha": 0.05,
    }
    return PowerCurve(**given | changes)


def power_page(*curves: PowerCurve, **changes: Any) -> str:
    return words(power_report(curves, title="Made up", command=COMMAND, seed=3, **changes))


def test_power_says_from_which_size_on_the_target_is_reached():
    text = power_page(curve([0.5, 0.81, 0.9]), labels={"high": "ketamine 1.0 mg/kg"})

    assert (
        "ketamine 1.0 mg/kg against saline: 80 % is reached from 40 patients in each arm on, "
        "beyond Monte Carlo error from 60 on." in text
    )
    assert "81.0 % 75.0 % to 87.0 %" in text


def test_power_that_dips_below_the_target_again_is_reached_after_the_dip():
    assert "reached from 60 patients" in power_page(curve([0.85, 0.78, 0.95]))


def test_power_that_is_not_reached_says_so():
    assert "80 % is not reached with up to 60 patients" in power_page(curve([0.1, 0.2, 0.3]))


def test_sizes_may_come_in_any_order():
    shuffled = curve([0.9, 0.5, 0.81], sizes=np.array([60, 20, 40]))

    assert "reached from 40 patients" in power_page(shuffled)


def test_closed_form_stands_beside_where_it_is_given():
    text = power_page(curve([0.5, 0.81, 0.9], closed_form=np.array([0.512, 0.8, 0.9])))

    assert "closed form" in text
    assert "51.2 %" in text
    assert "closed form" not in power_page(curve([0.5, 0.81, 0.9]))


# --- replication -------------------------------------------------------------------------------


def row(row_id: str, **changes: Any) -> ReplicationRow:
    given: dict[str, Any] = {
        "trial": "fava-2018",
        "title": "Four doses",
        "row_id": row_id,
        "role": "calibrate",
        "label": "ketamine 0.5 mg/kg - midazolam, MADRS, day 1",
        "measure": "difference",
        "simulated": -5.0,
        "low": -8.0,
        "high": -2.0,
        "replicates": 100,
        "observed": -6.0,
        "observed_low": -9.0,
        "observed_high": -3.0,
        "verdict": "inside",
        "source": "Fava2018",
    }
    return ReplicationRow(**given | changes)


def test_every_row_is_on_the_page_with_its_verdict_and_why():
    rows = [
        row("T0001", is_primary=True),
        row("T0002", observed=-9.5, verdict="outside"),
        row("T0003", trial="b", simulated=NAN, low=NAN, high=NAN, verdict="not simulated", reason="no CGI-S"),
        row("T0004", trial="c", measure="hazard ratio", simulated=0.5, low=0.3, high=0.8, observed=0.4),
    ]

    text = words(replication_report(rows, command=COMMAND, seed=1))

    assert all(one.row_id in text for one in rows)
    assert "no CGI-S" in text
    assert "Coverage: 1 of 1 open primary contrasts inside, 100 %" in text
    assert "3 trials, 4 published results" in text


def test_a_closed_row_shows_the_simulated_side_only_whatever_is_handed_over():
    rows = [
        row("T0001", is_primary=True, verdict="closed", role="validate", observed=-77.7, observed_low=-88.8)
    ]

    page = replication_report(rows, command=COMMAND, seed=1)

    text = words(page)
    drawn = [value for traces, _ in figures(page) for trace in traces for value in _numbers(trace)]
    assert "-5.0" in text
    assert -5.0 in drawn
    assert "77.7" not in page
    assert "88.8" not in text
    assert -77.7 not in drawn
    assert "No primary contrast is open" in text


def test_measures_of_a_trial_stand_on_axes_of_their_own():
    rows = [
        row("T0001"),
        row("T0002", measure="risk difference", simulated=0.3, low=0.1, high=0.5, observed=0.2),
        row("T0003", unit="points of HAM-D17"),
    ]

    layouts = [layout for _, layout in figures(replication_report(rows, command=COMMAND, seed=1))]

    titles = [layout["xaxis"]["title"]["text"] for layout in layouts]
    assert titles == ["Difference (points)", "Risk difference (%)", "Difference (points of HAM-D17)"]
