"""The compiled engine against NumPy's: the same numbers, the same bytes however run, never a lost run."""

from __future__ import annotations

import ctypes
import multiprocessing
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from euthymia.compute.serial import SerialExecutor
from euthymia.compute.threads import ThreadExecutor
from euthymia.engine import build
from euthymia.engine.equations import Equations, SolveFailedError
from euthymia.engine.integrate import integrate
from euthymia.errors import ResultWarning
from euthymia.model.mechanisms import mechanisms, with_mechanisms
from euthymia.model.parameters import load_parameters
from euthymia.model.trajectory import Trajectory
from euthymia.population import simulate as module
from euthymia.population.simulate import simulate

Array = NDArray[np.float64]
EVERYTHING = (
    "ketamine 0.5 mg/kg iv over 40 min, twice weekly x 2; midazolam 2 mg iv over 30 min at 2 d; "
    "escitalopram 10 mg daily x 7; CBT 50 min at 1 d after each dose; ECT at 5 d; preparation 60 min at 0 d"
)


def run(regimen: str = EVERYTHING, **more: Any) -> Trajectory:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResultWarning)
        return simulate(regimen, **{"setting": "midazolam+admission", "engine": "c", "patients": 5} | more)


def worst(one: Trajectory, other: Trajectory) -> float:
    """Return the largest difference of any observable, relative to its largest value."""
    return max(
        float(np.abs(one.values[name] - value).max() / max(float(np.abs(value).max()), 1e-12))
        for name, value in other.values.items()
    )


def test_every_observable_agrees_with_numpy():
    compiled, plain = run(), run(engine="numpy")
    assert compiled.provenance.engine == "c (RODAS4)"
    assert worst(compiled, plain) < 1e-9


@pytest.mark.parametrize("name", mechanisms())
def test_every_mechanism_runs_compiled(name: str):
    parameters = with_mechanisms(load_parameters(), [name])
    more: dict[str, Any] = {"patients": 2, "days": 3, "setting": "anaesthesia", "parameters": parameters}
    regimen = "ketamine 0.5 mg/kg iv over 40 min"
    assert worst(run(regimen, **more), run(regimen, engine="numpy", **more)) < 1e-9


@pytest.mark.parametrize(
    "regimen",
    [
        "ketamine 35 mg im",
        "ketamine 35 mg sc",
        "esketamine 84 mg intranasal",
        "ketamine 100 mg sl held 10 min",
        "ketamine 140 mg oral",
        "ketamine 120 mg er",
        "ketamine 0.3 mg/kg iv bolus",
    ],
)
def test_every_route_runs_compiled(regimen: str):
    more: dict[str, Any] = {"patients": 2, "days": 3, "setting": "saline"}
    assert worst(run(regimen, **more), run(regimen, engine="numpy", **more)) < 1e-9


def same_bytes(one: Trajectory, other: Trajectory) -> bool:
    return all(one.values[name].tobytes() == value.tobytes() for name, value in other.values.items())


def test_threads_and_chunks_move_no_byte(monkeypatch: pytest.MonkeyPatch):
    whole = run(patients=9, executor=SerialExecutor())
    monkeypatch.setattr(module, "PATIENTS_PER_CHUNK", 4)
    assert same_bytes(run(patients=9, executor=ThreadExecutor(2)), whole)
    assert same_bytes(run(patients=9, executor=SerialExecutor()), whole)


def test_lane_widths_of_this_machine_move_no_byte(monkeypatch: pytest.MonkeyPatch):
    widest = build.lanes()
    found = run(patients=5, days=8)
    for width in (2, 4, 8):
        if width > widest:
            continue
        monkeypatch.setenv("EUTHYMIA_LANES", str(width))
        assert build.lanes() == width
        assert same_bytes(run(patients=5, days=8), found)


def test_a_failed_solve_names_patient_state_and_term():
    equations = Equations(
        states=("x",),
        drives=(),
        parameters=("k",),
        rates=lambda m, state, drive, parameter: {"x": m.log(parameter["k"]) - state["x"]},
        outputs=lambda m, state, drive, parameter: {},
    )
    with np.errstate(invalid="ignore"), pytest.raises(SolveFailedError) as caught:
        integrate(
            equations,
            {"k": np.array([50.0, -1.0, 50.0])},
            {"x": np.zeros(3)},
            lambda times, *, is_left: ({}, {}),
            grid_h=np.linspace(0.0, 10.0, 40),
            times_h=np.array([10.0]),
            outputs=None,
            patient_count=3,
            is_compiled=True,
        )
    assert (caught.value.patient, caught.value.state) == (1, "x")


# --- building ----------------------------------------------------------------------------------------

SOURCE = "double answer(void) { return 42.0; }\n"


def answer(library: ctypes.CDLL) -> float:
    library.answer.restype = ctypes.c_double
    return library.answer()


def test_a_library_is_kept_and_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("EUTHYMIA_CACHE", str(tmp_path))
    assert answer(build.load(SOURCE, 2)) == 42.0
    kept = list(tmp_path.rglob("*.so"))
    assert len(kept) == 1
    monkeypatch.setattr(build, "_compile", lambda *_: pytest.fail("built again"))
    assert answer(build.load(SOURCE, 2)) == 42.0


def test_a_spoiled_library_is_built_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("EUTHYMIA_CACHE", str(tmp_path))
    text = SOURCE.replace("42.0", "43.0")
    build.load(text, 2)
    (kept,) = tmp_path.rglob("*.so")
    kept.unlink()
    kept.write_bytes(b"no library")
    assert answer(build.load(text, 2)) == 43.0


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    blocked = tmp_path / "file"
    blocked.write_text("no folder", encoding="utf-8")
    monkeypatch.setenv("EUTHYMIA_CACHE", str(blocked))
    assert answer(build.load(SOURCE.replace("42.0", "44.0"), 2)) == 44.0


def _build(folder: str, found: Any) -> None:
    import os

    os.environ["EUTHYMIA_CACHE"] = folder
    found.put(answer(build.load(SOURCE.replace("42.0", "45.0"), 2)))


def test_two_processes_may_build_at_once(tmp_path: Path):
    context = multiprocessing.get_context("spawn")
    found = context.Queue()
    both = [context.Process(target=_build, args=(str(tmp_path), found)) for _ in range(2)]
    for one in both:
        one.start()
    assert [found.get(timeout=60) for _ in both] == [45.0, 45.0]
    for one in both:
        one.join()
    assert len(list(tmp_path.rglob("*.so"))) == 1


@pytest.mark.slow
def test_without_a_compiler_numpy_steps_and_says_so(monkeypatch: pytest.MonkeyPatch):
    def none(*_: Any) -> Any:
        raise build.BuildError("no C compiler was found")

    from euthymia.engine import native

    monkeypatch.setattr(native, "library_of", none)
    more: dict[str, Any] = {"patients": 2, "days": 8}
    found = run(**more)
    assert found.provenance.engine == "numpy (RODAS4)"
    assert any("no C compiler was found" in note for note in found.warnings)
    assert same_bytes(found, run(engine="numpy", **more))


def test_a_compiler_that_fails_is_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("EUTHYMIA_CACHE", str(tmp_path))
    with pytest.raises(build.BuildError, match="error"):
        build.load("this is no C", 2)


# --- functions ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("which", "of_numpy", "x", "tolerance"),
    [
        (0, np.exp, np.linspace(-700.0, 700.0, 20_001), 1e-15),
        (1, np.log, np.exp(np.linspace(-600.0, 600.0, 20_000)), 1e-15),
        (2, np.tanh, np.linspace(-30.0, 30.0, 20_000), 4e-15),
        (3, np.sqrt, np.linspace(0.0, 1e6, 20_001), 0.0),
    ],
    ids=["exp", "log", "tanh", "sqrt"],
)
def test_functions_agree_with_numpy(which: int, of_numpy: Any, x: Array, tolerance: float):
    found = evaluated(which, x)
    np.testing.assert_allclose(found, of_numpy(x), rtol=tolerance, atol=0)


def test_functions_at_their_edges():
    inf, nan = np.inf, np.nan
    np.testing.assert_array_equal(evaluated(0, np.array([inf, 800.0, nan])), [inf, inf, nan])
    assert evaluated(0, np.array([-inf, -800.0])).max() < 1e-300
    np.testing.assert_array_equal(evaluated(1, np.array([0.0, inf, -1.0, nan])), [-inf, inf, nan, nan])
    np.testing.assert_array_equal(evaluated(2, np.array([inf, -inf, 0.0, nan])), [1.0, -1.0, 0.0, nan])


def evaluated(which: int, x: Array) -> Array:
    """Return one of the library's functions of some numbers."""
    from euthymia.engine import native
    from euthymia.engine.kernel import compile_equations

    nothing = Equations(
        states=("x",),
        drives=(),
        parameters=(),
        rates=lambda m, state, drive, parameter: {"x": -state["x"]},
        outputs=lambda m, state, drive, parameter: {},
    )
    library, _ = native.library_of(compile_equations(nothing, {}), build.lanes())
    values = np.ascontiguousarray(x, float)
    found = np.empty_like(values)
    pointers = [one.ctypes.data_as(ctypes.c_void_p) for one in (values, found)]
    library.evaluate(which, ctypes.c_long(len(values)), *pointers)
    return found
