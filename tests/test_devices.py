"""Device names and array modules."""

from __future__ import annotations

import numpy as np
import pytest

import tracejit as tj
from tracejit.devices import CPU, Device, as_device, device_of, is_array, module_of


def test_names() -> None:
    assert Device("cuda") == "cuda:0" == Device("cuda:0") and Device("cuda") == "cuda" and Device("cuda:1") != "cuda"
    assert Device("cpu:0") == "cpu" and CPU == "cpu:0" and CPU != Device("cuda")
    assert (Device("cuda:2").type, Device("cuda:2").index) == ("cuda", 2)
    assert Device("cuda", 1) == "cuda:1" and tj.device("cpu") == tj.ones(1).device and tj.device("cpu").type == "cpu"
    assert as_device(None) is CPU and repr(CPU) == "device('cpu')"
    assert len({Device("cuda"), Device("cuda:0"), CPU}) == 2


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "cpu:1", "", "cuda:-1"])
def test_unknown_names(name: str) -> None:
    with pytest.raises(ValueError, match="unknown device"):
        Device(name)


def test_arrays_know_their_place() -> None:
    assert device_of(np.ones(1)) == CPU and module_of(np.ones(1)) is np and is_array(np.ones(1))
    assert not is_array([1])
    with pytest.raises(TypeError):
        module_of([1])
