"""The executor that runs one chunk after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import final

from euthymia.compute.executor import Chunk, Result


@final
class SerialExecutor:
    """Runs the chunks in order in the calling thread; the reference for every other executor."""

    def map(
        self,
        function: Callable[[Chunk], Result],
        chunks: Sequence[Chunk],
        *,
        on_done: Callable[[int], object] | None = None,
        on_result: Callable[[int, Result], object] | None = None,
    ) -> list[Result]:
        """Implement `euthymia.compute.executor.Executor.map`."""
        results: list[Result] = []
        for place, chunk in enumerate(chunks):
            results.append(function(chunk))
            if on_result is not None:
                on_result(place, results[-1])
            if on_done is not None:
                on_done(len(results))
        return results
