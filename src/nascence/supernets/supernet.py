"""One network that holds every candidate of a search space, its weights shared by all paths."""

import copy
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from nascence.spaces import Architecture, NetworkSpace, SearchSpace, Zero, name_of
from nascence.supernets.weight_sharing import Statistics, WeightSharing

Affine = bool | Literal["fixed"]

# Set by a forward pass for its own duration; every thread has its own.
_PATH: ContextVar[Mapping[str, int | Tensor | None]] = ContextVar("path")


class MixedOperation(nn.Module):
    """All candidates of one place; a forward pass computes one of them, or a weighted sum.

    Args:
        decision: the name of the decision that stands here.
        candidates: the modules by index of their choice.
        place: its number in the order in which the space asks.
    """

    def __init__(self, decision: str, candidates: Mapping[int, nn.Module], *, place: int) -> None:
        super().__init__()
        self.decision, self.place = decision, place
        self.candidates = nn.ModuleDict({str(i): module for i, module in candidates.items()})

    def forward(self, *inputs: Tensor) -> Tensor | None:
        """Compute the candidate that the path takes, of any shape; None where it takes none."""
        choice = _PATH.get()[self.decision]
        if choice is None:
            return None
        if isinstance(choice, int):
            return self.candidates[str(choice)](*inputs)
        return self.mixture(choice, *inputs)

    def mixture(self, weights: Tensor, *inputs: Tensor) -> Tensor:
        """Add up all candidates, each times its weight of ``(choices held,)``."""
        outputs = [candidate(*inputs) for candidate in self.candidates.values()]
        total = outputs[0] * weights[0]
        for output, weight in zip(outputs[1:], weights[1:], strict=True):
            total = total + output * weight
        return total

    def extra_repr(self) -> str:
        """Return the text that is printed between the brackets."""
        return self.decision


class SuperNet(WeightSharing):
    """All networks of a space in one: every path is a network, and paths share their candidates.

    ``supernet(images, architecture)`` computes the candidates of that architecture alone.
    ``supernet(images, weights)``, with one vector per decision of a weight for each choice that
    the supernet holds, adds up all candidates at every place (Liu et al., "DARTS", ICLR 2019,
    eq. 2, whose softmax is the caller's). The choice is an argument: nothing of it stays, so
    threads may run different ones through the same module, and ``torch.func.functional_call``
    takes it like any input.

    A place names its candidates by the index of their choice in the space, before and after a
    split, so equal names are equal candidates.

    Args:
        space: the space to hold; it must have ``network(choose)``.
        affine: keep the learned scale and shift of BatchNorm. The field's supernets do without
            them, since a scale learned on one path is wrong on another; ``"fixed"`` keeps them in
            the parts that every path has, as the published supernets of NAS-Bench-201 do.
        statistics: ``"batch"`` normalises by the statistics of the batch in training and in
            evaluation; ``"tracked"`` keeps running ones, which belong to no path: give each path
            its own with :func:`nascence.recalibration.recalibrate` on what :meth:`extract` gives.

    Attributes:
        choices: for each decision the indices of the choices that it holds.

    Raises:
        ValueError: a decision of the space has no place in its network.
    """

    space: NetworkSpace

    def __init__(
        self, space: NetworkSpace, *, affine: Affine = False, statistics: Statistics = "batch"
    ) -> None:
        super().__init__()
        if affine not in (True, False, "fixed"):
            raise ValueError(f"affine is {affine!r}; use True, False or 'fixed'")
        if statistics not in ("batch", "tracked"):
            raise ValueError(f"statistics is {statistics!r}; use 'batch' or 'tracked'")
        if not isinstance(space, NetworkSpace):
            raise ValueError(f"{name_of(space)} has no method network, which a supernet needs")
        self.space, self.affine, self.statistics = space, affine, statistics
        self.choices = tuple(tuple(range(len(decision.choices))) for decision in space.decisions)
        places: list[str] = []

        def mix(decision: str, builders: Sequence[Callable[[], nn.Module]]) -> nn.Module:
            places.append(decision)
            candidates = {index: build() for index, build in enumerate(builders)}
            for candidate in candidates.values():
                self._normalise(candidate, affine=affine is True)
            return MixedOperation(decision, candidates, place=len(places) - 1)

        self.network = space.network(mix)
        self._normalise(self.network, affine=affine is not False)
        for parameter in self.parameters():
            if parameter.ndim == 4:  # convolutions are faster so, also on a CPU
                parameter.data = parameter.data.to(memory_format=torch.channels_last)
        if absent := [name for name, _ in space.decisions if name not in places]:
            raise ValueError(
                f"the network of {space.description} has no place for the decision "
                f"{absent[0]!r}; fix it to one value"
            )

    def forward(self, images: Tensor, choice: Architecture | Sequence[Tensor]) -> Tensor:
        """Compute one path, or the mixture of all: (B, C, H, W) to (B, classes).

        Raises:
            ValueError: an architecture outside of the space or of what this supernet holds,
                weights of the wrong number or shape.
        """
        token = _PATH.set(self._modes(choice))
        try:
            return self.network(images)
        finally:
            _PATH.reset(token)

    def extract(self, architecture: Architecture) -> nn.Module:
        """Return one path as a network of its own, which shares its storage with the supernet.

        It has the module names of ``space.build(architecture)`` and computes what the supernet
        computes. Training it trains the supernet; copy it to keep them apart.
        """
        path = dict(zip(_names(self.space), self.path(architecture), strict=True))
        mixed = iter(self.operations())

        def choose(decision: str, _: Sequence[Callable[[], nn.Module]]) -> nn.Module:
            candidates = next(mixed).candidates
            index = path[decision]
            return Zero() if index is None else _sharing(candidates[str(index)])

        with torch.device("meta"):  # nothing is initialised: what is built here takes our tensors
            network = self.space.network(choose)
            self._normalise(network, affine=self.affine is not False)
        own = dict(self.network.named_parameters()) | dict(self.network.named_buffers())
        for name, tensor in [*network.named_parameters(), *network.named_buffers()]:
            if tensor.is_meta:
                parent, _, leaf = name.rpartition(".")
                setattr(network.get_submodule(parent), leaf, own[name])
        return network.train(self.training)

    def restrict(self, choices: Sequence[Sequence[int]]) -> Self:
        """Return a copy that holds only these choices of each decision, with equal weights.

        Raises:
            ValueError: choices that are not held, or none for a decision.
        """
        kept = self._kept(choices)
        by_name = dict(zip(_names(self.space), kept, strict=True))
        memo: dict[int, Any] = {id(self.space): self.space}
        left_out = nn.Identity()  # stands for the candidates that are not to be copied
        for mixed in self.operations():
            for key, candidate in mixed.candidates.items():
                if int(key) not in by_name[mixed.decision]:
                    memo[id(candidate)] = left_out
        part = copy.deepcopy(self, memo)
        part.choices = kept
        for mixed in part.operations():
            for key in [key for key, module in mixed.candidates.items() if module is left_out]:
                del mixed.candidates[key]
        return part

    def operations(self) -> list[MixedOperation]:
        """Return the mixed operations, in the order in which the space asks for them."""
        found = [module for module in self.modules() if isinstance(module, MixedOperation)]
        return sorted(found, key=lambda mixed: mixed.place)

    def shared_parameters(self, decision: str) -> list[nn.Parameter]:
        """Return the parameters that belong to no candidate of this decision."""
        own = {
            id(parameter)
            for mixed in self.operations()
            if mixed.decision == decision
            for parameter in mixed.parameters()
        }
        return [parameter for parameter in self.parameters() if id(parameter) not in own]

    def _modes(self, choice: Architecture | Sequence[Tensor]) -> Mapping[str, int | Tensor | None]:
        names = _names(self.space)
        if any(isinstance(each, Tensor) for each in choice):
            for name, held, weights in zip(names, self.choices, choice, strict=False):
                if not isinstance(weights, Tensor) or weights.shape != (len(held),):
                    got = tuple(weights.shape) if isinstance(weights, Tensor) else weights
                    raise ValueError(
                        f"the weights of decision {name!r} are {got}; give a tensor of shape "
                        f"({len(held)},), one weight for each choice held"
                    )
            if len(choice) != len(names):
                raise ValueError(f"{len(choice)} weight vectors for {len(names)} decisions")
            return dict(zip(names, choice, strict=True))
        return dict(zip(names, self.path(tuple(choice)), strict=True))  # type: ignore[arg-type]

    def _normalise(self, network: nn.Module, *, affine: bool) -> None:
        """Remove from every BatchNorm what this supernet does not use."""
        for norm in network.modules():
            if isinstance(norm, _BatchNorm):
                if not affine:
                    norm.affine = False
                    norm.register_parameter("weight", None)
                    norm.register_parameter("bias", None)
                if self.statistics == "batch":
                    norm.track_running_stats = False
                    norm.running_mean = norm.running_var = norm.num_batches_tracked = None


def _names(space: SearchSpace) -> tuple[str, ...]:
    return tuple(decision.name for decision in space.decisions)


def _sharing(module: nn.Module) -> nn.Module:
    """Copy a module's structure around the same parameters and buffers."""
    memo: dict[int, Any] = {id(tensor): tensor for tensor in module.parameters()}
    memo |= {id(tensor): tensor for tensor in module.buffers()}
    return copy.deepcopy(module, memo)
