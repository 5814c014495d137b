"""Legs, kills, shared meta-batches and broken networks."""

import json
import os
import subprocess
import sys
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from nascence.core.resumable import CheckpointError
from nascence.graph import Graph, trace
from nascence.hypernet import GHN, load, meta_train, read_card

IMAGES = torch.randn(40, 3, 8, 8, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(40) % 4


class Infinite(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x / 0 * 0


def networks(index: int) -> tuple[Graph, nn.Module]:
    """Small networks that differ by index; every fifth has no finite output."""
    layers: list[nn.Module] = [nn.Conv2d(3, 4 + index % 3, 3), nn.ReLU(), nn.Flatten()]
    layers.append(nn.Linear((4 + index % 3) * 36, 4))
    model = nn.Sequential(*layers)
    graph = trace(model, IMAGES[:1])
    return graph, nn.Sequential(*layers, Infinite()) if index % 5 == 4 else model


def small() -> GHN:
    torch.manual_seed(0)
    return GHN(width=8, classes=4, max_shape=(8, 8, 3, 3))


def run(folder: Path, **settings: object) -> GHN:
    ghn = small()
    options: dict[str, object] = {"steps": 12, "meta_batch": 2, "batch_size": 8, "warmup": 2}
    meta_train(ghn, networks, 20, IMAGES, LABELS, out=folder, **{**options, **settings})
    return ghn


def same(first: GHN, second: GHN) -> bool:
    state = second.state_dict()
    return all(torch.equal(value, state[name]) for name, value in first.state_dict().items())


def test_loss_falls_and_the_files_tell(tmp_path: Path) -> None:
    ghn = small()
    report = meta_train(
        ghn,
        lambda index: networks(0),
        1,
        IMAGES[:8].repeat(5, 1, 1, 1),
        LABELS[:8].repeat(5),
        out=tmp_path,
        steps=80,
        meta_batch=1,
        batch_size=16,
        learning_rate=1e-2,
        log_every=20,
        card={"data": "noise"},
        validation=lambda g: {"accuracy": 0.5},
    )
    assert report.finished
    assert report.network_steps_per_second > 0
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    losses = [row["loss"] for row in rows if "loss" in row]
    assert losses[-1] < losses[0] - 0.1
    assert rows[-1]["accuracy"] == 0.5
    assert same(load(tmp_path / "ghn.safetensors"), ghn)


def test_legs_give_the_weights_of_one_leg(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole")
    calls = 0
    while True:
        # no time at all is enough for a step
        calls += 1
        ghn = small()
        report = meta_train(
            ghn, networks, 20, IMAGES, LABELS, out=tmp_path / "legs", steps=12,
            meta_batch=2, batch_size=8, warmup=2, seconds=0.05 if calls > 1 else 1e-9,
        )  # fmt: skip
        if report.finished:
            break
    assert calls > 2
    assert same(whole, ghn)


def test_a_kill_between_checkpoints_changes_nothing(tmp_path: Path) -> None:
    class Killed(Exception):
        pass

    def kill(fraction: float, line: str) -> None:
        if "step 7/" in line:
            raise Killed

    whole = run(tmp_path / "whole", log_every=1)
    with pytest.raises(Killed):
        run(tmp_path / "cut", log_every=1, checkpoint_seconds=0.0, progress=kill)
    with (tmp_path / "cut" / "log.jsonl").open("a") as file:
        file.write('{"step": 9, "lo')
    assert same(whole, run(tmp_path / "cut", log_every=1))
    logs = [(tmp_path / name / "log.jsonl").read_text().splitlines() for name in ("whole", "cut")]
    steps = [[json.loads(line)["step"] for line in log] for log in logs]
    assert steps[0] == steps[1] == list(range(1, 13))


def test_networks_without_a_finite_loss_are_replaced_and_counted(tmp_path: Path) -> None:
    ghn = small()
    report = meta_train(
        ghn, networks, 20, IMAGES, LABELS, out=tmp_path, steps=12, meta_batch=2, batch_size=8
    )
    assert report.replaced > 0
    assert all(torch.isfinite(value).all() for value in ghn.parameters())
    with pytest.raises(RuntimeError, match="20 networks in a row"):
        meta_train(
            small(), lambda index: networks(4), 5, IMAGES, LABELS, out=tmp_path / "b", steps=2
        )


class TooLarge(nn.Module):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def forward(self, x: Tensor) -> Tensor:
        raise self.error


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("out of memory"), RuntimeError("can't allocate memory: 9 TB")]
)
def test_networks_that_do_not_fit_in_memory_are_replaced_and_counted(
    tmp_path: Path, error: Exception
) -> None:
    def some(index: int) -> tuple[Graph, nn.Module]:
        graph, model = networks(index - index % 5)
        return graph, nn.Sequential(*model, TooLarge(error)) if index % 2 else model

    report = meta_train(
        small(), some, 20, IMAGES, LABELS, out=tmp_path, steps=6, meta_batch=2, batch_size=8
    )
    assert report.finished
    assert report.replaced > 0
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert rows[-1]["replaced"] == report.replaced


def test_an_interrupt_in_progress_ends_after_a_checkpoint(tmp_path: Path) -> None:
    def stop(fraction: float, line: str) -> None:
        if fraction >= 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", progress=stop)
    assert torch.load(tmp_path / "cut" / "state.pt", weights_only=True)["run"]["step"] == 6
    assert same(run(tmp_path / "whole"), run(tmp_path / "cut"))


@pytest.mark.parametrize("damage", ["missing", "cut short", "of an earlier step"])
def test_weights_are_written_from_the_state_that_is_there(tmp_path: Path, damage: str) -> None:
    """As after a kill between the state and the weights."""
    file = tmp_path / "ghn.safetensors"
    if damage == "of an earlier step":
        run(tmp_path / "other", steps=6)
    whole = run(tmp_path)
    card, content = read_card(file), file.read_bytes()
    file.unlink()
    if damage == "cut short":
        file.write_bytes(content[:100])
    if damage == "of an earlier step":
        (tmp_path / "other" / "ghn.safetensors").rename(file)
    assert same(whole, run(tmp_path))
    assert same(whole, load(file))
    assert read_card(file) == {**card, "cpu_seconds": read_card(file)["cpu_seconds"]}


def test_validation_comes_in_its_turn_and_at_the_end(tmp_path: Path) -> None:
    run(tmp_path, validation=lambda g: {"accuracy": 0.5}, validate_every=5, log_every=100)
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "accuracy" in row] == [5, 10, 12]


def test_meta_batch_is_the_mean_of_its_networks(tmp_path: Path) -> None:
    """One step without clipping: Adam's first step is the sign, so compare its moments."""
    found = []
    for name, meta_batch in (("one", 1), ("two", 2)):
        folder = tmp_path / name
        meta_train(
            small(), lambda index: networks(0), 1, IMAGES, LABELS, out=folder, steps=1,
            meta_batch=meta_batch, batch_size=8, clip=1e9, weight_decay=0.0,
        )  # fmt: skip
        state = torch.load(folder / "state.pt", weights_only=True)["run"]["optimizer"]["state"]
        found.append(torch.cat([row["exp_avg"].flatten() for row in state.values()]))
    assert torch.allclose(found[0], found[1], atol=1e-8)


def test_workers_give_the_same_weights(tmp_path: Path) -> None:
    assert same(run(tmp_path / "a"), run(tmp_path / "b", workers=1))


def test_another_run_in_the_folder_is_refused(tmp_path: Path) -> None:
    run(tmp_path)
    with pytest.raises(CheckpointError, match=r"holds a run with batch_size=8, not 4"):
        run(tmp_path, batch_size=4)
    other = GHN(width=12, classes=4, max_shape=(8, 8, 3, 3))
    with pytest.raises(CheckpointError, match="is of another hypernetwork"):
        meta_train(
            other, networks, 20, IMAGES, LABELS, out=tmp_path, steps=12, meta_batch=2,
            batch_size=8, warmup=2,
        )  # fmt: skip
    (tmp_path / "state.pt").write_bytes(b"garbage")
    with pytest.raises(CheckpointError, match="not a checkpoint that can be read"):
        run(tmp_path)
    with pytest.raises(ValueError, match="steps is 0"):
        run(tmp_path / "c", steps=0)
    with pytest.raises(ValueError, match="must be floating-point"):
        meta_train(small(), networks, 1, IMAGES.byte(), LABELS, out=tmp_path / "d", steps=1)


_SHARED = """
import sys, torch, torch.distributed as dist
sys.path.insert(0, sys.argv[1])
import test_meta_train as t
from pathlib import Path
dist.init_process_group("gloo", init_method=f"file://{sys.argv[2]}/store",
                        rank=int(sys.argv[3]), world_size=2)
t.run(Path(sys.argv[2]) / "shared", steps=4)
dist.destroy_process_group()
"""


@pytest.mark.slow
def test_two_processes_give_the_weights_of_one(tmp_path: Path) -> None:
    here = Path(__file__)
    environment = {**os.environ, "PYTHONPATH": str(here.parents[2] / "src")}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _SHARED, str(here.parent), str(tmp_path), str(rank)],
            env=environment,
        )
        for rank in range(2)
    ]
    assert [process.wait(timeout=120) for process in processes] == [0, 0]
    alone = run(tmp_path / "alone", steps=4).state_dict()
    for name, value in load(tmp_path / "shared" / "ghn.safetensors").state_dict().items():
        assert torch.allclose(value, alone[name], atol=1e-6), name


def test_a_function_trains_as_its_module(tmp_path: Path) -> None:
    def functions(index: int) -> tuple[Graph, object]:
        graph, model = networks(index - index % 5)
        return graph, lambda params, images: functional_call(model, params, (images,))

    modules = lambda index: networks(index - index % 5)  # noqa: E731
    found = []
    for name, source in (("function", functions), ("module", modules)):
        found.append(small())
        meta_train(
            found[-1], source, 20, IMAGES, LABELS, out=tmp_path / name, steps=5, batch_size=8
        )
    assert same(*found)


def test_average_by_hand_and_its_file(tmp_path: Path) -> None:
    """Every tenth step it keeps its share, at most steps / (steps + 100)."""
    steps: list[GHN] = []
    validated: list[GHN] = []
    ghn = small()
    expected = {name: value.clone() for name, value in ghn.state_dict().items()}

    def watch(fraction: float, line: str) -> None:
        steps.append(deepcopy(ghn))

    def validate(result: GHN) -> dict[str, float]:
        validated.append(deepcopy(result))
        return {}

    meta_train(
        ghn, networks, 20, IMAGES, LABELS, out=tmp_path, steps=25, meta_batch=1, batch_size=8,
        schedule="constant", average=0.99, progress=watch, validation=validate,
    )  # fmt: skip
    for step, kept in ((10, 10 / 110), (20, 20 / 120)):
        now = steps[step - 1].state_dict()
        expected = {k: kept * v + (1 - kept) * now[k] for k, v in expected.items()}
    found = load(tmp_path / "ghn.safetensors")
    for name, value in found.state_dict().items():
        assert torch.allclose(value, expected[name], atol=1e-7), name
    assert not same(found, ghn)
    assert same(validated[-1], found)


def test_constant_runs_go_on_and_decay_starts_from_them(tmp_path: Path) -> None:
    options = {"schedule": "constant", "average": 0.9}
    constant = run(tmp_path / "a", steps=12, **options)
    assert same(constant, run(tmp_path / "a", steps=12, **options))
    longer = run(tmp_path / "a", steps=24, **options)
    assert same(longer, run(tmp_path / "b", steps=24, **options))
    ended = run(tmp_path / "end", schedule="decay", start=tmp_path / "a", steps=4, warmup=0)
    rows = torch.load(tmp_path / "end" / "state.pt", weights_only=True)["run"]["optimizer"]["state"]
    assert {int(row["step"]) for row in rows.values()} == {28}  # the moments went along
    assert not same(ended, longer)
    twice = run(tmp_path / "end", schedule="decay", start=tmp_path / "a", steps=4, warmup=0)
    assert same(ended, twice)
    with pytest.raises(CheckpointError, match="holds a run with start="):
        run(tmp_path / "end", schedule="decay", start=tmp_path / "b", steps=4, warmup=0)
    with pytest.raises(ValueError, match="nowhere"):
        run(tmp_path / "c", start="nowhere")


def test_weights_to_start_from(tmp_path: Path) -> None:
    first = run(tmp_path / "a")
    ghn = run(tmp_path / "b", start=tmp_path / "a" / "ghn.safetensors", learning_rate=1e-12)
    for name, value in ghn.state_dict().items():
        assert torch.allclose(value, first.state_dict()[name], atol=1e-9)


def test_runs_of_earlier_versions_go_on(tmp_path: Path) -> None:
    """Their state lacks the schedule, the average, the start and the CPU-seconds."""

    def stop(fraction: float, line: str) -> None:
        if fraction >= 0.5:
            raise KeyboardInterrupt

    whole = run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", progress=stop)
    path = tmp_path / "cut" / "state.pt"
    content = torch.load(path, weights_only=True)
    state = {**content["identity"], **content["run"]}  # all on one level
    state["settings"]["batch"] = state["settings"].pop("batch_size")
    del state["cpu_seconds"]
    for name in ("schedule", "average", "start"):
        del state["settings"][name]
    state["optimizer"]["param_groups"][0].update(foreach=True, fused=None)
    torch.save(state, path)
    assert same(whole, run(tmp_path / "cut"))
