"""What may be decided during a run: a policy looks at patients at visits and sets what they get of a dose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from euthymia.model.course import Decision
from euthymia.model.parameters import ParameterSet
from euthymia.model.pk import Given


class Policy(Protocol):
    """A rule for doses, which are given in full unless it says otherwise at a visit."""

    @property
    def text(self) -> str:
        """What is said of it beside a result."""
        ...

    def for_course(self, given: Sequence[Given], start_h: float) -> Policy:
        """Return the rule for the doses of a regimen, whose run starts at an hour."""
        ...

    def decisions(
        self, parameters: ParameterSet, numbers: NDArray[np.int64] | None, seed: int
    ) -> tuple[Decision, ...]:
        """Return what happens at each visit, for patients by their numbers (None: the typical one)."""
        ...
