"""What a search for a generator is carried out with."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class GanSettings:
    """Checked settings of :func:`nascence.gan.autogan`, which names each.

    Raises:
        ValueError: impossible ones.
    """

    round_steps: int
    controller_steps: int
    samples: int
    controller_rate: float
    entropy: float
    baseline_decay: float
    hidden: int
    candidates: int
    kept: int
    images: int
    batch_size: int
    generated: int
    critic_steps: int
    rates: tuple[float, float]
    reset_window: int
    reset_variance: float
    discriminator_width: int
    grow: tuple[float, ...]

    def __post_init__(self) -> None:
        least = {"round_steps": 1, "controller_steps": 0, "candidates": 1, "kept": 1, "images": 2}
        least |= {"batch_size": 2, "generated": 2, "critic_steps": 1, "reset_window": 2}
        for name, bound in least.items():
            if getattr(self, name) < bound:
                raise ValueError(f"{name} is {getattr(self, name)}; give {bound} or more")
        if self.kept > self.candidates:
            raise ValueError(
                f"kept is {self.kept} of {self.candidates} candidates; give at most as many"
            )
        if not self.reset_variance >= 0 or not self.entropy >= 0:
            raise ValueError(
                f"reset_variance {self.reset_variance}, entropy {self.entropy}; neither may be "
                "negative"
            )
        if not all(0 < part < 1 for part in self.grow) or list(self.grow) != sorted(self.grow):
            raise ValueError(f"grow is {self.grow}; give ascending parts of the search in (0, 1)")

    def described(self) -> dict[str, object]:
        """Plain values, by which a checkpoint is known again."""
        return {name.replace("_", " "): value for name, value in asdict(self).items()}


PUBLISHED_ROUNDS = (15, 20, 30)
"""Growth of the published three stages: at rounds 15 and 35 of 65."""


def published_growth(stages: int) -> tuple[float, ...]:
    """Return the parts of the search at which a stage is added, in (0, 1).

    For three stages 15/65 and 35/65 (Gong et al., ICCV 2019, in the released settings); for fewer
    the last of their shares, for more as many rounds for each further first stage as for the
    first; both are ours.
    """
    rounds = [PUBLISHED_ROUNDS[0]] * max(0, stages - 3) + list(PUBLISHED_ROUNDS[-stages:])
    return tuple(sum(rounds[:stage]) / sum(rounds) for stage in range(1, stages))
