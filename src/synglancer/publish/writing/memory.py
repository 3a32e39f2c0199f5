"""Keep freed memory for the next array in Dask workers; malloc would return it each time."""

from __future__ import annotations

import sys
from functools import cache

# As glibc's malloc.h names them, and the largest values that it chooses by itself.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_MOST_FREE = 64 * 1024 * 1024
_MOST_HEAP = 32 * 1024 * 1024


@cache
def keep_freed_memory() -> None:
    """Let this process keep up to 64 MB of freed memory.

    glibc's malloc raises both thresholds by itself, until Dask starts a worker with a
    ``MALLOC_TRIM_THRESHOLD_``: then each array above 128 kB gets new pages, and clearing these
    takes half as long as all other work. Other C libraries have no such setting.
    """
    if sys.platform != "linux":
        return
    import ctypes

    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        set_option(_MMAP_THRESHOLD, _MOST_HEAP)
        set_option(_TRIM_THRESHOLD, _MOST_FREE)
