"""The response asked for block by block is that of one pass, to the byte."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.registry import COMBINATIONS, Combination

from euthymia.engine.linear import Responder, respond
from euthymia.model import drive
from euthymia.model.course import Course
from euthymia.model.parameters import DEFAULT_SET, load_parameters
from euthymia.model.pk import Given
from euthymia.population.individual import chain_values, individual_values
from euthymia.population.patient import Patient

SET = load_parameters()
COUNT = 40
TIMES_H = np.unique(np.concatenate([np.linspace(0.0, 48.0, 150), np.linspace(48.0, 900.0, 80)]))
EACH = [one for one in COMBINATIONS if one.set == DEFAULT_SET]


def site(combination: Combination) -> Any:
    """Return the system of the site of action of virtual patients, its inputs and readings."""
    people, numbers = [Patient()] * COUNT, np.arange(1, COUNT + 1)
    pk_values = individual_values(SET, people, numbers=numbers, seed=1)
    values = chain_values(SET, people, numbers=numbers, seed=1)
    given = tuple(Given(dose) for dose in combination.doses())
    return drive.site_model(SET, pk_values, values, Course(given=given), COUNT)


@pytest.mark.parametrize("combination", EACH, ids=str)
def test_blocks_of_times_move_no_byte(combination: Combination):
    system, inputs, readings = site(combination)
    whole = respond(system, inputs, TIMES_H, readings).values
    asked = Responder(system, inputs, readings)
    for cuts in ([len(TIMES_H)], [1, 40, 41, 200, len(TIMES_H)]):  # the second goes back to the start
        blocks = [asked(TIMES_H[first:last]) for first, last in zip([0, *cuts], cuts, strict=False)]
        for name, right in whole.items():
            found = np.concatenate([block[name] for block in blocks], axis=1)
            assert found.tobytes() == right.tobytes(), name


def test_the_last_time_of_a_block_may_be_asked_for_again():
    system, inputs, readings = site(EACH[0])
    asked = Responder(system, inputs, readings)
    first, second = asked(TIMES_H[:31]), asked(TIMES_H[30:60])
    for name, block in first.items():
        assert block[:, -1].tobytes() == second[name][:, 0].tobytes()
