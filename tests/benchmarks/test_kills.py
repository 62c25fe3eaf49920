"""That `make kills` would notice a resume that goes wrong, and tells it from a training that does not start."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch

TRAINING = """
import csv, json, os, signal, sys, time
from pathlib import Path
fault, folder, resume = sys.argv[1], Path(sys.argv[2]), sys.argv[3:]
def die(words):
    print(words)
    sys.exit(1)
uninterrupted = folder.name == "uninterrupted"
if not uninterrupted:
    if fault == "start":
        die("Invalid thread pool!")
    if fault == "resume" and resume:
        die("no such checkpoint")
checkpoints, log = folder / "checkpoints", folder / "csv" / f"version_{len(resume)}"
for made in (checkpoints, log):
    made.mkdir(parents=True, exist_ok=True)
stopped = []
signal.signal(signal.SIGTERM, lambda *_: stopped.append(1))
step = json.loads((checkpoints / "last.ckpt").read_text())[0] if resume and fault != "anew" else 0
with (log / "metrics.csv").open("w") as file:
    rows = csv.DictWriter(file, ("step", "val/loss"))
    rows.writeheader()
    while step < 48:
        step += 2
        if step == 48 and not (uninterrupted or resume or fault == "late"):
            step = 46  # again and again, until it is killed
        rows.writerow({"step": step - 1, "val/loss": 1})
        for name in ("best", "last"):
            temporary = checkpoints / f".{name}.{os.getpid()}.ckpt"
            temporary.write_text(json.dumps([step, f"weights{fault == 'weights' and bool(resume)}"]))
            time.sleep(0.01)
            temporary.replace(checkpoints / f"{name}.ckpt")
        if stopped and step < 48:
            sys.exit(1 if fault == "signal" else 143)
"""
"""What a training does as far as the harness looks, in a moment."""


@pytest.mark.parametrize(
    ("fault", "outcomes", "words"),
    [
        ("none", {"equal": 3}, ""),
        ("weights", {"different": 3}, ""),
        ("anew", {"began anew": 3}, ""),
        ("resume", {"failed to resume": 3}, "no such checkpoint"),
        ("start", {"failed before": 3}, "Invalid thread pool!"),
        ("signal", {"equal": 2, "failed before": 1}, ""),
        ("late", {}, ""),
    ],
)
def test_every_outcome_is_told_from_the_others(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, outcomes: dict[str, int], words: str
) -> None:
    from benchmarks import kills

    def command(photos: Path, output: Path, *arguments: str) -> list[str]:
        return [sys.executable, "-c", TRAINING, fault, str(output), *arguments]

    monkeypatch.setattr(kills, "command", command)
    monkeypatch.setattr(kills, "state", lambda checkpoint: tuple(json.loads(checkpoint.read_text())))
    monkeypatch.setattr(kills.random.Random, "random", lambda _: 1.0 if fault == "late" else 0.3)
    seen = list(kills.kill_many(tmp_path, kills=3, seed=0, at_once=1))
    counted = [kill for kill in seen if kill.outcome != kills.TOO_LATE]
    assert Counter(kill.outcome for kill in counted) == outcomes
    assert all(words in kill.output for kill in counted)
    assert {kill.way for kill in seen} == set(kills.WAYS)
    result = kills.summarize(seen)
    assert (result["kills"], result["too_late"]) == ((0, 9) if fault == "late" else (3, 0))
    assert result["agree"] == outcomes.get("equal", 0)


def test_a_state_is_weights_and_moments(root: Path, tmp_path: Path) -> None:
    from benchmarks import kills

    def save(weight: float, moment: float) -> tuple[int, str]:
        moments = {"state": {0: {"exp_avg": torch.tensor([moment])}}}
        content = {"global_step": 4, "state_dict": {"w": torch.tensor([1.0, weight])}, "optimizer_states": [moments]}
        torch.save(content, tmp_path / "x.ckpt")
        return kills.state(tmp_path / "x.ckpt")

    first = save(2.0, 3.0)
    assert first[0] == 4
    assert save(2.0, 3.0) == first
    assert save(2.0 + 2**-22, 3.0) != first  # the last bit
    assert save(2.0, 3.0 + 2**-22) != first


def test_nothing_is_compared_with_a_training_that_failed(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmarks import kills

    monkeypatch.setattr(kills, "command", lambda *_: [sys.executable, "-c", "raise SystemExit('no room')"])
    with pytest.raises(RuntimeError, match="exit status 1:\nno room"):
        list(kills.kill_many(tmp_path, kills=1, seed=0, at_once=1))


def test_no_training_outlives_the_harness(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks import kills

    monkeypatch.setattr(kills, "command", lambda *_: [sys.executable, "-c", "import time; time.sleep(600)"])
    with pytest.raises(KeyboardInterrupt), kills.training(tmp_path, tmp_path / "run") as process:
        raise KeyboardInterrupt
    assert isinstance(process, subprocess.Popen)
    assert process.poll() is not None
