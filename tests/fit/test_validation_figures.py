"""The stored parameters of the fits to measured devices give the stored errors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from scripts import script

from cosim.devices.base import DeviceModel
from cosim.devices.registry import find
from cosim.fit.against import spice_current
from cosim.fit.outcome import measurement_error
from cosim.fit.response import respond_one

FITS = script("benchmarks/fits.py")
STORED = json.loads(FITS.STORED.read_text())


def stored(model: str, kind: str, what: str) -> DeviceModel:
    """Return a device with the parameters of a fit."""
    name, _, barrier = model.partition(" with ")
    fixed = FITS.PREFACTORS if barrier else {}
    found: DeviceModel = find(name)(**STORED[model]["parameters"][kind][what], **fixed)
    return found


@pytest.mark.parametrize("model", FITS.MODELS)
def test_stored_parameters_give_the_stored_errors(model: str, measured: Path) -> None:
    pytest.importorskip("numba")
    loops = [loop.rolled() for loop in FITS.loops()]
    for device in FITS.DEVICES:
        fitted = stored(model, "device", device)
        for loop, current in zip(loops, respond_one(fitted, loops, 300.0), strict=True):
            kind = "device" if device in loop.name else "other"
            error = 100 * measurement_error(loop, current).of_range
            assert error == pytest.approx(STORED[model]["errors"][kind][loop.name], abs=0.1), loop.name


@pytest.mark.ngspice
@pytest.mark.parametrize("device", FITS.DEVICES)
def test_best_set_has_the_same_error_in_ngspice(device: str, measured: Path) -> None:
    model = "mss with barrier"
    fitted = stored(model, "device", device)
    for pattern in (f"r5k_0v8_100hz_{device}", f"r47k_0v8_1hz_{device}"):
        (loop,) = (loop.rolled() for loop in FITS.loops(pattern))
        error = 100 * measurement_error(loop, spice_current(fitted, loop, 300.0)).of_range
        assert error == pytest.approx(STORED[model]["errors"]["device"][loop.name], abs=0.3)
