"""What every re-parameterised block must do, as checks of what makes it.

A block takes the place of a convolution: it is made from ``(in_channels, out_channels,
kernel_size, *, stride, padding, dilation, groups)`` and maps ``(B, in_channels, H, W)`` as that
convolution does. In a test of your own::

    @pytest.mark.parametrize("check", CHECKS)
    def test_contract(check):
        check(MyBlock)
"""

import copy
from collections.abc import Callable

import torch
from torch import nn

from nascence.reparam.fold import fold, fold_with_report

Make = Callable[..., nn.Module]
GEOMETRIES: tuple[dict[str, int | None], ...] = (
    {"kernel_size": 3, "padding": None, "dilation": 1, "groups": 1, "stride": 1},
    {"kernel_size": 4, "padding": 1, "dilation": 2, "groups": 1, "stride": 2},
    {"kernel_size": 5, "padding": 0, "dilation": 1, "groups": 2, "stride": 2},
    {"kernel_size": 2, "padding": 3, "dilation": 3, "groups": 4, "stride": 1},
    {"kernel_size": 1, "padding": None, "dilation": 1, "groups": 1, "stride": 1},
)
INPUT = (2, 4, 13, 12)


def in_use(block: nn.Module, seed: int = 0) -> nn.Module:
    """``block`` in evaluation mode, its BatchNorms with other values than the first ones."""
    generator = torch.Generator().manual_seed(seed)
    for layer in block.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.running_mean is not None:
            assert layer.running_var is not None
            shape = layer.running_mean.shape
            layer.running_mean.copy_(torch.randn(shape, generator=generator))
            layer.running_var.copy_(0.5 + torch.rand(shape, generator=generator))
            if layer.affine:
                layer.weight.data.copy_(1 + 0.3 * torch.randn(shape, generator=generator))
                layer.bias.data.copy_(torch.randn(shape, generator=generator))
    return block.eval()


def _example(dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(INPUT, generator=torch.Generator().manual_seed(1)).to(dtype)


def check_shape(make: Make) -> None:
    """The output has the shape that the plain convolution of the same arguments gives."""
    for geometry in GEOMETRIES:
        sizes = dict(geometry)
        kernel, padding, dilation = (
            sizes.pop(key) for key in ("kernel_size", "padding", "dilation")
        )
        assert kernel is not None
        assert dilation is not None
        half = dilation * (kernel - 1) // 2 if padding is None else padding
        plain = nn.Conv2d(4, 8, kernel, padding=half, dilation=dilation, **sizes)  # type: ignore[arg-type]
        mine = make(4, 8, **geometry)
        x = _example()
        assert mine(x).shape == plain(x).shape, f"another shape than the convolution: {geometry}"


def check_folds_to_one_convolution(make: Make) -> None:
    """In evaluation mode the block is exactly one convolution, with its border, in any dtype."""
    for geometry in GEOMETRIES:
        for dtype, bound in ((torch.float64, 1e-12), (torch.float32, 1e-5), (torch.bfloat16, 3e-2)):
            block, x = in_use(make(4, 8, **geometry)).to(dtype), _example(dtype)
            folded = fold(block, x)
            kinds = [type(m) for m in folded.modules() if not list(m.children())]
            assert kinds.count(nn.Conv2d) == 1, f"{kinds} for {geometry}"
            assert set(kinds) <= {nn.Conv2d, nn.Identity}, f"{kinds} for {geometry}"
            with torch.no_grad():
                truth = copy.deepcopy(block).double()(x.double())
                error = (folded(x).double() - truth).norm() / truth.norm()
            assert float(error) < bound, f"relative error {float(error):.1e} for {geometry}"


def check_folding_again_changes_nothing(make: Make) -> None:
    """A folded network of blocks is left as it is, and its state loads into a copy."""
    network = nn.Sequential(in_use(make(4, 4)), nn.ReLU(), in_use(make(4, 8), 1)).eval()
    x = _example()
    folded = fold(network, x)
    again, report = fold_with_report(folded, x, repeats=0)
    assert not report.folded, f"folding again did {report.folded}"
    fresh = copy.deepcopy(folded)
    for value in fresh.parameters():
        value.data.zero_()
    fresh.load_state_dict(folded.state_dict())
    assert torch.equal(fresh(x), folded(x))
    assert torch.equal(again(x), folded(x))


def check_every_branch_trains(make: Make) -> None:
    """Every parameter of the block gets a gradient."""
    block = make(4, 4).train()
    block(_example()).square().sum().backward()
    without = [name for name, value in block.named_parameters() if value.grad is None]
    assert not without, f"no gradient: {without}"


def check_impossible_geometry(make: Make) -> None:
    """Sizes that are no geometry are named in a ValueError."""
    wrong: tuple[dict[str, object], ...] = (
        {"groups": 3}, {"padding": -1}, {"stride": 0}, {"kernel_size": (1, 2, 3)},
    )  # fmt: skip
    for settings in wrong:
        message = ""
        try:
            make(4, 4, **settings)
        except ValueError as error:
            message = str(error)
        assert message, f"{settings} is taken"
        assert next(iter(settings)) in message, f"{settings} is not named: {message}"


CHECKS: tuple[Callable[[Make], None], ...] = (
    check_shape,
    check_folds_to_one_convolution,
    check_folding_again_changes_nothing,
    check_every_branch_trains,
    check_impossible_geometry,
)
