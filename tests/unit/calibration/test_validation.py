"""Rows beside forecasts: what is closed stays closed, studies differ as the posterior says, scores by group.

Every observed number here is made up: rows kept to validate are not opened.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from euthymia.calibration import validation
from euthymia.calibration.likelihood import STUDY_EFFECTS
from euthymia.calibration.study_effects import (
    name_of,
    share_slopes,
    study_effects,
    study_sds,
    with_study_effects,
)
from euthymia.calibration.validation import (
    adequacy,
    baselines,
    hard_cases,
    judge,
    judge_gaps,
    judge_stored,
    kind_of,
    score_rows,
    transport_groups,
)
from euthymia.errors import InvalidInputError
from euthymia.evidence import select
from euthymia.evidence.records import OutcomeRow, Role
from euthymia.evidence.studies import load_outcome_rows
from euthymia.population.posterior import Posterior, calibrated_parameters
from euthymia.trials import replication
from euthymia.trials.replication import load_replication, replication_row
from euthymia.trials.replication_runs import ReplicationRun

RUNS = {name_of(run): run for run in load_replication()}
ROLES = {row.row_id: row for row in load_outcome_rows()}
KEPT, FITTED = "T0010a", "T0103a"
"""A primary contrast of a trial that is kept, and one that may be fitted."""
COUNT = 4000


def values_of(*names: str, middle: float = -6.0, sd: float = 2.0) -> dict[str, list[float]]:
    rng = np.random.default_rng(3)
    return {name: list(middle + sd * rng.normal(size=COUNT)) for name in names}


def made_up(name: str, value: float) -> dict[str, OutcomeRow]:
    """Return rows in which a contrast has a number that nobody published."""
    row = ROLES[name[:-1]]
    return {row.row_id: replace(row, contrast=replace(row.contrast, value=value))}


def opened(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(select, "frozen_posterior", lambda: "f" * 64)


def posterior(control: float = 3.0, contrast: float = 2.0, draws: int = 50) -> Posterior:
    parameters = calibrated_parameters()[:2]
    middle = np.array([one.middle for one in parameters])
    sds = {
        name: {"mean": sd, "draws": [sd] * draws}
        for name, sd in zip(STUDY_EFFECTS, (control, contrast), strict=True)
    }
    return Posterior(
        name="made up",
        version="0.1.0",
        set="composed",
        parameters=parameters,
        draws=np.tile(middle, (1, draws, 1)),
        diagnostics={"study_sd_points": sds, "r_hat": {}, "ess": {}},
        evidence={},
    )


class TestWhatIsClosed:
    def test_its_number_is_not_even_read(self, monkeypatch: pytest.MonkeyPatch):
        def refuse(*given: Any) -> float:
            raise AssertionError("a closed row was read")

        monkeypatch.setattr(select, "frozen_posterior", lambda: "")
        monkeypatch.setattr(validation, "observed_of", refuse)
        (found,) = judge([RUNS[KEPT]], values_of(KEPT), rows=made_up(KEPT, -5.0))
        assert (found.state, found.verdict) == ("closed", "closed")
        assert np.isnan([found.observed, found.alone.pit]).all()
        assert found.alone.expected == pytest.approx(-6.0, abs=0.2)

    def test_every_row_to_validate_is_closed_until_then(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(select, "frozen_posterior", lambda: "")
        found = judge(list(RUNS.values()), {})
        for one in found:
            if one.role == "validate":
                assert one.state != "open"
                assert np.isnan(one.observed)

    def test_it_opens_with_the_frozen_posterior_and_nothing_else_changes(
        self, monkeypatch: pytest.MonkeyPatch
    ):
        rows, values = made_up(KEPT, -5.0), values_of(KEPT)
        opened(monkeypatch)
        (found,) = judge([RUNS[KEPT]], values, rows=rows)
        assert (found.verdict, found.observed, found.group) == ("inside", -5.0, "route")
        below = np.mean(np.array(values[KEPT]) < -5.0)
        assert found.alone.pit == pytest.approx(below, abs=1e-3)
        (outside,) = judge([RUNS[KEPT]], values, rows=made_up(KEPT, 1.0))
        assert outside.verdict == "outside"


def test_a_row_without_replicates_says_so():
    (found,) = judge([RUNS[FITTED]], {FITTED: [1.0] * 5}, rows=made_up(FITTED, -5.0))
    assert (found.verdict, found.reason) == ("not comparable", "5 replicates have a value, which is too few")


def test_a_stored_row_is_judged_as_the_run_that_gave_it():
    values, rows = values_of(FITTED), made_up(FITTED, -5.0)
    stored = replication_row(RUNS[FITTED], rows["T0103"], values[FITTED])
    (found,), (right,) = judge_stored([stored], rows=rows), judge([RUNS[FITTED]], values, rows=rows)
    assert found.verdict == right.verdict == "inside"
    assert (found.alone.low, found.alone.high) == (right.alone.low, right.alone.high)
    assert np.isnan(found.alone.pit)


def test_a_stored_row_of_another_version_is_refused():
    stored = replication_row(RUNS[FITTED], ROLES["T0103"], values_of(FITTED)[FITTED])
    with pytest.raises(InvalidInputError, match="T0103 of elsewhere"):
        judge_stored([replace(stored, trial="elsewhere")])


def test_stored_parts_of_a_row_keep_their_order():
    rows = [replication_row(RUNS[name], ROLES["T0103"], ()) for name in ("T0103a", "T0103b")]
    assert [one.name for one in judge_stored(rows)] == ["T0103a", "T0103b"]


class TestStudyEffects:
    def test_sds_are_those_of_the_draw_that_a_replicate_takes(self):
        one = posterior()
        ladder = {
            name: {"mean": 0.0, "draws": [float(10 * place + draw) for draw in range(50)]}
            for place, name in enumerate(STUDY_EFFECTS)
        }
        one = replace(one, diagnostics={**one.diagnostics, "study_sd_points": ladder}, digest="")
        found = study_sds(one, 30, seed=7)
        places = [one.draw_of_replicate(place, seed=7) for place in range(30)]
        assert found is not None
        assert found.T.tolist() == [places, [10 + place for place in places]]

    def test_of_a_mean_they_are_root_mean_squares(self):
        found = study_sds(posterior(control=3.0).mean(), 4, seed=1)
        assert found is not None
        assert found.tolist() == [[3.0, 2.0]] * 4

    def test_a_posterior_that_does_not_say_adds_nothing(self):
        silent = replace(posterior(), diagnostics={}, digest="")
        assert study_sds(silent, 5, seed=1) is None
        (found,) = judge([RUNS[FITTED]], values_of(FITTED), posterior=silent, rows=made_up(FITTED, -5.0))
        assert found.among_studies is None

    def test_their_spread_is_the_sd_and_the_two_do_not_hang_together(self):
        found = study_effects(["a"], np.tile([3.0, 2.0], (COUNT, 1)), seed=1)
        assert np.std(found, axis=0) == pytest.approx([3.0, 2.0], rel=0.05)
        assert abs(np.mean(np.prod(found / [3.0, 2.0], axis=1))) < 0.06

    def test_they_are_keyed_by_study_and_replicate(self):
        sds = np.ones((40, 2))
        first = study_effects(["a"], sds, seed=1)
        assert np.array_equal(first[:10], study_effects(["a"], sds[:10], seed=1))
        assert not np.isclose(first, study_effects(["b"], sds, seed=1)).any()
        assert not np.isclose(first, study_effects(["a"], sds, seed=2)).any()

    def test_means_and_contrasts_move_as_the_likelihood_says(self):
        effects, zeros = np.array([[1.0, 10.0], [-2.0, 5.0]]), np.zeros(2)
        cases = {"T0006a": [11.0, 3.0], "T0007a": [1.0, -2.0], "T0103a": [10.0, 5.0], "T0008a": [0.0, 0.0]}
        for name, right in cases.items():
            assert with_study_effects(zeros, RUNS[name], effects, slope=0.0).tolist() == right

    def test_a_contrast_stays_the_difference_of_its_arms(self):
        effects = study_effects(["murrough-2013"], np.tile([3.0, 2.0], (50, 1)), seed=1)
        zeros = np.zeros(50)
        active, control, contrast = (
            with_study_effects(zeros, RUNS[name], effects, slope=0.0)
            for name in ("T0006a", "T0007a", "T0103a")
        )
        np.testing.assert_allclose(active - control, contrast, rtol=0, atol=1e-12)

    def test_shares_move_on_the_scale_of_the_fit_and_stay_shares(self):
        shares = np.array([0.0, 0.5, 1.0, np.nan])
        up = with_study_effects(shares, RUNS["T0100a"], np.tile([-4.0, -4.0], (4, 1)), slope=-0.04)
        assert up[1] == pytest.approx(np.sin(np.pi / 4.0 + 0.32) ** 2)
        assert up[0] == pytest.approx(np.sin(0.32) ** 2)
        assert up[2] == 1.0
        assert np.isnan(up[3])

    def test_variances_add_up(self):
        rows = made_up(FITTED, -5.0)
        (found,) = judge([RUNS[FITTED]], values_of(FITTED, sd=2.0), posterior=posterior(), rows=rows)
        assert found.among_studies is not None
        width = 2.0 * 1.6448536 * np.hypot(2.0, 2.0)
        assert found.among_studies.high - found.among_studies.low == pytest.approx(width, rel=0.05)
        assert found.alone.high - found.alone.low == pytest.approx(2.0 * 1.6448536 * 2.0, rel=0.05)
        assert found.forecast is found.among_studies

    def test_a_forecaster_of_many_studies_is_even_only_with_them(self):
        """Published contrasts drawn with effects of studies lie in the wide intervals nine times in ten."""
        rng = np.random.default_rng(9)
        rows = made_up(FITTED, -6.0)
        (found,) = judge([RUNS[FITTED]], values_of(FITTED, sd=2.0), posterior=posterior(), rows=rows)
        published = -6.0 + np.hypot(2.0, 2.0) * rng.normal(size=2000)
        wide, narrow = (
            np.mean([forecast.holds(one) for one in published])
            for forecast in (found.among_studies, found.alone)
            if forecast is not None
        )
        assert abs(wide - 0.9) < 0.03
        assert narrow < 0.8


class TestSlopes:
    def test_a_share_follows_the_mean_of_its_arm(self):
        rng = np.random.default_rng(4)
        means = rng.normal(-10.0, 2.0, 400)
        shares = np.sin(0.8 - 0.05 * (means + 10.0)) ** 2
        runs = [RUNS["T0025a"], RUNS["T0025b"]]
        found = share_slopes(runs, {"T0025a": list(means), "T0025b": list(shares)})
        assert found["T0025b"] == pytest.approx(-0.05, rel=1e-9)

    def test_a_share_without_a_mean_takes_the_usual_slope(self):
        rng = np.random.default_rng(4)
        means = rng.normal(-10.0, 2.0, 400)
        shares = np.sin(0.8 - 0.05 * (means + 10.0)) ** 2
        runs = [RUNS["T0025a"], RUNS["T0025b"], RUNS["T0100a"], RUNS["T0083b"]]
        found = share_slopes(runs, {"T0025a": list(means), "T0025b": list(shares)})
        assert found["T0100a"] == found["T0025b"]
        line = np.polyfit(means, shares, 1)[0]
        assert found["T0083b"] == pytest.approx(line, rel=1e-9)

    def test_without_any_pair_shares_have_no_forecast_among_studies(self):
        assert share_slopes([RUNS["T0100a"]], {"T0100a": [0.5] * 50}) == {}
        (found,) = judge([RUNS["T0100a"]], {"T0100a": [0.4, 0.6] * 50}, posterior=posterior())
        assert found.among_studies is None


def test_every_trial_that_is_kept_stands_in_a_group_and_no_other():
    kept = {
        name for run in RUNS.values() for name in run.protocols if ROLES[run.row_id].role is Role.VALIDATE
    }
    assert set(transport_groups()) == kept
    assert {"route", "population", "comparator", "setting", "therapy"} <= set(transport_groups().values())


def test_hard_cases_name_rows_and_trials_that_are_there():
    trials = {name for run in RUNS.values() for name in run.protocols}
    for case in hard_cases():
        assert set(case.rows) <= set(RUNS)
        assert set(case.trials) <= trials
        assert all(RUNS[name].is_comparable for name in case.rows)
        for gap in case.gaps:
            assert RUNS[gap.of].quantity == RUNS[gap.less].quantity
            assert RUNS[gap.of].last_h == RUNS[gap.less].last_h
    assert len(hard_cases()) == 6


def test_one_primary_contrast_a_trial():
    primary = [run.protocols for run in RUNS.values() if run.is_primary_contrast]
    assert len(primary) == len(set(primary))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("T0103a", "MADRS contrast"),
        ("T0103b", "contrast"),
        ("T0127b", "contrast"),
        ("T0083b", "contrast"),
        ("T0067a", "contrast"),
        ("T0100a", "rate"),
        ("C0039a", "rate"),
        ("T0008a", "SD"),
        ("T0006a", "other"),
        ("T0001a", ""),
    ],
)
def test_kinds(name: str, kind: str):
    assert kind_of(RUNS[name]) == kind


def test_a_difference_is_taken_replicate_by_replicate(monkeypatch: pytest.MonkeyPatch):
    """Both arms of a study share its effect on all arms, which leaves their difference."""
    monkeypatch.setattr(select, "frozen_posterior", lambda: "")
    runs, shared = [RUNS["T0041a"], RUNS["T0042a"]], np.arange(100.0)
    values = {"T0041a": list(shared - 3.0), "T0042a": list(shared)}
    rows = judge(runs, values, posterior=posterior(contrast=0.0))
    (found,) = judge_gaps(runs, values, rows, posterior=posterior(contrast=0.0))
    assert (found.state, found.verdict) == ("closed", "closed")
    assert np.isnan(found.observed)
    assert (found.alone.low, found.alone.expected, found.alone.high) == (-3.0, -3.0, -3.0)
    assert found.among_studies is not None
    assert found.among_studies.low == pytest.approx(-3.0, abs=1e-9)
    assert found.among_studies.high == pytest.approx(-3.0, abs=1e-9)


class TestScores:
    def rows(self, monkeypatch: pytest.MonkeyPatch, kept: float) -> tuple[validation.Judged, ...]:
        opened(monkeypatch)
        runs: list[ReplicationRun] = [RUNS[KEPT], RUNS[FITTED]]
        published = {**made_up(KEPT, kept), **made_up(FITTED, -5.0)}
        return judge(runs, values_of(KEPT, FITTED), rows=published)

    def test_the_second_baseline_is_the_mean_of_what_may_be_fitted(self, monkeypatch: pytest.MonkeyPatch):
        rows = self.rows(monkeypatch, -3.0)
        assert [value for _, value in baselines(rows)] == [-7.0, -5.0]

    def test_only_rows_asked_for_are_scored(self, monkeypatch: pytest.MonkeyPatch):
        rows = self.rows(monkeypatch, -3.0)
        own = [one for one in rows if one.group == "route"]
        score = score_rows(own, every=rows, is_among_studies=False)
        assert (score.primary.inside, score.primary.total) == (1, 1)
        assert score.points_error == pytest.approx(3.0, abs=0.2)
        fixed, pooled = score.skills
        assert fixed.baseline_error == pytest.approx(4.0)
        assert pooled.baseline_error == pytest.approx(2.0)
        assert pooled.skill < 0.0 < fixed.skill

    def test_aims_are_met_or_not(self, monkeypatch: pytest.MonkeyPatch):
        words = []
        for kept in (-5.2, 4.0):
            rows = self.rows(monkeypatch, kept)
            own = [one for one in rows if one.group]
            words.append(
                [one.verdict for one in adequacy(score_rows(own, every=rows, is_among_studies=False))]
            )
        # one contrast inside is a coverage of 100 %, over the aim; none of one does not rule out 90 %
        assert words[0] == ["not met", "met", "met", "unknown", "met", "not met"]
        assert words[1] == ["not met", "met", "not met", "unknown", "met", "not met"]

    def test_of_closed_rows_nothing_is_claimed(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(select, "frozen_posterior", lambda: "")
        rows = judge([RUNS[KEPT]], values_of(KEPT))
        found = adequacy(score_rows(rows, every=rows, is_among_studies=False))
        assert {one.verdict for one in found} == {"unknown"}


def test_verdicts_agree_with_those_of_replication():
    names = ("T0003a", "T0103a", "T0008a")
    for name in names:
        values = values_of(name, middle=9.0 if name == "T0008a" else -6.0)
        (found,) = judge([RUNS[name]], values)
        assert found.verdict == replication.compare(RUNS[name], ROLES[name[:-1]], values[name]).word
