"""Backends that several test files ask."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cosim.backends.ngspice import NgspiceBackend


@pytest.fixture(scope="module")
def spice() -> Iterator[NgspiceBackend]:
    """The ngspice backend with its defaults."""
    backend = NgspiceBackend()
    yield backend
    backend.close()
