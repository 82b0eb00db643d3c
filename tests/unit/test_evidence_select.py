"""Only the rows that may be fitted reach code that fits."""

from __future__ import annotations

from dataclasses import replace

import pytest

from euthymia.errors import InvalidInputError
from euthymia.evidence.load import load_exposures, load_time_courses
from euthymia.evidence.records import FITTABLE_ROLES, Role
from euthymia.evidence.select import fitting_rows, require_fittable, usable_points

WITHHELD = sorted(set(Role) - FITTABLE_ROLES)


def test_fitting_code_cannot_get_a_row_to_validate_with():
    chosen = fitting_rows(load_exposures())
    withheld = {row.row_id for row in load_exposures() if row.role in {Role.VALIDATE, Role.CONTEXT}}
    assert len(withheld) == 18
    assert len(chosen) == 83
    assert not withheld & {row.row_id for row in chosen}


@pytest.mark.parametrize("role", list(Role))
def test_a_row_is_chosen_for_fitting_by_its_role_alone(role: Role):
    row = replace(load_exposures()[0], role=role)
    assert bool(fitting_rows([row])) == (role in {"calibrate", "prior", "background"})


@pytest.mark.parametrize("role", WITHHELD)
def test_requiring_a_fittable_row_refuses_every_other_role(role: Role):
    row = replace(load_exposures()[0], role=role)
    with pytest.raises(
        InvalidInputError, match=rf"'role' must be one of .* for fitting.*Got {role} in row E001"
    ):
        require_fittable(row)


@pytest.mark.parametrize("role", sorted(FITTABLE_ROLES))
def test_requiring_a_fittable_row_lets_the_fittable_pass(role: Role):
    require_fittable(replace(load_exposures()[0], role=role))


def test_time_courses_go_through_the_same_door():
    assert fitting_rows(load_time_courses()) == load_time_courses()
    withheld = replace(load_time_courses()[0], role=Role.VALIDATE)
    assert fitting_rows([withheld]) == ()
    with pytest.raises(InvalidInputError, match="Got validate in row hasan2021"):
        require_fittable(withheld)


def test_usable_points_leave_out_the_artefact_and_the_digitising_floor():
    hasan = next(row for row in load_time_courses() if row.row_id.startswith("hasan"))
    times_h, concentrations = usable_points(hasan)
    assert times_h == (0.5, 1, 2, 4, 6, 8)
    assert concentrations == hasan.concentrations[1:7]


def test_usable_points_of_a_clean_series_are_all_its_points():
    trauma = next(row for row in load_time_courses() if row.row_id.startswith("trauma"))
    assert usable_points(trauma) == (trauma.times_h, trauma.concentrations)
