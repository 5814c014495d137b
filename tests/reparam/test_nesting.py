"""Sequentials of a folded network can be indexed, sliced and called."""

import torch
from torch import Tensor, nn

from nascence.reparam import RepVGGBlock, fold


def body(randomise, ins: int = 3, outs: int = 4) -> nn.Sequential:
    layers = [nn.Conv2d(ins, outs, 3, padding=1), nn.BatchNorm2d(outs), nn.ReLU(inplace=True)]
    return randomise(nn.Sequential(*layers))


def test_a_sequential_stays_one_of_parts_with_the_same_function(randomise, distance) -> None:
    model = nn.Sequential(body(randomise), randomise(RepVGGBlock(4, 4)), nn.Flatten())
    model = model.append(nn.Linear(4 * 36, 5)).eval()
    x = torch.randn(2, 3, 6, 6)
    folded = fold(model, x)
    assert isinstance(folded, nn.Sequential)
    assert len(folded) == 4
    assert type(folded[0][1]) is nn.Identity
    assert distance(folded[0](x), model[0](x)) < 1e-5
    assert distance(folded[:-1](x), model[:-1](x)) < 1e-5
    assert "0.0.weight" in folded.state_dict()


def test_a_sequential_within_a_network(randomise, distance) -> None:
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.stages = body(randomise), nn.ModuleList([body(randomise, 4)])

        def forward(self, x: Tensor) -> Tensor:
            y = self.stem(x)
            return self.stages[0](y) + y

    model = Network().eval()
    x = torch.randn(2, 3, 6, 6)
    folded = fold(model, x)
    assert distance(folded(x), model(x)) < 1e-5
    assert distance(folded.stem(x), model.stem(x)) < 1e-5
    assert type(folded.get_submodule("stages.0")[0]) is nn.Conv2d


def test_a_sequential_that_runs_twice_is_not_made_one_module(randomise, distance) -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = body(randomise, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.body(self.body(x))

    model = Twice().eval()
    x = torch.randn(2, 4, 6, 6)
    folded = fold(model, x)
    assert distance(folded(x), model(x)) < 1e-5
    assert sum(isinstance(m, nn.Conv2d) for m in folded.modules()) == 1


def test_a_sequential_stays_open_for_the_layer_of_its_second_call(randomise, distance) -> None:
    """The second call becomes a layer of another shape, for it absorbs the sum behind it."""

    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList([body(randomise, 4)[:2]])

        def forward(self, x: Tensor) -> Tensor:
            y = self.layers[0](x).relu()
            return y + self.layers[0](y)

    model = Residual().eval()
    x = torch.randn(2, 4, 6, 6)
    folded = fold(model, x)
    assert distance(folded(x), model(x)) < 1e-5
    assert sum(isinstance(m, nn.Conv2d) for m in folded.modules()) == 2
    assert not any(isinstance(m, nn.BatchNorm2d) for m in folded.modules())
