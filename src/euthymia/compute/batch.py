"""Cuts a computation into chunks of a fixed size, whatever runs them."""

from __future__ import annotations

from euthymia.errors import invalid


def chunks(count: int, size: int) -> list[slice]:
    """Cut ``count`` items into consecutive slices of ``size``; the last may be shorter.

    The cuts depend on nothing else, in particular not on the number of workers, so that sums over a chunk
    are the same bytes on every machine.

    Parameters
    ----------
    count : int
        Number of items, from 0.
    size : int
        Number of items in a chunk, from 1.

    Returns
    -------
    slices : list of slice
        In order, each with start and stop given; together they cover 0 to count once.

    Raises
    ------
    InvalidInputError
        If count is negative or size is below 1.

    Examples
    --------
    >>> from euthymia.compute.batch import chunks
    >>> chunks(5, 2)
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    if count < 0:
        raise invalid(field="count", must="a whole number from 0", got=count)
    if size < 1:
        raise invalid(field="size", must="a whole number from 1", got=size)
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]
