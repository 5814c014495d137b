"""The head that every level of a pyramid shares."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nascence.detect.losses import Predictions


class DetectionHead(nn.Module):
    """FCOS head: two towers of 3x3 convolutions with GroupNorm and ReLU, shared by all levels.

    One tower ends in the classes, the other in the distances to the four sides of the box and in
    the centre-ness (on the box tower, as in arXiv 2006.09214). A distance is ``stride * exp(s x)``
    with one learned s for each level. The bias of the classes starts at a probability of
    ``prior`` (arXiv 1708.02002, section 4.1).

    A sequence of ``(B, channels, H_l, W_l)`` to :class:`Predictions` at the places in the order of
    :func:`nascence.detect.places`.

    Raises:
        ValueError: There is no class or no level, ``convolutions`` is negative, or ``prior`` not in
            (0, 1).
    """

    LOG_LIMIT = 6.0  # of exp(): boxes up to 400 strides, and no overflow while learning starts

    def __init__(
        self,
        channels: int,
        classes: int,
        strides: Sequence[int],
        *,
        convolutions: int = 4,
        groups: int = 8,
        prior: float = 0.01,
    ) -> None:
        super().__init__()
        if classes < 1 or convolutions < 0 or not strides:
            raise ValueError(
                f"classes is {classes}, convolutions {convolutions}, strides {tuple(strides)}; "
                "there must be at least one class and one level"
            )
        if not 0 < prior < 1:
            raise ValueError(f"prior is {prior}; it must be between 0 and 1")
        self.strides = tuple(strides)
        self.classes = classes
        self.class_tower = _tower(channels, convolutions, groups)
        self.box_tower = _tower(channels, convolutions, groups)
        self.class_output = nn.Conv2d(channels, classes, 3, padding=1)
        self.box_output = nn.Conv2d(channels, 5, 3, padding=1)
        self.scales = nn.Parameter(torch.ones(len(strides)))
        for output in (self.class_output, self.box_output):
            nn.init.normal_(output.weight, 0.0, 0.01)
            assert output.bias is not None
            nn.init.zeros_(output.bias)
        assert self.class_output.bias is not None
        nn.init.constant_(self.class_output.bias, -math.log((1 - prior) / prior))

    def forward(self, levels: Sequence[Tensor]) -> Predictions:
        """Return the predictions at all places of maps ``(B, channels, H_l, W_l)``.

        Raises:
            ValueError: There are not as many levels as strides.
        """
        if len(levels) != len(self.strides):
            raise ValueError(f"{len(levels)} levels; this head has {len(self.strides)} strides")
        logits, distances, centreness = [], [], []
        for level, stride, scale in zip(levels, self.strides, self.scales, strict=True):
            logits.append(_by_place(self.class_output(self.class_tower(level))))
            boxes = _by_place(self.box_output(self.box_tower(level)))
            # started near 2 strides, the middle of what a level answers for
            exponent = (boxes[..., :4] * scale + math.log(2.0)).clamp(max=self.LOG_LIMIT)
            distances.append(exponent.exp() * stride)
            centreness.append(boxes[..., 4])
        return Predictions(
            torch.cat(logits, dim=1), torch.cat(distances, dim=1), torch.cat(centreness, dim=1)
        )


def _tower(channels: int, convolutions: int, groups: int) -> nn.Sequential:
    tower = nn.Sequential()
    for _ in range(convolutions):
        convolution = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
        tower.extend([convolution, nn.GroupNorm(groups, channels), nn.ReLU(inplace=True)])
    return tower


def _by_place(x: Tensor) -> Tensor:
    """(B, C, H, W) to (B, H W, C)."""
    return x.flatten(2).transpose(1, 2)
