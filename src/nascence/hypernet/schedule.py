"""Learning-rate schedules of meta-training."""

import math

SCHEDULES = ("cosine", "constant", "decay")


def rate(schedule: str, step: int, steps: int, warmup: int) -> float:
    """Return the share of the largest learning rate at ``step`` of ``steps``, counted from 0.

    ``"cosine"`` and ``"constant"`` warm up linearly over ``warmup`` steps, at most half of the
    run; then the one falls to zero along half a cosine, and the other stays, so that it can be
    stopped anywhere. ``"decay"``, which starts where a constant run stands, falls to zero as
    one minus a square root: Hägele et al. (2024), "Scaling Laws and Compute-Optimal Training
    Beyond Fixed Training Durations", section 3, who find a fifth of the steps enough for it.
    """
    if schedule == "decay":
        return 1 - math.sqrt(step / steps)
    warmup = min(warmup, steps // 2)
    if step < warmup:
        return (step + 1) / warmup
    if schedule == "constant":
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))
