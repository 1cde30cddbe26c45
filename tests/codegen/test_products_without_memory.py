"""Products of matrices where there is no memory to pack operands: computed all the same."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from tracejit.codegen.products.panels import panels_once_text, panels_text
from tracejit.codegen.products.pieces import PARAMS
from tracejit.codegen.products.turn import turn_text
from tracejit.codegen.support.native import tiles_module
from tracejit.runtime import cache as disk
from tracejit.runtime.engine import engine, identity

#: Gives memory `count` times, then none.
ALLOCATOR = """
declare ptr @malloc(i64)
@left = internal global i64 {count}
define internal ptr @tj_alloc(i64 %bytes) {{
  %left = load i64, ptr @left
  %less = sub i64 %left, 1
  store i64 %less, ptr @left
  %some = icmp sgt i64 %left, 0
  br i1 %some, label %make, label %none
make:
  %made = call ptr @malloc(i64 %bytes)
  ret ptr %made
none:
  ret ptr null
}}
"""


@pytest.mark.parametrize("count", [0, 1, 2, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("m", "n", "k"), [(3, 700, 900), (1, 5, 700), (130, 61, 40), (9, 12, 6000)])
def test_a_product_without_memory_for_its_panels(count: int, dtype: str, m: int, n: int, k: int) -> None:
    name = {"float32": "f32", "float64": "f64"}[dtype]
    text = panels_once_text(name, engine().options).replace(
        "declare ptr @tj_alloc(i64)\ndeclare void @tj_free(ptr)",
        ALLOCATOR.format(count=count) + "declare void @free(ptr)\ndefine internal void @tj_free(ptr %p) {\n"
        "  call void @free(ptr %p)\n  ret void\n}",
    )
    find = f"void @tj_find_turn_{name}()"
    text = text.replace(f"declare {find}", f"define internal {find} {{\n  ret void\n}}")
    assert "@malloc" in text
    objects = [
        engine().compiled(t, disk.digest(t, *identity()), optimised=False)
        for t in (text, *(part(name, engine().options) for part in (panels_text, turn_text, tiles_module)))
    ]
    entry = f"tj_panels_{name}"
    library = engine().link(objects, (entry,), {})
    kinds = [ctypes.c_void_p if p.startswith("ptr") else ctypes.c_int64 for p in PARAMS.split(", ")]
    product = ctypes.CFUNCTYPE(None, *kinds, ctypes.c_bool)(library[entry])
    rng = np.random.default_rng(0)
    a = np.asfortranarray(rng.normal(size=(m, k)).astype(dtype))
    b = rng.normal(size=(2 * k, n)).astype(dtype)[::2]
    c = np.full((m, n), np.nan, dtype)
    a_steps, b_steps = (tuple(s // x.itemsize for s in x.strides) for x in (a, b))
    product(m, n, k, a.ctypes.data, *a_steps, b.ctypes.data, *b_steps, c.ctypes.data, n, False)
    error = 1e-3 if dtype == "float32" else 1e-9
    np.testing.assert_allclose(c, a @ b, rtol=error, atol=error)
