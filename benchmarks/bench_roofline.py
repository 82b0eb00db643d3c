"""What limits the compiled engine: arithmetic and bytes of a patient, beside what one core can do.

Arithmetic is counted from the program that is compiled (an addition, a product, a comparison or a choice
counts 1, a fused multiply-add 2, a division 1, functions as listed below), for the equations of a course of
ketamine alone. The peak is measured here, by fused multiply-adds that stay in registers. Bytes are those a
step touches: they fit into the second cache, so that memory itself is hardly read.

    python benchmarks/bench_roofline.py
"""

from __future__ import annotations

import ctypes
import time
from collections import Counter

import numpy as np

from euthymia.compute.serial import SerialExecutor
from euthymia.engine import build
from euthymia.engine.jacobian import trace_step
from euthymia.engine.lower import Lowered, lower
from euthymia.engine.program import Level, Program
from euthymia.engine.rosenbrock import RODAS4
from euthymia.model import wiring
from euthymia.model.chain import EQUATIONS, circuit_table, node_constants
from euthymia.model.parameters import load_parameters
from euthymia.population import simulate as population
from euthymia.population import solve as solving

REGIMEN = "ketamine 0.5 mg/kg iv over 40 min, twice weekly x 8"
DAYS, PATIENTS = 28.0, 2048
FLOPS = {"exp": 22, "log": 24, "tanh": 45, "sqrt": 1, "table2": 110, "table2_x": 60, "table2_y": 60}
"""Operations of one call; what is not named counts 1."""

PEAK_SOURCE = """
typedef float V __attribute__((vector_size(4 * LANES)));
#include <immintrin.h>
#if LANES == 16
#define FMA(a, b, c) ((V)_mm512_fmadd_ps((__m512)(a), (__m512)(b), (__m512)(c)))
#else
#define FMA(a, b, c) ((V)_mm256_fmadd_ps((__m256)(a), (__m256)(b), (__m256)(c)))
#endif
float peak(long times) {
  V sum[12], a = (V){0} + 0.999f, b = (V){0} + 1e-3f;
  for (int i = 0; i < 12; i++) sum[i] = (V){0} + (float)i;
  for (long t = 0; t < times; t++)
    for (int i = 0; i < 12; i++) sum[i] = FMA(sum[i], a, b);
  float total = 0;
  for (int i = 0; i < 12; i++) total += sum[i][0];
  return total;
}
"""


def flops_of(program: Program, levels: dict[str, Level], wanted: set[Level]) -> int:
    """Return how many operations some levels of a program take."""
    ops = Counter(node.op for node in program.nodes if levels[node.name] in wanted)
    return sum(FLOPS.get(op, 1) * count for op, count in ops.items())


def step_flops(lowered: Lowered, states: int, drives: int) -> dict[str, int]:
    """Return operations of one step by what they are for."""
    levels = dict(lowered.levels)
    rates = flops_of(lowered.rates, levels, {Level.STATE})
    along = flops_of(lowered.rates, levels, {Level.DRIVE})
    prepare = flops_of(lowered.prepare, levels, {Level.STATE, Level.DRIVE})
    stages = len(RODAS4.nodes)
    sums = sum(2 * len(row) for row in (*RODAS4.arguments, *RODAS4.corrections)) + 3 * stages
    return {
        "rates at five stages": 5 * rates,
        "what drives decide, four times": 4 * along,
        "rates, Jacobian and its factors": prepare,
        "six linear solves": stages * len(lowered.solve.nodes),
        "sums of stages": states * sums,
        "drives at four times": 4 * 12 * drives,
    }


def peak_flops_per_s(width: int) -> float:
    """Return fused multiply-adds of one core, two operations each, per second."""
    library = build.load(f"#define LANES {width}\n{PEAK_SOURCE}", width)
    library.peak.restype = ctypes.c_float
    times, best = 20_000_000, np.inf
    for _ in range(3):
        started = time.perf_counter()
        library.peak(ctypes.c_long(times))
        best = min(best, time.perf_counter() - started)
    return 2.0 * 12 * width * times / best


def main() -> None:
    parameters, width = load_parameters(), build.lanes()
    fixed = {name: float(parameters.chain[name].value) for name in wiring.STRUCTURAL}
    fixed[wiring.CIRCUIT_TABLE] = circuit_table(node_constants(parameters))
    lowered = lower(trace_step(EQUATIONS, fixed, wiring.BESIDE))
    states = len(EQUATIONS.states)
    parts = step_flops(lowered, states, len(EQUATIONS.drives) - len(wiring.BESIDE))
    solving.PATIENTS_PER_CHUNK = PATIENTS

    def solve() -> tuple[float, int]:
        started = time.perf_counter()
        course = population.simulate(
            REGIMEN,
            patients=PATIENTS,
            days=DAYS,
            times_h=[0.0, DAYS * 24.0],
            variables=["madrs_points"],
            engine="c",
            executor=SerialExecutor(),
        )
        return time.perf_counter() - started, int(course.certificate.method.split()[1])

    solve()
    seconds, steps = min(solve() for _ in range(3))
    per_step = sum(parts.values())
    per_patient = 1.5 * steps * per_step
    peak = peak_flops_per_s(width)
    reached = per_patient * PATIENTS / seconds
    kept = 4 * (len(lowered.kept) + len(lowered.passed) + states * (3 + 6 + 3) + 110) + 8 * 2 * states
    print(f"{width} lanes; {steps} steps and half as many of twice the length, {states} states")
    for name, count in parts.items():
        print(f"  {name:<34}{count:>7} operations a step")
    print(f"  together {per_step} a step, {per_patient / 1e6:.2f} million a patient in {DAYS:g} days")
    print(f"  a step works on about {kept * width / 1024:.0f} KiB for {width} patients")
    print(f"measured peak of one core: {peak / 1e9:.0f} thousand million operations a second")
    print(
        f"reached with everything around it: {reached / 1e9:.1f}, {100 * reached / peak:.0f} % of the peak; "
        f"{PATIENTS / seconds:,.0f} patients/s on one core"
    )


if __name__ == "__main__":
    main()
