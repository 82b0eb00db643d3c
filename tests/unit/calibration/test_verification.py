"""Checks that a report makes again pass, tell code from calculation, and fail where something is wrong."""

from __future__ import annotations

import numpy as np
import pytest

from euthymia.calibration import verification
from euthymia.calibration.verification import CALCULATION, CODE, Check, run_checks
from euthymia.model.parameters import load_parameters


@pytest.fixture(scope="module")
def checks() -> tuple[Check, ...]:
    return run_checks(load_parameters("composed"))


def test_all_pass(checks: tuple[Check, ...]):
    assert [one.claim for one in checks if not one.passes] == []


def test_code_and_calculation_are_both_checked(checks: tuple[Check, ...]):
    assert {one.of for one in checks} == {CODE, CALCULATION}
    # NumPy, in which tests run, gives no certificate
    assert sum(one.of == CALCULATION for one in checks) == 3


def test_what_is_no_number_does_not_pass():
    one = Check(of=CODE, claim="", against="", value=float("nan"), tolerance=1.0, unit="")
    assert not one.passes


def failing(parts: object) -> list[str]:
    return [one.claim for one in parts if not one.passes]  # type: ignore[attr-defined]


def test_lost_moles_are_noticed(monkeypatch: pytest.MonkeyPatch):
    real = verification.respond

    def leak(*given: object) -> object:
        found = real(*given)  # type: ignore[arg-type]
        for row in found.values.values():
            row[:, -1] *= 1.0 - 1e-9
        return found

    monkeypatch.setattr(verification, "respond", leak)
    named = failing(verification._pharmacokinetics(load_parameters("composed")))
    assert named[0].startswith("Moles are conserved")


def test_a_generator_that_gives_other_words_is_noticed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(verification, "philox4x32", lambda *given: np.zeros(4, np.uint32))
    assert failing(verification._random_numbers()) == ["The generator gives the published known answer"]


def test_a_test_that_finds_too_much_is_noticed(monkeypatch: pytest.MonkeyPatch):
    real = verification.ancova_replicates

    def eager(outcome: np.ndarray, arm: np.ndarray, **more: object) -> object:
        return real(outcome + 0.3 * arm, arm, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(verification, "ancova_replicates", eager)
    assert not verification._type_one_error(trials=1000).passes


def test_progress_counts_to_the_end(monkeypatch: pytest.MonkeyPatch):
    told: list[tuple[int, int]] = []
    for name in ("_pharmacokinetics", "_no_drug", "_chain"):
        monkeypatch.setattr(verification, name, lambda *given: iter(()))
    run_checks(load_parameters("composed"), on_done=lambda *given: told.append(given))
    assert told[-1] == (6, 6)
