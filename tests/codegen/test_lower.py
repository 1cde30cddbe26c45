"""Named programs: what they compute, how many copies, kernels and allocations they take."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from graphs import run

from tracejit.codegen.evaluate import evaluate
from tracejit.codegen.lowering.entry import lower
from tracejit.codegen.text import print_kernel, print_program
from tracejit.codegen.walk import ProgramFailure
from tracejit.ir.parser import parse
from tracejit.ir.types import Order
from tracejit.transforms import pipeline

RNG = np.random.default_rng(5)

CONSTANTS = """
  %zero = const() {value = 0, type = !i64} : i64
  %one = const() {value = 1, type = !i64} : i64
  %two = const() {value = 2, type = !i64} : i64
  %true = const() {value = True, type = !bool} : bool
  %half = const() {value = 0.5, type = !f64} : f64
"""


def f64(*shape: int) -> np.ndarray[Any, Any]:
    return RNG.normal(size=shape)


def f32(*shape: int) -> np.ndarray[Any, Any]:
    return RNG.normal(size=shape).astype("float32")


# -- updates in place -----------------------------------------------------------------------------------------


def test_scalar_dynamic_programming_updates_in_place() -> None:
    found = run(
        f"""graph @dp(%p: inout f64[n], %w: f64) on cpu {{ {CONSTANTS}
      %n = dim(%p) {{axis = 0}} : i64
      %m = sub(%n, %one) : i64
      %q = loop(%m, %true, %p) : f64[n] {{
        body(%i: i64, %x: f64[n]):
          %a = fetch(%x, %i) : f64
          %b = mul(%a, %w) : f64
          %c = tanh(%b) : f64
          %j = add(%i, %one) : i64
          %y = index_update(%x, %c, %j) : f64[n]
          yield %true, %y
      }}
      yield %q }}""",
        f64(6),
        0.5,
    )
    assert found.copies == 0
    assert found.statistics.allocations == 0
    assert found.statistics.launches == {}


JACOBI = f"""graph @jacobi(%a: inout f64[n], %b: inout f64[n], %k: i64) on cpu {{ {CONSTANTS}
  %n = dim(%a) {{axis = 0}} : i64
  %m = sub(%n, %two) : i64
  %x, %y = loop(%k, %true, %a, %b) : f64[n], f64[n] {{
    body(%i: i64, %p: f64[n], %q: f64[n]):
      %l = vread(%p, %zero, %one, %m) : f64[%m]
      %r = vread(%p, %two, %one, %m) : f64[%m]
      %s = add(%l, %r) : f64[%m]
      %h = broadcast(%half, %m) : f64[%m]
      %t = mul(%s, %h) : f64[%m]
      %w = vwrite(%q, %t, %one, %one) : f64[n]
      yield %true, RESULTS
  }}
  yield %x, %y
}}"""


@pytest.mark.parametrize(("results", "trips"), [("%p, %w", 3), ("%w, %p", 3), ("%w, %p", 4)])
def test_jacobi_writes_its_kernel_into_the_other_array(results: str, trips: int) -> None:
    found = run(JACOBI.replace("RESULTS", results), f64(7), f64(7), trips)
    assert found.copies == 0
    assert len(found.program.kernels) == 1
    parked = 2 if results == "%w, %p" and trips % 2 else 0
    assert found.statistics.allocations == parked


def test_a_row_update_is_one_kernel_without_memory() -> None:
    found = run(
        f"""graph @rows(%a: inout f64[n, m], %b: f64[m]) on cpu {{ {CONSTANTS}
      %n = dim(%a) {{axis = 0}} : i64
      %m = dim(%a) {{axis = 1}} : i64
      %x = loop(%n, %true, %a) : f64[n, m] {{
        body(%i: i64, %p: f64[n, m]):
          %o = mul(%i, %m) : i64
          %r = vread(%p, %o, %one, %m) : f64[m]
          %s = mul(%r, %b) : f64[m]
          %w = vwrite(%p, %s, %o, %one) : f64[n, m]
          yield %true, %w
      }}
      yield %x }}""",
        f64(4, 5),
        f64(5),
    )
    assert found.copies == 0
    assert found.statistics.allocations == 0
    assert sum(found.statistics.launches.values()) == 4


def test_a_shifted_update_reads_all_before_it_writes() -> None:
    found = run(
        f"""graph @shift(%a: inout f64[n]) on cpu {{ {CONSTANTS}
      %n = dim(%a) {{axis = 0}} : i64
      %m = sub(%n, %one) : i64
      %l = vread(%a, %zero, %one, %m) : f64[%m]
      %h = broadcast(%half, %m) : f64[%m]
      %t = mul(%l, %h) : f64[%m]
      %w = vwrite(%a, %t, %one, %one) : f64[n]
      yield %w }}""",
        f64(9),
    )
    assert found.statistics.allocations == 1


def test_a_loop_without_updates_reuses_its_array() -> None:
    found = run(
        f"""graph @relax(%x: f64[n], %k: i64) on cpu {{ {CONSTANTS}
      %y = loop(%k, %true, %x) : f64[n] {{
        body(%i: i64, %p: f64[n]):
          %t = tanh(%p) : f64[n]
          yield %true, %t
      }}
      yield %y }}""",
        f64(5),
        4,
    )
    assert found.statistics.allocations == 1


def test_an_operand_that_dies_holds_the_result() -> None:
    found = run(
        """graph @f(%x: f64[n, m], %w: f64[m, k], %b: f64[k]) on cpu {
      %a = matmul(%x, %w) : f64[n, k]
      %n = dim(%x) {axis = 0} : i64
      %k = dim(%w) {axis = 1} : i64
      %bb = broadcast(%b, %n, %k) : f64[n, k]
      %c = add(%a, %bb) : f64[n, k]
      %r = relu(%c) : f64[n, k]
      yield %r }""",
        f64(3, 4),
        f64(4, 5),
        f64(5),
    )
    assert found.statistics.allocations == 1


def test_an_operand_that_dies_under_another_shape_holds_the_result() -> None:
    found = run(
        """graph @f(%x: f64[n, m, k], %w: f64[k, l], %b: f64[l]) on cpu {
      %n = dim(%x) {axis = 0} : i64
      %m = dim(%x) {axis = 1} : i64
      %k = dim(%x) {axis = 2} : i64
      %l = dim(%w) {axis = 1} : i64
      %p = mul(%n, %m) : i64
      %rows = reshape(%x, %p, %k) : f64[%p, k]
      %a = matmul(%rows, %w) : f64[%p, l]
      %shaped = reshape(%a, %n, %m, %l) : f64[n, m, l]
      %bb = broadcast(%b, %n, %m, %l) : f64[n, m, l]
      %c = add(%shaped, %bb) : f64[n, m, l]
      %d = tanh(%c) : f64[n, m, l]
      yield %c, %d }""",
        f64(2, 3, 4),
        f64(4, 5),
        f64(5),
    )
    assert found.statistics.allocations == 2


def test_a_returned_parameter_is_copied_and_an_update_of_it_too() -> None:
    found = run(
        f"""graph @f(%x: f64[n]) on cpu {{ {CONSTANTS}
      %y = index_update(%x, %half, %zero) : f64[n]
      yield %x, %y }}""",
        f64(3),
    )
    assert found.copies == 2


def test_a_branch_that_chooses_parameters_copies_nothing() -> None:
    text = f"""graph @f(%c: bool, %x: f64[n], %y: f64[n]) on cpu {{ {CONSTANTS}
      %z = if(%c) : f64[n] {{
        then(): yield %x
        else(): yield %y
      }}
      %s = sum(%z) {{axes = (0,)}} : f64[]
      yield %s }}"""
    for choice in (True, False):
        found = run(text, choice, f64(3), f64(3))
        assert found.copies == 0
        assert found.statistics.allocations == 1


def test_an_update_in_one_branch_is_in_place() -> None:
    text = f"""graph @f(%c: bool, %x: inout f64[n]) on cpu {{ {CONSTANTS}
      %z = if(%c) : f64[n] {{
        then():
          %y = index_update(%x, %half, %zero) : f64[n]
          yield %y
        else(): yield %x
      }}
      yield %z }}"""
    for choice in (True, False):
        assert run(text, choice, f64(3)).statistics.allocations == 0


# -- control flow -----------------------------------------------------------------------------------------------


def test_a_loop_stops_early() -> None:
    text = f"""graph @search(%x: f64[n], %limit: f64) on cpu {{ {CONSTANTS}
      %n = dim(%x) {{axis = 0}} : i64
      %at, %go = loop(%n, %true, %zero, %true) : i64, bool {{
        body(%i: i64, %a: i64, %g: bool):
          %v = fetch(%x, %i) : f64
          %less = lt(%v, %limit) : bool
          yield %less, %i, %less
      }}
      yield %at }}"""
    for limit in (0.5, 2.5, 9.0):
        run(text, np.arange(5.0), limit)


def test_a_failed_check_carries_its_payload() -> None:
    text = """graph @f(%x: f64[n], %i: i64) on cpu {
      %n = dim(%x) {axis = 0} : i64
      %ok = lt(%i, %n) : bool
      check(%ok, %i, %n) {kind = "IndexError", message = "index {0} is out of bounds for size {1}"}
      %v = fetch(%x, %i) : f64
      yield %v }"""
    run(text, f64(3), 2)
    with pytest.raises(IndexError, match="index 3 is out of bounds for size 3"):
        run(text, f64(3), 3)
    with pytest.raises(ProgramFailure, match=r"payload \(np.int64\(3\), np.int64\(3\)\)"):
        evaluate(lower(parse(text)), [f64(3), 3])


@pytest.mark.parametrize(("dtype", "x"), [("f64", f64(3)), ("c128", f64(3) + 1j * f64(3)), ("i64", np.arange(1, 4))])
def test_parts_of_lists_of_numbers_and_of_their_cotangents(dtype: str, x: np.ndarray[Any, Any]) -> None:
    text = f"""graph @f(%x: {dtype}[n], %start: i64, %low: i64, %length: i64) on cpu {{ {CONSTANTS}
      %n = dim(%x) {{axis = 0}} : i64
      %l = list_new() {{element = !{dtype}}} : list<{dtype}>
      %a = list_add_part(%l, %x, %zero, %n) : list<{dtype}>
      %y = add(%x, %x) : {dtype}[n]
      %b = list_add_part(%a, %y, %start, %length) : list<{dtype}>
      %held = list_part0(%b, %low, %n) : {dtype}[n]
      %c = list_set_part(%b, %zero, %held) : list<{dtype}>
      %set = list_part(%c, %zero, %n) : {dtype}[n]
      %d = list_clear_part(%c, %low, %n) : list<{dtype}>
      %left = list_part(%d, %zero, %n) : {dtype}[n]
      %k = list_len(%d) : i64
      yield %held, %set, %left, %k }}"""
    for start, low, length in ((0, 0, 3), (2, -1, 5), (-2, -5, 3), (-1, 1, 4), (-4, 0, 3), (-1, -3, 2)):
        assert run(text, x, start, low, length).copies == 0


def test_lists_of_tensors_are_freed_and_popped() -> None:
    text = f"""graph @f(%x: f64[n], %k: i64) on cpu {{ {CONSTANTS}
      %n = dim(%x) {{axis = 0}} : i64
      %l = list_new() {{element = !f64[n]}} : list<f64[?]>
      %f, %y = loop(%k, %true, %l, %x) : list<f64[?]>, f64[n] {{
        body(%i: i64, %a: list<f64[?]>, %p: f64[n]):
          %t = tanh(%p) : f64[n]
          %b = list_push(%a, %p) : list<f64[?]>
          yield %true, %b, %t
      }}
      %c = list_len(%f) : i64
      %g, %v = list_pop0(%f, %n) : list<f64[?]>, f64[n]
      %r = add(%v, %y) : f64[n]
      yield %r, %c }}"""
    for trips in (0, 1, 3):
        run(text, f64(4), trips)


# -- sizes, layouts, dtypes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("axes", [a for r in range(4) for a in itertools.combinations(range(3), r)])
@pytest.mark.parametrize("shape", [(2, 3, 4), (1, 3, 1), (2, 0, 3)])
def test_reductions_over_every_choice_of_axes(axes: tuple[int, ...], shape: tuple[int, ...]) -> None:
    dims = [str(d) if d < 2 else f"n{d}" for d in shape]
    kept = ", ".join(d for i, d in enumerate(dims) if i not in axes)
    spelt = f"({axes[0]},)" if len(axes) == 1 else str(axes)
    run(
        f"""graph @f(%x: f64[{", ".join(dims)}]) on cpu {{
      %e = exp(%x) : f64[{", ".join(dims)}]
      %s = sum(%e) {{axes = {spelt}}} : f64[{kept}]
      %m = max(%e) {{axes = {spelt}}} : f64[{kept}]
      %p = prod(%x) {{axes = {spelt}}} : f64[{kept}]
      yield %s, %m, %p, %e }}""",
        f64(*shape),
    )


def test_a_large_sum_is_folded_in_blocks() -> None:
    text = "graph @f(%x: f32[n]) on cpu { %s = sum(%x) {axes = (0,)} : f32[]  yield %s }"
    found = run(text, f32(5000))
    assert "parallel carry" in print_program(found.program)


@pytest.mark.parametrize(
    ("order", "layout"), [("C", "any"), ("F", "any"), ("F", "F"), ("reversed", "any"), ("every second", "any")]
)
@pytest.mark.parametrize("inout", ["", "inout "])
def test_parameters_of_any_layout(order: str, layout: Order, inout: str) -> None:
    x = f64(4, 6)
    views = {"C": x[:, :3], "F": np.asfortranarray(x[:, :3]), "reversed": x[::-1, 2::-1], "every second": x[:, ::2]}
    run(
        f"""graph @f(%x: {inout}f64[n, m], %w: f64[m, k]) on cpu {{ {CONSTANTS}
      %n = dim(%x) {{axis = 0}} : i64
      %m = dim(%x) {{axis = 1}} : i64
      %t = tanh(%x) : f64[n, m]
      %p = matmul(%x, %w) : f64[n, k]
      %r = vread(%x, %m, %one, %m) : f64[m]
      {"%y = index_update(%x, %half, %one, %zero) : f64[n, m]" if inout else ""}
      yield %t, %p, %r{", %y" if inout else ""} }}""",
        views[order],
        f64(3, 5),
        layouts=[layout, "C"],
    )


def test_arrays_in_fortran_order_are_read_along_their_lines() -> None:
    """The loop over neighbours is the innermost, and the only one where it can be."""
    graph = parse("""graph @f(%x: f64[n, m], %y: f64[n, m]) on cpu {
      %d = sub(%x, %y) : f64[n, m]
      %rows = sum(%d) {axes = (1,)} : f64[n]
      %all = sum(%x) {axes = (0, 1)} : f64[]
      yield %rows, %all }""")
    program = lower(pipeline.run(graph, ["fuse", "ownership"]), layouts=["F", "F"])
    rows, total = (print_kernel(kernel) for kernel in program.kernels)
    assert "for i.1 in 0..length vector" in rows and "x[at + (start.1 + j) * n]" in rows
    assert total.count("for ") == 2 and "x[start + " in total  # blocks of one flat axis
    x, y = np.asfortranarray(f64(30, 40)), np.asfortranarray(f64(30, 40))
    found = evaluate(program, [x, y])
    np.testing.assert_allclose(found[0], (x - y).sum(1))
    np.testing.assert_allclose(found[1], x.sum())


def test_matmul_takes_transposed_operands_without_copies() -> None:
    found = run(
        """graph @f(%a: f32[m, n], %b: f32[k, m]) on cpu {
      %at = transpose(%a) {perm = (1, 0)} : f32[n, m]
      %bt = transpose(%b) {perm = (1, 0)} : f32[m, k]
      %c = matmul(%at, %bt) : f32[n, k]
      yield %c }""",
        f32(3, 4),
        f32(5, 3),
    )
    assert found.statistics.allocations == 1


def test_batched_and_integer_products() -> None:
    run(
        "graph @f(%a: f64[p, q, n, m], %b: f64[p, q, m, k]) on cpu { %c = matmul(%a, %b) : f64[p, q, n, k]  yield %c }",
        f64(2, 3, 4, 5),
        f64(2, 3, 5, 2),
    )
    integers = "graph @f(%a: i64[n, m], %b: i64[m, k]) on cpu { %c = matmul(%a, %b) : i64[n, k]  yield %c }"
    a, b = RNG.integers(0, 9, (3, 4)), RNG.integers(0, 9, (4, 5))
    (by_columns,) = run(integers, a, b).program.kernels
    assert "for j in 0..k vector" in print_kernel(by_columns)
    pairs = "graph @f(%a: c128[n, m], %b: c128[m, k]) on cpu { %c = matmul(%a, %b) : c128[n, k]  yield %c }"
    x, y = f64(9, 20) + 1j * f64(9, 20), f64(20, 15) + 1j * f64(20, 15)
    for left, right in ((x, y), (x[:2], y), (np.asfortranarray(x), y[:, ::2]), (x, np.asfortranarray(y))):
        run(pairs, left, right, layouts=["any", "any"])
    (by_terms,) = run(integers, a, np.asfortranarray(b), layouts=["C", "F"]).program.kernels
    assert "for i.1 in 0..m vector" in print_kernel(by_terms)


def test_complex_arrays() -> None:
    x = f64(5) + 1j * f64(5)
    run(
        """graph @f(%x: c128[n], %y: c128[n]) on cpu {
      %m = mul(%x, %y) : c128[n]
      %d = div(%m, %x) : c128[n]
      %e = exp(%d) : c128[n]
      %r = abs(%e) : f64[n]
      %s = sum(%e) {axes = (0,)} : c128[]
      %p = prod(%x) {axes = (0,)} : c128[]
      yield %e, %r, %s, %p }""",
        x,
        f64(5) + 1j * f64(5),
    )


def test_half_precision_rounds_after_every_operation() -> None:
    x = RNG.normal(size=40).astype("float16")
    run(
        """graph @f(%x: f16[n], %y: f16[n]) on cpu {
      %m = mul(%x, %y) : f16[n]
      %a = add(%m, %x) : f16[n]
      yield %a }""",
        x,
        x[::-1].copy(),
    )


# -- one kernel -------------------------------------------------------------------------------------------------------


def rowwise(axis: int) -> str:
    kept, shape = ("n" if axis else "m"), ("%n, %one" if axis else "%one, %m")
    keepdims = "n, 1" if axis else "1, m"
    return f"""graph @softmax(%x: f32[n, m]) on cpu {{ {CONSTANTS}
      %n = dim(%x) {{axis = 0}} : i64
      %m = dim(%x) {{axis = 1}} : i64
      %mx = max(%x) {{axes = ({axis},)}} : f32[{kept}]
      %mk = reshape(%mx, {shape}) : f32[{keepdims}]
      %mb = broadcast(%mk, %n, %m) : f32[n, m]
      %d = sub(%x, %mb) : f32[n, m]
      %e = exp(%d) : f32[n, m]
      %s = sum(%e) {{axes = ({axis},)}} : f32[{kept}]
      %l = log(%s) : f32[{kept}]
      %sk = reshape(%s, {shape}) : f32[{keepdims}]
      %sb = broadcast(%sk, %n, %m) : f32[n, m]
      %r = div(%e, %sb) : f32[n, m]
      yield %r, %l }}"""


@pytest.mark.parametrize("axis", [0, 1])
def test_softmax_is_one_kernel_with_one_exponential(axis: int) -> None:
    found = run(rowwise(axis), f32(5, 7))
    assert len(found.program.kernels) == 1
    assert found.statistics.allocations == 2
    assert print_program(found.program).count("exp(") == 1


def test_a_quotient_is_kept_between_loops() -> None:
    found = run(
        f"""graph @f(%x: f32[n, m]) on cpu {{ {CONSTANTS}
      %n = dim(%x) {{axis = 0}} : i64
      %m = dim(%x) {{axis = 1}} : i64
      %s = sum(%x) {{axes = (1,)}} : f32[n]
      %sk = reshape(%s, %n, %one) : f32[n, 1]
      %sb = broadcast(%sk, %n, %m) : f32[n, m]
      %y = div(%x, %sb) : f32[n, m]
      %q = square(%y) : f32[n, m]
      %t = sum(%q) {{axes = (1,)}} : f32[n]
      %tk = reshape(%t, %n, %one) : f32[n, 1]
      %tb = broadcast(%tk, %n, %m) : f32[n, m]
      %z = sub(%y, %tb) : f32[n, m]
      yield %z }}""",
        f32(5, 7),
    )
    assert print_program(found.program).count(" / ") == 1


def test_layer_norm_is_one_kernel() -> None:
    found = run(
        f"""graph @norm(%x: f64[n, m], %w: f64[m]) on cpu {{ {CONSTANTS}
      %n = dim(%x) {{axis = 0}} : i64
      %m = dim(%x) {{axis = 1}} : i64
      %count = cast(%m) {{dtype = f64}} : f64
      %cn = broadcast(%count, %n) : f64[n]
      %s = sum(%x) {{axes = (1,)}} : f64[n]
      %mean = div(%s, %cn) : f64[n]
      %mk = reshape(%mean, %n, %one) : f64[n, 1]
      %mb = broadcast(%mk, %n, %m) : f64[n, m]
      %d = sub(%x, %mb) : f64[n, m]
      %q = square(%d) : f64[n, m]
      %v = sum(%q) {{axes = (1,)}} : f64[n]
      %var = div(%v, %cn) : f64[n]
      %r = rsqrt(%var) : f64[n]
      %rk = reshape(%r, %n, %one) : f64[n, 1]
      %rb = broadcast(%rk, %n, %m) : f64[n, m]
      %y = mul(%d, %rb) : f64[n, m]
      %wb = broadcast(%w, %n, %m) : f64[n, m]
      %z = mul(%y, %wb) : f64[n, m]
      yield %z }}""",
        f64(4, 6),
        f64(6),
    )
    assert len(found.program.kernels) == 1
    assert found.statistics.allocations == 1


def test_an_elementwise_chain_is_one_flat_vector_loop() -> None:
    found = run(
        """graph @f(%x: f32[n, m], %w: f32[n, m], %b: f32[n, m]) on cpu {
      %a = mul(%x, %w) : f32[n, m]
      %c = add(%a, %b) : f32[n, m]
      %t = tanh(%c) : f32[n, m]
      %s = sigmoid(%x) : f32[n, m]
      %p = mul(%t, %s) : f32[n, m]
      %g = neg(%x) : f32[n, m]
      %h = mul(%g, %x) : f32[n, m]
      %e = exp(%h) : f32[n, m]
      %r = add(%p, %e) : f32[n, m]
      yield %r }""",
        f32(3, 5),
        f32(3, 5),
        f32(3, 5),
    )
    (kernel,) = found.program.kernels
    assert print_program(found.program).count(" vector ") == 1
    assert len(kernel.params) == 5  # the number of elements, and the arrays


def test_a_loss_and_its_difference_share_one_pass() -> None:
    found = run(
        """graph @loss(%p: f32[n, m], %y: f32[n, m]) on cpu {
      %d = sub(%p, %y) : f32[n, m]
      %s = square(%d) : f32[n, m]
      %l = sum(%s) {axes = (0, 1)} : f32[]
      %g = add(%d, %d) : f32[n, m]
      yield %l, %g }""",
        f32(3, 5),
        f32(3, 5),
    )
    assert len(found.program.kernels) == 1


def test_column_sums_run_over_tiles_of_rows() -> None:
    found = run(
        """graph @f(%x: f64[n, m], %b: f64[m]) on cpu {
      %n = dim(%x) {axis = 0} : i64
      %m = dim(%x) {axis = 1} : i64
      %r = relu(%x) : f64[n, m]
      %bb = broadcast(%b, %n, %m) : f64[n, m]
      %p = mul(%r, %bb) : f64[n, m]
      %s = sum(%p) {axes = (0,)} : f64[m]
      %t = max(%x) {axes = (0,)} : f64[m]
      yield %r, %s, %t }""",
        f64(37, 5),
        f64(5),
    )
    assert len(found.program.kernels) == 1
    assert "tile" in print_program(found.program)


def test_what_was_written_before_an_error_reaches_an_array_of_any_layout() -> None:
    text = f"""graph @f(%x: inout f64[n, m], %i: i64) on cpu {{ {CONSTANTS}
      %n = dim(%x) {{axis = 0}} : i64
      %y = index_update(%x, %half, %zero, %one) : f64[n, m]
      %ok = lt(%i, %n) : bool
      check(%ok, %i) {{kind = "IndexError", message = "index {{0}}"}}
      %z = index_update(%y, %half, %i, %zero) : f64[n, m]
      yield %z }}"""
    x = np.zeros((3, 2)).T
    with pytest.raises(ProgramFailure):
        evaluate(lower(pipeline.run(parse(text), ["ownership"]), layouts=["any", "C"]), [x, 5])
    assert x[0, 1] == 0.5
