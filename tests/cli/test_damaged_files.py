"""Five hundred damaged files of every kind that a command reads back: one line, never a traceback.

Whatever is read again may come from a broken disk, another version or another person. A command
either does its work all the same, or ends with one line and exit code 1 or 2; nothing else.
"""

import io
import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import yaml
from safetensors import safe_open
from safetensors.torch import save
from typer.testing import CliRunner

from nascence import cli
from nascence.design.results import DeployedCost

DATA = "images.npz"

WORDS: dict[str, list[str]] = {
    "design": ["design", DATA, "--size", "8", "--steps", "2", "--trials", "3"],
    "cells": ["design", DATA, "--family", "cells", "--size", "8", "--steps", "2", "--trials", "3"],
    "ghn": [
        "meta-train", "ghn", "--data", DATA, "--kind", "mlp", "--steps", "2", "--batch", "4",
        "--size", "8", "--cells", "4,4", "--channels", "8", "--max-macs", "500000",
        "--validation-networks", "1",
    ],
    "optimizer": [
        "meta-train", "optimizer", "--families", "quadratic", "--steps", "2", "--cohorts", "1",
        "--pairs", "1", "--window", "2", "--lengths", "2,2", "--ramp", "1",
    ],
    "bench": [
        "bench", "optimizers", "--optimizers", "adam,learned", "--families", "quadratic",
        "--tasks", "1", "--steps", "2", "--trials", "1",
    ],
    "study": ["search", "nb201", "--strategy", "tpe", "--budget", "3"],
    "trained": [
        "search", "small", "--evaluator", "one-shot", "--width", "2", "--steps", "2", "--images",
        "4", "--budget", "2", "--data", DATA,
    ],
    "gradient": [
        "search", "nb201", "--strategy", "gdas", "--steps", "1", "--width", "4", "--cells", "1",
        "--data", DATA,
    ],
}  # fmt: skip


def invoke(*words: str) -> Any:
    return CliRunner().invoke(cli.app, list(words))


def later(folder: Path, file: str) -> list[str]:
    """The command of a folder again, as one goes on with it."""
    if folder.name in ("design", "cells"):
        return ["resume", str(folder), "--quiet"]
    return [*WORDS[folder.name], "--quiet", "--out", str(folder)]


def predicted(folder: Path, file: str) -> list[str]:
    return ["predict", "resnet20", "--weights", str(folder / file), "--data", DATA]


def compared(folder: Path, file: str) -> list[str]:
    words = ["--weights", str(folder / file), "--out", str(folder / "bench"), "--quiet"]
    return [*WORDS["bench"], *words]


def limited(folder: Path, file: str) -> list[str]:
    words = [
        "search",
        "darts",
        "--data",
        DATA,
        "--evaluator",
        "macs",
        "--width",
        "4",
        "--cells",
        "3",
        "--budget",
    ]
    words += ["1", "--latencies", str(folder / file), "--cost", "latency", "--quiet"]
    return [*words, "--out", str(folder / "search")]


class Kind(NamedTuple):
    """Files of a folder, how often to try each, what reads them, and what is removed before."""

    folder: str
    files: tuple[str, ...]
    tries: int
    command: Callable[[Path, str], list[str]] = later
    undone: tuple[str, ...] = ()


UNREAD = (
    ("report", "write"),
    ("design.stages.exporting", "export_onnx"),
    ("report.optimizer_page", "write_comparison"),
    ("jobs.search_outcome", "render_search"),
)
"""What writes files that no command reads back."""

KINDS = (
    Kind("design", ("config.yaml", "stages/data.plan.json"), 20, later, ("stages/report.json",)),
    Kind(
        "design",
        tuple(f"stages/{name}.json" for name in ("search", "train", "baseline", "fold", "export")),
        16,
        later,
        ("stages/report.json",),
    ),
    Kind("design", ("stages/report.json", "env.json", "events.jsonl"), 8),
    Kind("cells", ("study.journal",), 16, later, ("stages/report.json",)),
    Kind(
        "cells",
        ("study.journal", "stages/search.plan.json", "stages/size.plan.json"),
        12,
        later,
        tuple(f"stages/{n}.json" for n in ("search", "train", "baseline", "fold", "report")),
    ),
    Kind(
        "design",
        ("checkpoints/train.pt", "stages/train.plan.json"),
        16,
        later,
        ("stages/train.json", "stages/fold.json", "stages/export.json", "stages/report.json"),
    ),
    Kind(
        "design",
        ("checkpoints/trained.safetensors", "checkpoints/baseline.safetensors"),
        20,
        later,
        ("stages/fold.json", "stages/report.json"),
    ),
    Kind(
        "design",
        ("model.safetensors", "checkpoints/trained.safetensors"),
        16,
        later,
        ("stages/export.json", "stages/report.json"),
    ),
    Kind("ghn", ("choices.json", "log.jsonl", "state.pt", "ghn.safetensors"), 14),
    Kind("optimizer", ("checkpoint.pt", "log.jsonl", "optimizer.safetensors"), 16),
    Kind("bench", ("comparison.json", "*Adam*.json", "*optimizer-small*.json"), 20),
    Kind("study", ("study.journal",), 24),
    Kind("trained", ("study.journal", "supernet-0/**/*.pt"), 12),
    Kind("gradient", ("leaf-0.pt", "history.json"), 10),
    Kind("ghn", ("ghn.safetensors",), 24, predicted),
    Kind("optimizer", ("optimizer.safetensors",), 24, compared),
    Kind("latency", ("latency.json",), 40, limited),
)

WRONG = (None, "words", -1, 2.5, 10**400, [], {}, [[[[]]]], True, float("nan"), "\ud800", [1] * 9)
TEXTS = (b"", b"hello\n", b"{}", b"[]", b"null", b"7", b"\xff\xfe\x00", 200_000 * b"[", b"{\n\n}\n")


def spoilt(value: Any, chance: random.Random) -> Any:
    """A copy of nested plain values, of which one is missing or is another."""
    if isinstance(value, dict) and value:
        key = chance.choice(sorted(value, key=str))
        if chance.random() < 0.2:
            return {name: each for name, each in value.items() if name != key}
        return {**value, key: spoilt(value[key], chance)}
    if isinstance(value, (list, tuple)) and value and chance.random() < 0.7:
        place = chance.randrange(len(value))
        return [*value[:place], spoilt(value[place], chance), *value[place + 1 :]]
    if isinstance(value, torch.Tensor) and chance.random() < 0.7:
        return chance.choice([value.flatten()[:1], value[None], value.bool(), value * torch.nan])
    return chance.choice(WRONG)


def spoilt_content(path: Path, chance: random.Random) -> bytes:
    """The content of a file with one thing wrong in it that its format allows."""
    content = path.read_bytes()
    if path.suffix == ".pt":
        buffer = io.BytesIO()
        torch.save(spoilt(torch.load(path, weights_only=True), chance), buffer)
        return buffer.getvalue()
    if path.suffix == ".safetensors":
        with safe_open(str(path), framework="pt") as file:
            facts, tensors = dict(file.metadata()), {n: file.get_tensor(n) for n in file.keys()}  # noqa: SIM118
        name = chance.choice(sorted(tensors))
        if chance.random() < 0.3:
            tensors[name] = tensors[name].flatten()[:1].clone()
        else:
            key = chance.choice(sorted(facts))
            try:
                facts[key] = json.dumps(spoilt(json.loads(facts[key]), chance))
            except ValueError:
                facts[key] = chance.choice(["words", "", "{}", "null"])
        return save(tensors, metadata=facts)
    if path.suffix == ".yaml":
        return yaml.safe_dump(spoilt(yaml.safe_load(content), chance)).encode()
    if path.suffix in (".jsonl", ".journal"):
        lines = content.decode().splitlines()
        place = chance.randrange(len(lines))
        lines[place] = json.dumps(spoilt(json.loads(lines[place]), chance))
        return ("\n".join(lines) + "\n").encode()
    return json.dumps(spoilt(json.loads(content), chance)).encode()


def damage(path: Path, chance: random.Random) -> None:
    """Damage a file: as a disk would, as another program would, or by one value."""
    content = path.read_bytes()
    kind = chance.random()
    if kind < 0.15:
        path.write_bytes(content[: chance.randrange(len(content))])
    elif kind < 0.25:
        place = chance.randrange(len(content))
        path.write_bytes(content[:place] + chance.randbytes(8) + content[place + 8 :])
    elif kind < 0.45:
        path.write_bytes(chance.choice(TEXTS))
    else:
        path.write_bytes(spoilt_content(path, chance))


def problem(kind: Kind, file: str, folder: Path, seed: int) -> str | None:
    """What went wrong with a damaged copy of a folder; None where nothing did."""
    path = next(folder.glob(file))
    for undone in kind.undone:
        (folder / undone).unlink()
    damage(path, random.Random(seed))
    result = invoke(*kind.command(folder, str(path.relative_to(folder))))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        return f"{type(result.exception).__name__}: {str(result.exception)[:200]}"
    if result.exit_code not in (0, cli.FAILED, cli.USAGE):
        return f"exit code {result.exit_code}"
    lines = result.stderr.splitlines()
    if result.exit_code and not (len(lines) == 1 and lines[0].startswith("nascence: ")):
        return f"exit code {result.exit_code} with {result.stderr[:200]!r}"
    return None


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A finished folder of every kind; pages and exports, which nothing reads, are left out."""
    root = tmp_path_factory.mktemp("whole")
    pixels = np.random.default_rng(0).integers(0, 256, (24, 8, 8, 3), dtype=np.uint8)
    np.savez(root / DATA, images=pixels, labels=np.arange(24) % 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        for module, name in UNREAD:
            patch.setattr(f"nascence.{module}.{name}", lambda *_, **__: "")
        patch.setattr("nascence.design.stages.exporting.check_parity", lambda *_, **__: (2, 2, 0.0))
        patch.setattr("nascence.design.stages._cost", lambda *_: DeployedCost(1, 1, 1.0, 1.0))
        for name, words in WORDS.items():
            result = invoke(*words, "--quiet", "--out", str(root / name))
            assert result.exit_code == 0, (name, result.output, result.exception)
        words = [
            "bench",
            "latency",
            "darts",
            "--data",
            DATA,
            "--width",
            "4",
            "--cells",
            "3",
            "--networks",
            "1",
        ]
        words += ["--passes", "1", "--check", "0", "--quiet"]
        result = invoke(*words, "--out", str(root / "latency" / "latency.json"))
        assert result.exit_code == 0, (result.output, result.exception)
        yield root


def test_at_least_five_hundred_are_tried() -> None:
    assert sum(kind.tries * len(kind.files) for kind in KINDS) >= 500


@pytest.mark.parametrize("number", range(len(KINDS)), ids=lambda n: f"{n}-{KINDS[n].folder}")
def test_damaged_files_end_in_one_line(number: int, whole: Path, tmp_path: Path) -> None:
    kind, wrong = KINDS[number], []
    for file in kind.files:
        for seed in range(kind.tries):
            folder = tmp_path / f"{seed}" / kind.folder
            shutil.copytree(whole / kind.folder, folder)
            found = problem(kind, file, folder, 1000 * number + seed)
            shutil.rmtree(folder)
            if found is not None:
                wrong.append(f"{file}, seed {1000 * number + seed}: {found}")
    assert not wrong, "\n".join(wrong)
