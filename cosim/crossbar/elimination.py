r"""Order and structure of the elimination of all nodes of one small array, found once for its shape.

A node with conductances :math:`w_j` to its neighbours and :math:`s` to fixed voltages is removed by the star-mesh
transformation (A. Rosen, J. IEE 62 (1924) 916): with :math:`p = s + \sum_j w_j` two neighbours get
:math:`w_i w_j / p` between them, and each one :math:`w_i s / p` to the fixed voltages. Nothing is ever
subtracted, so a line that hangs on weak cells alone keeps all its digits (W. K. Grassmann, M. I. Taksar and D. P. Heyman,
Oper. Res. 33 (1985) 1107). Nodes go in the order of least degree, which keeps the new conductances few.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.intp]


class Elimination(NamedTuple):
    """Nodes of one array, numbered as they are eliminated, and conductances between them by slot.

    ``word``, ``bit`` ``(cells,)``: nodes of every cell, row after row; ``cell`` ``(cells,)``: its slot.
    ``word_wire``, ``bit_wire``: slots of the wire segments between nodes. ``first`` ``(nodes + 1,)``: slots
    ``first[k]`` to ``first[k + 1]`` lead from node k to the later nodes ``neighbour`` ``(slots,)``. ``target``: slots
    between two neighbours of a node, pair after pair, node after node.
    """

    word: Indices
    bit: Indices
    cell: Indices
    word_wire: Indices
    bit_wire: Indices
    first: Indices
    neighbour: Indices
    target: Indices

    @property
    def nodes(self) -> int:
        """Number of nodes."""
        return len(self.first) - 1


@lru_cache(maxsize=64)
def eliminate(rows: int, columns: int, word_wires: bool, bit_wires: bool) -> Elimination:
    """Return the elimination of an array; without wires all nodes of a line are one."""
    row, column = np.divmod(np.arange(rows * columns), columns)
    word = row * columns + column if word_wires else row
    bit = (row * columns + column if bit_wires else column) + word.max() + 1
    edges = list(zip(word.tolist(), bit.tolist(), strict=True))
    at = np.arange(rows * columns).reshape(rows, columns)
    along = list(zip(word[at[:, :-1].ravel()].tolist(), word[at[:, 1:].ravel()].tolist(), strict=True))
    down = list(zip(bit[at[:-1].ravel()].tolist(), bit[at[1:].ravel()].tolist(), strict=True))
    along, down = (along if word_wires else []), (down if bit_wires else [])
    order, later = _least_degree(int(bit.max()) + 1, [*edges, *along, *down])
    place = np.argsort(order)
    lists = [sorted(place[list(later[node])].tolist()) if later[node] else [] for node in order]
    first = np.concatenate(([0], np.cumsum([len(own) for own in lists])))
    slot = {(k, j): int(first[k]) + q for k, own in enumerate(lists) for q, j in enumerate(own)}

    def slots(pairs: list[tuple[int, int]]) -> Indices:
        ends = [sorted((int(place[a]), int(place[b]))) for a, b in pairs]
        return np.array([slot[a, b] for a, b in ends], dtype=np.intp)

    neighbour = [j for own in lists for j in own]
    target = [slot[pair] for own in lists for pair in combinations(own, 2)]
    return Elimination(
        place[word].astype(np.intp), place[bit].astype(np.intp), slots(edges), slots(along), slots(down),
        first.astype(np.intp), np.array(neighbour, dtype=np.intp), np.array(target, dtype=np.intp),
    )  # fmt: skip


def _least_degree(nodes: int, edges: list[tuple[int, int]]) -> tuple[list[int], list[set[int]]]:
    """Return nodes in the order of least degree, and for each node its neighbours when it goes."""
    near: list[set[int]] = [set() for _ in range(nodes)]
    for a, b in edges:
        near[a].add(b)
        near[b].add(a)
    left, order = set(range(nodes)), []
    later: list[set[int]] = [set() for _ in range(nodes)]
    while left:
        node = min(left, key=lambda k: (len(near[k]), k))
        left.remove(node)
        order.append(node)
        later[node] = set(near[node])
        for other in near[node]:
            near[other] |= near[node]
            near[other] -= {node, other}
    return order, later
