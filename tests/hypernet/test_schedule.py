import math
from itertools import pairwise

import pytest

from nascence.hypernet.schedule import SCHEDULES, rate


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_warm_up_is_linear_and_shares_lie_between_zero_and_one(schedule: str) -> None:
    shares = [rate(schedule, step, 100, 10) for step in range(100)]
    assert shares[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert all(0 <= later <= earlier <= 1 for earlier, later in pairwise(shares[9:]))
    assert [rate(schedule, step, 3, 10) for step in range(2)] == [1.0, 1.0]  # half of it at most


def test_ends() -> None:
    assert rate("constant", 10**9, 100, 10) == 1.0
    assert rate("cosine", 55, 100, 10) == pytest.approx(0.5)
    assert rate("decay", 25, 100, 0) == pytest.approx(0.5)  # 1 - sqrt(1/4)
    assert rate("decay", 99, 100, 0) == pytest.approx(1 - math.sqrt(0.99))
    assert rate("decay", 0, 1, 0) == 1.0
