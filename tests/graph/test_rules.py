"""Every rule is for a function that torch has."""

import torch
import torch.nn.functional as F

from nascence.graph import general_rules, layer_rules
from nascence.graph.rules import _BY_NAME, rule_of


def test_functions_methods_and_operators_find_the_same_rule() -> None:
    for spellings in (
        (torch.add, torch.Tensor.add, torch.Tensor.__add__, torch.Tensor.__radd__),
        (torch.relu, F.relu, torch.Tensor.relu),
        (torch.matmul, torch.Tensor.matmul, torch.Tensor.__matmul__),
        (torch.cat, torch.concat, torch.stack),
    ):
        assert len({rule_of(function) for function in spellings}) == 1, spellings
    assert rule_of(F.linear) is layer_rules.linear
    assert rule_of(torch.Tensor.shape.__get__) is general_rules.plain
    assert rule_of(torch.fft.fft) is general_rules.anything


def test_every_rule_is_for_a_function_that_torch_has() -> None:
    """A misspelt name would never be found."""
    older = {"names"}  # torch 2.8 has it, later ones may not
    places = (torch, torch.Tensor, F, torch._C._nn, torch._VF)
    methods = set(dir(torch.Tensor))
    unknown = [
        name
        for name in _BY_NAME
        if name not in methods and not any(hasattr(place, name) for place in places)
    ]
    assert not [name for name in unknown if not name.startswith("__") and name not in older]
