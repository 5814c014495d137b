"""Published implementations to compare with."""

from collections.abc import Callable, Iterable
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

Transplant = Callable[..., None]


@pytest.fixture
def torchvision_models(torchvision_operators: torch.library.Library) -> ModuleType:
    import torchvision.models

    return torchvision.models


def randomise_(model: nn.Module, generator: torch.Generator) -> None:
    """Every value away from where it starts, so that no scale, shift or statistic is neutral."""
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if not value.is_floating_point():
                continue
            noise = torch.rand(value.shape, generator=generator)
            if value.dim() > 1:
                value.mul_(1 + 0.2 * noise)
            elif "running_var" in name or name.endswith("weight"):
                value.copy_(0.5 + noise)
            else:
                value.copy_(0.2 * noise - 0.1)


@pytest.fixture
def transplant(generator: torch.Generator) -> Transplant:
    """Randomise a published network, then give ours its values, tensor by tensor in order."""

    def give(
        theirs: nn.Module,
        ours: nn.Module,
        order: Callable[[Iterable[str]], list[str]] = list,
    ) -> None:
        randomise_(theirs, generator)
        source = theirs.state_dict()
        values: list[Tensor] = [source[name] for name in order(source)]
        names = list(ours.state_dict())
        assert len(values) == len(names)
        ours.load_state_dict(dict(zip(names, values, strict=True)))
        theirs.eval()
        ours.eval()

    return give
