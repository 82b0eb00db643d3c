"""A virtual trial as a dataset: every array where its labels say, with units."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from tests.unit.trials.cohorts import CROSSOVER, make_cohort, make_protocol

from euthymia.errors import InvalidInputError, MissingExtraError
from euthymia.files.trial_arrays import trial_dataset
from euthymia.trials import records


def test_every_value_stands_under_its_labels():
    cohort = make_cohort()
    found = trial_dataset(cohort)
    subject = cohort.subjects[3]
    own = found.sel(subject=subject)
    np.testing.assert_array_equal(own["score"].sel(scale="HAM-D17"), cohort.scores["HAM-D17"][3])
    np.testing.assert_array_equal(own["unmasked_score"].sel(scale="MADRS"), cohort.unmasked["MADRS"][3])
    np.testing.assert_array_equal(own["actual_h"], cohort.actual_h[3])
    assert own["given_mg"].sel(session=1) == cohort.sessions.given_mg[3, 0]
    assert (
        own["systolic_mmHg"].sel(session=1, minute=40.0) == cohort.sessions.readings["systolic_mmHg"][3, 0, 1]
    )
    assert own["has_event"].sel(session=1, event="nausea") == cohort.sessions.events["nausea"][3, 0]
    assert own["weight_kg"] == cohort.people[3].weight_kg
    assert own["arm"] == "ketamine"


def test_all_that_is_read_in_sessions_is_there_with_units_and_long_names():
    found = trial_dataset(make_cohort())
    for name in records.READINGS:
        assert found[name].dims == ("subject", "session", "minute")
    for name, one in found.data_vars.items():
        assert one.attrs["long_name"], name
        if one.dtype.kind == "f":
            assert one.attrs["units"], name
    assert found.attrs["status"] == "SIMULATED"


def test_replicates_follow_each_other_along_subject():
    cohorts = [make_cohort(), make_cohort(replicate=1)]
    found = trial_dataset(cohorts)
    assert found["subject"].values.tolist() == [*cohorts[0].subjects, *cohorts[1].subjects]
    assert found["replicate"].values.tolist() == [0] * 12 + [1] * 12
    second = found.isel(subject=slice(12, None))
    np.testing.assert_array_equal(second["score"].sel(scale="MADRS"), cohorts[1].scores["MADRS"])
    assert found["score"].attrs["units"] == "points"
    assert found["scale_name"].dims == ("scale",)


def test_what_is_not_known_is_missing():
    found = trial_dataset(make_cohort(make_protocol(CROSSOVER))).isel(subject=1)
    assert np.isnan(found["age_years"])
    assert found["sex"] == ""
    assert found["arm"] == "midazolam > ketamine"


def test_cohorts_of_two_protocols_are_refused():
    with pytest.raises(InvalidInputError, match="of one protocol"):
        trial_dataset([make_cohort(), make_cohort(make_protocol(CROSSOVER))])


def test_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'euthymia\[xarray\]'"):
        trial_dataset(make_cohort())
