"""Shapes and corrections of the small network."""

import torch

from nascence.optim.small.network import Decays, corrections, matrix_shape


def test_thin_matrices_are_not_factored() -> None:
    assert matrix_shape(torch.Size((2, 9))) == (1, 18)
    assert matrix_shape(torch.Size((8, 3, 3, 3))) == (8, 27)
    assert matrix_shape(torch.Size(())) == (1, 1)
    assert matrix_shape(torch.Size((5, 0))) == (1, 0)


def test_corrections_are_what_averages_have_gathered() -> None:
    decays = Decays(torch.tensor([0.1, 1e-6, 1.0]), torch.tensor(1e-3), torch.full((3,), 0.5))
    for step in (1, 3, 1000):
        found = corrections(decays, torch.tensor(float(step)), factored=True)
        known = [1 - 0.9**step, 1 - (1 - 1e-6) ** step, 1.0]
        torch.testing.assert_close(found.momenta, torch.tensor(known), rtol=1e-5, atol=0)
        torch.testing.assert_close(
            found.second, torch.tensor((1 - 0.999**step) ** 0.5), rtol=1e-5, atol=0
        )
        torch.testing.assert_close(found.factors[0].item(), (1 - 0.5**step) ** 0.5)
    vector = corrections(decays, torch.tensor(2.0), factored=False)
    assert torch.equal(vector.factors, vector.second.expand(3))
