"""Integrals over solver points against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from cosim.spice.quadrature import integral, product_integral, signed_product_integrals

TIME = np.array([0.0, 0.1, 0.15, 0.4, 1.0])


def test_product_of_two_lines_is_exact_on_uneven_points() -> None:
    first, second = 2 - 3 * TIME, 1 + 5 * TIME
    assert product_integral(TIME, first, second) == pytest.approx(2 + 7 / 2 - 15 / 3, rel=1e-14)
    assert integral(TIME, first) == pytest.approx(0.5, rel=1e-14)


def test_signed_parts_add_up_and_find_the_crossing() -> None:
    ramp, ones = 1 - 2 * TIME, np.ones_like(TIME)
    positive, negative = signed_product_integrals(TIME, ramp, ones)
    assert positive == pytest.approx(0.25, rel=1e-12)
    assert negative == pytest.approx(0.25, rel=1e-12)


def test_axes_beside_time_are_kept() -> None:
    block = np.random.default_rng(0).normal(size=(5, 3))
    positive, negative = signed_product_integrals(TIME, block, block[:, ::-1])
    assert positive.shape == (3,)
    assert (positive >= 0).all()
    assert (negative >= 0).all()
    assert np.allclose(positive - negative, product_integral(TIME, block, block[:, ::-1]), rtol=1e-12)
