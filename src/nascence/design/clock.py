"""How much of its budget a run has spent, over all the times that it was started."""

import time


class Clock:
    """Wall time since the start of a run.

    Args:
        budget: Seconds that the whole run may take.
        spent: Seconds that were spent before, where the run goes on from an earlier start.
    """

    def __init__(self, budget: float, *, spent: float = 0.0) -> None:
        self.budget = budget
        self._begun = time.monotonic() - spent
        self._here = time.monotonic(), time.process_time()

    @property
    def elapsed(self) -> float:
        """Seconds that are spent."""
        return time.monotonic() - self._begun

    @property
    def slowness(self) -> float:
        """How much longer work takes than on an idle machine, from 1 to 20: wall over CPU time."""
        wall, cpu = self._here
        computed = time.process_time() - cpu
        return min(max((time.monotonic() - wall) / max(computed, 1e-3), 1.0), 20.0)

    @property
    def left(self) -> float:
        """Seconds that are left; below zero where the budget is overrun."""
        return self.budget - self.elapsed
