"""The seam: requests are values with a hash by content; backends are found by name."""

from __future__ import annotations

import dataclasses
import pickle
import subprocess
import sys

import numpy as np
import pytest

from cosim.crossbar import Cell, Energy, Phase, PhaseRequest, Segments, find, level, single
from cosim.crossbar.backend import CrossbarBackend, net_vector, registered
from cosim.devices import Mss
from cosim.errors import UnknownNameError


def request(**changes: object) -> PhaseRequest:
    network = single("t", (2, 2), Mss(), Cell("1R"), Segments(1.0, 1.0))
    phase = Phase("read", 1000, {"wl0": level(0.1)}, (500,))
    plain = PhaseRequest(network, (np.full((2, 2), 0.5),), None, 0, 300.0, phase, 1)
    return dataclasses.replace(plain, **changes)  # type: ignore[arg-type]


def test_the_hash_is_by_content() -> None:
    assert request().digest() == request().digest()
    assert request(start_fs=10**18).digest() == request().digest()


@pytest.mark.parametrize(
    "changes",
    [
        {"states": (np.full((2, 2), np.nextafter(0.5, 1)),)},
        {"temperature": 301.0},
        {"noise_seed": 2},
        {"phase": Phase("read", 1001, {"wl0": level(0.1)}, (500,))},
        {"phase": Phase("verify", 1000, {"wl0": level(0.1)}, (500,))},
        {"phase": Phase("read", 1000, {"wl1": level(0.1)}, (500,))},
        {"phase": Phase("read", 1000, {"wl0": level(0.1)}, (501,))},
        {"network": single("t", (2, 2), Mss(tau=2e-5), Cell("1R"), Segments(1.0, 1.0))},
        {"network": single("t", (2, 2), Mss(), Cell("1R"), Segments(1.0, 1.1))},
        {"node_voltages": (np.zeros((2, 2, 2)),)},
    ],
)
def test_whatever_changes_the_outcome_changes_the_hash(changes: dict[str, object]) -> None:
    assert request(**changes).digest() != request().digest()


def test_hash_is_the_same_in_another_process() -> None:
    code = "import pickle, sys; sys.stdout.write(pickle.loads(sys.stdin.buffer.read()).digest())"
    done = subprocess.run(
        [sys.executable, "-c", code], input=pickle.dumps(request()), capture_output=True, check=True
    )
    assert done.stdout.decode() == request().digest()


def test_requests_pickle() -> None:
    again = pickle.loads(pickle.dumps(request()))
    assert again.digest() == request().digest()


def test_energy_sums() -> None:
    energy = Energy(
        np.array([5.0, 1.0]), np.array([0.5, 0.0]), (np.full((2, 2), 1.0),), 0.25, 0.125, 0.0625, 0.5
    )
    assert energy.dissipated == 4.4375
    assert energy.numerical == 6.0 - 0.5 - 4.4375 - 0.5


def test_registry() -> None:
    assert {"behavioral", "ngspice", "paired", "scripted"} <= set(registered())
    backend = find("behavioral")(fidelity="ideal")
    assert isinstance(backend, CrossbarBackend)
    assert backend.describe() == {"backend": "behavioral", "fidelity": "ideal"}
    with pytest.raises(
        UnknownNameError, match="there is no backend called 'ngspcie'; did you mean 'ngspice'"
    ):
        find("ngspcie")


def test_submit_hands_errors_over() -> None:
    backend = find("scripted")(lambda request: 1 / 0)
    future = backend.submit(request())
    with pytest.raises(ZeroDivisionError):
        future.result()


def test_net_vector() -> None:
    assert net_vector(request().network, {"bl0": 2.0}, fill=-1.0).tolist() == [-1.0, -1.0, 2.0, -1.0]
