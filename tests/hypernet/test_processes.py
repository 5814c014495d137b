import os
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from nascence.hypernet import in_processes


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that are started anew import their function by name."""
    monkeypatch.syspath_prepend(Path(__file__).parent)


def test_one_result_of_a_shared_sum() -> None:
    import processes_for_tests

    assert in_processes(2, processes_for_tests.total, 10.0) == (2, 10.0 * 2 + 1)
    assert not dist.is_initialized()


def test_errors_of_any_process_are_raised() -> None:
    import processes_for_tests

    with pytest.raises(ValueError, match="of process 1"):
        in_processes(2, processes_for_tests.fails, 1)
    with pytest.raises(RuntimeError, match="was one killed"):
        in_processes(1, os._exit, 3)
    with pytest.raises(ValueError, match="0 processes"):
        in_processes(0, torch.zeros, 1)
