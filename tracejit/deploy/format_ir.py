"""`str.format` templates as native code: error messages and `print` of an exported library.

A *writer* is a buffer of fixed size that text is appended to, cut off where it is full:
`{ ptr buffer, i64 used, i64 capacity }`. Numbers are written as Python writes them: a float is its shortest
decimal that reads back as the same number.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from ctypes import Structure, c_int64, c_void_p
from string import Formatter

from tracejit.errors import ExportError
from tracejit.ir.types import DType
from tracejit.runtime.emitter import Emitter

_VARIADIC = "call i32 (ptr, i64, ptr, ...) @snprintf"


class Writer(Structure):
    """The fields of a writer."""

    _fields_ = (("buffer", c_void_p), ("used", c_int64), ("capacity", c_int64))


def emit_writers(e: Emitter, host_reals: bool = False) -> None:
    """The functions that append to a writer; `host_reals`: the shortest text of a float is the host's."""
    e.declare("snprintf", "declare i32 @snprintf(ptr, i64, ptr, ...)")
    _text(e)
    _integer(e)
    if host_reals:
        _host_real(e)
    else:
        _real(e)
    _formatted_real(e)


def _host_real(e: Emitter) -> None:
    """tj_real_text: append a float as `repr` does, by the `tj_real` of `wasm/support_ir.py`."""
    with e.function("internal void @tj_real_text(ptr %writer, double %number)"):
        buffer = e.variable("[40 x i8]", "zeroinitializer")
        e.call("i32", "tj_real", f"ptr {buffer}", "i32 40", "double %number", f"i32 {ord('r')}", "i32 -1")
        e.call("void", "tj_text", "ptr %writer", f"ptr {buffer}", declare=False)
        e.leave("void")


def _room(e: Emitter) -> tuple[str, str]:
    """Where to write next, and how many bytes fit."""
    used = e.get(Writer, "used", "%writer")
    left = e.op(f"sub i64 {e.get(Writer, 'capacity', '%writer')}, {used}")
    return e.at(e.get(Writer, "buffer", "%writer"), used), left


def _advance(e: Emitter, written: str, left: str) -> None:
    """Note what snprintf reports; the last byte stays 0."""
    wide = e.op(f"sext i32 {written} to i64")
    most = e.op(f"sub i64 {left}, 1")
    kept = e.op(f"call i64 @llvm.smin.i64(i64 {wide}, i64 {most})")
    e.put(Writer, "used", "%writer", e.add(e.get(Writer, "used", "%writer"), kept))


def _text(e: Emitter) -> None:
    """tj_text: append a C string."""
    pattern = e.text("%s")
    with e.function("internal void @tj_text(ptr %writer, ptr %text)"):
        place, left = _room(e)
        written = e.op(f"{_VARIADIC}(ptr {place}, i64 {left}, ptr {pattern}, ptr %text)")
        _advance(e, written, left)
        e.leave("void")


def _integer(e: Emitter) -> None:
    """tj_integer_text: append an integer by a printf format."""
    with e.function("internal void @tj_integer_text(ptr %writer, ptr %format, i64 %number)"):
        place, left = _room(e)
        written = e.op(f"{_VARIADIC}(ptr {place}, i64 {left}, ptr %format, i64 %number)")
        _advance(e, written, left)
        e.leave("void")


def _formatted_real(e: Emitter) -> None:
    """tj_real_format: append a float by a printf format."""
    with e.function("internal void @tj_real_format(ptr %writer, ptr %format, double %number)"):
        place, left = _room(e)
        written = e.op(f"{_VARIADIC}(ptr {place}, i64 {left}, ptr %format, double %number)")
        _advance(e, written, left)
        e.leave("void")


_SPECIAL_REALS = {
    "nan": "uno double %number, %number",
    "inf": "oeq double %number, 0x7FF0000000000000",
    "-inf": "oeq double %number, 0xFFF0000000000000",
}


def _real(e: Emitter) -> None:
    """tj_real_text: append a float as `repr` does.

    The least precision whose text reads back as the number gives the digits; Python writes them with an exponent
    from 1e16 up and below 1e-4, and as a decimal with at least one place otherwise.
    """
    scientific = e.text("%.*e")
    fixed = e.text("%.*f")
    with e.function("internal void @tj_real_text(ptr %writer, double %number)"):
        for word, test in _SPECIAL_REALS.items():
            with e.when(e.op(f"fcmp {test}")):
                e.call("void", "tj_text", "ptr %writer", f"ptr {e.text(word)}", declare=False)
                e.leave("void")
        buffer = e.variable("[40 x i8]", "zeroinitializer")
        digits = e.variable("i32", "17")
        with e.count("17") as i:
            tried = e.op(f"trunc i64 {i} to i32")
            e.op(f"{_VARIADIC}(ptr {buffer}, i64 40, ptr {scientific}, i32 {tried}, double %number)")
            back = e.call("double", "strtod", f"ptr {buffer}", "ptr null")
            with e.when(e.op(f"fcmp oeq double {back}, %number")):
                e.store("i32", tried, digits)
                e.goto("found")
        e.label("found")
        places = e.load("i32", digits)
        exponent = _exponent(e, buffer)
        small = e.compare("slt", "i32", exponent, -4)
        large = e.compare("sge", "i32", exponent, 16)
        with e.when(e.op(f"or i1 {small}, {large}")):
            place, left = _room(e)
            written = e.op(f"{_VARIADIC}(ptr {place}, i64 {left}, ptr {scientific}, i32 {places}, double %number)")
            _advance(e, written, left)
            e.leave("void")
        decimals = e.op(f"call i32 @llvm.smax.i32(i32 {e.op(f'sub i32 {places}, {exponent}')}, i32 1)")
        place, left = _room(e)
        written = e.op(f"{_VARIADIC}(ptr {place}, i64 {left}, ptr {fixed}, i32 {decimals}, double %number)")
        _advance(e, written, left)
        e.leave("void")


def _exponent(e: Emitter, buffer: str) -> str:
    """The exponent that stands behind the `e` in a text of `%e`."""
    mark = e.call("ptr", "strchr", f"ptr {buffer}", f"i32 {ord('e')}")
    return e.call("i32", "atoi", f"ptr {e.at(mark, 1)}")


# -- templates --------------------------------------------------------------------------------------------------

_SPEC = re.compile(
    r"(?P<align>[<>]?)(?P<sign>[+ ]?)(?P<zero>0?)(?P<width>\d*)(?P<precision>(\.\d+)?)(?P<type>[deEfFgGx]?)"
)


def emit_template(e: Emitter, template: str, payload: Sequence[DType], writer: str, words: str) -> None:
    """Append a template to a writer, its fields read from the i64 array at `words`.

    Raises ExportError for a format that C cannot write.
    """
    for literal, field, spec, _ in Formatter().parse(template):
        if literal:
            e.call("void", "tj_text", f"ptr {writer}", f"ptr {e.text(literal)}", declare=False)
        if field is not None and not field.isdigit():
            raise ExportError("arrays and complex numbers in messages and prints are for Python to show")
        if field is not None:
            index = int(field)
            _field(e, payload[index], spec or "", writer, e.load("i64", words, 8 * index))


def _field(e: Emitter, dtype: DType, spec: str, writer: str, bits: str) -> None:
    matched = _SPEC.fullmatch(spec)
    if matched is None:
        raise ExportError(f"the format {spec!r} of a message or print cannot be written by an exported library")
    if dtype.kind == "b" and not spec:
        is_true = e.compare("ne", "i64", bits, 0)
        word = e.op(f"select i1 {is_true}, ptr {e.text('True')}, ptr {e.text('False')}")
        e.call("void", "tj_text", f"ptr {writer}", f"ptr {word}", declare=False)
        return
    kind = matched["type"]
    is_real = dtype.is_float or (kind != "" and kind in "eEfFgG")
    flags = ("-" if matched["align"] == "<" else "") + matched["sign"] + matched["zero"] + matched["width"]
    if not is_real:
        conversion = {"x": "llx"}.get(kind, "llu" if dtype.kind == "u" else "lld")
        pattern = e.text(f"%{flags}{conversion}")
        e.call("void", "tj_integer_text", f"ptr {writer}", f"ptr {pattern}", f"i64 {bits}", declare=False)
        return
    number = e.op(f"bitcast i64 {bits} to double") if dtype.is_float else e.op(f"sitofp i64 {bits} to double")
    if not spec:
        e.call("void", "tj_real_text", f"ptr {writer}", f"double {number}", declare=False)
        return
    pattern = e.text(f"%{flags}{matched['precision']}{kind or 'g'}")
    e.call("void", "tj_real_format", f"ptr {writer}", f"ptr {pattern}", f"double {number}", declare=False)
