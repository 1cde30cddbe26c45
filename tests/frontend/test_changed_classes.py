"""No call runs the code of methods, properties and `forward` functions that were replaced since it was compiled."""

from __future__ import annotations

import dataclasses
import types

import numpy as np
import pytest

import tracejit as tj
from tracejit import nn, script

X = np.array([1.0, 2.0])


def classes():
    class Base:
        rate = 3.0

        def scaled(self, x):
            return x * 2

        @property
        def offset(self):
            return 10.0

        @staticmethod
        def moved(x):
            return x + 1

        @classmethod
        def rated(cls, x):
            return x * cls.rate

        def __call__(self, x):
            return x - 1

    class Derived(Base):
        def scaled(self, x):
            return super().scaled(x) + 100

    return Base, Derived


def everything(o, x):
    return o.scaled(x) + o.offset + o.moved(x) + o.rated(x) + o(x)


CHANGES = {
    "a method": lambda base, o: setattr(base, "scaled", lambda self, x: x * 50),
    "a property": lambda base, o: setattr(base, "offset", property(lambda self: 20.0)),
    "a static method": lambda base, o: setattr(base, "moved", staticmethod(lambda x: x * 7)),
    "a class method": lambda base, o: setattr(base, "rated", classmethod(lambda cls, x: x * 0)),
    "a constant": lambda base, o: setattr(base, "rate", 5.0),
    "a call": lambda base, o: setattr(base, "__call__", lambda self, x: x * 11),
    "an object's own": lambda base, o: setattr(o, "scaled", lambda x: x * 60),
    "an object's own method": lambda base, o: setattr(o, "scaled", types.MethodType(lambda self, x: x * 70, o)),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("which", [0, 1], ids=["of the class", "behind super"])
def test_what_a_class_gives_is_never_stale(change, which):
    made = classes()
    outer, argument = made[which](), made[which]()

    def reads_outer(x):
        return everything(outer, x)

    scripted, scripted_outer = script(everything), script(reads_outer)
    for _ in range(2):
        np.testing.assert_array_equal(scripted(argument, X), everything(argument, X))
        np.testing.assert_array_equal(scripted_outer(X), reads_outer(X))
    assert (scripted.compiles, scripted_outer.compiles) == (1, 1)
    change(made[0], argument)
    change(made[0], outer)
    np.testing.assert_array_equal(scripted(argument, X), everything(argument, X))
    np.testing.assert_array_equal(scripted_outer(X), reads_outer(X))


def test_objects_that_a_script_makes():
    base, _ = classes()

    def f(x):
        return base().scaled(x)

    scripted = script(f)
    scripted(X)
    base.scaled = lambda self, x: x * 9
    np.testing.assert_array_equal(scripted(X), X * 9)


def test_the_class_of_an_object_may_be_set():
    base, derived = classes()
    o = base()

    def f(x):
        return (o.scaled(x), o.offset, isinstance(o, derived), type(o) is derived)

    scripted = script(f)
    assert scripted(X)[1:] == (10.0, False, False)
    o.__class__ = derived
    assert scripted(X)[1:] == (10.0, True, True)
    np.testing.assert_array_equal(scripted(X)[0], X * 2 + 100)


@dataclasses.dataclass
class Box:
    width: float
    height: float

    def __post_init__(self):
        self.area = self.width * self.height

    def scaled(self, x):
        return x * self.area


def test_a_dataclass_has_what_it_was_given_beside_its_fields():
    @script
    def f(box, x):
        return box.scaled(x) if hasattr(box, "area") else x

    box = Box(2.0, 3.0)
    np.testing.assert_array_equal(f(box, X), X * 6)
    box.area = 5.0
    np.testing.assert_array_equal(f(box, X), X * 5)
    assert f.compiles == 1
    box.scaled = lambda x: x * 0
    np.testing.assert_array_equal(f(box, X), X * 0)
    del box.scaled, box.area
    np.testing.assert_array_equal(f(box, X), X)
    box.area = 4.0
    np.testing.assert_array_equal(f(box, X), X * 4)


def test_an_attribute_that_was_missing():
    @script
    def f(box, x):
        return x * box.depth

    box = Box(2.0, 3.0)
    with pytest.raises(AttributeError, match="'Box' object has no attribute 'depth'"):
        f(box, X)
    box.depth = 2.0
    np.testing.assert_array_equal(f(box, X), X * 2)


def test_an_attribute_that_the_script_makes_and_deletes():
    @script
    def f(box, x):
        if not hasattr(box, "total"):
            box.total = x.sum()
        made = box.total
        del box.total
        return made

    box = Box(2.0, 3.0)
    assert [f(box, X) for _ in range(3)] == [3.0] * 3
    assert f.compiles == 1 and not hasattr(box, "total")


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(2, 2)

    def forward(self, x):
        return self.linear(x).sum()


@pytest.mark.parametrize("inside", [False, True], ids=["a scripted module", "a module in a script"])
def test_forward_is_never_stale(monkeypatch, inside):
    net, x = Net(), tj.ones(3, 2)
    scripted = script(lambda x: net(x)) if inside else script(net)
    np.testing.assert_allclose(scripted(x).numpy(), net(x).numpy(), rtol=1e-6)
    monkeypatch.setattr(Net, "forward", lambda self, x: self.linear(x).sum() * 0 + x.sum())
    assert scripted(x).item() == 6.0
    net.linear.forward = lambda x: x * tj.tensor([np.inf, 1.0])
    assert np.isnan(scripted(x).item())
    net.forward = lambda x: x.sum() * 2
    assert scripted(x).item() == 12.0
    del net.forward, net.linear.forward
    assert scripted(x).item() == 6.0


def test_parts_of_a_module_that_change_their_kind():
    linear, x = nn.Linear(2, 1), tj.tensor([[1.0, 2.0]])
    scripted = script(lambda x: linear(x).sum())

    def agree():
        for _ in range(2):
            np.testing.assert_allclose(scripted(x).item(), linear(x).sum().item(), rtol=1e-6)

    agree()
    linear.weight = nn.Parameter(tj.ones(1, 2) * 5)
    agree()
    linear.bias = None
    agree()
    del linear.weight
    linear.weight = tj.ones(1, 2) * 3  # a plain attribute
    agree()
    del linear.weight
    linear.register_buffer("weight", tj.ones(1, 2) * 7)
    agree()
    linear.weight = tj.ones(1, 2) * 8
    agree()
    del linear.weight
    linear.weight = nn.Parameter(tj.ones(1, 2) * 9)
    agree()
