#!/bin/sh
# torch 2.13.0: reading the state dict of a fresh Adam through
# torch.distributed.checkpoint makes its first step a quarter smaller.
#
# get_optimizer_state_dict wants a filled state, and fills it by taking a step with
# zero gradients and a learning rate of 0.  The weights stay, but Adam's step count
# stays at 1 too: the first real step corrects its moments as if it were the second,
# and moves every weight by (1 - .9) / (1 - .9^2) / sqrt((1 - .999) / (1 - .999^2))
# = .744 of the learning rate instead of by all of it.  A run that saves a
# checkpoint before its first step so trains otherwise than one that does not.
# Optimizers with momentum alone (SGD) are not changed.
#
# Output seen:
#   Adam: not read 0.0100, read 0.0074 (0.744)
#   SGD : not read 0.0014, read 0.0014 (1.000)
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 numpy==2.4.6
"$folder/venv/bin/python" -W ignore - <<'EOF'
import copy

import torch
from torch import nn
from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict

torch.manual_seed(0)
network = nn.Linear(3, 2)
x = torch.randn(8, 3)


def first_step(kind, settings, read):
    model = copy.deepcopy(network)
    optimizer = kind(model.parameters(), lr=0.01, **settings)
    if read:
        get_optimizer_state_dict(model, optimizer)
    assert torch.equal(model.weight, network.weight)
    model(x).square().mean().backward()
    optimizer.step()
    return (model.weight - network.weight).abs().mean().item()


cases = (
    ("Adam", torch.optim.Adam, {}, 0.744),
    ("SGD ", torch.optim.SGD, {"momentum": 0.9}, 1.0),
)
for name, kind, settings, expected in cases:
    plain, read = first_step(kind, settings, False), first_step(kind, settings, True)
    print(f"{name}: not read {plain:.4f}, read {read:.4f} ({read / plain:.3f})")
    assert abs(read / plain - expected) < 0.005, "reading the state has changed"
EOF
