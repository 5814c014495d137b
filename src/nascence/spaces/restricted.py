"""A space of which only some choices are left: what remains after shrinking."""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, product

import torch
from torch import Tensor, nn

from nascence.spaces.darts import INCOMING, Darts
from nascence.spaces.product import ProductSpace
from nascence.spaces.space import Architecture, Choose, Decision


class Restricted(ProductSpace):
    """The architectures of a space that use only these choices, as a space of its own.

    Its decisions are those of the space with fewer choices, counted anew: :meth:`widen` and
    :meth:`narrow` go between the two, and :meth:`scored` makes an evaluator of the whole space
    one of this. It has all that strategies need, and the methods for networks and costs.

    Args:
        space: the whole space, a :class:`ProductSpace`.
        choices: for each decision the indices that are left.

    Raises:
        ValueError: no choice for a decision, or one that the space does not have; for
            :class:`Darts` also an edge without ``none``, or with nothing but it.
    """

    def __init__(self, space: ProductSpace, choices: Sequence[Sequence[int]]) -> None:
        kept = tuple(tuple(sorted(set(indices))) for indices in choices)
        if len(kept) != len(space.decisions):
            raise ValueError(f"{len(kept)} lists of choices for {len(space.decisions)} decisions")
        for indices, (name, values) in zip(kept, space.decisions, strict=True):
            if not indices or not set(indices) <= set(range(len(values))):
                raise ValueError(
                    f"choices {indices} of {name!r}; give one or more from 0 to {len(values) - 1}"
                )
            if isinstance(space, Darts) and (indices[0] != 0 or len(indices) == 1):
                raise ValueError(f"choices {indices} of {name!r}; leave none (0) and an operation")
        super().__init__(
            tuple(
                Decision(name, tuple(values[index] for index in indices))
                for indices, (name, values) in zip(kept, space.decisions, strict=True)
            )
        )
        self.space, self.choices = space, kept
        self._canonical: dict[Architecture, Architecture] | None = None
        if isinstance(space, Darts):
            self.size = math.prod(
                sum(
                    (len(kept[start + low]) - 1) * (len(kept[start + high]) - 1)
                    for low, high in combinations(range(node), 2)
                )
                for _, node, start in INCOMING
            )

    @property
    def description(self) -> str:
        """One line with the space and what is left of it."""
        return f"{self.space.description} with choices {json.dumps(self.choices)}"  # type: ignore[attr-defined]

    def __repr__(self) -> str:
        return self.description

    def widen(self, architecture: Architecture) -> Architecture:
        """Return the same architecture by the indices of the whole space."""
        architecture = super().check(architecture)
        return tuple(kept[index] for index, kept in zip(architecture, self.choices, strict=True))

    def narrow(self, architecture: Architecture) -> Architecture:
        """Undo :meth:`widen`; raises ``ValueError`` for a choice that is not left."""
        architecture = self.space.check(architecture)
        for index, kept, (name, values) in zip(
            architecture, self.choices, self.space.decisions, strict=True
        ):
            if index not in kept:
                left = ", ".join(str(values[each]) for each in kept)
                raise ValueError(f"{name} is {values[index]}, and what is left is {left}")
        return tuple(
            kept.index(index) for index, kept in zip(architecture, self.choices, strict=True)
        )

    def scored(self, evaluate: Callable[[Architecture], float]) -> Callable[[Architecture], float]:
        """Return the evaluator of this space that asks one of the whole space."""
        return lambda architecture: evaluate(self.widen(architecture))

    def check(self, architecture: Architecture) -> Architecture:
        """Return ``architecture`` as a tuple; raise ``ValueError`` where it is not of the space."""
        self.space.check(self.widen(architecture))
        return tuple(architecture)

    def __iter__(self) -> Iterator[Architecture]:
        """Every architecture, those of a :class:`Darts` by trying all combinations."""
        for architecture in product(*(range(len(kept)) for kept in self.choices)):
            if self._legal(architecture):
                yield architecture

    def sample(self, *, generator: torch.Generator) -> Architecture:
        """Draw an architecture, every decision uniformly; of Darts every pair of inputs, too."""
        if not isinstance(self.space, Darts):
            return super().sample(generator=generator)
        whole = self.space.sample(generator=generator)
        drawn = []
        for index, kept in zip(whole, self.choices, strict=True):
            step = int(torch.randint(len(kept) - 1, (), generator=generator))
            drawn.append(1 + step if index else 0)
        return tuple(drawn)

    def neighbours(self, architecture: Architecture) -> list[Architecture]:
        """Those of the whole space's neighbours that are left."""
        whole = self.space.neighbours(self.widen(self.check(architecture)))
        return [self.narrow(each) for each in whole if self._left(each)]

    def mutate(self, architecture: Architecture, *, generator: torch.Generator) -> Architecture:
        """Change one decision as the space does; of Darts draw one of the :meth:`neighbours`."""
        if not isinstance(self.space, Darts):
            return super().mutate(architecture, generator=generator)
        found = self.neighbours(architecture)
        if not found:
            raise ValueError("nothing is left to change; this space holds one network of its kind")
        return found[int(torch.randint(len(found), (), generator=generator))]

    def crossover(
        self, first: Architecture, second: Architecture, *, generator: torch.Generator
    ) -> Architecture:
        """Mix two as the whole space does."""
        mixed = self.space.crossover(self.widen(first), self.widen(second), generator=generator)
        return self.narrow(mixed)

    def canonical(self, architecture: Architecture) -> Architecture:
        """Return the first of what is left that computes the same.

        Where more than 20,000 are left they are not compared, and it is the space's own
        representative, if that is left, or else the architecture itself.
        """
        whole = self._representative(self.check(architecture))
        if self.size > 20_000:
            return self.narrow(whole) if self._left(whole) else tuple(architecture)
        if self._canonical is None:
            self._canonical = {}
            for each in self:
                self._canonical.setdefault(self._representative(each), each)
        return self._canonical[whole]

    def derive(self, weights: Sequence[Tensor]) -> Architecture:
        """Choose by one weight for each choice that is left, as the whole space does."""
        full = []
        for vector, kept, (_, values) in zip(
            weights, self.choices, self.space.decisions, strict=True
        ):
            spread = torch.full((len(values),), torch.finfo(vector.dtype).min, dtype=vector.dtype)
            spread[list(kept)] = vector.detach()
            full.append(spread)
        return self.narrow(self.space.derive(full))

    def network(self, choose: Choose) -> nn.Module:
        """Build the whole space's network with builders of what is left alone."""
        left = dict(zip((name for name, _ in self.decisions), self.choices, strict=True))

        def among(name: str, builders: Sequence[Callable[[], nn.Module]]) -> nn.Module:
            return choose(name, [builders[index] for index in left[name]])

        return self.space.network(among)  # type: ignore[attr-defined]

    def build(self, architecture: Architecture) -> nn.Module:
        """Build the network, with PyTorch's initialisation from the global generator."""
        return self.space.build(self.widen(architecture))  # type: ignore[attr-defined]

    def built(self, architecture: Architecture) -> tuple[bool, ...]:
        """Tell for each decision whether :meth:`build` puts its choice into the network."""
        own = getattr(self.space, "built", None)
        return (True,) * len(self.decisions) if own is None else own(self.widen(architecture))

    def format(self, architecture: Architecture) -> str:
        """Write the architecture as the whole space does."""
        return self.space.format(self.widen(architecture))  # type: ignore[attr-defined]

    def parse(self, text: str) -> Architecture:
        """Read what :meth:`format` writes."""
        return self.narrow(self.space.parse(text))  # type: ignore[attr-defined]

    def parameters(self, architecture: Architecture) -> int:
        """Learnable values of the network, as the whole space counts them."""
        return self.space.parameters(self.widen(architecture))  # type: ignore[attr-defined]

    def macs(self, architecture: Architecture, *, side: int | None = None) -> int:
        """Multiply-adds of one image, as the whole space counts them."""
        sides = {} if side is None else {"side": side}
        return self.space.macs(self.widen(architecture), **sides)  # type: ignore[attr-defined]

    def _representative(self, architecture: Architecture) -> Architecture:
        return self.space.canonical(self.widen(architecture))  # type: ignore[attr-defined]

    def _left(self, whole: Architecture) -> bool:
        return all(index in kept for index, kept in zip(whole, self.choices, strict=True))

    def _legal(self, architecture: Architecture) -> bool:
        try:
            self.check(architecture)
        except ValueError:
            return False
        return True
