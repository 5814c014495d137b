"""Optuna's samplers as strategies: TPE, and NSGA-II for several objectives."""

from typing import TYPE_CHECKING, Any, Literal

import torch

from nascence.core.randomness import drawn_seed
from nascence.search.limits import Allowed
from nascence.search.seen import Distinct
from nascence.search.strategy import DistinctStrategy
from nascence.search.study import quiet
from nascence.spaces import Architecture, SearchSpace

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

_UP: Literal["maximize"] = "maximize"
_REPEATS = 5
"""Proposals in a row without a new one, after which a random architecture is proposed."""


class _OptunaStrategy(DistinctStrategy):
    """A sampler at work on a study of its own in memory.

    Where it proposes what is not allowed or was seen before, that trial fails and it is asked once
    more; a genetic algorithm gets the known values again, since its generations count proposals.
    """

    objectives = 1
    repeats_count = False

    def __init__(
        self,
        space: SearchSpace,
        sampler: "BaseSampler",
        *,
        name: str,
        objectives: int,
        generator: torch.Generator,
        allowed: Allowed | None,
        distinct: Distinct,
    ) -> None:
        from optuna import create_study
        from optuna.distributions import BaseDistribution, CategoricalDistribution

        super().__init__(space, name=name, generator=generator, allowed=allowed, distinct=distinct)
        self.objectives = objectives
        self._values: dict[Architecture, tuple[float, ...]] = {}
        self._open: dict[Architecture, Any] = {}
        self._distributions: dict[str, BaseDistribution] = {
            decision.name: CategoricalDistribution(tuple(range(len(decision.choices))))
            for decision in space.decisions
        }
        with quiet():
            self._study = create_study(sampler=sampler, directions=objectives * [_UP])

    def _proposed(self) -> Architecture | None:
        from optuna.trial import TrialState

        for _ in range(_REPEATS):
            trial = self._study.ask(self._distributions)
            architecture = tuple(trial.params[decision.name] for decision in self.space.decisions)
            legal = self._legal(architecture)
            if legal and self._fits(architecture):
                self._open[architecture] = trial
                return architecture
            values = self._values.get(self._seen.key(architecture)) if legal else None
            with quiet():
                if values is None or not self.repeats_count:
                    self._study.tell(trial, state=TrialState.FAIL)
                else:
                    self._study.tell(trial, list(values))
        return None

    def _legal(self, architecture: Architecture) -> bool:
        """Whether it belongs to the space, which can leave combinations out."""
        try:
            self.space.canonical(architecture)
        except ValueError:
            return False
        return True

    def tell_all(self, architecture: Architecture, values: tuple[float, ...]) -> None:
        """Let the sampler learn all values of an architecture; higher is better for each."""
        from optuna.trial import create_trial

        self._meet(architecture)
        self._values.setdefault(self._seen.key(architecture), values)
        with quiet():
            if (trial := self._open.pop(architecture, None)) is not None:
                self._study.tell(trial, list(values))
                return
            params = {
                decision.name: index
                for index, decision in zip(architecture, self.space.decisions, strict=True)
            }
            self._study.add_trial(
                create_trial(values=list(values), params=params, distributions=self._distributions)
            )


class TPE(_OptunaStrategy):
    """Tree-structured Parzen estimators: Bergstra, Bardenet, Bengio and Kégl, NeurIPS 2011.

    Args:
        space: the space to draw from.
        generator: seeds Optuna's sampler; to be used by nothing else.
        initial: random architectures in the beginning.
        multivariate: whether decisions are drawn jointly.
        allowed: tells which architectures may be proposed, such as :class:`Limits`.
        distinct: what is proposed only once; see :data:`nascence.search.Distinct`.

    Raises:
        ValueError: ``initial`` is below 1.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        generator: torch.Generator,
        initial: int = 10,
        multivariate: bool = False,
        allowed: Allowed | None = None,
        distinct: Distinct = "functions",
    ) -> None:
        from optuna.samplers import TPESampler

        if initial < 1:
            raise ValueError(f"initial is {initial}; it must be at least 1")
        with quiet():
            sampler = TPESampler(
                n_startup_trials=initial,
                multivariate=multivariate,
                seed=drawn_seed(generator, bits=31),
            )
        super().__init__(
            space,
            sampler,
            name=f"TPE(initial={initial}, multivariate={multivariate}, ",
            objectives=1,
            generator=generator,
            allowed=allowed,
            distinct=distinct,
        )

    def tell(self, architecture: Architecture, score: float) -> None:
        """Let the sampler learn the score."""
        self.tell_all(architecture, (score,))


class NSGA2(_OptunaStrategy):
    """Non-dominated sorting genetic algorithm: Deb, Pratap, Agarwal and Meyarivan, 2002.

    Args:
        space: the space to draw from.
        generator: seeds Optuna's sampler; to be used by nothing else.
        objectives: the score and the costs, together.
        population: architectures of a generation.
        allowed: tells which architectures may be proposed, such as :class:`Limits`.
        distinct: what is proposed only once; see :data:`nascence.search.Distinct`.

    Raises:
        ValueError: ``objectives`` is below 1, or ``population`` below 2.
    """

    repeats_count = True

    def __init__(
        self,
        space: SearchSpace,
        *,
        generator: torch.Generator,
        objectives: int = 1,
        population: int = 50,
        allowed: Allowed | None = None,
        distinct: Distinct = "functions",
    ) -> None:
        from optuna.samplers import NSGAIISampler

        if objectives < 1 or population < 2:
            raise ValueError(
                f"objectives is {objectives} and population {population}; give at least 1 and 2"
            )
        super().__init__(
            space,
            NSGAIISampler(population_size=population, seed=drawn_seed(generator, bits=31)),
            name=f"NSGA2(objectives={objectives}, population={population}, ",
            objectives=objectives,
            generator=generator,
            allowed=allowed,
            distinct=distinct,
        )

    def tell(self, architecture: Architecture, score: float) -> None:
        """Let the sampler learn the score, if it is the only objective."""
        self.tell_all(architecture, (score,))
