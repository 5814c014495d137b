"""Kind 16, the arithmetic that training takes on this machine."""

import random
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.reliability.onnx_files import images
from benchmarks.reliability.trying import Try, WrongError
from nascence import models
from nascence.spaces import NB201
from nascence.training.precision import faster_precision


def seconds(model: nn.Module, half: bool) -> float:
    """CPU time of a training step."""
    pixels = torch.randn(9, 3, 16, 16)
    began = time.process_time()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
        outputs = model(pixels)
    F.cross_entropy(outputs.float(), torch.arange(9) % 3).backward()
    return time.process_time() - began


def chosen(name: str, width: int) -> None:
    """The choice is not the clearly slower one, and the network is left as it is."""
    torch.manual_seed(width)
    model = (
        NB201(classes=3, width=width, cells=1).build((3, 3, 3, 3, 3, 3))
        if name == "cell"
        else models.build(name, classes=3)
    )
    before = {key: value.clone() for key, value in model.state_dict().items()}
    found = faster_precision(model, images(3), device=torch.device("cpu"))
    for key, value in model.state_dict().items():
        if not torch.equal(before[key], value):
            raise WrongError(f"{key} was changed")
    for half in (False, True):
        seconds(model, half)
    pairs = [(seconds(model, False), seconds(model, True)) for _ in range(5)]
    plain, half_time = (min(times) for times in zip(*pairs, strict=True))
    if found == "bfloat16" and half_time > 1.25 * plain:
        raise WrongError(f"bfloat16 takes {half_time / plain:.2f} of float32's time")
    if found == "float32" and half_time < 0.6 * plain:
        raise WrongError(f"float32 although bfloat16 takes {half_time / plain:.2f} of its time")


def tries(rng: random.Random, folder: Path) -> Iterator[Try]:
    for width in (4, 16, 32, 64):
        yield Try(f"a cell of width {width}", partial(chosen, "cell", width))
    yield Try("resnet20", lambda: chosen("resnet20", rng.randrange(9)))
