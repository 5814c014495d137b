"""The device that ``--device`` names."""

import torch


def device_of(name: str) -> torch.device:
    """Return the device for ``auto``, ``cpu`` or ``cuda``; ValueError if there is none."""
    if name not in ("auto", "cpu", "cuda"):
        raise ValueError(f"--device is {name!r}; it must be auto, cpu or cuda")
    there = torch.cuda.is_available()
    if name == "cuda" and not there:
        raise ValueError("--device cuda was asked for, but torch sees no GPU; use --device cpu")
    return torch.device("cuda" if there and name != "cpu" else "cpu")
