"""The grid of a schedule is found on pilots once, kept, and depends on no caller's patients."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from euthymia.engine.integrate import Check
from euthymia.model.chain import FINENESS, TOLERANCE, ChainSolution
from euthymia.model.course import Pulse
from euthymia.model.parameters import load_parameters
from euthymia.population import pilot
from euthymia.population import solve as module
from euthymia.population.pilot import CANDIDATES, FINEST, PILOTS, SHARE_OF_TOLERANCE, calibrated
from euthymia.population.run import Life
from euthymia.population.simulate import simulate
from euthymia.population.surroundings import Taken

INFUSION = "ketamine 0.5 mg/kg iv over 40 min"
TIMES = np.linspace(0.0, 1.0, 7)


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep what is found in a folder of the test's own, and nothing in memory."""
    monkeypatch.setenv("EUTHYMIA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(pilot, "_known", {})
    return tmp_path / "cache"


class Pilots:
    """Pilots whose error is that of a method of fourth order, and a note of how they were solved.

    Parameters
    ----------
    error : float or array (P,)
        Of steps of the usual length, relative to the largest value, 2.
    """

    def __init__(self, error: Any = 0.5 * TOLERANCE, *, is_compiled: bool = True, noise: float = 0.0) -> None:
        self.error = np.broadcast_to(np.asarray(error, float), (PILOTS,))
        self.is_compiled, self.noise = is_compiled, noise
        self.asked: list[float] = []

    def __call__(self, fineness: float) -> ChainSolution:
        self.asked.append(fineness)
        right = 2.0 * np.sin(1.5 * TIMES) / np.sin(1.5) * np.ones((PILOTS, 1))
        off = 2.0 * self.error[:, None] * (fineness**-4.0 - FINEST**-4.0) * np.ones(len(TIMES))
        off[:, -1] = 0.0
        values = {"mood": right + off, "nothing": np.full_like(right, self.noise * fineness)}
        sizes = {"mood": np.full(PILOTS, 1.9), "nothing": np.zeros(PILOTS)}
        check = {name: Check(np.zeros(PILOTS), sizes[name]) for name in values}
        return ChainSolution(values, 10, check=check if self.is_compiled else None)


# --- which grid ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fineness", CANDIDATES)
def test_the_coarsest_grid_is_taken_with_which_pilots_keep_their_share_of_the_tolerance(fineness: float):
    error = SHARE_OF_TOLERANCE * TOLERANCE / (fineness**-4.0 - FINEST**-4.0)
    assert calibrated("key", Pilots(0.999 * error)).fineness == fineness
    coarser = [one for one in CANDIDATES if one > fineness] or [FINEST]
    assert calibrated("another key", Pilots(1.001 * error)).fineness == coarser[0]


def test_no_grid_is_finer_than_the_finest():
    assert calibrated("key", Pilots(1e9)).fineness == FINEST


def test_one_who_is_far_off_decides():
    error = np.full(PILOTS, 1e-9)
    assert calibrated("key", Pilots(error)).fineness == CANDIDATES[0]
    error[3] = 1.0
    assert calibrated("another key", Pilots(error)).fineness == FINEST


def test_a_scale_is_the_largest_size_at_any_time_seen_or_stepped_over():
    found = calibrated("key", Pilots())
    assert found.scales["mood"] * found.safety == pytest.approx(2.0, rel=1e-3)

    def peaked(fineness: float) -> ChainSolution:
        found = Pilots()(fineness)
        assert found.check is not None
        return found._replace(check=found.check | {"mood": Check(np.zeros(PILOTS), np.full(PILOTS, 7.0))})

    found = calibrated("another key", peaked)
    assert found.scales["mood"] * found.safety == pytest.approx(7.0, rel=1e-12)


def test_what_stays_at_0_but_for_rounding_refines_no_grid():
    assert calibrated("key", Pilots(1e-9, noise=1e-10)).fineness == CANDIDATES[0]


def test_where_nothing_is_compiled_the_usual_grid_is_taken_and_nothing_held_against_anything():
    found = calibrated("key", Pilots(is_compiled=False))
    assert (found.fineness, dict(found.scales)) == (FINENESS, {})


# --- once ------------------------------------------------------------------------------------------------


def test_what_was_found_is_kept_and_read_again(monkeypatch: pytest.MonkeyPatch):
    first, never = Pilots(), Pilots(1.0)
    found = calibrated("key", first)
    assert first.asked
    assert calibrated("key", never) == found
    monkeypatch.setattr(pilot, "_known", {})  # as in another process
    assert calibrated("key", never) == found
    assert never.asked == []


def test_another_schedule_or_model_has_a_calibration_of_its_own(monkeypatch: pytest.MonkeyPatch):
    calibrated("key", Pilots())
    for key, digest in (("another", None), ("key", "another model")):
        if digest:
            monkeypatch.setattr(pilot, "_model_digest", lambda digest=digest: digest)
        again = Pilots(1.0)
        assert calibrated(key, again).fineness == FINEST
        assert again.asked


@pytest.mark.parametrize("spoiled", [b"", b"{", b"\xff", b"no calibration"])
def test_what_cannot_be_read_is_found_anew(
    spoiled: bytes, cache_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    found = calibrated("key", Pilots())
    (kept,) = cache_folder.rglob("grid-*.json")
    kept.write_bytes(spoiled)
    monkeypatch.setattr(pilot, "_known", {})
    again = Pilots()
    assert calibrated("key", again) == found
    assert again.asked
    assert json.loads(kept.read_text(encoding="utf-8"))["fineness"] == found.fineness


@pytest.mark.parametrize("spoiled", ["{}", "[]", "null"])
def test_what_is_no_calibration_is_found_anew(
    spoiled: str, cache_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    found = calibrated("key", Pilots())
    (kept,) = cache_folder.rglob("grid-*.json")
    kept.write_text(spoiled, encoding="utf-8")
    monkeypatch.setattr(pilot, "_known", {})
    assert calibrated("key", Pilots()) == found


def test_a_cache_that_cannot_be_written_does_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    blocked = tmp_path / "file"
    blocked.write_text("no folder", encoding="utf-8")
    monkeypatch.setenv("EUTHYMIA_CACHE", str(blocked))
    first, second = Pilots(), Pilots()
    assert calibrated("key", first) == calibrated("key", second)
    assert second.asked == []  # kept in memory


# --- of a run --------------------------------------------------------------------------------------------


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list to which every solve adds its number of patients."""
    real, counts = module.solve_chain, []

    def solve(*arguments: Any, patient_count: int, **more: Any) -> ChainSolution:
        counts.append(patient_count)
        return real(*arguments, patient_count=patient_count, **more)

    monkeypatch.setattr(module, "solve_chain", solve)
    return counts


@pytest.mark.slow
def test_pilots_are_solved_once_for_a_schedule_whoever_asks(monkeypatch: pytest.MonkeyPatch):
    counts = counted(monkeypatch)
    asked: dict[str, Any] = {"days": 1.0, "engine": "c", "times_h": [0.0, 24.0]}
    first = simulate(INFUSION, patients=2, **asked)
    assert counts.count(PILOTS) >= 2
    assert counts[-1] == 2
    counts.clear()
    again = simulate(INFUSION, patients=3, seed=1, **asked)
    pilot._known.clear()
    simulate(INFUSION, patients=2, seed=9, variables=["madrs_points"], **asked)
    assert counts == [3, 2]
    for name, values in first.values.items():
        assert values.tobytes() == again.values[name][:2].tobytes(), name
    counts.clear()
    simulate(INFUSION, patients=2, setting="saline", **asked)
    assert PILOTS in counts


class StoppedError(Exception):
    """The key is known: nothing need be solved."""


@pytest.fixture
def key_of(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Return what gives the key under which the calibration of a run is kept."""
    keys: list[str] = []

    def stop(key: object, solve: object) -> None:
        keys.append(repr(key))
        raise StoppedError

    monkeypatch.setattr(module, "calibrated", stop)

    def key(regimen: str | None = INFUSION, **more: Any) -> str:
        asked: dict[str, Any] = {"patients": 1, "days": 1.0, "times_h": [0.0], "variables": ["madrs_points"]}
        with pytest.raises(StoppedError):
            simulate(regimen, **asked | {"engine": "c"} | more)
        return keys[-1]

    return key


@pytest.mark.parametrize(
    "more",
    [
        {"regimen": "ketamine 0.5 mg/kg iv over 41 min"},
        {"regimen": None},
        {"days": 1.5},
        {"times_h": [-1.0, 0.0]},
        {"setting": "saline"},
        {"omit": ["drug"]},
        {"quality": "quality_low"},
        {"has_mood_noise": False},
        {"parameters": load_parameters().with_overrides({"severity.severity_time_h": 0.5})},
        {"life": Life(is_well=True)},
        {"life": Life(has_events=True)},
        {"life": Life(stress=(Pulse(1.0, 2.0, 1.0),))},
        {"life": Life(taken=(Taken(drug="sertraline", daily_mg=50.0),))},
        {"factors": np.zeros((1, 1))},
    ],
    ids=lambda more: next(iter(more)),
)
def test_whatever_changes_steps_or_model_has_a_key_of_its_own(more: dict[str, Any], key_of: Any):
    assert key_of(**more) != key_of()


@pytest.mark.parametrize(
    "more",
    [
        {"patients": 4},
        {"seed": 5},
        {"variables": None},
        {"times_h": [0.0, 3.0]},
        {"factors": np.ones((1, 1))},
    ],
    ids=str,
)
def test_whoever_asks_and_for_what_leaves_the_key(more: dict[str, Any], key_of: Any):
    assert key_of(**more) == key_of()
