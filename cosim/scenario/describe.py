"""What is there: device models with their parameters, and the optional pieces of the machine."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from cosim.crossbar.backend import find
from cosim.devices.registry import models, preset_sources, presets
from cosim.errors import CosimError
from cosim.scenario.devices import quantity_default
from cosim.scenario.hardware_presets import SECTIONS, HardwarePreset
from cosim.scenario.run import versions


def describe_devices() -> dict[str, Any]:
    """Return every device model with its parameters (default, unit, meaning, source), and all presets."""
    found = {}
    for name, model in sorted(models().items()):
        parameters = {
            entry.name: {
                "default": quantity_default(model, entry),
                "doc": entry.metadata.get("doc", ""),
                "source": entry.metadata.get("source", ""),
            }
            for entry in dataclasses.fields(model)  # type: ignore[arg-type]
        }
        summary = (inspect.getdoc(model) or "").splitlines()[0]
        found[name] = {"summary": summary, "reference": model.reference, "parameters": parameters}
    return {
        "models": found,
        "presets": {name: value.name for name, value in sorted(presets().items())},
        "preset_sources": dict(sorted(preset_sources().items())),
        "hardware_presets": {".".join(path): _hardware(known) for path, known in SECTIONS.items()},
    }


def _hardware(known: Mapping[str, HardwarePreset]) -> dict[str, Any]:
    """Return the presets of a section with every entry and its source."""
    return {
        name: {
            "summary": preset.summary,
            "entries": {key: leaf._asdict() for key, leaf in preset.leaves().items()},
        }
        for name, preset in known.items()
    }


def doctor_lines() -> tuple[list[str], bool]:
    """Return one line per optional piece, tested, and whether the core works."""
    lines = [f"{name:<16} {number}" for name, number in versions().items()]
    lines.append(_spice_line())
    for module, extra, use in (
        ("numba", "fast", "compiled solver kernels; without it large arrays are 2 to 5 times slower"),
        ("PySpice", "spice", "ngspice as a library in a worker; without it the ngspice program is used"),
        ("lmfit", "fit", "cosim fit"),
        ("pyarrow", "parquet", "Parquet tables beside CSV"),
        ("pylibfst", "fst", "waveforms in GTKWave's FST format beside VCD"),
    ):
        if find_spec(module) is None:
            lines.append(
                f"{module:<16} missing (optional): {use}; install it with: pip install 'cosim-crossbar[{extra}]'"
            )
    good = _behavioral_works()
    lines.append(f"behavioral run   {'works' if good else 'FAILS: please report it'}")
    return lines, good


def _spice_line() -> str:
    try:
        spice: Any = find("ngspice")()
    except CosimError as error:
        return f"ngspice          missing (optional): {error}"
    try:
        described = spice.describe()
    finally:
        spice.close()
    words = ", ".join(
        f"{key} {value}" for key, value in described.items() if key != "backend" and value != ""
    )
    return f"ngspice          {words}"


def _behavioral_works() -> bool:
    import numpy as np

    from cosim.array import Array
    from cosim.hardware import ArraySpec, Hardware

    array = Array.program(np.eye(2), Hardware(ArraySpec(2, 2)))
    return bool(np.allclose(array @ np.array([1.0, 0.5]), [1.0, 0.5], atol=0.1))
