"""W&B without W&B: what jobs record offline, read back by its own reader; when they go offline, and how fast."""

import base64
import csv
import functools
import hashlib
import http.server
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hydra
import pytest
import wandb
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from PIL import Image

from mfif.config import CONFIG_DIR, register_schemas
from mfif.errors import InputError
from mfif.training import tracking
from mfif.training.tracking import WandbRun, describe_job, find_obstacle

KEY = "0123456789" * 4
OVERRIDES = [
    "experiment=quick",
    "logger=wandb",
    "photos=folder",
    "network.width=4",
    "data.crops=20",
    "data.batch_size=4",
    "data.val_pairs=10",
    "trainer.accelerator=cpu",
    "trainer.max_steps=4",
    "trainer.val_check_interval=2",
    "trainer.log_every_n_steps=1",
]


def train(root: Path, photos: Path, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run train.py as a person without an account of W&B."""
    known = {key: value for key, value in os.environ.items() if not key.startswith("WANDB")}
    return subprocess.run(
        [sys.executable, str(root / "train.py"), *OVERRIDES, f"photos.root={photos}", *arguments],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**known, "HOME": str(home), "OMP_NUM_THREADS": "1"},
    )


@functools.cache
def inspect(run: Path, *options: str) -> str:
    reader = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", *options, str(run)]
    return subprocess.run(reader, capture_output=True, text=True, check=True).stdout


def records(run: Path, kind: str) -> list[dict[str, Any]]:
    parsed = map(json.loads, inspect(run).splitlines())
    return [record[kind] for record in parsed if record["type"] == kind]


def table(run: Path) -> dict[str, Any]:
    """The last table of scores that a run sent."""
    path = json.loads(inspect(run, "--summary"))["summary"]["val/scores"]["path"]
    content: dict[str, Any] = json.loads((run / "files" / path).read_text())
    return content


def logged(folder: Path, name: str) -> list[float]:
    """Values of a quantity in the CSV log."""
    with (folder / "csv/version_0/metrics.csv").open() as file:
        return [float(row[name]) for row in csv.DictReader(file) if row[name]]


@pytest.fixture(scope="module")
def sweep(root: Path, photos: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Two jobs, of which the first fails when its optimizer is built."""
    folder = tmp_path_factory.mktemp("quick") / "sweep"
    done = train(root, photos, folder.parent, "optimizer.lr=-1,1e-3", f"hydra.sweep.dir={folder}", "-m")
    assert done.returncode == 1
    assert "Invalid learning rate" in done.stderr
    return folder, done.stdout


def only_run(folder: Path) -> Path:
    (run,) = (folder / "wandb").glob("offline-run-*")
    return run


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[pytest.MonkeyPatch]:
    """W&B in this process as on a machine that has never seen it; it reads its environment once."""
    wandb.teardown()
    for name in [name for name in os.environ if name.startswith("WANDB")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("WANDB_SILENT", "true")
    yield monkeypatch
    wandb.teardown()


def test_each_job_is_a_run_with_its_own_status(sweep: tuple[Path, str]) -> None:
    folder, said = sweep
    failed, finished = (json.loads(inspect(only_run(folder / job), "--summary")) for job in ("0", "1"))
    assert (failed["state"], failed["exit_code"]) == ("failed", 1)
    assert (finished["state"], finished["exit_code"]) == ("finished", 0)
    assert failed["run_id"] != finished["run_id"]
    lines = [line for line in said.splitlines() if line.startswith(("W&B", "wandb"))]
    assert [line.split(". To upload")[0] for line in lines] == ["W&B records offline: no API key found"] * 2


def test_names_and_groups_tell_the_jobs_of_a_sweep_apart(sweep: tuple[Path, str]) -> None:
    folder, _ = sweep
    runs = [records(only_run(folder / job), "run")[0] for job in ("0", "1")]
    assert [run["run_group"] for run in runs] == ["/".join(folder.parts[-2:])] * 2
    assert [run["tags"] for run in runs] == [["quick"]] * 2
    assert [run["display_name"][:26] for run in runs] == ["0: quick photos=folder net", "1: quick photos=folder net"]


def test_the_resolved_configuration_is_sent(sweep: tuple[Path, str]) -> None:
    folder, _ = sweep
    for job, rate in (("0", -1), ("1", 1e-3)):
        config = json.loads(inspect(only_run(folder / job), "--summary"))["config"]
        assert config["optimizer"]["lr"] == config["scheduler"]["max_lr"] == rate
        assert config["output"] == str(folder / job)
        assert config["network"]["width"] == 4
        assert "configuration" not in config


def test_curves_are_sent(sweep: tuple[Path, str]) -> None:
    folder, _ = sweep
    points = [record["item"] for record in records(only_run(folder / "1"), "history")]
    for name in ("train/loss", "val/PSNR", "val/map_accuracy"):
        values = [point[name] for point in points if name in point]
        assert values == pytest.approx(logged(folder / "1", name))
        assert len(values) == (4 if name == "train/loss" else 2)


def test_the_table_has_a_row_for_every_pair(sweep: tuple[Path, str]) -> None:
    folder, _ = sweep
    content = table(only_run(folder / "1"))
    assert content["columns"] == ["pair", "PSNR", "map_accuracy"]
    index, ratios, accuracies = zip(*content["data"], strict=True)
    assert index == tuple(range(10))
    # The rows average to what the metrics accumulated.
    assert sum(ratios) / 10 == pytest.approx(logged(folder / "1", "val/PSNR")[-1])
    assert sum(accuracies) / 10 == pytest.approx(logged(folder / "1", "val/map_accuracy")[-1])


def test_panels_are_sent_as_pictures(sweep: tuple[Path, str]) -> None:
    folder, _ = sweep
    run = only_run(folder / "1")
    panels = json.loads(inspect(run, "--summary"))["summary"]["val/pairs"]
    assert panels["captions"][3] == "pair 3: a, b, true map, map, fused, fused - sharp"
    sheet = Image.open(folder / "1" / "pictures" / "step-000004.png")
    rows = [Image.open(run / "files" / name) for name in panels["filenames"]]
    assert len(rows) == 4
    top = 0
    for row in rows:  # the picture of this step, cut into its rows
        assert sheet.crop((0, top, sheet.width, top + row.height)).tobytes() == row.tobytes()
        top += row.height + 4


def test_best_and_last_checkpoints_are_artifacts(sweep: tuple[Path, str]) -> None:
    folder, _ = sweep
    found = {
        alias: artifact
        for artifact in records(only_run(folder / "1"), "artifact")
        if artifact["type"] == "model"
        for alias in artifact["aliases"]
    }
    for alias in ("best", "last"):
        (file,) = found[alias]["manifest"]["contents"]
        checkpoint = folder / "1" / "checkpoints" / f"{alias}.ckpt"
        assert file["local_path"] == str(checkpoint)
        assert base64.b64decode(file["digest"]) == hashlib.md5(checkpoint.read_bytes()).digest()


def test_going_on_in_a_folder_goes_on_with_its_run(
    train_here: Callable[..., int],
    photos: Path,
    sweep: tuple[Path, str],
    client: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = sweep[0] / "0"
    before = only_run(folder)
    # A key, and a host that refuses: offline at once.
    client.setenv("WANDB_API_KEY", KEY)
    client.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    assert train_here(*OVERRIDES, f"photos.root={photos}", f"hydra.run.dir={folder}") == 0
    assert "W&B records offline: http://127.0.0.1:9 does not answer." in capsys.readouterr().out
    (after,) = set((folder / "wandb").glob("offline-run-*")) - {before}
    first, second = (json.loads(inspect(run, "--summary")) for run in (before, after))
    assert first["run_id"] == second["run_id"]
    assert second["state"] == "finished"
    assert "run_group" not in records(after, "run")[0]


def test_ranks_share_one_run_and_its_table(
    train_here: Callable[..., int], photos: Path, sweep: tuple[Path, str], client: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ranks = ["data.batch_size=2", "trainer.devices=2", "+trainer.strategy=ddp", "optimizer.lr=1e-3"]
    words = [*OVERRIDES, f"photos.root={photos}", f"hydra.run.dir={tmp_path}", "data.synthesizer.noise=0", *ranks]
    assert train_here(*words) == 0
    content = table(only_run(tmp_path))
    assert [row[0] for row in content["data"]] == list(range(10))
    assert sum(row[1] for row in content["data"]) / 10 == pytest.approx(logged(tmp_path, "val/PSNR")[-1])
    assert sum(row[2] for row in content["data"]) / 10 == pytest.approx(logged(tmp_path, "val/map_accuracy")[-1])
    # The pairs are those of one process, in its order: how hard a pair is does not depend on who scores it.
    alone = [row[1] for row in table(only_run(sweep[0] / "1"))["data"]]
    shared = [row[1] for row in content["data"]]
    assert sorted(range(10), key=alone.__getitem__)[-2:] == sorted(range(10), key=shared.__getitem__)[-2:]


@pytest.fixture
def nonsense() -> Iterator[str]:
    """A server that answers everything with an error and no sense."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(404)
            self.end_headers()
            self.wfile.write(b"what?")

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_no_key_is_an_obstacle(client: pytest.MonkeyPatch) -> None:
    assert find_obstacle() == "no API key found"


def test_a_key_of_the_wrong_form_is_an_obstacle(client: pytest.MonkeyPatch) -> None:
    client.setenv("WANDB_API_KEY", "short")
    assert "WANDB_API_KEY invalid" in str(find_obstacle())


def test_a_silent_host_is_an_obstacle(client: pytest.MonkeyPatch) -> None:
    client.setenv("WANDB_API_KEY", KEY)
    client.setattr(tracking, "_PROBE", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as listening:  # takes the connection and says nothing
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        client.setenv("WANDB_BASE_URL", address)
        assert find_obstacle() == f"{address} does not answer"


def test_an_answer_and_a_key_in_netrc_are_no_obstacle(
    client: pytest.MonkeyPatch, nonsense: str, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text(f"machine {nonsense.removeprefix('http://')}\n  login user\n  password {KEY}\n")
    client.setenv("WANDB_BASE_URL", nonsense)
    assert find_obstacle() is None


def test_a_host_that_opens_no_run_means_offline(
    client: pytest.MonkeyPatch, nonsense: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    client.setenv("WANDB_API_KEY", KEY)
    client.setenv("WANDB_BASE_URL", nonsense)
    client.setattr(tracking, "_OPEN", 1.0)
    run = WandbRun("mfif", str(tmp_path), name="job")
    run.start({"seed": 3})
    run.finish(0)
    assert capsys.readouterr().out.startswith("W&B records offline: ")
    summary = json.loads(inspect(only_run(tmp_path), "--summary"))
    assert (summary["name"], summary["config"], summary["state"]) == ("job", {"seed": 3}, "finished")
    assert "WANDB_MODE" not in os.environ
    assert wandb.run is None


def test_who_insists_on_being_online_is_told_why_not(client: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="told to be online, but no API key found"):
        WandbRun("mfif", str(tmp_path), mode="online").start({})
    client.setenv("WANDB_MODE", "online")
    with pytest.raises(InputError, match="told to be online"):
        WandbRun("mfif", str(tmp_path)).start({})


def test_the_mode_of_the_environment_holds(
    client: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    client.setenv("WANDB_MODE", "disabled")
    client.setattr(tracking, "find_obstacle", lambda: pytest.fail("asked for a way online"))
    run = WandbRun("mfif", str(tmp_path), checkpoints=str(tmp_path))
    (tmp_path / "best.ckpt").touch()
    run.start({})
    run.finish(0)
    assert capsys.readouterr().out == ""
    assert not list(tmp_path.glob("wandb/*run-*"))


@pytest.mark.parametrize(
    ("overrides", "name", "tags"),
    [
        ([], "train", []),
        (["logger=wandb", "resume=there", "logger.wandb.mode=offline"], "train", []),
        (["experiment=quick", "seed=1", "+trainer.strategy=ddp"], "quick seed=1 +trainer.strategy=ddp", ["quick"]),
        (["ablation=l2", "~callbacks.progress"], "ablation=l2", ["l2"]),
        ([f"name={'x' * 200}"], f"name={'x' * 123}", []),
    ],
)
def test_a_job_is_named_after_its_overrides(overrides: list[str], name: str, tags: list[str]) -> None:
    register_schemas()
    with hydra.initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
        config = hydra.compose("train", [*overrides, "hydra.job.name=train"], return_hydra_config=True)
    config.hydra.mode = RunMode.RUN
    HydraConfig.instance().set_config(config)
    try:
        assert describe_job() == {"name": name, "tags": tags}
    finally:
        HydraConfig.instance().cfg = None


def test_outside_of_hydra_a_job_has_no_name() -> None:
    assert describe_job() == {}
