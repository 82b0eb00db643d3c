"""The result of a simulation and what it converts to."""

from __future__ import annotations

import numpy as np
import pytest

from euthymia import Trajectory, simulate_concentrations
from euthymia.errors import UnknownNameError

MOLAR_MASS = 237.73


@pytest.fixture(scope="module")
def course() -> Trajectory:
    return simulate_concentrations("ketamine 0.5 mg/kg im", patients=5, seed=3, times_h=[0.0, 0.5, 2.0, 9.0])


def test_a_name_with_its_unit_gives_that_unit(course: Trajectory):
    plain = course["ketamine_venous"]
    assert plain.shape == (5, 4)
    np.testing.assert_allclose(course["ketamine_venous_ng_per_mL"], MOLAR_MASS * plain)
    np.testing.assert_array_equal(course["ketamine_venous_umol_per_L"], plain)
    with pytest.raises(UnknownNameError, match="Did you mean 'ketamine_venous'"):
        course["ketamine_venus"]


def test_quantiles_are_over_patients(course: Trajectory):
    low, middle, high = course.quantiles("ketamine_venous")
    np.testing.assert_array_equal(middle, np.median(course["ketamine_venous"], axis=0))
    assert np.all(low <= middle)
    assert np.all(middle <= high)


def test_the_long_table_holds_every_value_once(course: Trajectory):
    frame = course.to_polars(unit="ng/mL")
    assert frame.columns == ["patient", "time_h", "variable", "value", "unit"]
    assert len(frame) == 5 * 4 * len(course.values)
    chosen = frame.filter((frame["patient"] == "4") & (frame["variable"] == "norketamine"))
    np.testing.assert_array_equal(chosen["time_h"].to_numpy(), course.times_h)
    np.testing.assert_array_equal(chosen["value"].to_numpy(), course["norketamine_ng_per_mL"][3])


def test_the_dataset_holds_units_and_meanings(course: Trajectory):
    dataset = course.to_xarray(unit="umol/L")
    assert dict(dataset.sizes) == {"patient": 5, "time_h": 4}
    assert dataset["ketamine_venous"].attrs == {
        "units": "umol/L",
        "long_name": "Total ketamine in venous plasma (forearm)",
    }
    np.testing.assert_array_equal(dataset["norketamine"].sel(patient="2").values, course["norketamine"][1])


def test_some_times_and_one_patient_can_be_picked_out(course: Trajectory):
    few = course.at([0.5, 9.0]).of_patient("3")
    assert few.patients == ("3",)
    np.testing.assert_array_equal(few["norketamine"], course["norketamine"][2:3][:, [1, 3]])
    assert few.metrics["norketamine"].cmax == course.metrics["norketamine"].cmax[2]
    with pytest.raises(UnknownNameError, match="Unknown patient '9'"):
        course.of_patient("9")


def test_its_name_is_one_line(course: Trajectory):
    assert repr(course) == (
        "<Trajectory 'ketamine 0.5 mg/kg intramuscular': 5 patients, 4 times to 9 h, 12 variables, "
        "set composed, seed 3>"
    )
