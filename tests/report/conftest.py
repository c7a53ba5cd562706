import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cosim.records import Trace

sys.path.insert(0, str(Path(__file__).parent))

from synthetic import make_trace


@pytest.fixture
def trace() -> Trace:
    return make_trace(tiles=3)


@pytest.fixture
def make() -> Callable[..., Trace]:
    return make_trace
