"""Mixed operations that compute less than the sum of all candidates."""

from collections.abc import Callable, Mapping
from functools import reduce
from operator import add

import torch
from torch import Tensor, nn
from torch.nn import functional

from nascence.spaces import CandidateSpace, NetworkSpace
from nascence.supernets import MixedOperation, SuperNet


class SinglePath(MixedOperation):
    """Computes only the candidate with the greatest weight, times its weight.

    With the gates of :func:`straight_through` that weight is 1 and carries the derivative; those
    of the others are left out (Dong and Yang, GDAS, CVPR 2019, section 3.2).
    """

    def mixture(self, weights: Tensor, *inputs: Tensor) -> Tensor:
        """Mix what the candidates give, by weights ``(choices,)``, into one ``(B, C, H, W)``."""
        place = int(weights.detach().argmax())
        return list(self.candidates.values())[place](*inputs) * weights[place]


class SampledPaths(MixedOperation):
    """Computes the candidates that a sparse vector of weights names, and no others.

    Cai, Zhu and Han, "ProxylessNAS", ICLR 2019, section 3.2. One whose weight is 0 is computed
    without gradients of its own: it takes part in the derivative by the weights alone.
    """

    def mixture(self, weights: Tensor, *inputs: Tensor) -> Tensor:
        """Mix what the candidates give, by weights ``(choices,)``, into one ``(B, C, H, W)``."""
        if not weights.is_sparse:
            return super().mixture(weights, *inputs)
        candidates = list(self.candidates.values())
        values = weights.values()
        terms = []
        for place, value in zip(weights.indices()[0].tolist(), values, strict=True):
            with torch.set_grad_enabled(torch.is_grad_enabled() and bool(value != 0)):
                output = candidates[place](*inputs)
            terms.append(output * value if value.requires_grad or value != 1 else output)
        return reduce(add, terms)


class PartialCandidate(nn.Module):
    """A candidate that computes the first part of the channels; the others bypass it.

    Xu et al., "PC-DARTS: Partial Channel Connections for Memory-Efficient Architecture Search",
    ICLR 2020, eq. 2. ``(B, C, H, W)``; where the candidate halves the side, what goes by is
    reduced by its maximum. The channels are then shuffled in ``parts`` groups.

    Args:
        narrow: the candidate, on ``C / parts`` channels.
        parts: K of the paper.
    """

    def __init__(self, narrow: nn.Module, *, parts: int) -> None:
        super().__init__()
        self.narrow, self.parts = narrow, parts

    def forward(self, x: Tensor) -> Tensor:
        """Pass images (B, C, H, W) through; the result has as many channels."""
        taken = x.shape[1] // self.parts
        return joined(self.narrow(x[:, :taken]), x[:, taken:], parts=self.parts)


class PartialOperation(MixedOperation):
    """The mixture of :class:`PartialCandidate`, whose bypass is computed once for all."""

    def mixture(self, weights: Tensor, *inputs: Tensor) -> Tensor:
        """Mix what the candidates give, by weights ``(choices,)``, into one ``(B, C, H, W)``."""
        (x,) = inputs
        partial = [each for each in self.candidates.values() if isinstance(each, PartialCandidate)]
        parts = partial[0].parts
        taken = x.shape[1] // parts
        first, rest = x[:, :taken], x[:, taken:]
        total = partial[0].narrow(first) * weights[0]
        for candidate, weight in zip(partial[1:], weights[1:], strict=True):
            total = total + candidate.narrow(first) * weight
        return joined(total, rest * weights.sum(), parts=parts)


def joined(computed: Tensor, bypassed: Tensor, *, parts: int) -> Tensor:
    """Concatenate ``(B, C / parts, H, W)`` with the other channels, and shuffle all of them."""
    if bypassed.shape[2:] != computed.shape[2:]:
        bypassed = functional.max_pool2d(bypassed, 2)
    return functional.channel_shuffle(torch.cat((computed, bypassed), 1), parts)


def with_operations(
    supernet: SuperNet, make: Callable[[MixedOperation], MixedOperation]
) -> SuperNet:
    """Return a copy of a supernet in which ``make`` replaces each of its mixed operations."""
    changed = supernet.restrict(supernet.choices)
    for name, module in list(changed.named_modules()):
        if isinstance(module, MixedOperation):
            parent, _, leaf = name.rpartition(".")
            setattr(changed.get_submodule(parent), leaf, make(module))
    return changed


def single_path(supernet: SuperNet) -> SuperNet:
    """Return a copy that computes one candidate of each place; see :class:`SinglePath`."""
    return with_operations(
        supernet, lambda mixed: SinglePath(mixed.decision, _held(mixed), place=mixed.place)
    )


def sampled_paths(supernet: SuperNet) -> SuperNet:
    """Return a copy that computes only what sparse weights state; see :class:`SampledPaths`."""
    return with_operations(
        supernet, lambda mixed: SampledPaths(mixed.decision, _held(mixed), place=mixed.place)
    )


def partial_channels(supernet: SuperNet, *, parts: int) -> SuperNet:
    """Return a copy whose candidates compute 1 of ``parts`` of the channels, with new weights.

    The new weights are PyTorch's initialisation from the global generator; what is no candidate
    keeps its weights.

    Raises:
        ValueError: a space without one width that can be divided.
    """
    narrow = SuperNet(
        _narrowed(supernet, parts), affine=supernet.affine, statistics=supernet.statistics
    )
    by_place = {mixed.place: mixed for mixed in narrow.operations()}

    def make(mixed: MixedOperation) -> MixedOperation:
        candidates = by_place[mixed.place].candidates
        held = {
            int(key): PartialCandidate(candidates[key], parts=parts) for key in mixed.candidates
        }
        return PartialOperation(mixed.decision, held, place=mixed.place)

    return with_operations(supernet, make)


def _held(mixed: MixedOperation) -> Mapping[int, nn.Module]:
    return {int(key): candidate for key, candidate in mixed.candidates.items()}


def _narrowed(supernet: SuperNet, parts: int) -> NetworkSpace:
    """The supernet's space with a width of 1 of ``parts``."""
    space = supernet.space
    if not isinstance(space, CandidateSpace):
        raise ValueError(f"{type(space).__name__} has no method narrowed; partial channels need it")
    return space.narrowed(parts)
