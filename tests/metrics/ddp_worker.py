"""One process of the two that `test_fusion.py` starts: scores every second item and writes what it computes."""

import json
import sys
from pathlib import Path

import torch
import torch.distributed as dist

from mfif.metrics import EN, paper_metrics


def main(folder: Path, rank: int) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    items = torch.load(folder / "items.pt")
    metrics, lonely = paper_metrics(), EN()
    for fused, source_a, source_b in items[rank::2]:
        metrics.update(fused=fused, source_a=source_a, source_b=source_b)
    if rank == 0:  # a process may have no image at all
        lonely.update(items[0][0])
    scores = metrics.compute() | {"lonely": lonely.compute()}
    unscored = int(metrics["Q_MI"].unscored)
    result = {name: score.item() for name, score in scores.items()} | {"own": unscored}
    (folder / f"{rank}.json").write_text(json.dumps(result))
    dist.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
