"""Learning-rate schedules of meta-training."""

import math

SCHEDULES = ("cosine", "constant", "decay")


def rate(schedule: str, step: int, steps: int, warmup: int) -> float:
    """Share of the largest learning rate at ``step``, counted from 0, of ``steps``.

    All warm up linearly over ``warmup`` steps, at most half of the run. ``"cosine"`` then falls
    to zero along half a cosine. ``"constant"`` stays, so a run can be stopped anywhere, and
    ``"decay"``, which starts from a constant run, falls to zero as one minus a square root:
    Haegele et al. (2024), "Scaling Laws and Compute-Optimal Training Beyond Fixed Training
    Durations", section 3, who find that a fifth of the steps is enough for it.
    """
    warmup = min(warmup, steps // 2)
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(1, steps - warmup)
    if schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * done))
    return 1.0 if schedule == "constant" else 1 - math.sqrt(done)
