"""What the C library does with the memory of freed tensors."""

import ctypes
import sys

_GIBIBYTE = 1 << 30


def keep_freed_memory(largest: int = _GIBIBYTE) -> None:
    """Let the C library keep the memory of freed tensors for the next ones, on Linux.

    As it is, it hands large blocks back to the system after each use, and every training step faults in thousands of
    pages again: a third of the time of a step of a narrow network on the CPU, and of a tile that is fused.

    Args:
        largest: Size in bytes up to which blocks are kept; all together up to a gibibyte.
    """
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if libc is None or not hasattr(libc, "mallopt"):  # another C library than glibc
        return
    trim_threshold, mmap_threshold = -1, -3  # names of malloc.h
    libc.mallopt(mmap_threshold, largest)
    libc.mallopt(trim_threshold, _GIBIBYTE)
