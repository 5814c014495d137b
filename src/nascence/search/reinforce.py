"""A policy over the decisions that is learned from the scores by its gradient."""

import math

import numpy as np
import torch
from torch import Tensor

from nascence.search.codes import coder
from nascence.search.limits import TRIES, Allowed, Limit, Limits
from nascence.search.listing import MOST_LISTED, Listing, listing
from nascence.search.seen import Distinct
from nascence.search.strategy import DistinctStrategy
from nascence.search.support_vectors import Array
from nascence.spaces import Architecture, Derivable, name_of


class Reinforce(DistinctStrategy):
    """Policy gradient: Williams, Machine Learning 1992; on architectures Zoph and Le, ICLR 2017.

    The policy has one softmax for each decision, as ProxylessNAS's (Cai, Zhu and Han, ICLR 2019,
    section 3.3); after each score its logits take a step of ``rate`` along ``(reward - baseline)
    * grad log p``. The baseline is the moving average of the rewards, and the difference counts
    in units of the rewards' moving deviation from it, at most ``clip`` of them, so that nothing
    depends on the unit of the scores.

    Of a space with up to ``most_listed`` architectures the policy is that of the softmaxes given
    that the architecture is allowed and was not proposed before, drawn and differentiated exactly.
    In a larger one what is not is drawn again, and the gradient is that without the condition;
    where a space does not hold every combination of choices (:class:`nascence.spaces.Darts`),
    Gumbel noise is added to the logits and the space chooses by the sums.

    Args:
        space: the space to draw from; it must have ``derive``.
        rate: learning rate of the logits.
        momentum: share of the old value in the moving averages.
        clip: see above.
        target: a cost that is better kept than not (MnasNet's soft limit, Tan et al., CVPR 2019,
            eq. 2): the reward is ``score * (cost / at_most) ** exponent``, with scores above zero.
        exponent: see ``target``; -0.07 is the paper's.
        most_listed: see above.
        generator, allowed, distinct: see :class:`DistinctStrategy`.

    Raises:
        ValueError: the space is not ``Derivable``, or a setting is out of its range.
    """

    def __init__(
        self,
        space: Derivable,
        *,
        generator: torch.Generator,
        rate: float = 0.2,
        momentum: float = 0.9,
        clip: float = 2.0,
        target: Limit | None = None,
        exponent: float = -0.07,
        most_listed: int = MOST_LISTED,
        allowed: Allowed | None = None,
        distinct: Distinct = "functions",
    ) -> None:
        if not isinstance(space, Derivable):
            raise ValueError(f"{name_of(space)} has no derive; the policy needs it")
        if not rate > 0 or not 0 <= momentum < 1 or not clip > 0:
            raise ValueError(
                f"rate is {rate}, momentum {momentum} and clip {clip}; give a rate and a clip "
                "above 0 and a momentum from 0, below 1"
            )
        if target is not None and not exponent < 0:
            raise ValueError(f"exponent is {exponent}; it must be below 0, so that cost is a loss")
        soft = "" if target is None else f"target={Limits(target)}, exponent={exponent}, "
        super().__init__(
            space,
            name=f"Reinforce(rate={rate}, momentum={momentum}, clip={clip}, {soft}"
            f"most_listed={most_listed}, ",
            generator=generator,
            allowed=allowed,
            distinct=distinct,
        )
        self.space: Derivable = space
        self._rate, self._momentum, self._clip = rate, momentum, clip
        self._target, self._exponent = target, exponent
        self._codes = coder(space)
        self._sizes = [len(decision.choices) for decision in space.decisions]
        self._logits = np.zeros(sum(self._sizes))
        self._baseline: float | None = None
        self._deviation = 0.0
        self._pending: dict[Architecture, Array] = {}
        self._listing: Listing | None = None
        self._most_listed: int | None = most_listed

    def ask(self) -> Architecture:
        """Propose an architecture; see :class:`Strategy`."""
        if self._most_listed is not None:  # the first time
            self._listing = listing(self.space, self._allowed, self._seen, most=self._most_listed)
            self._most_listed = None
        architecture = self._proposed() or self._random()
        self._pending[architecture] = self._direction(architecture)
        self._meet(architecture)
        return architecture

    def tell(self, architecture: Architecture, score: float) -> None:
        """Make similar architectures more likely if the reward is above the baseline."""
        reward = self._reward(architecture, score)
        direction = self._pending.pop(architecture, None)
        if direction is None:
            direction = self._direction(architecture)
        self._meet(architecture)
        if not math.isfinite(reward):
            advantage = self._clip if reward == math.inf else -self._clip
        elif self._baseline is None:
            self._baseline, advantage = reward, 0.0
        else:
            difference = reward - self._baseline
            fresh = 1 - self._momentum
            self._deviation += (abs(difference) - self._deviation) * (
                fresh if self._deviation else 1
            )
            self._baseline += fresh * difference
            advantage = difference / self._deviation if self._deviation else 0.0
        advantage = min(max(advantage, -self._clip), self._clip)
        self._logits = self._logits + self._rate * advantage * direction

    def policy(self) -> list[Tensor]:
        """Probability of every choice of every decision, before any condition."""
        return [torch.tensor(part) for part in self._probabilities()]

    def _reward(self, architecture: Architecture, score: float) -> float:
        if self._target is None:
            return score
        if score <= 0:
            raise ValueError(f"the score is {score}; with a target, scores must be above 0")
        ratio = self._target.cost(architecture) / self._target.at_most
        return score * ratio**self._exponent

    def _proposed(self) -> Architecture | None:
        """Draw from the policy; None if it finds nothing new that is allowed."""
        if self._listing is not None:
            if not self._listing.left.any():
                return None
            summed = np.cumsum(self._shares(self._listing))
            at = float(torch.rand((), generator=self._generator, dtype=torch.float64)) * summed[-1]
            last = np.flatnonzero(self._listing.left)[-1]  # where rounding leads past the end
            row = min(int(np.searchsorted(summed, at, side="right")), int(last))
            return self._listing.architectures[row]
        for _ in range(TRIES // 10):
            architecture = self.space.derive(self._noisy())
            if self._fits(architecture):
                return architecture
        return None

    def _noisy(self) -> list[Tensor]:
        """Logits with Gumbel noise: the greatest of each is drawn from its softmax."""
        uniform = torch.rand(len(self._logits), generator=self._generator, dtype=torch.float64)
        gumbel = -torch.log(-torch.log(uniform.clamp(1e-300, 1 - 1e-16)))
        return list((torch.tensor(self._logits) + gumbel).split(self._sizes))

    def _direction(self, architecture: Architecture) -> Array:
        """Gradient of log p by the logits, (codes,): the code less the mean of codes."""
        code = self._codes([self.space.canonical(architecture)])[0]
        if self._listing is not None and self._listing.left.any():
            return code - self._shares(self._listing) @ self._listing.codes
        return self._codes([architecture])[0] - np.concatenate(self._probabilities())

    def _shares(self, listed: Listing) -> Array:
        """Probability of each listed architecture, 0 for those met."""
        sums = np.where(listed.left, listed.codes @ self._logits, -np.inf)
        shares = np.exp(sums - sums.max())
        return shares / shares.sum()

    def _probabilities(self) -> list[Array]:
        parts = np.split(self._logits, np.cumsum(self._sizes)[:-1])
        powers = [np.exp(part - part.max()) for part in parts]
        return [power / power.sum() for power in powers]

    def _meet(self, architecture: Architecture) -> None:
        super()._meet(architecture)
        if self._listing is not None:
            self._listing.remove(architecture)
