"""Devices by name, and those that are not there."""

import pytest
import torch

from nascence.core.devices import device_of


def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    for there, auto in ((False, "cpu"), (True, "cuda")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert device_of("auto").type == auto
        assert device_of("cpu").type == "cpu"
    assert device_of("cuda").type == "cuda"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="torch sees no GPU"):
        device_of("cuda")
    with pytest.raises(ValueError, match="--device is 'tpu'"):
        device_of("tpu")
