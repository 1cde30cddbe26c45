"""Products over packed panels alone, for any width of registers, with an allocator that gives memory so many times;
products that are written into a part of an array."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from tracejit.codegen.llvm.options import LlvmOptions
from tracejit.codegen.llvm.text import once
from tracejit.codegen.products.panels import panels_once_text, panels_text
from tracejit.codegen.products.pieces import PARAMS
from tracejit.codegen.products.tall import TALL_PARTS, tall_choice_text, tall_text
from tracejit.codegen.products.turn import turn_text
from tracejit.codegen.support.native import tiles_module
from tracejit.runtime.engine import engine

#: The names of dtypes in LLVM text.
NAMES = {"float32": "f32", "float64": "f64"}

#: Gives memory `count` times, then none.
_ALLOCATOR = """
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
declare void @free(ptr)
define internal void @tj_free(ptr %p) {{
  call void @free(ptr %p)
  ret void
}}
"""


class PackedProduct:
    """x, y -> x @ y of a dtype, printed for `options`, on one thread; memory is given `count` times in all.

    tall: another text than that of `tall_text`, "" to do without."""

    def __init__(self, dtype: str, options: LlvmOptions, count: int = 1 << 40, tall: str | None = None) -> None:
        self.dtype, name = dtype, NAMES[dtype]
        text, taken = panels_once_text(name, options), "declare ptr @tj_alloc(i64)\ndeclare void @tj_free(ptr)"
        assert taken in text
        text = text.replace(taken, _ALLOCATOR.format(count=count))
        find, choice = f"void @tj_find_turn_{name}()", tall_choice_text(name, options, is_lazy=False)
        text = text.replace(f"declare {find}", f"define internal {find} {{\n  ret void\n}}")
        if tall == "":
            choice = choice.replace("ret i1 true", "ret i1 false")
        text = text.replace(f"declare i1 @tj_tall_pays_{name}(i64, i64, i64, i1)", choice)
        objects = [
            engine().compiled(t, optimised=False)
            for t in (
                text,
                once(tall or tall_text(name, options)),
                *(once(p(name, options)) for p in (panels_text, turn_text)),
                tiles_module(name, options),
            )
        ]
        entry = f"tj_panels_{name}"
        self.library = engine().link(objects, (entry,), {})
        self.function = ctypes.CFUNCTYPE(None, *_KINDS, ctypes.c_bool)(self.library[entry])

    def __call__(self, x: Any, y: Any) -> Any:
        result = np.full((x.shape[0], y.shape[1]), np.nan, self.dtype)
        self.function(*_arguments(x, y, result), False)
        return result


#: Runs a product in chunks of so many row tiles, the last one first.
_CHUNKS = """
declare i64 @llvm.smin.i64(i64, i64)
define void @tj_share_tiles(ptr %function, ptr %record, i64 %count, i64 %each, i64 %elements, i1 %share) {{
start:
  %padded = add i64 %count, {less}
  %chunks = sdiv i64 %padded, {grain}
  br label %check
check:
  %left = phi i64 [ %chunks, %start ], [ %chunk, %run ]
  %more = icmp sgt i64 %left, 0
  br i1 %more, label %run, label %done
run:
  %chunk = sub i64 %left, 1
  %begin = mul i64 %chunk, {grain}
  %beyond = add i64 %begin, {grain}
  %end = call i64 @llvm.smin.i64(i64 %beyond, i64 %count)
  call void %function(ptr %record, i64 %begin, i64 %end)
  br label %check
done:
  ret void
}}
"""


class DirectProduct:
    """x, y -> x @ y by tiles that read both where they lie, `grain` row tiles at a time.

    tall: another text than that of `tall_text`."""

    def __init__(self, dtype: str, grain: int, tall: str | None = None) -> None:
        options, name, self.dtype = engine().options, NAMES[dtype], dtype
        texts = (
            once(_CHUNKS.format(grain=grain, less=grain - 1) + tall_choice_text(name, options, is_lazy=False)),
            once(tall or tall_text(name, options)),
            tiles_module(name, options),
        )
        objects = [engine().compiled(t, optimised=False) for t in texts]
        self.library = engine().link(objects, (f"tj_direct_{name}",), {})
        kinds = [kind for kind, param in zip(_KINDS, PARAMS.split(", "), strict=True) if param != "i64 %bc"]
        self.function = ctypes.CFUNCTYPE(None, *kinds, ctypes.c_bool)(self.library[f"tj_direct_{name}"])

    def __call__(self, x: Any, y: Any) -> Any:
        result = np.full((x.shape[0], y.shape[1]), np.nan, self.dtype)
        *before, right, row, column, found, step = _arguments(x, y, result)
        assert column == 1
        self.function(*before, right, row, found, step, True)
        return result


def find_tall_tiles() -> None:
    """Let products have tall tiles from now on, which a process links when they pay."""
    for name in NAMES.values():
        library = engine().products(name)
        for part in TALL_PARTS:
            ctypes.CFUNCTYPE(None)(library[f"tj_find_{part}_{name}"])()


def put_product(x: Any, y: Any, part: Any) -> None:
    """Write x @ y into a part of an array, as programs do; all of one dtype, columns of `part` contiguous."""
    name = NAMES[str(part.dtype)]
    ctypes.CFUNCTYPE(None, *_KINDS)(engine().products(name)[f"tj_gemm_{name}"])(*_arguments(x, y, part))


_KINDS = [ctypes.c_void_p if p.startswith("ptr") else ctypes.c_int64 for p in PARAMS.split(", ")]


def _arguments(x: Any, y: Any, result: Any) -> tuple[int, ...]:
    x_steps, y_steps, (row, _) = (tuple(s // a.itemsize for s in a.strides) for a in (x, y, result))
    sizes = x.shape[0], y.shape[1], y.shape[0]
    return *sizes, x.ctypes.data, *x_steps, y.ctypes.data, *y_steps, result.ctypes.data, row
