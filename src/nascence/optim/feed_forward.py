"""The feed-forward learned optimizer of Metz et al. (2019, arXiv:1810.10180), section 3."""

from typing import Any

import torch
from torch import Tensor, nn

from nascence.optim import perceptron
from nascence.optim.contract import LearnedOptimizer, State, horizon
from nascence.optim.perceptron import Perceptron
from nascence.optim.time_features import PERIODS, time_features
from nascence.params import Params

DECAYS = (0.1, 0.5, 0.9, 0.99, 0.999, 0.9999)
NOMINAL = DECAYS.index(0.9)
SECOND = 0.999
SCALE = 1e-3
LARGEST_GRADIENT = 1e8


class FeedForward(LearnedOptimizer):
    """A perceptron for each parameter: gradient, value, six momenta, and eleven time features.

    The step is ``-0.001 d exp(0.001 a)`` from outputs d and a, plus, if ``nominal`` is a learning
    rate, that of Adam. State: 24 bytes a parameter, 28 with ``nominal``.
    Theta: the weights of `Perceptron`, 19 inputs and two hidden layers.
    """

    def __init__(
        self,
        hidden: int = 32,
        *,
        nominal: float | None = 1e-3,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.hidden, self.nominal = hidden, nominal
        self.network = nn.ParameterDict(
            random_perceptron(2 + len(DECAYS) + PERIODS, hidden, 2, nominal, generator)
        )

    @property
    def settings(self) -> dict[str, Any]:
        """The keyword arguments that make another one of the same form."""
        return {"hidden": self.hidden, "nominal": self.nominal}

    def init(self, params: Params, *, num_steps: Tensor | float | None = None) -> State:
        tensors = {}
        for name, value in params.items():
            new = value.new_zeros
            tensors[name] = {
                "step": new((), dtype=torch.float32),
                "momenta": new((len(DECAYS), *value.shape), dtype=torch.float32),
            }
            if self.nominal is not None:
                tensors[name]["second"] = new(value.shape, dtype=torch.float32)
        return {"tensors": tensors, "shared": {"num_steps": horizon(num_steps)}}

    def update(
        self,
        grads: Params,
        state: State,
        params: Params,
        *,
        loss: Tensor | None = None,
        valid_loss: Tensor | None = None,
    ) -> tuple[Params, State]:
        updates, tensors = {}, dict(state["tensors"])
        network = Perceptron(**dict(self.network.items()))
        for name, grad in grads.items():
            old = state["tensors"][name]
            grad = grad.float().clamp(-LARGEST_GRADIENT, LARGEST_GRADIENT)
            new = {"step": old["step"] + 1, "momenta": averaged(old["momenta"], grad, DECAYS)}
            inputs = [grad, params[name].float(), *new["momenta"]]
            flat = perceptron.normalised(torch.stack([x.reshape(-1) for x in inputs], 1))
            time = time_features(new["step"], state["shared"]["num_steps"])[:PERIODS]
            flat = torch.cat([flat, time.expand(len(flat), PERIODS)], 1)
            out = perceptron.forward(network, flat)
            step = perceptron.learned_step(out, SCALE).reshape(grad.shape)
            if self.nominal is not None:
                new["second"] = old["second"] + (1 - SECOND) * (grad * grad - old["second"])
                step = step + adam_step(
                    new["momenta"][NOMINAL], new["second"], new["step"], self.nominal
                )
            updates[name], tensors[name] = step, new
        return updates, {"tensors": tensors, "shared": state["shared"]}

    @torch.no_grad()
    def step_(
        self,
        grads: Params,
        state: State,
        params: Params,
        *,
        rates: dict[str, float],
        loss: Tensor | None = None,
        valid_loss: Tensor | None = None,
    ) -> None:
        network = Perceptron(**dict(self.network.items()))
        for name, grad in grads.items():
            slots = state["tensors"][name]
            slots["step"] += 1
            time = time_features(slots["step"], state["shared"]["num_steps"])[:PERIODS]
            self._step(network, grad, slots, params[name], time, rates[name])

    def _step(
        self,
        network: Perceptron,
        grad: Tensor,
        slots: Params,
        value: Tensor,
        time: Tensor,
        rate: float,
    ) -> None:
        flat, old = grad.reshape(-1), value.view(-1)
        momenta = slots["momenta"].view(len(DECAYS), -1)
        second = slots["second"].view(1, -1) if self.nominal is not None else None

        def before(piece: slice) -> None:
            new = flat[piece].float().clamp(-LARGEST_GRADIENT, LARGEST_GRADIENT)
            average_(momenta[:, piece], new, DECAYS)
            if second is not None:
                average_(second[:, piece], new * new, (SECOND,))

        def fill(piece: slice, room: Tensor) -> list[Tensor]:
            room[0].copy_(flat[piece]).clamp_(-LARGEST_GRADIENT, LARGEST_GRADIENT)
            room[1].copy_(old[piece])
            return [momenta[:, piece]]

        def nominal(piece: slice, room: Tensor) -> Tensor:
            assert second is not None
            assert self.nominal is not None
            moments = momenta[NOMINAL, piece], second[0, piece]
            return adam_step_into(*moments, slots["step"], self.nominal, room)

        room = perceptron.room_for(2, self.hidden, [len(flat)], flat.device)
        pieces = perceptron.Pieces(fill, planes=2, hidden=self.hidden, size=len(flat), room=room)
        _, squares = pieces.sums(before)
        add = None if second is None else nominal
        pieces.step_(network, time, squares, old, scale=SCALE, rate=rate, nominal=add)


def random_perceptron(
    inputs: int,
    hidden: int,
    outputs: int,
    nominal: float | None,
    generator: torch.Generator | None,
) -> Params:
    """Initial weights; with a nominal step the last layer starts a hundredth as large."""
    if hidden < 1 or (nominal is not None and not nominal > 0):
        raise ValueError(f"hidden={hidden}, nominal={nominal}; both must be positive")
    if generator is None:
        generator = torch.Generator().manual_seed(0)

    def normal(rows: int, columns: int, factor: float = 1.0) -> Tensor:
        return torch.randn(rows, columns, generator=generator) * (factor * rows**-0.5)

    return {
        "first": normal(inputs, hidden),
        "first_bias": torch.zeros(hidden),
        "second": normal(hidden, hidden),
        "second_bias": torch.zeros(hidden),
        "last": normal(hidden, outputs, 1.0 if nominal is None else 0.01),
        "last_bias": torch.zeros(outputs),
    }


def averaged(old: Tensor, new: Tensor, decays: tuple[float, ...]) -> Tensor:
    """``decay old + (1 - decay) new`` for ``old`` ``(decays, ...)`` and ``new`` ``(...)``."""
    change = torch.tensor([1 - decay for decay in decays], device=new.device)
    return old + change.reshape((-1,) + (1,) * new.dim()) * (new - old)


def average_(old: Tensor, new: Tensor, decays: tuple[float, ...]) -> None:
    """`averaged` in place, for ``old`` ``(decays, n)`` and ``new`` ``(n,)``."""
    change = torch.tensor([1 - decay for decay in decays], device=old.device)[:, None]
    torch.lerp(old, new.expand_as(old), change.expand_as(old), out=old)


def adam_step(first: Tensor, second: Tensor, step: Tensor, learning_rate: float) -> Tensor:
    """The step of Adam from its averages at 0.9 and 0.999 (Kingma & Ba 2015)."""
    first = first / (1 - 0.9**step)
    return -learning_rate * first / ((second / (1 - SECOND**step)).sqrt() + 1e-8)


def adam_step_into(
    first: Tensor, second: Tensor, step: Tensor, learning_rate: float, room: Tensor
) -> Tensor:
    """`adam_step` of ``(n,)``, written into ``room`` ``(2, n)``."""
    count = step.item()
    root = torch.mul(second, 1 / (1 - SECOND**count), out=room[0]).sqrt_().add_(1e-8)
    return torch.div(first, root, out=room[1]).mul_(-learning_rate / (1 - 0.9**count))
