#!/bin/sh
# timm 1.0.31 with torch 2.13.0 and torchvision 0.28.0: reparameterize_model freezes
# the layers that it does not merge, in some blocks, and leaves the merged ones
# trainable.
#
# Blocks that re-parameterise call detach_() on all their parameters, their squeeze
# and excitation included, which stays in use.  The merged convolutions are new and
# require gradients.  Fine-tuning the result so trains the merged convolutions of
# MobileOne-S4 but none of its squeeze and excitation, 11 % of the parameters, and
# of GhostNetV3 36 tensors in 330, without a word; RepViT stays trainable in full.
# The model that was passed in keeps all of its gradients: the result is a copy.
#
# Output seen (parameter tensors that no longer require gradients):
#   mobileone_s4: 48 of 136, all in attn
#   ghostnetv3_050: 294 of 330
#   repvit_m0_9: 0 of 208
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 torchvision==0.28.0 timm==1.0.31 numpy==2.4.6
"$folder/venv/bin/python" -W ignore - <<'EOF'
import torch

try:
    import torchvision  # noqa: F401
except RuntimeError:
    # A build of torch other than torchvision's own: timm needs these names alone.
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

import timm
from timm.utils import reparameterize_model

expected = {"mobileone_s4": (48, 136), "ghostnetv3_050": (294, 330), "repvit_m0_9": (0, 208)}
for name, counts in expected.items():
    model = timm.create_model(name)
    merged = reparameterize_model(model)
    assert all(parameter.requires_grad for parameter in model.parameters())
    frozen = [key for key, tensor in merged.named_parameters() if not tensor.requires_grad]
    total = len(list(merged.parameters()))
    inside = ", all in attn" if name == "mobileone_s4" else ""
    print(f"{name}: {len(frozen)} of {total}{inside}")
    assert (len(frozen), total) == counts, "what stays trainable has changed"
    if inside:
        assert all(".attn." in key for key in frozen)
EOF
