"""Mapping of matrices to arrays."""

from cosim.mapping.encoding import Decoding, Encoded, differential, single

__all__ = ["Decoding", "Encoded", "differential", "single"]
