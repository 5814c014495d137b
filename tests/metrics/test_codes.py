"""The kernel of activation codes against distances counted bit by bit."""

import pytest
import torch
from torch import Tensor

from nascence.metrics import codes
from nascence.metrics.codes import CodeKernel

CPU = torch.device("cpu")


def agreement(inputs: list[Tensor]) -> Tensor:
    """Number of units of which two images have the same sign, for every two images."""
    signs = torch.cat([x.reshape(len(x), -1) > 0 for x in inputs], dim=1)
    return (signs[:, None] == signs[None]).sum(dim=2)


@pytest.mark.parametrize("int8", [True, False])
def test_kernel_counts_the_bits_that_agree(int8: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "_is_vnni_supported", lambda: int8)
    monkeypatch.setattr(codes, "_BITS", 100)  # so that products are taken in parts
    generator = torch.Generator().manual_seed(0)
    shapes = [(9, 7), (9, 4, 5, 3), (9,), (9, 1, 6, 6)]
    inputs = [torch.randn(shape, generator=generator) for shape in shapes]
    inputs.append(torch.randn(9, 8, 5, 5).contiguous(memory_format=torch.channels_last))
    inputs.append(torch.randn(6, 9, 4).transpose(0, 1))
    inputs.append(torch.randn(9, 3, 8, dtype=torch.bfloat16)[:, :, ::2])
    inputs.append(torch.randn(1, 5).expand(9, 5))
    inputs.append(torch.zeros(9, 4))
    with torch.no_grad(), CodeKernel(9, CPU) as gathered:
        for x in inputs:
            x.relu()
    assert torch.equal(gathered.kernel(), agreement(inputs))
    assert gathered.bits == sum(x[0].numel() for x in inputs)


def test_nothing_is_counted_outside_or_by_other_operations() -> None:
    x = torch.randn(3, 4)
    gathered = CodeKernel(3, CPU)
    x.relu()
    with torch.no_grad(), gathered:
        x.tanh()
        x.clamp(min=-1)
        x.clamp(min=1e-6)
        x.clamp(0, -1)
        torch.nn.functional.hardtanh(x)
        torch.nn.functional.threshold(x, 0, -5)
        torch.nn.functional.threshold(x, 1, 0)
    assert gathered.bits == 0


def test_freed_memory_is_not_held_and_not_taken_for_the_old() -> None:
    gathered = CodeKernel(4, CPU)
    inputs = []
    with torch.no_grad(), gathered:
        for seed in range(50):
            x = torch.randn(4, 1000, generator=torch.Generator().manual_seed(seed))
            inputs.append(x.clone())
            x.relu()
            del x
    assert torch.equal(gathered.kernel(), agreement(inputs))


def test_results_are_those_without_it() -> None:
    x = torch.randn(4, 6)
    with torch.no_grad(), CodeKernel(4, CPU):
        found = [x.relu(), x.clone().relu_(), torch.nn.functional.silu(x), x + 1]
    for value, expected in zip(found, [x.relu(), x.relu(), x * x.sigmoid(), x + 1], strict=True):
        torch.testing.assert_close(value, expected)
