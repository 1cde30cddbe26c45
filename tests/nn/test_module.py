"""Modules: registration, walking, state, modes, hooks."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tracejit import nn


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.rest = nn.Sequential(nn.ReLU(), nn.Linear(4, 2))
        self.scale = nn.Parameter(tj.ones(1))
        self.register_buffer("count", tj.zeros(1, dtype=tj.int64))
        self.register_buffer("scratch", tj.zeros(2), persistent=False)

    def forward(self, x: Any) -> Any:
        return self.rest(self.first(x)) * self.scale


def test_names_of_parameters_buffers_and_modules() -> None:
    net = Net()
    names = ["scale", "first.weight", "first.bias", "rest.1.weight", "rest.1.bias"]
    assert [n for n, _ in net.named_parameters()] == names
    assert [n for n, _ in net.named_buffers()] == ["count", "scratch"]
    assert [n for n, _ in net.named_modules()] == ["", "first", "rest", "rest.0", "rest.1"]
    assert [n for n, _ in net.named_children()] == ["first", "rest"]
    assert len(list(net.parameters(recurse=False))) == 1


def test_lookup_by_dotted_name() -> None:
    net = Net()
    assert net.get_submodule("rest.1") is net.rest[1]
    assert net.get_parameter("rest.1.bias") is net.rest[1].bias
    assert net.get_buffer("count") is net.count
    for call, name in ((net.get_submodule, "rest.7"), (net.get_parameter, "first.nope"), (net.get_buffer, "scale")):
        with pytest.raises(AttributeError):
            call(name)


def test_shared_parameters_come_once() -> None:
    a = nn.Linear(2, 2)
    b = nn.Linear(2, 2)
    b.weight = a.weight
    assert len(list(nn.Sequential(a, b).parameters())) == 3
    assert len(nn.Sequential(a, b).state_dict()) == 4


def test_assignment_registers_and_replaces() -> None:
    net = Net()
    net.scale = nn.Parameter(tj.zeros(1))
    assert dict(net.named_parameters())["scale"].item() == 0
    net.count = tj.ones(1, dtype=tj.int64)
    assert net.state_dict()["count"].item() == 1
    with pytest.raises(TypeError):
        net.scale = tj.ones(1)
    with pytest.raises(TypeError):
        net.first = 3
    net.first = None
    assert [n for n, _ in net.named_children()] == ["rest"]
    del net.scale
    with pytest.raises(AttributeError):
        net.scale  # noqa: B018
    net.plain = 5
    assert net.plain == 5


def test_parameters_before_init_are_refused() -> None:
    class Early(nn.Module):
        def __init__(self) -> None:
            self.w = nn.Parameter(tj.ones(1))

    with pytest.raises(AttributeError, match="__init__"):
        Early()


def test_bad_names_are_refused() -> None:
    net = Net()
    for name in ("", "a.b"):
        with pytest.raises(KeyError):
            net.register_buffer(name, None)
    with pytest.raises(KeyError):
        net.register_parameter("forward", None)
    with pytest.raises(TypeError):
        net.register_buffer("b", 3)


def test_state_dict_round_trip() -> None:
    a, b = Net(), Net()
    state = a.state_dict()
    assert list(state) == ["scale", "count", "first.weight", "first.bias", "rest.1.weight", "rest.1.bias"]
    assert not any(t.requires_grad for t in state.values())
    b.load_state_dict(state)
    x = tj.rand(2, 3)
    np.testing.assert_array_equal(a(x).detach().numpy(), b(x).detach().numpy())


def test_state_dict_shares_memory() -> None:
    net = nn.Linear(1, 1)
    net.state_dict()["weight"].fill_(5)
    assert net.weight.item() == 5


def test_load_state_dict_reports_every_problem() -> None:
    net = nn.Linear(2, 2)
    with pytest.raises(RuntimeError) as error:
        net.load_state_dict({"weight": tj.ones(3, 2), "other": tj.ones(1)})
    text = str(error.value)
    assert 'Missing key(s) in state_dict: "bias"' in text
    assert 'Unexpected key(s) in state_dict: "other"' in text
    assert "size mismatch for weight" in text
    keys = net.load_state_dict({"weight": tj.ones(2, 2), "other": tj.ones(1)}, strict=False)
    assert keys.missing_keys == ["bias"] and keys.unexpected_keys == ["other"]
    assert net.weight.sum().item() == 4


def test_train_and_eval() -> None:
    net = Net()
    assert net.eval() is net
    assert not any(m.training for m in net.modules())
    net.train()
    assert all(m.training for m in net.modules())


def test_apply_visits_children_first() -> None:
    seen: list[str] = []
    Net().apply(lambda m: seen.append(type(m).__name__))
    assert seen == ["Linear", "ReLU", "Linear", "Sequential", "Net"]


def test_freezing_and_zero_grad() -> None:
    net = Net()
    net.first.requires_grad_(False)
    net(tj.rand(2, 3)).sum().backward()
    assert net.first.weight.grad is None
    assert net.scale.grad is not None
    net.zero_grad(set_to_none=False)
    assert net.scale.grad.item() == 0
    net.zero_grad()
    assert net.scale.grad is None


def test_conversion_keeps_parameters_and_integer_buffers() -> None:
    net = Net()
    weight = net.first.weight
    net.double()
    assert net.first.weight is weight
    assert weight.dtype == tj.float64
    assert net.count.dtype == tj.int64
    assert net(tj.rand(2, 3, dtype=tj.float64)).dtype == tj.float64
    assert net.float().scale.dtype == tj.float32


def test_copies_and_pickles() -> None:
    net = Net()
    x = tj.rand(2, 3)
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert isinstance(other.scale, nn.Parameter)
        np.testing.assert_array_equal(other(x).detach().numpy(), net(x).detach().numpy())
        other.scale.data.fill_(0)
        assert net.scale.item() == 1


def test_forward_hooks_replace_inputs_and_outputs() -> None:
    net = nn.Linear(2, 2)
    before = net.register_forward_pre_hook(lambda m, args: (args[0] * 0,))
    after = net.register_forward_hook(lambda m, args, out: out + 100)
    y = net(tj.ones(1, 2))
    np.testing.assert_allclose(y.detach().numpy()[0], net.bias.detach().numpy() + 100, rtol=1e-6)
    before.remove()
    after.remove()
    np.testing.assert_allclose(
        net(tj.ones(1, 2)).detach().numpy(), nn.functional.linear(tj.ones(1, 2), net.weight, net.bias).detach().numpy()
    )


def test_hook_order_and_kwargs() -> None:
    seen: list[Any] = []

    class Add(nn.Module):
        def forward(self, x: Any, y: Any = 1) -> Any:
            return x + y

    net = Add()
    net.register_forward_hook(lambda m, a, o: seen.append("second"))
    net.register_forward_hook(lambda m, a, o: seen.append("first"), prepend=True)
    net.register_forward_pre_hook(lambda m, a, k: (a, {**k, "y": 5}), with_kwargs=True)
    assert net(tj.zeros(1), y=2).item() == 5
    assert seen == ["first", "second"]


def test_full_backward_hooks_see_and_replace_gradients() -> None:
    net = nn.Linear(2, 1, bias=False)
    seen: list[Any] = []

    def hook(module: Any, grad_input: Any, grad_output: Any) -> Any:
        seen.append((grad_input[0].tolist(), grad_output[0].tolist()))
        return (grad_input[0] * 10,)

    net.register_full_backward_hook(hook)
    x = tj.ones(1, 2, requires_grad=True)
    net(x).sum().backward()
    assert seen == [(net.weight.tolist(), [[1.0]])]
    np.testing.assert_allclose(x.grad.numpy(), net.weight.detach().numpy() * 10)


def test_backward_hooks_without_differentiated_inputs() -> None:
    net = nn.Linear(2, 1)
    seen: list[Any] = []
    net.register_full_backward_pre_hook(lambda m, go: (go[0] * 2,))
    net.register_full_backward_hook(lambda m, gi, go: seen.append((gi, go[0].tolist())))
    net(tj.ones(1, 2)).sum().backward()
    assert seen == [((None,), [[2.0]])]
    assert net.bias.grad.item() == 2.0


class Scale(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.factor = 2.0
        self.weight = nn.Parameter(tj.ones(3))

    def forward(self, x: Any, y: Any = 1) -> Any:
        return x * self.factor * self.weight + y


def test_scripts_run_forward_hooks_as_they_are_now() -> None:
    net, x = nn.Sequential(Scale(), nn.ReLU()), tj.tensor([1.0, -2.0, 3.0])
    inner: Any = net[0]
    calls = (tj.script(net), tj.script(lambda x: net(x) + 1), tj.script(lambda x: net[0](x, y=5)))
    plain = (net, lambda x: net(x) + 1, lambda x: net[0](x, y=5))

    def agree() -> None:
        for call, same in zip(calls, plain, strict=True):
            np.testing.assert_array_equal(call(x).detach().numpy(), same(x).detach().numpy())

    agree()
    handles = [
        inner.register_forward_pre_hook(lambda m, args: (args[0] + m.factor, *args[1:])),
        inner.register_forward_pre_hook(lambda m, args: args[0].abs()),
        inner.register_forward_hook(lambda m, args, out: out - args[0]),
        inner.register_forward_pre_hook(lambda m, args, kwargs: (args, {**kwargs, "y": 7.0}), with_kwargs=True),
        net.register_forward_hook(lambda m, args, out: out * 2),
        inner.register_forward_hook(lambda m, args, kwargs, out: out + len(kwargs), with_kwargs=True),
        inner.register_forward_hook(lambda m, args, out: None),
    ]
    agree()
    slopes: list[Any] = []
    for call in (calls[0], net):
        inner.weight.grad = None
        call(x).sum().backward()
        slopes.append(inner.weight.grad.numpy())
    np.testing.assert_allclose(*slopes, rtol=1e-6)
    for handle in handles:
        handle.remove()
        agree()


@pytest.mark.parametrize("kind", ["full_backward", "full_backward_pre"])
def test_scripts_refuse_backward_hooks_also_those_that_come_later(kind: str) -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    x = tj.ones(1, 2)
    calls = (tj.script(net), tj.script(lambda x: net(x) + 1), tj.script(lambda x: net[0](x)))
    for call in calls:
        call(x)
    handle = getattr(net[0], f"register_{kind}_hook")(lambda *_: None)
    for call in calls:
        with pytest.raises((tj.ScriptError, RuntimeError), match="has backward hooks"):
            call(x)
    handle.remove()
    for call in calls:
        call(x)


def test_containers() -> None:
    layers = nn.ModuleList([nn.Linear(1, 1), nn.ReLU()])
    layers.append(nn.Tanh()).insert(0, nn.Identity())
    assert [type(m).__name__ for m in layers] == ["Identity", "Linear", "ReLU", "Tanh"]
    assert len(layers[1:3]) == 2 and isinstance(layers[-1], nn.Tanh)
    del layers[0]
    assert [n for n, _ in layers.named_children()] == ["0", "1", "2"]
    table = nn.ModuleDict({"a": nn.ReLU()})
    table["b"] = nn.Tanh()
    assert list(table) == ["a", "b"] and "a" in table and table.pop("a") is not None and len(table) == 1
    named = nn.Sequential({"in": nn.Linear(1, 1), "out": nn.ReLU()})
    assert isinstance(named.out, nn.ReLU) and len(named[:1]) == 1


def test_repr_shows_the_tree() -> None:
    assert repr(Net()) == (
        "Net(\n"
        "  (first): Linear(in_features=3, out_features=4, bias=True)\n"
        "  (rest): Sequential(\n"
        "    (0): ReLU()\n"
        "    (1): Linear(in_features=4, out_features=2, bias=True)\n"
        "  )\n"
        ")"
    )
