"""Operators that overwrite their input: what folds around them, and what must stay in order."""

import operator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from nascence.reparam import fold_with_report
from nascence.reparam.mutation import is_only_reader, mutates, settle_mutations

ACTIVATIONS = {
    "module": lambda m, y: m.act(y),
    "keyword": lambda m, y: F.relu(y, inplace=True),
    "positional": lambda m, y: F.relu(y, True),
    "method": lambda m, y: y.relu_(),
    "function": lambda m, y: torch.relu_(y),
}
READERS = {
    "old and new": lambda m, y, act: (z := m.fc(y)) + act(m, y) + z,
    "old value read late": lambda m, y, act: act(m, y) + m.fc(y),
    "identity read late": lambda m, y, act: (kept := m.id(y), act(m, y), m.fc(kept))[2],
    "view read late": lambda m, y, act: (kept := y.flatten(1), act(m, y), kept * 2)[2],
    "gate": lambda m, y, act: (r := act(m, y)) * torch.sigmoid(m.fc(r.mean((2, 3), keepdim=True))),
    "twice": lambda m, y, act: act(m, act(m, y).mul_(0.5)) + m.fc(y),
}


class Net(nn.Module):
    def __init__(self, reader: str, activation: str) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8)
        self.act, self.id, self.fc = nn.ReLU(inplace=True), nn.Identity(), nn.Conv2d(8, 8, 1)
        self.reader, self.activation = reader, activation

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn(self.conv(x))
        return READERS[self.reader](self, y, ACTIVATIONS[self.activation])


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("reader", READERS)
def test_the_norm_before_folds_and_the_function_stays(
    reader, activation, randomise, distance
) -> None:
    model = randomise(Net(reader, activation))
    x = torch.randn(2, 3, 8, 8)
    folded, report = fold_with_report(model, x, repeats=0)
    assert distance(folded(x), model(x)) < 1e-5
    if reader == "view read late":
        assert "overwritten in place" in str(report)
    else:
        assert report.after.batch_norms == 0
    assert not any("cannot be traced" in note for note in report.notes)


def test_late_readers_read_what_overwrote() -> None:
    def run(x: Tensor) -> Tensor:
        y = x + 1
        z = y.relu_()
        return y * z

    graph = fx.symbolic_trace(run).graph
    assert settle_mutations(graph) == set()
    product = next(node for node in graph.nodes if node.target is operator.mul)
    assert [str(value.target) for value in product.args] == ["relu_", "relu_"]


def test_an_item_that_is_set_pins_its_readers() -> None:
    graph = fx.Graph()
    value = graph.call_function(operator.add, (graph.placeholder("x"), 1))
    graph.call_function(operator.setitem, (value, 0, 0))
    graph.output(graph.call_function(operator.mul, (value, 2)))
    assert {node.target for node in settle_mutations(graph)} >= {operator.setitem, operator.mul}


def test_only_a_value_of_its_own_is_overwritten(randomise) -> None:
    model = nn.Sequential(nn.Dropout(0.1), nn.ReLU(inplace=True), nn.Conv2d(3, 3, 1))
    model = randomise(nn.Sequential(model, nn.BatchNorm2d(3))).eval()
    x = torch.randn(1, 3, 4, 4)
    kept = x.clone()
    folded, _ = fold_with_report(model, x, repeats=0)
    assert torch.equal(x, kept)  # also while it is folded
    folded(x)
    assert torch.equal(x, kept)  # the original overwrites it


def test_the_only_reader_overwrites() -> None:
    graph = fx.symbolic_trace(lambda x: (x + 1).relu_()).graph
    nodes = [node for node in graph.nodes if mutates(node)]
    assert len(nodes) == 1
    assert is_only_reader(nodes[0])
