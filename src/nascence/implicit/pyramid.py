"""Feature pyramids for detection: implicit, explicit, and the top-down one.

The implicit pyramid is the fixed point ``P = G(P + B)`` of Wang, Zhang, Sun: Implicit feature
pyramid network for object detection (2020), arXiv 2012.13563: B are the maps of a backbone, G
exchanges information between neighbouring levels and transforms each. Iterated from zero it is a
stack of as many blocks with one set of weights; the fixed point is the end of that stack.

Every pyramid takes a sequence of maps ``(B, C_l, H_l, W_l)``, finest first, of any sizes that do
not grow, and gives a list of maps ``(B, channels, H_l, W_l)``, ``extra`` coarser ones appended.
"""

from collections.abc import Sequence
from functools import partial

import torch.nn.functional as F
from torch import Tensor, nn

from nascence.implicit.backward import Backward, Solver
from nascence.implicit.fixed_point import fixed_point
from nascence.implicit.solution import Solution


class Laterals(nn.Module):
    """The maps B of a pyramid: a 1x1 convolution to ``channels`` and GroupNorm for each level.

    ``extra`` levels beyond the backbone's are made from its last map by 3x3 convolutions of
    stride 2, as the levels P6 and P7 of RetinaNet and FCOS.

    Raises ValueError where the number of maps or their channels are not those announced.
    """

    def __init__(
        self, in_channels: Sequence[int], channels: int, *, groups: int, extra: int = 0
    ) -> None:
        super().__init__()
        if not in_channels or min(*in_channels, channels) < 1 or extra < 0:
            raise ValueError(
                f"in_channels is {tuple(in_channels)}, channels {channels}, extra {extra}; give "
                "the channels of at least one map, positive, and no negative number of levels"
            )
        if groups < 1 or channels % groups:
            raise ValueError(f"groups is {groups}; it must divide the {channels} channels")
        self.in_channels = tuple(in_channels)
        self.lateral = nn.ModuleList(
            _conv_norm(inner, channels, 1, groups=groups) for inner in in_channels
        )
        self.coarser = nn.ModuleList(
            _conv_norm(channels if position else in_channels[-1], channels, 3, 2, groups=groups)
            for position in range(extra)
        )

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Return the maps B, ``(B, channels, H_l, W_l)``, of maps ``(B, C_l, H_l, W_l)``."""
        got = tuple(each.shape[1] for each in maps)
        if got != self.in_channels:
            raise ValueError(f"the maps have {got} channels; this pyramid takes {self.in_channels}")
        levels = [lateral(each) for lateral, each in zip(self.lateral, maps, strict=True)]
        last = maps[-1]
        for convolution in self.coarser:
            last = convolution(last)
            levels.append(last)
        return levels


class FusionCell(nn.Module):
    """G: cross-scale fusion, 3x3 convolution, GroupNorm and ReLU on every level.

    ``G(X)_l = relu(norm(conv(X_l + up(D_l X_{l+1}) + U_l down(X_{l-1}))))`` with 1x1
    convolutions D (top-down, then nearest neighbour) and U (bottom-up, after average pooling).
    GroupNorm bounds the output whatever the weights are, and its scale starts at ``scale``: the
    smaller, the more contracting G is at the start. ``depth`` convolutions are chained, with
    GroupNorm and ReLU after each.

    Tuple of ``(B, channels, H_l, W_l)``, finest first, to a tuple of the same shapes.

    Raises:
        ValueError: ``levels`` or ``depth`` is below 1.
    """

    def __init__(
        self, channels: int, levels: int, *, groups: int, scale: float = 0.5, depth: int = 1
    ) -> None:
        super().__init__()
        if levels < 1 or depth < 1:
            raise ValueError(f"levels is {levels}, depth is {depth}; both must be at least 1")
        pointwise = partial(nn.Conv2d, channels, channels, 1, bias=False)
        self.top_down = nn.ModuleList(pointwise() for _ in range(levels - 1))
        self.bottom_up = nn.ModuleList(pointwise() for _ in range(levels - 1))
        self.transform = nn.ModuleList()
        for _ in range(levels):
            chain = nn.Sequential()
            for index in range(depth):
                first = scale if index + 1 == depth else 1.0
                chain.append(_conv_norm(channels, channels, 3, groups=groups, scale=first))
                chain.append(nn.ReLU())
            self.transform.append(chain)
        for convolution in (*self.top_down, *self.bottom_up):
            nn.init.normal_(convolution.weight, 0.0, (0.25 / channels) ** 0.5)

    def forward(self, levels: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return ``G(levels)``, maps of the same shapes ``(B, channels, H_l, W_l)``."""
        outputs = []
        for index, transform in enumerate(self.transform):
            fused = levels[index]
            size = (fused.shape[-2], fused.shape[-1])
            if index + 1 < len(levels):
                above = self.top_down[index](levels[index + 1])
                fused = fused + F.interpolate(above, size, mode="nearest")
            if index:
                below = F.adaptive_avg_pool2d(levels[index - 1], size)
                fused = fused + self.bottom_up[index - 1](below)
            outputs.append(transform(fused))
        return tuple(outputs)


class ImplicitPyramid(nn.Module):
    """The fixed point ``P = G(P + B)``, eq. 2 of the paper, solved for all levels at once.

    Args:
        in_channels: Channels of each map of the backbone, finest first.
        channels: Channels of every level of the pyramid.
        extra: Levels appended below the resolution of the backbone's last map.
        groups: Groups of GroupNorm; must divide ``channels``.
        scale, depth: Of :class:`FusionCell`.
        solver, backward, tol, max_iter, warn, strict: Of :func:`nascence.implicit.fixed_point`.
            With ``tol=None`` it runs ``max_iter`` evaluations, as compilers and ONNX need it.

    The iteration starts at ``P = 0`` or at ``start``, such as the pyramid of the frame before.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        channels: int,
        *,
        extra: int = 0,
        groups: int = 8,
        scale: float = 0.5,
        depth: int = 1,
        solver: str | Solver = "anderson",
        backward: str | Backward = "phantom",
        tol: float | None = 1e-2,
        max_iter: int = 15,
        warn: bool = True,
        strict: bool = False,
    ) -> None:
        super().__init__()
        self.laterals = Laterals(in_channels, channels, groups=groups, extra=extra)
        levels = len(in_channels) + extra
        self.cell = FusionCell(channels, levels, groups=groups, scale=scale, depth=depth)
        self.solve_from = partial(
            fixed_point,
            solver=solver,
            backward=backward,
            tol=tol,
            max_iter=max_iter,
            warn=warn,
            strict=strict,
        )

    def solve(self, maps: Sequence[Tensor], *, start: Sequence[Tensor] | None = None) -> Solution:
        """The solution with its residuals and status, from maps ``(B, C, H, W)``, finest first.

        Its ``state`` is the tuple of levels ``(B, channels, H, W)``, as ``start``.
        """
        injected = self.laterals(maps)

        def step(state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            return self.cell(_injected(state, injected))

        first = tuple(map(_zeros, injected) if start is None else start)
        return self.solve_from(step, first)

    def forward(
        self, maps: Sequence[Tensor], *, start: Sequence[Tensor] | None = None
    ) -> list[Tensor]:
        """Return the levels ``(B, channels, H_l, W_l)`` for maps ``(B, C_l, H_l, W_l)``."""
        state = self.solve(maps, start=start).state
        assert isinstance(state, tuple)
        return list(state)


class ExplicitPyramid(nn.Module):
    """``blocks`` cells with weights of their own: ``P_{i+1} = G_i(P_i + B)`` from ``P_0 = 0``.

    With one block it has exactly the parameters of :class:`ImplicitPyramid`; with k blocks it
    costs what k iterations cost.

    Raises:
        ValueError: ``blocks`` is below 1.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        channels: int,
        *,
        blocks: int = 1,
        extra: int = 0,
        groups: int = 8,
        scale: float = 0.5,
        depth: int = 1,
    ) -> None:
        super().__init__()
        if blocks < 1:
            raise ValueError(f"blocks is {blocks}; it must be at least 1")
        self.laterals = Laterals(in_channels, channels, groups=groups, extra=extra)
        levels = len(in_channels) + extra
        self.cells = nn.ModuleList(
            FusionCell(channels, levels, groups=groups, scale=scale, depth=depth)
            for _ in range(blocks)
        )

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Return the levels ``(B, channels, H_l, W_l)`` for maps ``(B, C_l, H_l, W_l)``."""
        injected = self.laterals(maps)
        state = self.cells[0](injected)
        for cell in self.cells[1:]:
            state = cell(_injected(state, injected))
        return list(state)


class TopDownPyramid(nn.Module):
    """Feature pyramid network of Lin et al. (CVPR 2017), arXiv 1612.03144, figure 3.

    ``T_l = B_l + up(T_{l+1})``, then a 3x3 convolution and GroupNorm on every level. ``inner``
    is the number of channels of B and T (default: ``channels``); it sets the parameters without
    changing what the detection head sees.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        channels: int,
        *,
        inner: int | None = None,
        extra: int = 0,
        groups: int = 8,
    ) -> None:
        super().__init__()
        inner = channels if inner is None else inner
        inner_groups = groups if inner % groups == 0 else 1
        self.laterals = Laterals(in_channels, inner, groups=inner_groups, extra=extra)
        self.output = nn.ModuleList(
            _conv_norm(inner, channels, 3, groups=groups) for _ in range(len(in_channels) + extra)
        )

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Return the levels ``(B, channels, H_l, W_l)`` for maps ``(B, C_l, H_l, W_l)``."""
        levels = self.laterals(maps)
        for index in range(len(levels) - 1, 0, -1):
            size = levels[index - 1].shape[-2:]
            above = F.interpolate(levels[index], size, mode="nearest")
            levels[index - 1] = levels[index - 1] + above
        return [output(level) for output, level in zip(self.output, levels, strict=True)]


def _conv_norm(
    in_channels: int,
    out_channels: int,
    kernel: int,
    stride: int = 1,
    *,
    groups: int,
    scale: float = 1.0,
) -> nn.Sequential:
    convolution = nn.Conv2d(
        in_channels, out_channels, kernel, stride, padding=kernel // 2, bias=False
    )
    nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
    norm = nn.GroupNorm(groups, out_channels)
    nn.init.constant_(norm.weight, scale)
    return nn.Sequential(convolution, norm)


def _injected(state: Sequence[Tensor], injected: Sequence[Tensor]) -> list[Tensor]:
    """``P + B``, laid out in memory as B is, whatever layout a solver gave P."""
    return [b + p for p, b in zip(state, injected, strict=True)]


def _zeros(level: Tensor) -> Tensor:
    return level.detach().new_zeros(level.shape)
