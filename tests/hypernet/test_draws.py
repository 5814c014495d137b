"""Networks of a run follow from step and slot alone."""

import torch

from nascence.graph import Graph, Node
from nascence.hypernet.draws import Ahead, network_of
from nascence.hypernet.run_settings import RunSettings

SETTINGS = RunSettings(500, 10, 4, 4, 1e-3, 0.0, 1, 5.0, 0.0, 0)


def test_networks_follow_from_step_and_slot_alone() -> None:
    seen: list[int] = []

    def networks(index: int) -> tuple[Graph, torch.nn.Module]:
        seen.append(index)
        return Graph((Node("input"),), (), (0,)), torch.nn.Identity()

    whole = Ahead(networks, SETTINGS, range(4), 0)
    assert len(whole) == 10
    assert len(whole[7]) == 4
    expected, seen[:] = seen[:], []
    part = Ahead(networks, SETTINGS, range(1, 4, 2), 5)  # the second of two processes, resumed
    assert len(part) == 5
    part[2]
    assert seen == expected[1::2]
    others = {network_of(SETTINGS, 7, 1, attempt) for attempt in range(5)}
    assert seen[0] in others
    assert len(others) > 1
