"""`tracejit.export` of Python functions."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tracejit as tj
from tracejit.deploy.load import NativeError, NativeLibrary

RNG = np.random.default_rng(0)


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype("f4")


def exported(fn: Any, args: list[Any], folder: Path, **options: Any) -> NativeLibrary:
    return tj.load(tj.export(fn, args, folder / "model.so", **options))


def network(x: Any, w1: Any, w2: Any) -> Any:
    return x.mm(w1).clamp(min=0).mm(w2)


def test_a_network_at_any_size(tmp_path: Path) -> None:
    library = exported(network, [normal(4, 6), normal(6, 5), normal(5, 3)], tmp_path)
    for n, k, m, p in [(4, 6, 5, 3), (1, 1, 1, 1), (0, 3, 2, 4), (33, 17, 9, 70), (2, 0, 3, 1)]:
        x, w1, w2 = normal(n, k), normal(k, m), normal(m, p)
        np.testing.assert_allclose(library(x, w1, w2), np.maximum(x @ w1, 0) @ w2, rtol=1e-4, atol=1e-4)


def test_its_errors_are_pythons(tmp_path: Path) -> None:
    library = exported(network, [normal(4, 6), normal(6, 5), normal(5, 3)], tmp_path)
    with pytest.raises(NativeError, match="ValueError"):
        library(normal(4, 6), normal(7, 5), normal(5, 3))


def conditional(x: Any, limit: float, n: int) -> Any:
    total = x.sum() * 0
    for i in range(n):
        if total > limit:
            break
        total = total + x[i % x.shape[0]]
    return total, n


def test_scalars_and_control_flow_stay_run_time(tmp_path: Path) -> None:
    library = exported(conditional, [np.ones(3), 1.0, 2], tmp_path)
    for limit, n in [(1.5, 10), (100.0, 10), (0.0, 0)]:
        x = np.array([0.5, 1.0, 0.25, 2.0])
        total, count = library(x, limit, n)
        assert (total, count) == (float(conditional(x, limit, n)[0]), n)


def arrays_in_a_list_that_change(x: Any, n: int) -> Any:
    def energy(x: Any) -> Any:
        items = []
        for i in range(n):
            items.append(x * i)
        for item in items:
            item += item * x
        items[0][0] = 7.0
        total = 0.0
        for item in items:
            total = total + (item * item).sum()
        return total

    return tj.value_and_grad(energy)(x)


def test_arrays_in_lists_change_in_place(tmp_path: Path) -> None:
    library = exported(arrays_in_a_list_that_change, [tj.tensor([1.0, 2.0]), 3], tmp_path)
    for x, n in [([1.0, 2.0, -3.0], 4), ([0.5], 1)]:
        value, gradient = arrays_in_a_list_that_change(tj.tensor(x), n)
        found = library(np.array(x, "f4"), n)
        assert found[0] == pytest.approx(value.item(), rel=1e-6)
        np.testing.assert_allclose(found[1], gradient.numpy(), rtol=1e-6)


def loss_and_gradients(x: Any, y: Any, w1: Any, w2: Any) -> Any:
    loss = (network(x, w1, w2) - y).pow(2).sum()
    loss.backward()
    return loss


def parameter(array: np.ndarray) -> Any:
    return tj.tensor(array.copy(), requires_grad=True)


def test_value_and_gradient(tmp_path: Path) -> None:
    x, y, w1, w2 = normal(4, 6), normal(4, 3), normal(6, 5), normal(5, 3)
    args = [tj.tensor(x), tj.tensor(y), parameter(w1), parameter(w2)]
    library = exported(loss_and_gradients, args, tmp_path)
    assert [s["name"] for s in library.manifest["outputs"]] == ["result", "w1_grad", "w2_grad"]
    loss, d1, d2 = library(x, y, w1, w2)
    h = np.maximum(x @ w1, 0)
    error = h @ w2 - y
    np.testing.assert_allclose(loss, np.square(error).sum(), rtol=1e-4)
    np.testing.assert_allclose(d2, h.T @ (2 * error), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(d1, x.T @ ((2 * error @ w2.T) * (h > 0)), rtol=1e-3, atol=1e-3)


def squares(x: Any, w: Any) -> Any:
    return ((x @ w) ** 2).sum()


def test_transformations(tmp_path: Path) -> None:
    x, w = normal(3, 4), normal(4, 2)
    value, gradient = exported(tj.value_and_grad(squares, argnums=1), [x, w], tmp_path)(x, w)
    np.testing.assert_allclose(value, squares(x, w), rtol=1e-4)
    np.testing.assert_allclose(gradient, 2 * x.T @ (x @ w), rtol=1e-4, atol=1e-4)


def test_a_module_with_its_weights(tmp_path: Path) -> None:
    module = tj.nn.Sequential(tj.nn.Linear(4, 8), tj.nn.ReLU(), tj.nn.Linear(8, 2))
    library = exported(module, [normal(3, 4)], tmp_path)
    for n in (1, 5):
        x = normal(n, 4)
        expected = module(tj.tensor(x)).detach().numpy()
        np.testing.assert_allclose(library(x), expected, rtol=1e-4, atol=1e-5)
    assert len(library.manifest["inputs"]) == 1 and len(library.manifest["weights"]) == 4


class Scaled:
    def __init__(self) -> None:
        self.weight = normal(4, 2)
        self.factor = 2.0

    def run(self, x: Any) -> Any:
        return x @ self.weight * self.factor


def test_a_method(tmp_path: Path) -> None:
    scaled, x = Scaled(), normal(3, 4)
    np.testing.assert_allclose(exported(scaled.run, [x], tmp_path)(x), scaled.run(x), rtol=1e-5)


def along(x: Any, axis: int) -> Any:
    return x.sum(axis=axis)


def test_an_argument_that_decides_a_type_is_compiled_in(tmp_path: Path) -> None:
    x = normal(3, 4)
    library = exported(along, [x, 1], tmp_path)
    np.testing.assert_allclose(library(x), x.sum(axis=1), rtol=1e-5)
    assert [s["name"] for s in library.manifest["inputs"]] == ["x"]


def test_a_library_that_was_written_anew_is_loaded_anew(tmp_path: Path) -> None:
    x = normal(2)
    first = exported(lambda x: x + 1, [x], tmp_path)
    second = exported(lambda x: x + 2, [x], tmp_path)
    np.testing.assert_allclose(second(x) - first(x), [1, 1], rtol=1e-6)


WEIGHTS = tj.tensor(np.arange(6, dtype="f4").reshape(3, 2))


def with_weights(x: Any) -> Any:
    return x @ WEIGHTS


def test_outer_arrays_are_embedded(tmp_path: Path) -> None:
    library = exported(with_weights, [normal(4, 3)], tmp_path)
    x = normal(7, 3)
    np.testing.assert_allclose(library(x), x @ np.arange(6, dtype="f4").reshape(3, 2), rtol=1e-5, atol=1e-5)
    assert library.manifest["weights"] == [{"input": 1, "dtype": "float32", "shape": [3, 2]}]


def views(x: Any, pair: tuple[Any, float]) -> Any:
    return {"same": x, "part": x[1:, ::2], "sum": pair[0].sum() + pair[1]}


def test_containers_and_views_become_outputs(tmp_path: Path) -> None:
    x = np.arange(12.0).reshape(3, 4)
    library = exported(views, [x, (np.ones(3), 2.0)], tmp_path)
    same, part, total = library(x, np.ones(5), 0.5)
    np.testing.assert_array_equal(same, x)
    np.testing.assert_array_equal(part, x[1:, ::2])
    assert total == 5.5


def increment(x: Any, by: float) -> None:
    x += by


def test_arguments_are_changed_in_place(tmp_path: Path) -> None:
    library = exported(increment, [np.zeros(3), 1.0], tmp_path)
    x = np.zeros((2, 3))
    library(x[0], 1.5)
    library(x[:, 2], 1.0)
    assert x.tolist() == [[1.5, 1.5, 2.5], [0, 0, 1]]


def test_text_and_back(tmp_path: Path) -> None:
    path = tj.export(network, [normal(4, 6), normal(6, 5), normal(5, 3)], tmp_path / "net.tj")
    x, w1, w2 = normal(3, 2), normal(2, 2), normal(2, 4)
    np.testing.assert_allclose(tj.load(path)(x, w1, w2), np.maximum(x @ w1, 0) @ w2, rtol=1e-4, atol=1e-4)


def test_text_and_back_with_weights(tmp_path: Path) -> None:
    module = tj.nn.Sequential(tj.nn.Linear(3, 4), tj.nn.ReLU(), tj.nn.Linear(4, 2))
    x = tj.tensor(normal(5, 3))
    path = tj.export(module, [x[:2]], tmp_path / "net.tj")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net.tj", "net.tj.safetensors"]
    loaded = tj.load(path)
    np.testing.assert_allclose(loaded(x), module(x).detach().numpy(), rtol=1e-5)
    with pytest.raises(TypeError, match="takes 1 arguments, got 2"):
        loaded(x, x)
    state = tj.load_weights(tmp_path / "net.tj.safetensors")
    tj.save_weights({"weight.9": tj.ones(2), **state}, tmp_path / "net.tj.safetensors")
    with pytest.raises(tj.ExportError, match=r"'weight\.9' is of no parameter"):
        tj.load(path)
    (tmp_path / "net.tj.safetensors").unlink()
    with pytest.raises(tj.ExportError, match="cannot read the weights of .*net.tj.safetensors: No such file"):
        tj.load(path)


def test_text_leaves_the_weights_that_were_saved_under_its_name(tmp_path: Path) -> None:
    module = tj.nn.Linear(3, 2)
    tj.save_weights(module, tmp_path / "net.safetensors")
    tj.export(module, [tj.ones((2, 3))], tmp_path / "net.tj")
    assert sorted(tj.load_weights(tmp_path / "net.safetensors")) == ["bias", "weight"]


def test_arrays_that_cannot_lie_beside_a_text_are_refused(tmp_path: Path) -> None:
    table = np.ones(3, np.complex128)
    with pytest.raises(tj.ExportError, match=r"cannot write .*net\.tj\.safetensors: .*complex128"):
        tj.export(lambda x: x * table, [normal(3)], tmp_path / "net.tj")
    (tmp_path / "other.tj.safetensors").mkdir()
    with pytest.raises(tj.ExportError, match="Is a directory"):
        tj.export(tj.nn.Linear(3, 2), [tj.ones((2, 3))], tmp_path / "other.tj")
    assert not list(tmp_path.glob("*.tj"))


def test_text_and_back_of_what_reads_arrays_outside(tmp_path: Path) -> None:
    table = normal(4)
    path = tj.export(lambda x, i: x * table[i], [normal(3), 1], tmp_path / "net.tj")
    x = normal(2)
    np.testing.assert_array_equal(tj.load(path)(x, 3), x * table[3])


@pytest.mark.parametrize("suffix", [".so", ".tj"])
def test_constant_results(tmp_path: Path, suffix: str) -> None:
    def described(x: Any, flag: bool) -> Any:
        return x.sum(), np.float64(3.5), 2, flag, (1j, None)

    loaded = tj.load(tj.export(described, [normal(3), True], tmp_path / f"net{suffix}"))
    found = loaded(np.ones(4, np.float32))
    assert [np.asarray(x).item() for x in found] == [4.0, 3.5, 2, True, 1j]
    assert [np.asarray(x).dtype.kind for x in found] == ["f", "f", "i", "b", "c"]


def test_results_of_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(tj.ExportError, match="returns 'big': results are arrays and numbers"):
        tj.export(lambda x: (x, "big"), [normal(3)], tmp_path / "net.so")


def gathered(x: Any, out: list[Any]) -> Any:
    found, parts, counts = [], [], {}
    for i in range(len(x)):
        if x[i] > 0:
            found.append((i, x * i))
        parts.append(x[:i])
        counts[int(x[i])] = counts.get(int(x[i]), 0) + 1
        out.append(x[i])
    return found, parts, counts, range(len(x)), {i for i, _ in found}


@pytest.mark.parametrize("suffix", [".so", ".tj"])
def test_what_grows_is_arrays(tmp_path: Path, suffix: str) -> None:
    path = tj.export(gathered, [normal(3), []], tmp_path / f"net{suffix}")
    x = np.array([1.0, -2.0, 1.0, 3.0], np.float32)
    places, rows, elements, sizes, keys, values, *bounds, members, out = tj.load(path)(x)
    np.testing.assert_array_equal(places, [0, 2, 3])
    np.testing.assert_array_equal(rows, [x * 0, x * 2, x * 3])
    np.testing.assert_array_equal(elements, [1, 1, -2, 1, -2, 1])
    np.testing.assert_array_equal(sizes, [0, 1, 2, 3])
    assert dict(zip(keys.tolist(), values.tolist(), strict=True)) == {1: 2, -2: 1, 3: 1}
    assert [int(n) for n in bounds] == [0, 4, 1]
    np.testing.assert_array_equal(members, [0, 2, 3])
    np.testing.assert_array_equal(out, x)


@pytest.mark.parametrize(
    ("fn", "what"),
    [
        (lambda x: [[i] * i for i in range(len(x))], "one of several lists in a list"),
        (lambda x: ["a" if i > 1 else "b" for i in x], "one of several objects in a list"),
        (lambda x: x if x.sum() > 1 else None, "what may be None"),
        (lambda x: f"{x.sum()}", "text"),
    ],
)
def test_results_that_are_no_arrays_are_refused(tmp_path: Path, fn: Any, what: str) -> None:
    with pytest.raises(tj.ExportError, match=f"returns {what}: results are arrays and numbers"):
        tj.export(fn, [normal(3)], tmp_path / "net.so")


def test_a_loaded_graph_cuts_no_number(tmp_path: Path) -> None:
    loaded = tj.load(tj.export(lambda x, n: x * n, [normal(3), 2], tmp_path / "net.tj"))
    assert loaded(np.ones(2, np.float32), np.int64(3)).tolist() == [3, 3]
    with pytest.raises(TypeError, match=r"n: expected an integer, got 2\.5"):
        loaded(np.ones(2, np.float32), 2.5)


def test_a_graph_of_wrong_types_is_refused(tmp_path: Path) -> None:
    path = tj.export(lambda x: x * 2, [normal(3)], tmp_path / "net.tj")
    path.write_text(path.read_text().replace("f32[n]\n", "f64[n]\n"))
    with pytest.raises(tj.ExportError, match="cannot load .*net.tj: invalid graph"):
        tj.load(path)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "net.tj").write_bytes(b"\xff\x00")
    with pytest.raises(tj.ExportError, match="it is no text"):
        tj.load(tmp_path / "net.tj")


def test_a_small_network_is_small(tmp_path: Path) -> None:
    path = tj.export(network, [normal(4, 6), normal(6, 5), normal(5, 3)], tmp_path / "net.so")
    assert path.stat().st_size < 100_000


def test_what_cannot_be_exported_is_refused(tmp_path: Path) -> None:
    with pytest.raises(tj.ExportError, match="must end in one of"):
        tj.export(network, [], tmp_path / "net.exe")
    with pytest.raises(tj.ExportError, match="returns 'text'"):
        tj.export(lambda x: "text", [np.ones(2)], tmp_path / "net.so")
    with pytest.raises(tj.ScriptError):
        tj.export(generator, [np.ones(2)], tmp_path / "net.so")
    (tmp_path / "net.o").write_bytes(b"code")
    with pytest.raises(tj.ExportError, match="cannot load"):
        tj.load(tmp_path / "net.o")


def generator(x: Any) -> Any:
    yield x


def descend(a: Any, i: int) -> Any:
    if i == len(a):
        return 0.0
    a[i] += 1.0
    return a[i] * a[i] + descend(a, i + 1)


def endless(n: int) -> int:
    return 1 + endless(n + 1)


def test_recursion(tmp_path: Path) -> None:
    library = exported(descend, [np.ones(3), 0], tmp_path)
    x = np.arange(4.0)
    assert library(x, 0) == 30.0
    np.testing.assert_array_equal(x, np.arange(1.0, 5.0))


def test_too_deep_is_a_status_on_stacks_of_any_size(tmp_path: Path) -> None:
    library = exported(endless, [0], tmp_path)
    found: list[str] = []

    def run() -> None:
        with pytest.raises(NativeError) as caught:
            library(0)
        found.append(str(caught.value))

    before = threading.stack_size(1 << 18)
    try:
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    run()
    assert len(found) == 2 and all("RecursionError: maximum recursion depth exceeded" in text for text in found)


def test_examples_that_are_no_tuple_are_refused(tmp_path: Path) -> None:
    """The rows of an array were taken for arguments."""

    def f(x: Any) -> Any:
        return x * 2

    for examples in (np.ones((1, 3)), 3.0, "x"):
        with pytest.raises(TypeError, match="example_args is a tuple of arguments"):
            tj.export(f, examples, tmp_path / "f.tj")  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="example_args is a tuple of arguments"):
            tj.jit.save(tj.script(f), tmp_path / "f.pt", example_args=examples)  # type: ignore[arg-type]
