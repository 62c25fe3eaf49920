import platform
import subprocess
import sys

import pytest

CODE = """
import resource
import torch
from mfif.memory import keep_freed_memory
from mfif.models import TwoStream

torch.set_num_threads(1)
if {keep}:
    keep_freed_memory(128 << 20)
network, (a, b) = TwoStream(16), torch.rand(2, 1, 1, 512, 512)
with torch.inference_mode():
    for turn in range(5):
        if turn == 2:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        network(a, b)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(
    sys.platform != "linux" or platform.libc_ver()[0] != "glibc", reason="only glibc can be told to keep memory"
)
def test_freed_memory_serves_the_next_tensors() -> None:
    faults = {}
    for keep in (True, False):
        command = [sys.executable, "-c", CODE.format(keep=keep)]
        faults[keep] = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert faults[False] > 1000
    assert faults[True] < faults[False] / 4
