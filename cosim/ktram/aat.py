"""Address tuples (AAT): one address or None for every space of a lane, and the places of the selected cells.

The kT-bit of space s and address d is number ``s * size + d`` of its lane; its a-side lies at the flat
place ``2 * number`` of the lane's cells and its b-side behind it.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from cosim.errors import AddressError, KtramError

Address = int | None
AAT = Sequence[Address]
Active = list[int] | NDArray[np.intp]
"""Selected cells: flat places of the a-sides where they are few, else numbers of the kT-bits."""

FEW: Final = 12
"""Below so many selected kT-bits a Python loop is quicker than array operations."""
_KEPT: Final = 1 << 21


def checked(address: Any, space: int, size: int) -> int:
    """Return an address of ``space`` as int; raises `AddressError` for one outside of 0..size-1."""
    try:
        index = operator.index(address)
    except TypeError:
        raise KtramError(
            f"address tuple, space {space}: must be an integer or None, not {address!r}"
        ) from None
    if not 0 <= index < size:
        raise AddressError(
            f"address tuple, space {space}: must be within 0..{size - 1}, not {index}; None leaves a space out"
        )
    return index


@final
class AddressBook:
    """Turns address tuples into places, for all lanes of a core (they have the same geometry).

    The last tuples are kept with their places, found again by identity, which is sound because a tuple
    cannot change. Raises `KtramError` for a wrong length and `AddressError` for a wrong address.
    """

    def __init__(self, spaces: int, size: int) -> None:
        self.spaces, self.size = spaces, size
        self._known: dict[int, tuple[AAT, Active]] = {}
        self._held = 0

    def __getstate__(self) -> tuple[int, int]:
        return self.spaces, self.size

    def __setstate__(self, state: tuple[int, int]) -> None:
        self.__init__(*state)

    def active(self, aat: AAT) -> Active:
        """Return the selected cells of one address tuple, in the order of the spaces."""
        known = self._known.get(id(aat))
        if known is not None and known[0] is aat:
            return known[1]
        places = self._places(aat)
        if type(aat) is tuple:
            if self._held + self.spaces > _KEPT:
                self._known.clear()
                self._held = 0
            self._known[id(aat)] = (aat, places)
            self._held += self.spaces
        return places

    def _places(self, aat: AAT) -> Active:
        if len(aat) != self.spaces:
            raise KtramError(
                f"address tuple: must have one entry for each of the {self.spaces} spaces, not {len(aat)}"
            )
        size, start = self.size, 0
        numbers = []
        for address in aat:
            if address is not None:
                if type(address) is not int or not 0 <= address < size:
                    address = checked(address, start // size, size)
                numbers.append(start + address)
            start += size
        if len(numbers) < FEW:
            return [2 * number for number in numbers]
        return np.array(numbers, dtype=np.intp)


def places_of_row(row: NDArray[np.int64], size: int) -> Active:
    """Return the selected cells of one checked row of addresses, -1 for an open space."""
    spaces = np.flatnonzero(row >= 0)
    numbers = spaces * size + row[spaces]
    return (2 * numbers).tolist() if len(numbers) < FEW else numbers.astype(np.intp)
