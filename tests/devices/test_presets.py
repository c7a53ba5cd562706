"""Every preset says where its numbers come from."""

from __future__ import annotations

import pytest

from cosim.devices import presets
from cosim.devices.registry import preset_sources


def test_every_preset_has_a_source() -> None:
    assert set(preset_sources()) == set(presets())


@pytest.mark.parametrize("name", sorted(presets()))
def test_source_is_not_empty(name: str) -> None:
    assert len(preset_sources()[name].split()) >= 3
