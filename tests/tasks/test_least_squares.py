"""Least squares have the spectra and curvatures they are given."""

import pytest
import torch
from torch.func import grad, jacrev

from nascence.tasks.least_squares import LeastSquares, least_squares, spectrum


@pytest.mark.parametrize("form", range(4))
def test_spectra_by_their_forms(form: int, generator: torch.Generator) -> None:
    values = spectrum(form, 4001, 100.0, generator=generator)
    assert values.min() >= 0.01 - 1e-6
    assert values.max() <= 1 + 1e-6
    # The middle one is the mean of the bounds, or of their logarithms.
    assert abs(values.median() - (0.1 if form % 2 else 0.505)) < 0.03
    sorted_values = values.log() if form % 2 else values
    even = sorted_values.sort().values.diff()
    assert bool(even.std() < 1e-3 * even.mean()) == (form >= 2) or even.std() < 1e-5


def test_the_curvature_is_the_spectrum(generator: torch.Generator) -> None:
    task = least_squares().task(3)
    constants = {name: value.double() for name, value in task.constants.items()}
    params = {name: value.double() for name, value in task.init(generator=generator).items()}
    draw = (task.batch("test", generator=generator)[0].double(),)
    slope = grad(lambda x: task.problem.loss(constants, {"x": x}, draw))
    curvature = jacrev(slope)(params["x"])
    values = torch.linalg.eigvalsh(curvature / constants["scale"])
    assert values[0] > 0.9e-3
    assert values[-1] < 1.001
    singular = torch.linalg.svdvals(constants["root"]).flip(0) ** 2
    torch.testing.assert_close(values, singular, rtol=1e-4, atol=1e-6)


def test_the_logarithm_has_the_same_least_place(generator: torch.Generator) -> None:
    problem = LeastSquares(8, logarithm=True)
    constants = problem.sample(generator=generator)
    draw = (torch.zeros(8, 8),)
    params = problem.init(constants, generator=generator)
    plain = LeastSquares(8).loss(constants, params, draw) / constants["scale"]
    known = constants["scale"] * torch.log(1 + 1000 * plain)
    torch.testing.assert_close(problem.loss(constants, params, draw), known)
    centre = {"x": constants["centre"]}
    assert problem.loss(constants, centre, draw) == 0
    assert grad(problem.loss, argnums=1)(constants, centre, draw)["x"].abs().max() == 0


def test_noise_raises_the_mean_by_its_share(generator: torch.Generator) -> None:
    """The mean over N of the error is ½ ‖M d‖² + ½ noise² ‖d‖²."""
    problem = LeastSquares(16)
    constants = problem.sample(generator=generator)
    constants |= {"noise": torch.tensor(0.5), "scale": torch.tensor(1.0)}
    params = problem.init(constants, generator=generator)
    (normal,) = problem.draw(4000, "train", generator=generator)
    mean = torch.stack([problem.loss(constants, params, (one,)) for one in normal]).mean()
    offset = params["x"] - constants["centre"]
    known = 0.5 * (constants["root"] @ offset).square().sum() + 0.125 * offset.square().sum()
    assert abs(mean / known - 1) < 0.03
