"""The neutral names a loop program may `Call`, and what each expects; printers give them a body.

Lists are mutable handles: `list_push` and `list_pop` change the list in place, the handle stays the same.
A slot holds a scalar of the list's element dtype, a buffer, or another list; the latter two are owned:
pushing moves ownership into the list, popping moves it out, `list_get` lends.
"""

from __future__ import annotations

from typing import Literal

from tracejit.codegen.support import ordering
from tracejit.codegen.support.lapack import CALLS, ROUTINES
from tracejit.records import record

#: Slot kinds, the operand of `list_new`.
SCALARS, BUFFERS, LISTS = 0, 1, 2

#: How many payload values of an error or a print reach the host.
MAX_PAYLOAD = 8


@record
class Support:
    """One support function. Operand kinds: `i64`, `buffer`, `list`, `value` (a scalar or, for slots, a pointer)."""

    name: str
    operands: tuple[str, ...]
    result: Literal["", "i64", "bool", "list", "value"]
    doc: str


_ROWS = (
    Support("list_new", ("i64",), "list", "an empty list with slots of the given kind (SCALARS, BUFFERS, LISTS)"),
    Support("list_push", ("list", "value"), "", "append; a pushed buffer or list now belongs to the list"),
    Support("list_pop", ("list",), "value", "remove and return the last slot of a list that is not empty"),
    Support("list_pop0", ("list",), "value", "`list_pop`, or 0 (a null pointer for buffers and lists) when empty"),
    Support("list_len", ("list",), "i64", "the number of slots"),
    Support("list_get", ("list", "i64"), "value", "slot i; a buffer or list in it is lent"),
    Support("list_set", ("list", "i64", "value"), "", "replace slot i; the old content is freed"),
    Support(
        "list_read", ("list", "i64", "i64", "buffer"), "", "copy slots (start, count) of numbers to a buffer (CPU)"
    ),
    Support("list_write", ("list", "i64", "i64", "buffer"), "", "copy a buffer to slots (start, count) (CPU)"),
    Support("list_push_null", ("list",), "", "append a null pointer"),
    Support("list_clear", ("list", "i64"), "", "put a null pointer into slot i; the old buffer is freed"),
    Support("list_copy", ("list",), "list", "a new list of the same slots (scalar slots only)"),
    Support("list_free", ("list",), "", "free the list and all it owns"),
    Support("same_pointer", ("buffer", "buffer"), "bool", "whether two buffers are the same memory"),
    Support("is_null", ("value",), "bool", "whether a buffer or list is a null pointer"),
    Support(
        "copy",
        ("buffer", "buffer", "i64"),
        "",
        "copy count elements to the first buffer from the second; they do not overlap",
    ),
    Support("zero", ("buffer", "i64"), "", "set count elements to 0"),
    Support("zero_shared", ("buffer", "i64"), "", "`zero`, by several threads where there are many elements"),
    Support(
        "print",
        ("i64", "value"),
        "",
        "print site i with its scalar values, or report buffers and their sizes",
    ),
    Support(
        "gemm_f32",
        ("i64", "i64", "i64", "buffer", "i64", "i64", "buffer", "i64", "i64", "buffer", "i64"),
        "",
        "(m, n, k, A, a_row, a_col, B, b_row, b_col, C, c_row): C = A @ B, strides in elements",
    ),
    Support(
        "gemm_f64",
        ("i64", "i64", "i64", "buffer", "i64", "i64", "buffer", "i64", "i64", "buffer", "i64"),
        "",
        "`gemm_f32` for f64",
    ),
)

#: Products of which B is laid out once for all of them.
_LAID = tuple(
    row
    for name in ("f32", "f64")
    for row in (
        Support(
            f"gemm_{name}_room",
            ("i64", "i64", "i64", "i64"),
            "i64",
            "(m, n, k, trips): how many elements B takes when it is laid out, 0 where it is to stay as it is",
        ),
        Support(
            f"gemm_{name}_lay",
            ("i64", "i64", "buffer", "i64", "i64", "buffer", "i64"),
            "",
            "(n, k, B, b_row, b_col, laid, room): lay B out, unless there is no room",
        ),
        Support(
            f"gemm_{name}_laid",
            ("i64", "i64", "i64", "buffer", "i64", "i64", "buffer", "i64", "i64", "buffer", "i64", "buffer", "i64"),
            "",
            f"`gemm_{name}` with a B that is laid out, unless there is no room",
        ),
    )
)

_LAPACK = tuple(
    Support(
        call,
        tuple("buffer" if kind in "pn" else "i64" for kind in ROUTINES[name]),
        "i64",
        f"LAPACK's {name}: its `info`, or -1 where there is no library",
    )
    for call, name in CALLS.items()
)

_ORDERING = tuple(
    Support(
        call,
        ("buffer",) * arrays + ("i64",) * numbers,
        "i64",
        "see `ordering.py`: 1, or 0 if not done",
    )
    for calls in ordering.CALLS.values()
    for call, (arrays, numbers) in calls.items()
)

SUPPORT: dict[str, Support] = {row.name: row for row in (*_ROWS, *_LAID, *_LAPACK, *_ORDERING)}
