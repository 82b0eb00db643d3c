"""What may run the chunks of a computation: one interface, so that nothing else knows about threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

Chunk = TypeVar("Chunk")
Result = TypeVar("Result")


class Executor(Protocol):
    """Runs a function on every chunk and returns the results in the order of the chunks.

    Results do not depend on which executor runs them: chunks are cut before (`euthymia.compute.batch`), and
    a function sees its own chunk only.
    """

    def map(
        self,
        function: Callable[[Chunk], Result],
        chunks: Sequence[Chunk],
        *,
        on_done: Callable[[int], object] | None = None,
        on_result: Callable[[int, Result], object] | None = None,
    ) -> list[Result]:
        """Return ``[function(chunk) for chunk in chunks]``.

        Parameters
        ----------
        function : callable
            Pure; it may run in any order and at the same time as itself.
        chunks : sequence
            What to run it on.
        on_done : callable, optional
            Called in the calling thread with the number of finished chunks, each time it has grown.
        on_result : callable, optional
            Called in the calling thread with the place and the result of each chunk as soon as it is there,
            in any order, before ``on_done``; so that results may be kept of a run that fails later.

        Raises
        ------
        Exception
            That of the first chunk, in the order of the chunks, whose function raised. Chunks that have not
            started when it is noticed never start.
        """
        ...
