"""The score against the published formula, ReLU by ReLU."""

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nascence.metrics import Batch, naswot


def batch_of(images: Tensor) -> Batch:
    return images, torch.zeros(len(images), dtype=torch.long)


def published_score(model: nn.Module, images: Tensor) -> float:
    """ln |det K| with K the sum of c c' + (1 - c)(1 - c)' over the inputs of ``nn.ReLU``.

    Inputs are held and compared as objects, so that one is never taken for another.
    """
    inputs: list[Tensor] = []

    def hold(module: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        if not any(arguments[0] is known for known in inputs):
            inputs.append(arguments[0])

    rectifiers = [module for module in model.modules() if isinstance(module, nn.ReLU)]
    handles = [module.register_forward_pre_hook(hold) for module in rectifiers]
    with torch.no_grad():
        model.train()(images)
    for handle in handles:
        handle.remove()
    kernel = torch.zeros(len(images), len(images), dtype=torch.float64)
    for x in inputs:
        code = (x.flatten(1) > 0).double()
        kernel += code @ code.T + (1 - code) @ (1 - code).T
    return torch.linalg.slogdet(kernel).logabsdet.item()


class Block(nn.Module):
    """Three branches which rectify one input, and a sum which the next block rectifies."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(
                nn.ReLU(),
                nn.Conv2d(channels, channels, 3, padding=1, bias=False),
                nn.BatchNorm2d(channels),
            )
            for _ in range(3)
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + sum(branch(x) for branch in self.branches)


def network() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1),
        nn.BatchNorm2d(6),
        *(Block(6) for _ in range(4)),
        nn.Conv2d(6, 5, 3, stride=2),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(5, 10),
    )


@pytest.fixture
def images(generator: torch.Generator) -> Tensor:
    return torch.randn(32, 3, 12, 12, generator=generator)


@pytest.mark.parametrize("int8", [True, False])
def test_score_is_the_published_formula(
    int8: bool, images: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_vnni_supported", lambda: int8)
    for seed in range(5):
        torch.manual_seed(seed)
        model = network()
        assert naswot(model, batch_of(images)) == pytest.approx(
            published_score(model, images), abs=1e-3
        )


def test_memory_used_again_is_not_a_shared_input() -> None:
    """In a plain chain every ReLU has its own input, though the allocator hands back memory."""
    torch.manual_seed(0)
    layers = [layer for _ in range(30) for layer in (nn.Linear(64, 64), nn.ReLU())]
    model = nn.Sequential(*layers)
    images = torch.randn(40, 64)
    assert naswot(model, batch_of(images)) == pytest.approx(published_score(model, images))


class Activated(nn.Module):
    """Two layers and an activation between them, which gets two inputs of each image."""

    def __init__(self, activation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.first, self.last = nn.Linear(8, 64), nn.Linear(64, 64)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.last(self.activation(self.first(x))))


EQUIVALENT = {
    "function": F.relu,
    "method": Tensor.relu,
    "torch": torch.relu,
    "in place": lambda x: F.relu(x, inplace=True),
    "clamp": lambda x: x.clamp(min=0),
    "clamp keyword": lambda x: torch.clamp(x, 0.0, None),
    "clamp_min": lambda x: x.clamp_min(0),
    "threshold": nn.Threshold(0, 0),
    "hardtanh": nn.Hardtanh(0, 1e9),
    "a subclass": type("Rectifier", (nn.ReLU,), {})(),
    "a view": lambda x: x.view(-1, 4, 16).relu().flatten(1),
}


@pytest.mark.parametrize("name", EQUIVALENT)
def test_rectifiers_are_found_by_what_they_compute(name: str) -> None:
    images = torch.randn(20, 8, generator=torch.Generator().manual_seed(1))
    expected = published_score(Activated(nn.ReLU()), images)
    found = naswot(Activated(EQUIVALENT[name]), batch_of(images))
    assert found == pytest.approx(expected, abs=1e-9)


GATES = [
    nn.LeakyReLU(),
    nn.LeakyReLU(inplace=True),
    nn.PReLU(),
    nn.RReLU(),
    nn.ReLU6(),
    nn.GELU(),
    nn.GELU(approximate="tanh"),
    nn.SiLU(),
    nn.Mish(),
    nn.Hardswish(),
    nn.ELU(),
    nn.SELU(),
    nn.CELU(inplace=True),
]


@pytest.mark.parametrize("gate", GATES, ids=str)
def test_gates_count_by_the_sign_of_their_input(gate: nn.Module) -> None:
    images = torch.randn(20, 8, generator=torch.Generator().manual_seed(1))
    model = Activated(gate).eval()
    with torch.no_grad():
        first = model.first(images)
        last = model.last(model.activation(first.clone()))
    codes = torch.cat([first, last], dim=1).gt(0).double()
    kernel = codes @ codes.T + (1 - codes) @ (1 - codes).T
    expected = torch.linalg.slogdet(kernel).logabsdet.item()
    assert naswot(model, batch_of(images)) == pytest.approx(expected, abs=1e-9)


class Shared(nn.Module):
    """Rectifies one tensor as often as it has readers, by ReLUs of a kind."""

    def __init__(self, *rectifiers: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.layer = nn.Linear(8, 100)
        self.rectifiers = rectifiers

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer(x)
        return sum(rectify(x) for rectify in self.rectifiers)


def test_a_shared_input_counts_once_however_it_is_rectified() -> None:
    images = torch.randn(20, 8, generator=torch.Generator().manual_seed(1))
    expected = naswot(Shared(F.relu), batch_of(images))
    for rectifiers in (
        (F.relu, F.relu, F.relu6),
        (F.relu_, F.relu_),
        (F.relu, lambda x: F.relu(F.relu(x))),
        (F.relu, lambda x: F.relu(x.view(-1, 10, 10)).flatten(1)),
        (F.relu, lambda x: F.relu(x.view(-1, 10, 10).transpose(1, 2)).flatten(1)),
        (F.gelu, F.relu),
    ):
        assert naswot(Shared(*rectifiers), batch_of(images)) == expected


def test_different_parts_and_later_values_of_a_tensor_count_each() -> None:
    images = torch.randn(20, 8, generator=torch.Generator().manual_seed(1))

    def halves(x: Tensor) -> Tensor:
        return torch.cat([F.relu(x[:, ::2]), F.relu(x[:, 1::2])], dim=1)

    def left_and_even(x: Tensor) -> Tensor:
        return F.relu(x[:, :50]) + F.relu(x[:, ::2])

    def changed(x: Tensor) -> Tensor:
        return F.relu(x) + F.relu(x.mul_(-1))

    whole = naswot(Shared(F.relu), batch_of(images))
    assert naswot(Shared(halves), batch_of(images)) == pytest.approx(whole)
    assert naswot(Shared(left_and_even), batch_of(images)) != pytest.approx(whole, abs=1e-3)
    # The opposite of a code agrees where the code does: the kernel is twice that of one.
    twice = whole + 20 * torch.tensor(2.0).log().item()
    assert naswot(Shared(changed), batch_of(images)) == pytest.approx(twice)


@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4, 5, 6, 0], [3, 3, 3, 0, 1, 6, 5, 4, 2]])
def test_repeated_images_count_once(order: list[int]) -> None:
    torch.manual_seed(2)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU())
    images = torch.randn(7, 3, 12, 12)
    whole = naswot(model, batch_of(images))
    assert naswot(model, batch_of(images[order])) == pytest.approx(whole)


def test_images_that_are_all_equal_count_the_bits() -> None:
    """One code of 6 units is left: K is the number 6."""
    model = nn.Sequential(nn.Linear(8, 6), nn.ReLU())
    assert naswot(model, batch_of(torch.zeros(5, 8))) == pytest.approx(math.log(6))


def test_fewer_units_than_images() -> None:
    """K has at most one more rank than units; rounding must not make the others a number."""
    generator = torch.Generator().manual_seed(3)
    model = nn.Sequential(nn.Linear(8, 12), nn.ReLU())
    images = torch.randn(64, 8, generator=generator)
    codes = (model(images) > 0).double().unique(dim=0)
    kernel = codes @ codes.T + (1 - codes) @ (1 - codes).T
    assert torch.linalg.matrix_rank(kernel) < len(kernel)
    eigenvalues = torch.linalg.eigvalsh(kernel)
    expected = eigenvalues[eigenvalues > 1e-6].log().sum().item()
    assert naswot(model, batch_of(images)) == pytest.approx(expected)


def test_what_cannot_be_scored_is_an_error(images: Tensor) -> None:
    with pytest.raises(ValueError, match="1 image; the score compares 2 or more"):
        naswot(network(), batch_of(images[:1]))
    with pytest.raises(ValueError, match="no activation"):
        naswot(nn.Sequential(nn.Linear(8, 8), nn.Tanh()), batch_of(torch.randn(4, 8)))
    with pytest.raises(ValueError, match=r"shape \(1, 4, 8\); its first dimension must be the"):
        naswot(
            nn.Sequential(nn.Linear(8, 8), nn.Unflatten(0, (1, 4)), nn.ReLU()),
            batch_of(torch.randn(4, 8)),
        )
    with pytest.raises(ValueError, match="not finite"):
        naswot(network(), batch_of(images * float("nan")))


def test_network_is_left_as_it_was_found(images: Tensor) -> None:
    model = network()
    model[2].eval()
    modes = [module.training for module in model.modules()]
    state = {name: value.clone() for name, value in model.state_dict().items()}
    tensors = {name: id(value) for name, value in model.named_buffers()}
    random_state = torch.get_rng_state()
    naswot(model, batch_of(images))
    assert [module.training for module in model.modules()] == modes
    assert {name: id(value) for name, value in model.named_buffers()} == tensors
    assert torch.equal(random_state, torch.get_rng_state())
    for name, value in model.state_dict().items():
        assert torch.equal(value, state[name]), name
    assert not any(parameter.grad is not None for parameter in model.parameters())


def test_score_depends_on_neither_mode_nor_dropout(images: Tensor) -> None:
    model = nn.Sequential(*network(), nn.Dropout(), nn.ReLU())
    scores = {naswot(model.train(mode), batch_of(images)) for mode in (True, False, True)}
    assert len(scores) == 1


def test_batch_statistics_are_used(images: Tensor) -> None:
    """Where the running statistics put every value on one side of zero, the batch's do not."""
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU()).eval()
    model[1].running_mean.fill_(1e6)
    assert naswot(model, batch_of(images)) == pytest.approx(
        published_score(model, images), abs=1e-3
    )
