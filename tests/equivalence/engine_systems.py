"""Made-up equations for the tests of the engine."""

from __future__ import annotations

import numpy as np

from euthymia.engine.equations import Equations
from euthymia.engine.table import Table2

GRID = np.linspace(0.0, 1.0, 9)
TABLE = Table2.fit(np.sin(2 * GRID)[:, None] + np.outer(GRID**2, np.cos(GRID)))


def _rates(m, state, drive, parameter):
    """Every operation of the namespace, fast and slow terms; kinks have a slope, as they must."""
    a, b, c, e = (state[name] for name in "abce")
    dose, blocked = drive["dose"], drive["blocked"]
    occupied = m.hill(dose / parameter["K"], 1.0, parameter["n"])
    gain = m.table2(parameter["table"], 0.6 * a + 0.1 * blocked, 0.8 - (m.minimum(b, 0.8) - 0.8) ** 2)
    return {
        "a": parameter["fast"] * (occupied * m.exp(-b) - a),
        "b": gain - b**3 + m.tanh(c) * a - m.where(b > a, 0.1 * (b - a) ** 2, 0.3 * (a - b) ** 2),
        "c": m.sqrt(1.0 + e * e)
        - c / parameter["K"]
        + (m.maximum(0.3 * a, b - 0.4) - 0.3 * a) ** 2
        - 0.5 * c,
        "e": m.log(2.0 + a) - m.hill(c, 0.7 + 0.1 * e**2, 1) - +e * (2 - b) / (1.5 + c) + blocked,
    }


def _outputs(m, state, drive, parameter):
    return {
        "total": state["a"] + state["b"] + m.where(state["e"] <= 0.2, state["e"], 0.2),
        "seen": m.hill(drive["dose"], parameter["K"], parameter["n"]),
        "flat": 2.0,
    }


EVERYTHING = Equations(
    states=("a", "b", "c", "e"),
    drives=("dose", "blocked"),
    parameters=("K", "n", "fast", "table"),
    rates=_rates,
    outputs=_outputs,
)


def everything_parameters(count):
    """Return parameters of some patients; patient i is the same in every count."""
    draws = np.array([np.random.default_rng(patient).random(3) for patient in range(count)]).T
    return {
        "K": 0.5 + draws[0],
        "n": np.where(np.arange(count) % 5 == 0, 2.0, 1.0 + draws[1]),
        "fast": 40.0 * (1.0 + draws[2]),
        "table": TABLE,
    }


class Doses:
    """Amounts that jump at given times and decay in between, one size a patient; and a shared drive."""

    def __init__(self, count, times_h=(0.0, 5.0)):
        self.sizes = 1.0 + 0.5 * np.sin(np.arange(count))
        self.times_h = times_h

    def __call__(self, times_h, *, is_left):
        dose, slope = np.zeros((2, len(self.sizes), len(times_h)))
        for start in self.times_h:
            given = (times_h > start) | ((times_h == start) & ~is_left)
            part = np.where(
                given, self.sizes[:, None] * np.exp(-0.7 * np.where(given, times_h - start, 0)), 0
            )
            dose, slope = dose + part, slope - 0.7 * part
        blocked = 0.2 + 0.1 * np.sin(times_h)
        return {"dose": dose, "blocked": blocked}, {"dose": slope, "blocked": 0.1 * np.cos(times_h)}


START = {"a": 0.1, "b": 0.3, "c": 0.5, "e": 0.2}
