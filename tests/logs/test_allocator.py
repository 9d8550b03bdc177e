"""Freed memory is kept for the next array: fewer page faults."""

import platform
import subprocess
import sys

import pytest

# Eight arrays a round, each below the size at which numpy asks for huge pages.
FAULTS = """
import resource, sys
import numpy as np
from planner.logs.allocator import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
def one_round():
    return len([np.ones(480_000) for _ in range(8)])
one_round()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(30):
    one_round()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has mallopt")
def test_rounds_of_the_same_arrays_cost_page_faults_only_where_memory_is_given_back():
    def faults(how: str) -> int:
        done = subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True)
        return int(done.stdout)

    given_back, kept = faults("given back"), faults("kept")
    assert kept < given_back / 10
