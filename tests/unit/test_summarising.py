"""Many patients in little memory: the same numbers as trajectories give, whatever the chunks and threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from euthymia.compute.serial import SerialExecutor
from euthymia.compute.threads import ThreadExecutor
from euthymia.errors import InvalidInputError
from euthymia.population import summarising
from euthymia.population.simulate import simulate
from euthymia.population.summarising import Summary, summarise

REGIMEN = "ketamine 0.5 mg/kg iv over 40 min"
TIMES_H = [0.0, 2.0, 24.0, 48.0]
NAMES = ("madrs_points", "ketamine_arterial")
COUNT = 40


def asked(**more: Any) -> dict[str, Any]:
    return {"patients": COUNT, "times_h": TIMES_H, "days": 2.0, "variables": NAMES} | more


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Blocks of 8 patients, and chunks of as many as are asked for."""
    monkeypatch.setattr(summarising, "BLOCK", 8)

    def chunks_of(size: int) -> None:
        monkeypatch.setattr(summarising, "LARGEST_CHUNK", size)

    chunks_of(16)
    return chunks_of


def bytes_of(summary: Summary) -> dict[str, bytes]:
    """Return every number of a summary."""
    last = {} if summary.last is None else summary.last
    curves = {
        f"{name} {field}": getattr(curve, field).tobytes()
        for name, curve in summary.curves.items()
        for field in ("quantiles", "mean", "sd", "smallest", "largest")
    }
    return (
        curves
        | {name: share.tobytes() for name, share in summary.shares.items()}
        | {f"last {name}": values.tobytes() for name, values in last.items()}
    )


def check_against_trajectories(summary: Summary, *, rtol: float, **more: Any) -> None:
    course = simulate(REGIMEN, **asked(**more))
    for name, curve in summary.curves.items():
        values = course[name]
        # of few patients a quantile lies between two of them, wherever definitions put it there
        ordered = np.sort(values, axis=0)
        for level, found in zip(summary.levels, curve.quantiles, strict=True):
            place = level * (len(values) - 1)
            low, high = ordered[int(np.floor(place))], ordered[int(np.ceil(place))]
            assert np.all(found >= low - curve.resolution)
            assert np.all(found <= high + curve.resolution)
        np.testing.assert_allclose(curve.mean, values.mean(axis=0), rtol=rtol, atol=1e-9)
        np.testing.assert_allclose(curve.sd, values.std(axis=0), rtol=rtol, atol=1e-6)
        np.testing.assert_allclose(curve.smallest, values.min(axis=0), rtol=rtol, atol=1e-9)
        np.testing.assert_allclose(curve.largest, values.max(axis=0), rtol=rtol, atol=1e-9)
        assert curve.outside_fraction == 0.0
    points = course["madrs_points"]
    fallen = points[:, :1] - points >= 0.5 * points[:, :1]
    np.testing.assert_array_equal(summary.shares["MADRS response"], fallen.mean(axis=0))
    assert set(summary.shares) == {"MADRS response", "MADRS remission"}


def test_numbers_are_those_of_trajectories(small_blocks: Callable[[int], None]):
    summary = summarise(REGIMEN, **asked())
    check_against_trajectories(summary, rtol=1e-6)
    assert summary.patients == COUNT
    assert summary.session_starts_h == (0.0,)
    assert summary.certificate.method.startswith("RODAS4")


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["numpy", "c"])
def test_quantiles_of_many_are_those_of_trajectories_within_the_resolution(engine: str):
    more: dict[str, Any] = {"patients": 1500, "engine": engine}
    summary = summarise(REGIMEN, **asked(**more))
    # as solved in other chunks: the compiled engine keeps values in single precision
    check_against_trajectories(summary, rtol=1e-6, **more)
    course = simulate(REGIMEN, **asked(**more))
    for name, curve in summary.curves.items():
        difference = np.abs(curve.quantiles - course.quantiles(name, summary.levels))
        # between two patients who stand further apart than a bin nothing is exact
        spaced = np.array(
            [[_gap_at(course[name][:, at], level) for at in range(len(TIMES_H))] for level in summary.levels]
        )
        assert np.all(difference <= curve.resolution + spaced)


def _gap_at(values: np.ndarray, level: float) -> float:
    ordered, place = np.sort(values), level * (len(values) - 1)
    return float(ordered[int(np.ceil(place))] - ordered[int(np.floor(place))])


@pytest.mark.slow
def test_real_blocks_in_two_sizes_of_chunk_give_the_same_bytes(monkeypatch: pytest.MonkeyPatch):
    found = []
    for chunk in (summarising.BLOCK, 2 * summarising.BLOCK):
        monkeypatch.setattr(summarising, "LARGEST_CHUNK", chunk)
        found.append(bytes_of(summarise(REGIMEN, **asked(patients=700, engine="c", keeps_last=True))))
    assert found[0] == found[1]


def test_chunks_and_threads_change_no_byte(small_blocks: Callable[[int], None]):
    few: dict[str, Any] = {"patients": 20, "days": 1.0, "times_h": [0.0, 24.0], "keeps_last": True}
    usual = bytes_of(summarise(REGIMEN, **asked(**few, executor=SerialExecutor())))
    for size, executor in ((16, ThreadExecutor(1)), (8, ThreadExecutor(2))):
        small_blocks(size)
        assert bytes_of(summarise(REGIMEN, **asked(**few, executor=executor))) == usual


def test_last_values_are_those_of_each_patient(small_blocks: Callable[[int], None]):
    summary = summarise(REGIMEN, **asked(keeps_last=True))
    course = simulate(REGIMEN, **asked())
    assert summary.last is not None
    for name in NAMES:
        assert summary.last[name].dtype == np.float32
        np.testing.assert_array_equal(summary.last[name], course[name][:, -1].astype(np.float32))


def test_nothing_is_kept_of_patients_unless_asked(small_blocks: Callable[[int], None]):
    assert summarise(REGIMEN, **asked(patients=3)).last is None


def test_who_lies_outside_the_histogram_is_counted_and_extremes_stay_exact(
    small_blocks: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(summarising, "WIDENED", -0.3)
    curve = summarise(REGIMEN, **asked()).curves["madrs_points"]
    points = simulate(REGIMEN, **asked())["madrs_points"]
    assert 0.0 < curve.outside_fraction <= 1.0
    np.testing.assert_allclose(curve.smallest, points.min(axis=0), rtol=1e-12)
    np.testing.assert_allclose(curve.largest, points.max(axis=0), rtol=1e-12)
    np.testing.assert_allclose(curve.mean, points.mean(axis=0), rtol=1e-12)


def test_some_of_the_times_keep_their_numbers(small_blocks: Callable[[int], None]):
    whole = summarise(REGIMEN, **asked())
    some = whole.at([2.0, 48.0])
    np.testing.assert_array_equal(some.times_h, [2.0, 48.0])
    for name in NAMES:
        np.testing.assert_array_equal(some.curves[name].quantiles, whole.curves[name].quantiles[:, [1, 3]])
        np.testing.assert_array_equal(some.curves[name].sd, whole.curves[name].sd[[1, 3]])
    np.testing.assert_array_equal(some.shares["MADRS response"], whole.shares["MADRS response"][[1, 3]])


def test_progress_counts_patients_to_the_end(small_blocks: Callable[[int], None]):
    said: list[tuple[int, int]] = []

    def note(done: int, total: int) -> None:
        said.append((done, total))

    summarise(REGIMEN, **asked(executor=SerialExecutor(), on_done=note))
    assert said == [(16, COUNT), (32, COUNT), (40, COUNT)]


@pytest.mark.parametrize("memory_mb", [0.0, 0.001, -1.0, float("nan")])
def test_too_little_memory_is_refused_with_what_is_needed(memory_mb: float):
    with pytest.raises(InvalidInputError, match=r"'memory_mb' must be at least \d+ for 4 times"):
        summarise(REGIMEN, **asked(memory_mb=memory_mb))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"patients": 0}, "'patients' must be a whole number from 1"),
        ({"levels": (0.5, 1.0)}, "'levels' must be above 0 and below 1"),
        ({"variables": ("madrs",)}, "Unknown variable 'madrs'"),
    ],
)
def test_what_is_not_allowed_is_named(given: dict[str, Any], said: str):
    with pytest.raises(InvalidInputError, match=said):
        summarise(REGIMEN, **asked(**given))


def test_all_memory_there_is_gives_the_largest_chunk():
    from euthymia.population.run import prepare

    run = prepare(REGIMEN, **asked())
    assert summarising.chunk_size(run, float("inf")) == summarising.LARGEST_CHUNK
    assert summarising.chunk_size(run, 40.0) % summarising.BLOCK == 0
