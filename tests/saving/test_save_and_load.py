"""`tracejit.jit.save` and `load`: scripts in files, without their source."""

from __future__ import annotations

import copy
import io
import pickle
import subprocess
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import tracejit as tj
from tests.cuda_shim.shim_device import MISSING
from tests.cuda_shim.stand_in import stand_in
from tracejit import jit, nn

pytestmark = pytest.mark.compiled


def again(script: Any, *examples: Any) -> Any:
    """What is loaded of a script, saved twice."""
    first, second = io.BytesIO(), io.BytesIO()
    jit.save(script, first, examples or None)
    first.seek(0)
    jit.save(jit.load(first), second)
    assert first.getvalue() == second.getvalue()
    second.seek(0)
    return jit.load(second)


@tj.script
def branching(x: Any, k: float = 2.0) -> Any:
    if x.sum() > 0:
        return x * k
    return {"part": x[1:], "k": k}["part"]


def test_a_function_serves_sizes_and_layouts_that_it_was_not_called_with(tmp_path: Path) -> None:
    x = tj.ones(3, 4)
    branching(x)
    branching.save(tmp_path / "net.pt")
    loaded = jit.load(tmp_path / "net.pt")
    for given in (x, tj.ones(1, 4), tj.ones(4, 3).T, tj.ones(0, 2), -tj.ones(5, 1), x.detach().requires_grad_()):
        for args, named in ((given,), {}), ((given,), {"k": 0.5}):
            np.testing.assert_array_equal(loaded(*args, **named).detach(), branching(*args, **named).detach())
    y = tj.ones(2, 2, requires_grad=True)
    loaded(y, 3.0).sum().backward()
    assert y.grad is not None and y.grad.tolist() == [[3, 3], [3, 3]]
    assert "mul(" in loaded.graph and loaded.compiles > 1
    with pytest.raises(TypeError) as caught:
        loaded(np.ones((2, 3)))
    assert str(caught.value) == (
        "what was saved of branching is not for a call\n  branching(x: array float64[n, n], k: float)\nbut for\n"
        "  branching(x: Tensor float32[*, *], k: float)"
    )


def test_examples_are_not_run_and_alone_decide() -> None:
    @tj.script
    def shout(x: Any) -> Any:
        print("called")
        x += 1
        return x

    x = np.zeros(3)
    loaded = again(shout, x)
    assert x.tolist() == [0, 0, 0]
    assert loaded(x) is x and x.tolist() == [1, 1, 1]
    with pytest.raises(TypeError, match="array float64"):
        loaded(x.astype(np.float32))


class Pair(NamedTuple):
    left: Any
    right: int


def test_containers_texts_and_errors() -> None:
    @tj.script
    def mixed(x: Any, pair: Pair, names: dict[str, float], how: str, *rest: int) -> Any:
        if how == "raise":
            raise ValueError(f"{how} {pair.right}")
        found = [x * v for v in names.values()]
        text = f"{how}: {pair.right}"
        return Pair(found, sum(rest)), text, OrderedDict(a=(None, 1j)), [i for i in range(pair.right)]

    x = np.arange(3.0)
    for how in ("say", "raise"):
        mixed.graph_for(x, Pair(x, 2), {"u": 2.0, "v": 0.5}, how, 1, 2)
    loaded = again(mixed)
    (found, total), text, table, numbers = loaded(x, Pair(x, 3), {"u": 4.0, "v": 0.5}, "say", 5, 6)
    assert [f.tolist() for f in found] == [[0, 4, 8], [0, 0.5, 1]]
    assert (total, text, table, numbers) == (11, "say: 3", {"a": (None, 1j)}, [0, 1, 2])
    assert type(table) is OrderedDict
    with pytest.raises(ValueError, match="raise 7") as caught:
        loaded(x, Pair(x, 7), {"u": 4.0, "v": 0.5}, "raise", 5, 6)
    last = caught.traceback[-1]
    assert last.path == Path(__file__) and "raise ValueError" in str(last.statement)
    with pytest.raises(TypeError, match="'say'"):
        loaded(x, Pair(x, 3), {"u": 4.0, "v": 0.5}, "whisper", 5, 6)


TABLE = tj.tensor([1.0, 2.0], requires_grad=True)
COUNT = np.zeros(1)
scale = 3


def test_what_is_read_from_outside_is_as_it_was() -> None:
    global scale

    @tj.script
    def outer(x: Any) -> Any:
        COUNT[0] += 1
        return x * TABLE * scale

    x = tj.ones(2)
    COUNT[0] = 0
    outer(x)
    loaded = again(outer)
    scale, TABLE.data[0] = 4, 7.0
    with pytest.raises(tj.ExportError, match="was not called yet, with what is outside now"):
        again(outer)
    try:
        outer(x)
        assert loaded(x).tolist() == [3, 6] and COUNT.tolist() == [2]
        assert again(outer)(x).tolist() == [28, 8]
    finally:
        scale, TABLE.data[0] = 3, 1.0


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 3)
        self.norm = nn.BatchNorm1d(3)
        self.drop = nn.Dropout(0.5)
        self.last = nn.Linear(3, 3, bias=False)
        self.last.weight = nn.Parameter(tj.ones(3, 3))
        self.tied = self.last
        self.factor = 2.0
        self.register_buffer("calls", tj.zeros(1, dtype=tj.int64))
        self.register_buffer("scratch", tj.ones(3), persistent=False)

    def forward(self, x: Any) -> Any:
        self.calls += 1
        y = self.drop(self.norm(self.first(x)))
        return self.tied(y) * self.scratch * self.factor

    @tj.script
    def halves(self, x: Any) -> Any:
        return self.first(x) / 2


def test_a_module_has_its_state_modes_and_methods() -> None:
    net = Net()
    script = tj.script(net)
    x = tj.randn(5, 4)
    script(x)
    assert script.eval() is script and script.train() is script
    script.eval()(x)
    net.halves(x)
    loaded = again(script)
    assert all(isinstance(loaded, cls) for cls in (nn.Module, jit.ScriptModule))
    assert repr(loaded).startswith("loaded(Net(") and loaded.factor == 2.0 and loaded.first.in_features == 4
    assert list(loaded.state_dict()) == list(net.state_dict())
    assert [n for n, _ in loaded.named_parameters()] == [n for n, _ in net.named_parameters()]
    assert loaded.tied is loaded.last and loaded.tied.weight is loaded.last.weight
    np.testing.assert_array_equal(loaded(x).detach(), script(x).detach())
    np.testing.assert_array_equal(loaded(x[:1]).detach(), script(x[:1]).detach())
    np.testing.assert_array_equal(loaded.halves(x).detach(), net.halves(x).detach())
    assert loaded.calls.tolist() == net.get_buffer("calls").tolist()
    for made in (loaded, script):
        made(x).sum().backward()
    np.testing.assert_array_equal(loaded.last.weight.grad, net.last.weight.grad)
    mean = loaded.norm.running_mean.tolist()
    loaded.train()(x)
    assert loaded.norm.running_mean.tolist() != mean and loaded.norm.num_batches_tracked.item() == 2
    loaded.eval()
    assert not loaded.requires_grad_(False)(x).requires_grad
    with tj.no_grad():
        loaded.last.weight.zero_()
    assert loaded(x).abs().sum().item() == 0
    loaded.factor = 4.0
    with pytest.raises(TypeError, match=r"but for\n  forward\(x: Tensor float32\[\*, \*\]\) with factor=2\.0"):
        loaded(x)
    loaded.factor = 2.0
    loaded.double()
    with pytest.raises(TypeError, match=r"\) with bias: Tensor float32\[3\], .*weight: Tensor float32\[3, 4\]"):
        loaded(x)
    loaded.float()
    loaded.norm = nn.BatchNorm1d(3)
    with pytest.raises(TypeError, match="not for a call"):
        loaded(x)
    with pytest.raises(RuntimeError, match="Linear was loaded as a part"):
        loaded.first(x)


def test_scripted_parts_and_the_gradient_mode() -> None:
    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = tj.script(nn.Linear(2, 2))

        def forward(self, x: Any) -> Any:
            y = self.inner(x)
            return y * 2 if y.requires_grad else y

    script, x = tj.script(Outer()), tj.ones(3, 2)
    with tj.no_grad():
        script(x)
    script(x)
    loaded = again(script)
    np.testing.assert_array_equal(loaded(x).detach(), script(x).detach())
    with tj.no_grad():
        np.testing.assert_array_equal(loaded(x[:1]), script(x[:1]))
    assert list(loaded.state_dict()) == ["inner.weight", "inner.bias"]
    loaded.inner = nn.Linear(2, 2)
    with pytest.raises(TypeError, match="not for a call"):
        loaded(x)


def test_a_mode_that_was_not_called_is_missing() -> None:
    script = tj.script(nn.Dropout(0.5))
    x = tj.ones(2)
    script(x)
    loaded = again(script).eval()
    with pytest.raises(TypeError, match=r"but for\n  forward\(x: Tensor float32\[\*\]\) with training=True"):
        loaded(x)
    loaded.train()
    tj.manual_seed(3)
    drawn = [script(tj.ones(20)).tolist() for _ in range(2)]
    tj.manual_seed(3)
    assert [loaded(tj.ones(20)).tolist() for _ in range(2)] == drawn and drawn[0] != drawn[1]


@pytest.mark.skipif(bool(MISSING), reason=MISSING or "-")
def test_arrays_of_a_gpu_are_there_again(tmp_path: Path) -> None:
    with stand_in(tmp_path):
        net, x = nn.Linear(2, 3).cuda(), tj.ones(4, 2).cuda()
        loaded = again(net, x)
        for made in (loaded, copy.deepcopy(loaded)):  # what is kept on the disk is for the CPU
            np.testing.assert_array_equal(made(x).detach().cpu(), net(x).detach().cpu())
            assert "cuda" in str(made(x[:1]).device)
        with pytest.raises(TypeError, match=r"\[\*, \*\] on cuda\)"):
            loaded(x.cpu())
        file = io.BytesIO()
        jit.save(loaded, file)
        assert str(jit.load(file, map_location="cpu").weight.device) == "cpu"


def test_traces_and_examples_of_modules() -> None:
    net = nn.Sequential(nn.Linear(3, 2), nn.Tanh())
    x = tj.randn(4, 3)
    for made in (again(tj.trace(net, x)), again(net, x)):
        np.testing.assert_array_equal(made(x).detach(), tj.script(net)(x).detach())
        assert list(made.state_dict()) == list(net.state_dict())
        made.get_submodule("0").weight = nn.Parameter(tj.zeros(2, 3))
        np.testing.assert_allclose(made(x)[0].detach(), made.get_submodule("0").bias.tanh().detach(), rtol=1e-6)


def test_copies_freezing_and_exports(tmp_path: Path) -> None:
    net = nn.Linear(2, 2)
    x = tj.ones(3, 2)
    loaded = again(net, x)
    for other in (copy.deepcopy(loaded), pickle.loads(pickle.dumps(loaded))):
        other.weight.data.zero_()
        assert other(x).shape == (3, 2) and loaded.weight.detach().numpy().any()
    with pytest.raises(RuntimeError, match="evaluation mode"):
        jit.freeze(loaded)
    frozen = jit.optimize_for_inference(loaded)
    assert not frozen(x).requires_grad and loaded.weight.requires_grad and not loaded.training
    np.testing.assert_array_equal(frozen(x), loaded(x).detach())
    library = tj.load(tj.export(loaded, [x], tmp_path / "model.so"))
    np.testing.assert_allclose(library(x[:1].numpy()), loaded(x[:1]).detach(), rtol=1e-6)
    np.testing.assert_array_equal(jit.freeze(tj.script(net).eval())(x), net(x).detach())


def test_a_process_without_the_source(tmp_path: Path) -> None:
    source = tmp_path / "model_to_forget.py"
    source.write_text(
        "import tracejit as tj\n\n@tj.script\ndef f(x):\n    assert x.sum() > 0, 'too small'\n    return x * 2\n"
    )
    program = (
        "import sys, numpy as np; sys.path.insert(0, '.'); import model_to_forget as m; m.f.save('f.pt', [np.ones(2)])"
    )
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
    source.unlink()
    program = (
        "import tracejit as tj, numpy as np; f = tj.load('f.pt'); print(f(np.ones(3)).tolist(), f.compiles)\n"
        "try: f(-np.ones(3))\nexcept AssertionError as e: print(e)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert done.stdout == "[2.0, 2.0, 2.0] 1\ntoo small\n"


def test_further_contents_devices_and_dtypes(tmp_path: Path) -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = tj.tensor([1 + 2j], dtype=tj.complex128)
            self.small = tj.ones(2, dtype=tj.bfloat16)

        def forward(self, x: Any) -> Any:
            return x * self.table, self.small * 2

    odd, x = Odd(), tj.ones(1, dtype=tj.complex128)
    jit.save(odd, tmp_path / "odd.pt", [x], _extra_files={"notes.txt": "hello", "raw": b"\x00"})
    extra: dict[str, Any] = {"notes.txt": "", "raw": "", "other": "as it was"}
    loaded = jit.load(tmp_path / "odd.pt", map_location="cpu", _extra_files=extra)
    assert extra == {"notes.txt": b"hello", "raw": b"\x00", "other": "as it was"}
    product, small = loaded(x)
    assert product.tolist() == [1 + 2j] and small.dtype == tj.bfloat16 and loaded.table.dtype == tj.complex128


# -- what is refused --------------------------------------------------------------------------------------------------


def test_what_cannot_be_saved_is_refused(tmp_path: Path) -> None:
    with pytest.raises(tj.ExportError, match="was not called yet, .*; call it, or give example_args"):
        jit.save(tj.script(lambda x: x), io.BytesIO())
    with pytest.raises(tj.ExportError, match="a file cannot hold <function"):
        jit.save(tj.script(lambda f, x: f(x)), io.BytesIO(), [lambda x: x, np.ones(2)])
    with pytest.raises(tj.ExportError, match="save its module"):
        jit.save(Net().halves, io.BytesIO())
    with pytest.raises(tj.ExportError, match="cannot write .*missing"):
        jit.save(branching, tmp_path / "missing" / "net.pt", [tj.ones(2, 2)])
    shared = nn.Linear(2, 2)
    shared.bias = nn.Parameter(shared.weight.detach()[0])
    with pytest.raises(tj.ExportError, match="'(weight|bias)' and '(weight|bias)': they share memory"):
        jit.save(shared, io.BytesIO(), [tj.ones(1, 2)])
    with pytest.raises(TypeError, match="missing 1 required"):
        jit.save(branching, io.BytesIO(), [])


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    jit.save(branching, path, [tj.ones(2, 2)])
    before = path.read_bytes()
    with pytest.raises(TypeError):
        jit.save(branching, path, [tj.ones(2, 2)], _extra_files={"a": 5})  # type: ignore[dict-item]
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["net.pt"]
    with pytest.raises(tj.ExportError, match="cannot write /dev/full: No space left"):
        jit.save(branching, "/dev/full", [tj.ones(2, 2)])


def test_files_that_are_no_scripts(tmp_path: Path) -> None:
    path = tmp_path / "net.pt"
    jit.save(nn.Linear(2, 2), path, [tj.ones(1, 2)])
    whole = path.read_bytes()
    for length in (0, 1, 10, len(whole) // 2, len(whole) - 1):
        with pytest.raises(tj.ExportError, match="cannot load"):
            jit.load(io.BytesIO(whole[:length]))
    for at in range(60, len(whole), len(whole) // 20):
        damaged = bytearray(whole)
        damaged[at] ^= 0x55
        try:
            assert jit.load(io.BytesIO(damaged))(tj.ones(1, 2)).shape == (1, 2)
        except (tj.ExportError, TypeError):
            continue

    def changed(name: str, old: bytes, new: bytes) -> io.BytesIO:
        made = io.BytesIO()
        with zipfile.ZipFile(path) as before, zipfile.ZipFile(made, "w") as after:
            for member in before.namelist():
                data = before.read(member)
                assert member != name or old in data
                after.writestr(member, data.replace(old, new) if member == name else data)
        return made

    with pytest.raises(tj.ExportError, match="has format 9, this tracejit reads 1"):
        jit.load(changed("script.json", b'"format": 1', b'"format": 9'))
    for edit, message in [
        (("script.json", b'"f32"', b'"f33"'), "damaged"),
        (("script.json", b'{"element": "f32"}', b'{"element": "f64"}'), "not for a call|takes other inputs"),
        (("script.json", b'"inout": []', b'"inout": [0]'), "takes other inputs"),
        (("graphs/0.tj", b"yield %", b"yield %no"), "damaged"),
        (("graphs/0.tj", b"(1, 0)", b"(1, 1)"), "invalid graph"),
    ]:
        with pytest.raises((tj.ExportError, TypeError), match=message):
            jit.load(changed(*edit))(tj.ones(1, 2))
    other = io.BytesIO()
    with zipfile.ZipFile(other, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data.pkl", "x")
    with pytest.raises(tj.ExportError, match="no file that tracejit.jit.save wrote"):
        jit.load(other)
    with pytest.raises(tj.ExportError, match="cannot read .*: No such file"):
        jit.load(tmp_path / "absent.pt")
    with pytest.raises(tj.ExportError, match="cannot read"):
        jit.load(tmp_path)
    (tmp_path / "text.pt").write_text("graph")
    with pytest.raises(tj.ExportError, match="cannot load"):
        tj.load(tmp_path / "text.pt")


def test_hooks_of_other_modules_are_not_asked_for() -> None:
    linear, x = nn.Linear(2, 2), tj.ones(1, 2)
    linear.register_forward_hook(lambda module, args, output: output * 2)
    module = tj.script(linear)
    want = module(x)
    nn.ReLU().register_forward_hook(lambda *_: None)
    assert again(module)(x).tolist() == want.tolist()
    linear.register_forward_hook(lambda *_: None)
    with pytest.raises(tj.ExportError, match="not called yet, with what is outside now"):
        again(module)


def test_what_was_loaded_is_refused_in_scripts() -> None:
    loaded, module = again(branching, tj.ones(2, 2)), again(nn.Linear(2, 2), tj.ones(1, 2))
    with pytest.raises(tj.ScriptError, match="was loaded"):
        tj.script(lambda x: loaded(x) + 1)(tj.ones(2, 2))
    with pytest.raises(tj.ScriptError, match="was loaded"):
        tj.script(lambda x: module(x) + 1)(tj.ones(1, 2))
    module.register_forward_hook(lambda *args: None)
    with pytest.raises(RuntimeError, match="cannot run hooks"):
        module(tj.ones(1, 2))
