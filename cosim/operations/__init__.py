"""Operations beside writing and reading products: update in place, memory words, refresh, driven lines."""

from cosim.operations.drive import Drive
from cosim.operations.memory import ReadWord, Refresh
from cosim.operations.update import Update

__all__ = ["Drive", "ReadWord", "Refresh", "Update"]
