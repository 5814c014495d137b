"""Cross-entropy against torch's."""

import torch
from torch.func import grad, vmap
from torch.nn import functional

from nascence.tasks.classification import cross_entropy


def test_it_is_that_of_torch_with_its_gradient(generator: torch.Generator) -> None:
    logits = 5 * torch.randn(3, 7, 4, generator=generator)
    labels = torch.randint(4, (3, 7), generator=generator)
    for one, known in zip(logits, labels, strict=True):
        found = cross_entropy(one, known)
        torch.testing.assert_close(found, functional.cross_entropy(one, known))
        slope = grad(functional.cross_entropy)(one, known)
        torch.testing.assert_close(grad(cross_entropy)(one, known), slope)
    together = torch.stack([cross_entropy(*pair) for pair in zip(logits, labels, strict=True)])
    torch.testing.assert_close(vmap(cross_entropy)(logits, labels), together)


def test_large_logits_do_not_overflow() -> None:
    logits = torch.tensor([[1e4, -1e4], [-1e4, 1e4]])
    assert cross_entropy(logits, torch.tensor([0, 1])) == 0
    assert cross_entropy(logits, torch.tensor([1, 0])) == 2e4
