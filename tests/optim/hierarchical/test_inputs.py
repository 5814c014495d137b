"""Statistics from sums equal those from tensors."""

import torch

from nascence.optim.hierarchical.inputs import (
    STATISTICS,
    means_of,
    means_of_sums,
    own_inputs,
    statistics_of,
)


def test_sums_of_the_inputs_give_the_same_statistics(generator: torch.Generator) -> None:
    grad, value = torch.randn(2, 6, 5, generator=generator)
    slots = {
        "momenta": torch.randn(5, 6, 5, generator=generator),
        "seconds": torch.rand(5, 6, 5, generator=generator),
    }
    whole = means_of(grad, value, slots)
    inputs = own_inputs(grad, value, slots)
    found = means_of_sums(inputs.sum(0), inputs.square().sum(0), 30)
    torch.testing.assert_close(found, whole, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(whole["w var"], value.var(correction=0), rtol=1e-4, atol=1e-5)
    for shape in ((6, 5), (), (1, 2, 3, 4, 5)):
        told = statistics_of(whole, torch.Size(shape), torch.zeros(2))
        assert told.shape == (STATISTICS,)
        assert told.abs().max() <= 5
