"""One BLAS thread around many small dense kernels.

On two cores, OpenBLAS with two threads is four to thirty times slower on the matrices of a crossbar
than with one; the limit holds for the block and is put back afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def single_threaded() -> Iterator[None]:
    """Limit BLAS to one thread inside the block."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="blas"):
        yield
