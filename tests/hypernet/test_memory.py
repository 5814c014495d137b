"""Memory is used again only where nothing holds it."""

import copy
import pickle
import threading

import torch

from nascence.hypernet import GHN
from nascence.hypernet.memory import Memory

COUNT = 2**20


def test_free_memory_is_used_again_and_held_memory_is_not() -> None:
    memory = Memory()
    first = memory.take(COUNT, torch.float32)
    address = first.data_ptr()
    del first
    second = memory.take(COUNT - 5, torch.float32)
    assert second.data_ptr() == address
    assert second.shape == (COUNT - 5,)
    part = second[:3]
    del second
    third = memory.take(COUNT, torch.float32)  # a view is still there
    assert third.data_ptr() != address
    part.fill_(7)
    third.fill_(1)
    assert part.tolist() == [7, 7, 7]


def test_other_sizes_and_types_are_new() -> None:
    memory = Memory()
    address = memory.take(4 * COUNT, torch.float32).data_ptr()
    assert memory.take(COUNT, torch.float32).shape == (COUNT,)
    assert memory.take(COUNT, torch.float64).dtype == torch.float64
    small = memory.take(8, torch.float32)
    assert small.numel() == 8
    assert not memory._kept  # so little is not worth keeping
    assert address


def test_copies_start_empty() -> None:
    memory = Memory()
    memory.take(COUNT, torch.float32)
    for twin in (copy.deepcopy(memory), pickle.loads(pickle.dumps(memory))):
        assert not twin._kept
    assert GHN(width=8, max_shape=(8, 8, 3, 3)).memory is not None


def test_threads_never_share() -> None:
    memory, found = Memory(), []
    gate = threading.Barrier(4)

    def work() -> None:
        gate.wait()
        for _ in range(20):
            mine = memory.take(COUNT, torch.float32)
            mine[:1000] = threading.get_ident() % 1000
            found.append(bool((mine[:1000] == threading.get_ident() % 1000).all()))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 80
    assert all(found)
