"""The first cases of the fuzz, and that it would notice a crash and a hang."""

import os
import signal
import time
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from PIL import Image


@pytest.mark.filterwarnings("ignore")
def test_damaged_files_are_fused_or_refused(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks import fuzz

    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", fuzz.PIXEL_LIMIT // 2)
    findings = [fuzz.run_case(case, 0, tmp_path) for case in range(116)]
    assert [finding for finding in findings if finding.outcome not in fuzz.ALLOWED] == []
    outcomes = Counter(finding.outcome for finding in findings)
    assert outcomes["fused"] > 20
    assert outcomes["refused"] > 40
    assert {finding.kind for finding in findings} == set(fuzz.whole_files())


def test_whole_files_are_fused(root: Path, tmp_path: Path) -> None:
    from benchmarks import fuzz

    for kind, content in fuzz.whole_files().items():
        (tmp_path / kind).write_bytes(content)
        attempt = fuzz._try_checkpoint if kind.endswith(".ckpt") else fuzz._try_image
        assert attempt(tmp_path / kind, tmp_path / kind) == "fused", kind


def test_a_case_can_be_made_again(root: Path) -> None:
    import random

    from benchmarks import fuzz

    for kind, content in fuzz.whole_files().items():
        first, second, other = (fuzz.damage(content, kind, random.Random(seed)) for seed in (1, 1, 2))
        assert first == second != other


def _crashing_work(first: int, last: int, seed: int, findings: Connection) -> None:
    from benchmarks.fuzz import Finding

    for case in range(first, last):
        if case == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        if case == 3:
            time.sleep(60)
        findings.send(Finding(case, "x", "fused"))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks its workers")
def test_crashes_and_hangs_are_noticed(root: Path) -> None:
    from benchmarks import fuzz

    found = list(fuzz.watch(0, 5, seed=0, patience=3, work=_crashing_work))
    assert [finding.case for finding in found] == list(range(5))
    assert [finding.outcome for finding in found] == [
        "fused",
        "killed its process with status -9",
        "fused",
        "hangs for 3 s",
        "fused",
    ]
