"""One process of the two that `test_fusion.py` starts: scores every second item and writes what it computes."""

import json
import sys
from pathlib import Path

import torch
import torch.distributed as dist

from mfif import metrics as exports
from mfif.metrics import EN, FusionMetrics


def main(folder: Path, rank: int) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    items = torch.load(folder / "items.pt")
    chosen = json.loads((folder / "metrics.json").read_text())
    metrics = FusionMetrics({key: getattr(exports, name)(**options) for key, (name, options) in chosen.items()})
    lonely = EN()
    for item in items[rank::2]:
        metrics.update(**item)
    if rank == 0:  # a process may have no image at all
        lonely.update(items[0]["fused"])
    scores = metrics.compute() | {"lonely": lonely.compute()}
    unscored = int(metrics["Q_MI"].unscored)
    result = {name: score.item() for name, score in scores.items()} | {"own": unscored}
    (folder / f"{rank}.json").write_text(json.dumps(result))
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
