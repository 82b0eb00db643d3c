"""What is fitted: nothing that was kept to validate, nothing lost without a reason, each on its scale."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import asin, inf, log, sqrt

import numpy as np
import pytest

from euthymia.calibration import targets
from euthymia.calibration.targets import Target, left_out, load_targets
from euthymia.errors import InvalidInputError
from euthymia.evidence.records import OutcomeRow, Role
from euthymia.evidence.studies import load_outcome_rows
from euthymia.trials.protocols import load_protocol
from euthymia.trials.replication import load_replication

FITTABLE = {"calibrate", "prior", "background"}


@pytest.fixture
def chosen_anew() -> Iterator[None]:
    """Let the targets be chosen again, and forget what was chosen."""
    kept = (targets.load_targets, targets.left_out, targets._chosen)
    for one in kept:
        one.cache_clear()
    yield
    for one in kept:
        one.cache_clear()


def _roles() -> dict[str, str]:
    return {row.row_id: row.role.value for row in load_outcome_rows()}


def test_nothing_that_was_kept_to_validate_is_a_target():
    roles = _roles()
    assert {one.role for one in load_targets()} <= FITTABLE
    assert all(roles[one.run.row_id] == one.role for one in load_targets())
    assert "validate" in roles.values()


@pytest.mark.usefixtures("chosen_anew")
def test_numbers_kept_to_validate_are_not_looked_at(monkeypatch: pytest.MonkeyPatch):
    before = load_targets()

    def poisoned(row: OutcomeRow) -> OutcomeRow:
        """A row that breaks what reads any number of it."""
        return replace(row, estimate=None, contrast=None, effect=None) if row.role not in FITTABLE else row  # type: ignore[arg-type]

    rows = tuple(poisoned(row) for row in load_outcome_rows())
    assert sum(row.estimate is None for row in rows) > 50
    monkeypatch.setattr(targets, "load_outcome_rows", lambda: rows)
    targets._chosen.cache_clear()
    targets.load_targets.cache_clear()
    assert targets.load_targets() == before


@pytest.mark.usefixtures("chosen_anew")
def test_a_row_to_validate_that_slips_through_the_door_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(targets, "fitting_rows", tuple)
    with pytest.raises(InvalidInputError, match=r"'role' must be one of .*calibrate.* Got validate in row"):
        targets.load_targets()


@pytest.mark.usefixtures("chosen_anew")
def test_a_fitted_row_that_becomes_one_to_validate_is_no_target(monkeypatch: pytest.MonkeyPatch):
    first = load_targets()[0]
    rows = tuple(
        replace(row, role=Role.VALIDATE) if row.row_id == first.run.row_id else row
        for row in load_outcome_rows()
    )
    monkeypatch.setattr(targets, "load_outcome_rows", lambda: rows)
    targets._chosen.cache_clear()
    targets.load_targets.cache_clear()
    targets.left_out.cache_clear()
    named = {one.name for one in (*targets.load_targets(), *targets.left_out())}
    assert first.name not in named


def test_every_part_that_may_be_fitted_is_a_target_or_left_out_with_a_reason():
    roles = _roles()
    expected = [f"{run.row_id}{run.part}" for run in load_replication() if roles[run.row_id] in FITTABLE]
    found = [one.name for one in (*load_targets(), *left_out())]
    assert sorted(found) == sorted(expected)
    assert len(set(found)) == len(found)
    assert all(one.reason.strip() for one in left_out())


def test_the_trial_of_electroconvulsive_therapy_is_left_out_and_says_why():
    rows = {f"{r.row_id}{r.part}" for r in load_replication() if "anderson-2017" in r.protocols}
    reasons = {one.reason for one in left_out() if one.name in rows}
    assert any("set by hand" in reason for reason in reasons)
    assert not any("anderson-2017" in one.trials for one in load_targets())


def _like(quantity: str) -> Target:
    found = next(one for one in load_targets() if one.run.quantity == "mean_change")
    return replace(found, run=replace(found.run, quantity=quantity))


@pytest.mark.parametrize(
    ("quantity", "value", "expected", "unit"),
    [
        ("mean_change", -12.5, -12.5, "as printed"),
        ("contrast_share", -0.2, -0.2, "as printed"),
        ("response_share", 0.25, asin(0.5), "arcsine of a share"),
        ("well_share", 1.0, asin(1.0), "arcsine of a share"),
        ("remission_share", 0.0, 0.0, "arcsine of a share"),
        ("sd_change", 8.0, log(8.0), "logarithm"),
        ("hazard_ratio", 0.3, log(0.3), "logarithm"),
    ],
)
def test_each_quantity_is_compared_on_its_scale(quantity: str, value: float, expected: float, unit: str):
    one = _like(quantity)
    assert one.transformed(value) == pytest.approx(expected, rel=1e-15)
    assert one.unit == unit


@pytest.mark.parametrize(
    ("quantity", "value"), [("hazard_ratio", 0.0), ("hazard_ratio", inf), ("sd_change", 0.0)]
)
def test_what_has_no_logarithm_has_no_value(quantity: str, value: float):
    assert np.isnan(_like(quantity).transformed(value))


def test_scatter_on_the_arcsine_scale_hardly_depends_on_the_share():
    """Binomial shares of 50 people: SD 1 / (2 sqrt 50) at 20 % as at 60 %."""
    rng, one = np.random.default_rng(1), _like("response_share")
    for share in (0.2, 0.6):
        drawn = [one.transformed(x) for x in rng.binomial(50, share, 4000) / 50]
        assert np.std(drawn) == pytest.approx(0.5 / sqrt(50), rel=0.05)


def test_a_printed_median_becomes_the_share_of_an_exponential_at_the_nearest_visit():
    run = next(r for r in load_replication() if r.is_comparable and r.quantity == "median_days")
    protocol = load_protocol(run.protocols[0])
    visits = [v.at for v in protocol.visits if run.scale in v.scales and v.at > run.since_h]
    for median_days in ((visits[0] - run.since_h) / 24.0 + 0.3, (visits[-1] - run.since_h) / 24.0 + 40.0):
        read, share = targets._well_at_median(run, median_days)
        (at_h,) = read.times_h
        distances = np.abs(np.array(visits) - run.since_h - 24.0 * median_days)
        assert abs(at_h - run.since_h - 24.0 * median_days) == distances.min()
        rate_per_day = log(2.0) / median_days
        assert share == pytest.approx(np.exp(-rate_per_day * (at_h - run.since_h) / 24.0), rel=1e-12)
        assert read.quantity == "well_share"


def test_hazard_ratios_carry_the_sd_of_their_printed_interval():
    found = [one for one in load_targets() if one.run.quantity == "hazard_ratio"]
    assert found
    outcomes = {row.row_id: row for row in load_outcome_rows()}
    for one in found:
        row = outcomes[one.run.row_id]
        printed = {"value": row.estimate, "contrast": row.contrast, "effect": row.effect}[one.run.observed]
        assert printed.ci95_low is not None
        assert printed.ci95_high is not None
        assert log(printed.ci95_low) + 2 * 1.959963984540054 * one.printed_sd == pytest.approx(
            log(printed.ci95_high), rel=1e-12
        )
    assert all(np.isnan(one.printed_sd) for one in load_targets() if one not in found)


def test_shares_follow_the_mean_change_of_their_arm_at_the_same_time():
    for one in load_targets():
        mean = one.mean_run
        if one.run.quantity.endswith("_share") and one.run.quantity not in (
            "relapse_share",
            "well_share",
            "dose_share",
        ):
            assert mean is not None
            assert (mean.quantity, mean.arms, mean.last_h) == ("mean_change", one.run.arms, one.run.last_h)
        else:
            assert mean is None
