"""The layer: copies, tracing, compilers, exporters, mixed precision."""

import copy
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nascence.graph import trace
from nascence.implicit import DEQ, Phantom, Status, fixed_iterations, unrolled


class Cell(nn.Module):
    def __init__(self, channels: int = 4) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm = nn.GroupNorm(2, channels)
        nn.init.normal_(self.conv.weight, 0, 0.1)

    def forward(self, z: Tensor, x: Tensor) -> Tensor:
        return self.norm(torch.relu(self.conv(z)) + x)


@pytest.fixture
def network() -> nn.Sequential:
    torch.manual_seed(0)
    stem, head = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 2, 1)
    return nn.Sequential(stem, DEQ(Cell(), tol=1e-5, max_iter=40), head).eval()


@pytest.fixture
def images(generator: torch.Generator) -> Tensor:
    return torch.randn(3, 1, 6, 6, generator=generator)


def test_copies_and_pickles_compute_the_same(network: nn.Module, images: Tensor) -> None:
    expected = network(images)
    assert torch.equal(copy.deepcopy(network)(images), expected)
    assert torch.equal(pickle.loads(pickle.dumps(network))(images), expected)


def test_trace_holds_the_cell_once(network: nn.Module, images: Tensor) -> None:
    graph = trace(network, images)
    names = {parameter.name for node in graph.nodes for parameter in node.parameters}
    assert names == dict(network.named_parameters()).keys()
    assert len(graph.loops) >= 1


def test_where_a_solve_starts(network: nn.Sequential, images: Tensor) -> None:
    layer, x = network[1], network[0](images).detach()
    cold = layer.solve(x)
    warm = layer.solve(x, z0=cold.state.detach())
    assert warm.evaluations == 1
    with pytest.raises(ValueError, match="no state to start from"):
        layer()


def test_unrolled_is_the_cell_again_and_again(network: nn.Sequential, images: Tensor) -> None:
    z = torch.zeros_like(x := network[0](images))
    for _ in range(3):
        z = network[1].cell(z, x)
    assert torch.equal(unrolled(network, 3)(images), network[2](z))
    assert not isinstance(network[1].backward, type(unrolled(network, 3)[1].backward))
    with pytest.raises(ValueError, match="no DEQ layer"):
        unrolled(nn.Linear(1, 1), 3)
    with pytest.raises(ValueError, match="iterations is 0"):
        fixed_iterations(network, 0)


@pytest.mark.parametrize("solver", ["picard", "anderson", "broyden"])
def test_fixed_iterations_approach_the_solution(
    solver: str, network: nn.Sequential, images: Tensor
) -> None:
    with torch.no_grad():
        expected = network(images)
        fixed = fixed_iterations(network, 80 if solver == "picard" else 25, solver=solver)
        assert torch.allclose(fixed(images), expected, atol=1e-4)
        status = fixed[1].solve(network[0](images)).status
    assert (status == Status.UNCHECKED).all()


def test_compile_whole_in_training_and_inference(network: nn.Sequential, images: Tensor) -> None:
    fixed = fixed_iterations(network, 3)
    with torch.no_grad():
        compiled = torch.compile(fixed, fullgraph=True, backend="eager")
        assert torch.allclose(compiled(images), fixed(images), atol=1e-6)
    fixed = fixed_iterations(network, 2, solver="picard", backward=Phantom(1, 0.8))
    compiled = torch.compile(fixed, fullgraph=True, backend="aot_eager")
    parameters = list(fixed.parameters())
    got = torch.autograd.grad(compiled(images).square().sum(), parameters)
    want = torch.autograd.grad(fixed(images).square().sum(), parameters)
    for a, b in zip(got, want, strict=True):
        assert torch.allclose(a, b, rtol=1e-4, atol=1e-5)


def test_an_implicit_gradient_does_not_compile_and_says_so(
    network: nn.Sequential, images: Tensor
) -> None:
    fixed = fixed_iterations(network, 2, solver="picard", backward="implicit")
    with pytest.raises(Exception, match="implicit gradient cannot be compiled"):
        torch.compile(fixed, backend="eager", fullgraph=True)(images)


def test_export_and_onnx(network: nn.Sequential, images: Tensor, tmp_path: Path) -> None:
    import onnxruntime

    fixed = fixed_iterations(network, 2, solver="picard")
    with torch.no_grad():
        expected = fixed(images)
    program = torch.export.export(fixed, (images,))
    assert torch.allclose(program.module()(images), expected, atol=1e-6)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        onnx = torch.onnx.export(program, (), dynamo=True, verbose=False)
    path = str(tmp_path / "fixed.onnx")
    onnx.save(path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {session.get_inputs()[0].name: images.numpy()})
    assert np.allclose(found, expected.numpy(), atol=1e-5)


def test_training_under_mixed_precision(network: nn.Sequential, images: Tensor) -> None:
    layer: DEQ = network[1]
    layer.tol = 2e-2
    for backward in (Phantom(3), "one_step"):
        layer.backward = backward
        network.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = network(images).float().square().mean()
        loss.backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
        assert layer.cell.conv.weight.grad.abs().sum() > 0
