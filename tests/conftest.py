"""Settings that every test shares."""

from __future__ import annotations

import os

# Matrices here are small: threads of the linear algebra library only get in each other's way.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# What the equations say is tested in double precision; the compiled engine is held against that on its own.
os.environ["EUTHYMIA_ENGINE"] = "numpy"
# A posterior changes with every calibration: tests are of the model, and say where they want one.
os.environ["EUTHYMIA_POSTERIOR"] = "prior"

import pytest
from hypothesis import settings

# In CI the examples are always the same; at a desk each run tries new ones and prints how to repeat them.
settings.register_profile(
    "euthymia",
    deadline=None,
    print_blob=True,
    derandomize=bool(os.environ.get("CI")),
    max_examples=60,
)
settings.load_profile("euthymia")


@pytest.fixture
def nothing_is_frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Close what is kept to validate, as it is before a posterior is frozen."""
    from euthymia.evidence import select

    monkeypatch.setattr(select, "frozen_posterior", lambda: "")
