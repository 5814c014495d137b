"""Kind 17, networks whose parts are shared, pruned, hooked, counted, or read in odd ways."""

import random
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune
from torch.utils._pytree import tree_leaves

from benchmarks.reliability.trying import Try, WrongError, allowing
from nascence.reparam import fold

Forward = Callable[[Any, Tensor], object]


class Net(nn.Module):
    """Convolution and BatchNorm, twice, in a forward of our own; it counts its calls."""

    def __init__(self, way: Forward) -> None:
        super().__init__()
        self.c, self.b = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.d, self.e = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.way, self.calls = way, 0

    def forward(self, x: Tensor) -> object:
        self.calls += 1
        return self.way(self, x)


def loop(m: Any, x: Tensor) -> Tensor:
    for number in range(len(x)):
        x = m.e(m.d(x)) if number % 2 else m.b(m.c(x))
    return x


def overwritten(m: Any, x: Tensor) -> Tensor:
    y = m.c(x)
    z: Tensor = m.b(y)
    return z + y.mul_(0)


WAYS: dict[str, Forward] = {
    "called twice": lambda m, x: m.b(m.c(m.b(m.c(x)))),
    "one convolution, two norms": lambda m, x: m.b(m.c(x)) + m.e(m.c(x)),
    "the convolution returned, too": lambda m, x: (m.b(y := m.c(x)), y),
    "a dictionary": lambda m, x: {"a": m.b(m.c(x)), "b": [m.e(m.d(x)).mean(1)]},
    "decides on values": lambda m, x: m.b(m.c(x)) if x.mean() > 0 else m.e(m.d(x)),
    "as often as there are images": loop,
    "overwrites what the norm read": overwritten,
    "half of the channels": lambda m, x: m.b(m.c(x)[:, [0, 0, 2, 2]]),
    "shuffled channels": lambda m, x: m.b(
        m.c(x).unflatten(1, (2, 2)).transpose(1, 2).flatten(1, 2)
    ),
    "padded between": lambda m, x: m.d(nn.functional.pad(m.b(m.c(x)), (1, 1, 1, 1))),
    "activation between": lambda m, x: m.e(m.d(m.b(m.c(x)).relu_())),
}


def hooked(kind: str) -> nn.Module:
    made = nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1))
    if kind == "adds to the convolution":
        made[0].register_forward_hook(lambda _, __, out: out + 1)
    elif kind == "scales the norm":
        made[1].register_forward_hook(lambda _, __, out: 3 * out)
    elif kind == "doubles the input":
        made.register_forward_pre_hook(lambda _, given: (2 * given[0],))
    else:
        made[1].register_full_backward_hook(lambda *_: None)
    return made


def parts(kind: str) -> nn.Module:
    """Layers whose weights are computed, tied or odd."""
    conv, norm = nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4)
    if kind == "spectral":
        return nn.Sequential(parametrizations.spectral_norm(conv), norm)
    if kind == "weight norm":
        return nn.Sequential(parametrizations.weight_norm(conv), norm)
    if kind == "pruned":
        prune.l1_unstructured(conv, "weight", 0.5)
    if kind == "pruned for good":
        prune.remove(prune.l1_unstructured(conv, "weight", 0.5), "weight")
    if kind == "batch statistics":
        norm = nn.BatchNorm2d(4, track_running_stats=False)
    if kind == "no affine":
        norm = nn.BatchNorm2d(4, affine=False)
    if kind == "tied":
        other = nn.Conv2d(4, 4, 3)
        other.weight = conv.weight
        return nn.Sequential(conv, norm, other)
    if kind == "transposed":
        return nn.Sequential(nn.ConvTranspose2d(4, 4, 3, stride=2, groups=2), norm)
    if kind == "reflected":
        return nn.Sequential(norm, nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"))
    if kind == "pixels shuffled":
        return nn.Sequential(conv, nn.PixelShuffle(2), nn.BatchNorm2d(1))
    return nn.Sequential(conv, norm)


def folded(make: Callable[[], nn.Module], seed: int) -> None:
    """The folded network computes what the network does, on other images as well."""
    torch.manual_seed(seed)
    model = make()
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d) and layer.running_mean is not None:
            layer.running_mean.normal_()
            assert layer.running_var is not None
            layer.running_var.uniform_(0.5, 2.0)
    model.eval()
    x = torch.randn(2, 4, 8, 8)
    result, refused = allowing(lambda: fold(model, x))
    if refused is not None:
        return
    if getattr(model, "calls", 0):
        raise WrongError("folding ran the model itself")
    for images in (x, -x, torch.randn(3, 4, 8, 8)):
        pairs = zip(tree_leaves(result(images)), tree_leaves(model(images)), strict=True)
        for ours, theirs in pairs:
            if not torch.allclose(ours, theirs, rtol=1e-3, atol=1e-3):
                raise WrongError(f"differs by {float((ours - theirs).abs().max()):.1e}")


HOOKS = ("adds to the convolution", "scales the norm", "doubles the input", "backward")
PARTS = (
    *("spectral", "weight norm", "pruned", "pruned for good", "batch statistics", "no affine"),
    *("tied", "transposed", "reflected", "pixels shuffled", "plain"),
)


def tries(rng: random.Random, folder: Path) -> Iterator[Try]:
    makes: dict[str, Callable[[], nn.Module]] = {name: partial(Net, WAYS[name]) for name in WAYS}
    makes |= {f"hook, {kind}": partial(hooked, kind) for kind in HOOKS}
    makes |= {kind: partial(parts, kind) for kind in PARTS}
    for name, make in makes.items():
        for seed in rng.sample(range(10_000), 2):
            yield Try(f"{name}, seed {seed}", partial(folded, make, seed))
