"""Kind 7, exported ONNX files: no trace of the machine, equal bytes, any batch."""

import getpass
import random
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.reliability.folding import BoundMethod, CallsByKeyword, InAList, made
from benchmarks.reliability.runs import data
from benchmarks.reliability.trying import Try, WrongError, refuses, succeeds
from nascence import models
from nascence.data import Dataset, Split
from nascence.export import check_parity, export_onnx

PLACES = re.compile(rb"\.py\b|/site-packages|/usr/|/home/|/tmp/|Traceback|File \"")


def strings(content: bytes) -> None:
    """Check that nothing in a file names the machine.

    Raises:
        WrongError: With what does.
    """
    user = getpass.getuser().encode()
    found = PLACES.search(content)
    here = str(Path(__file__).parents[2]).encode()
    if found or here in content or b"/" + user in content:
        place = found.start() if found else content.find(here)
        raise WrongError(f"the file holds {content[max(0, place - 40) : place + 40]!r}")


def images(classes: int) -> Dataset:
    generator = torch.Generator().manual_seed(classes)
    pixels = torch.randint(0, 256, (9, 3, 16, 16), generator=generator, dtype=torch.uint8)
    split = Split(pixels, torch.arange(9) % classes)
    names = tuple(f"class {number}" for number in range(classes))
    return Dataset("noise", split, split, names, (0.4,) * 3, (0.2,) * 3, (), "noise")


def exported(name: str, folder: Path, opset: int | None) -> None:
    """A network by name is written twice alike, for any batch, and computes the same."""
    torch.manual_seed(len(name))
    classes = 3 + len(name) % 5
    model: nn.Module = models.build(name, classes=classes)
    found = images(classes)
    paths = [folder / "one.onnx", folder / "two.onnx"]
    for path in paths:
        export_onnx(model, path, data=found, opset=opset, metadata={"note": "a note"})
    contents = [path.read_bytes() for path in paths]
    if contents[0] != contents[1]:
        raise WrongError("two exports differ")
    strings(contents[0])
    check(paths[0], opset)
    parity = check_parity(model, paths[0], found.validation, data=found)
    if parity.same_top1 < parity.images or not parity.relative_error < 1e-4:
        raise WrongError(f"unlike torch: {parity}")


def check(path: Path, opset: int | None) -> None:
    """The opset is the one asked for, the IR version low, and every batch size runs."""
    import onnx
    import onnxruntime

    proto: Any = onnx.load(str(path))
    if opset is not None and proto.opset_import[0].version != opset:
        raise WrongError(f"opset {proto.opset_import[0].version}, asked for {opset}")
    if proto.ir_version > 10:
        raise WrongError(f"IR version {proto.ir_version}")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    shape = [each if isinstance(each, int) else None for each in given.shape]
    for batch in (1, 2, 5):
        values = np.zeros([batch, *(size or 16 for size in shape[1:])], np.float32)
        (out,) = session.run(None, {given.name: values})[:1]
        if len(out) != batch:
            raise WrongError(f"{len(out)} outputs for a batch of {batch}")


SOURCE = """
import sys
sys.path.insert(0, {root!r})
from benchmarks.reliability import folding
def network():
    return folding.made(folding.{kind}, {seed})[0]
"""


def folded(kind: Callable[..., nn.Module], folder: Path, seed: int) -> None:
    """What ``nascence fold --onnx`` writes for any batch, twice alike."""
    made(kind, seed)
    source = folder / "networks.py"
    root = str(Path(__file__).parents[2])
    source.write_text(SOURCE.format(root=root, kind=kind.__name__, seed=seed))
    contents = []
    for number in range(2):
        path = folder / f"{number}.onnx"
        succeeds("fold", f"{source}:network", "--shape", "1,6,8,8", "--onnx", path)
        contents.append(path.read_bytes())
    if contents[0] != contents[1]:
        raise WrongError("two exports differ")
    strings(contents[0])
    check(path, None)


def designed(folder: Path) -> None:
    """The file that a whole run exports."""
    succeeds(
        "design", data(folder), "--size", 8, "--trials", 2, "--steps", 2, "--no-baseline", "-q",
        "--out", folder / "run",
    )  # fmt: skip
    (path,) = (folder / "run").rglob("*.onnx")
    strings(path.read_bytes())
    check(path, None)


def tries(rng: random.Random, folder: Path) -> Iterator[Try]:
    names = ("resnet20", "resnet20", "resnet32")
    for number, name in enumerate(names):
        opset = rng.choice((None, 18, 20))
        place = folder / str(number)
        place.mkdir()
        yield Try(f"{name}, opset {opset}", partial(exported, name, place, opset))
    for kind in (CallsByKeyword, InAList, BoundMethod):
        place = folder / kind.__name__
        place.mkdir()
        yield Try(
            f"fold --onnx of {kind.__name__}",
            partial(folded, kind, place, rng.randrange(999)),
        )
    for opset in (1, 7, 17, 99, 0, -3):
        path = folder / f"{opset}.onnx"
        yield Try(
            f"design --opset {opset}",
            partial(refused_opset, folder, opset),
        )
        del path
    yield Try("design", lambda: designed(folder))


def refused_opset(folder: Path, opset: int) -> None:
    """A version that cannot be written is refused before anything is trained."""
    refuses(
        "design", data(folder), "--size", 8, "--trials", 2, "--steps", 2, "--no-baseline", "-q",
        "--out", folder / f"opset{opset}", "--opset", opset,
    )  # fmt: skip
