"""The picture has every node and every edge."""

from xml.etree import ElementTree

import torch
from torch import nn

from nascence.graph import draw, trace


def test_svg_has_a_circle_for_every_node_and_a_path_for_every_edge() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 2))
    graph = trace(model, torch.empty(1, 3, 8, 8))
    picture = ElementTree.fromstring(draw(graph, width=300))
    space = "{http://www.w3.org/2000/svg}"
    assert picture.get("width") == "300"
    assert len(picture.findall(f"{space}g/{space}circle")) == len(graph)
    assert len(picture.findall(f"{space}path")) == len(graph.edges)
    titles = [title.text or "" for title in picture.iter(f"{space}title")]
    assert any("0.weight 4x3x3x3" in title for title in titles)
