"""Mapping of matrices to arrays."""

from cosim.mapping.encoding import Decoding, Encoded, WeightSlices, differential, paired, single, sliced

__all__ = ["Decoding", "Encoded", "WeightSlices", "differential", "paired", "single", "sliced"]
