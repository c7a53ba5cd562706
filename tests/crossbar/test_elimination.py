"""The order and structure of an elimination: every node once, every conductance in its slot."""

from __future__ import annotations

import numpy as np
import pytest

from cosim.crossbar.elimination import eliminate


@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (4, 4), (3, 5)])
@pytest.mark.parametrize("wires", [(False, False), (True, True), (True, False)])
def test_star_mesh_elimination_solves_the_laplacian(shape: tuple[int, int], wires: tuple[bool, bool]) -> None:
    """Written anew with numpy on the structure alone, against a dense solve of the same equations."""
    plan, rng = eliminate(*shape, *wires), np.random.default_rng(1)
    w = np.zeros(len(plan.neighbour))
    for slots in (plan.cell, plan.word_wire, plan.bit_wire):
        w[slots] = rng.uniform(1e-6, 1.0, len(slots))
    s, b = rng.uniform(0, 1e-3, plan.nodes), rng.normal(size=plan.nodes)
    laplacian = np.diag(s)
    for k in range(plan.nodes):
        for q in range(plan.first[k], plan.first[k + 1]):
            j = plan.neighbour[q]
            laplacian[[k, j, k, j], [k, j, j, k]] += w[q] * np.array([1, 1, -1, -1])
    wanted = np.linalg.solve(laplacian, b)
    t, u, pivots = 0, b.copy(), np.zeros(plan.nodes)
    for k in range(plan.nodes):
        own = range(plan.first[k], plan.first[k + 1])
        pivots[k] = s[k] + w[own].sum()
        for q in own:
            part, i = w[q] / pivots[k], plan.neighbour[q]
            s[i], u[i] = s[i] + part * s[k], u[i] + part * u[k]
            for r in range(q + 1, own.stop):
                w[plan.target[t]] += part * w[r]
                t += 1
    assert t == len(plan.target)
    for k in reversed(range(plan.nodes)):
        own = slice(plan.first[k], plan.first[k + 1])
        u[k] = (u[k] + w[own] @ u[plan.neighbour[own]]) / pivots[k]
    np.testing.assert_allclose(u, wanted, rtol=1e-9)


def test_ideal_lines_are_one_node_each() -> None:
    assert eliminate(4, 5, False, False).nodes == 9
    assert eliminate(4, 5, True, True).nodes == 40
    assert eliminate(4, 5, False, True).nodes == 4 + 20
