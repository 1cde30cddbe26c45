"""What a C library and a compiler's runtime give elsewhere, as LLVM IR for WebAssembly.

Blocks of memory have sizes of four steps to a power of two; free ones of a size form a list. Texts of floats are the
host's: `tj_real(place, room, number, conversion, precision)` writes one (conversion 'r' as Python's `repr`, else as
C's) and gives its length; `tj_print(text)` shows a C string.
"""

from __future__ import annotations

from tracejit.runtime.emitter import Emitter

#: Functions of the C library: remainders and Python's powers of floats, sines of angles too large for own reduction.
MATHEMATICS = tuple(name + suffix for name in ("fmod", "pow", "sin", "cos", "tan") for suffix in ("", "f"))
#: Functions that a module may ask of its host.
HOST = ("tj_real", "tj_print", *MATHEMATICS)

#: The first bytes of the data, so that nothing else has address 0; what code generation calls by itself is kept too.
NOTHING = """
@tj_nothing = internal global [64 x i8] zeroinitializer, align 64
declare void @__multi3(ptr, i64, i64, i64, i64)
@llvm.used = appending global [2 x ptr] [ptr @tj_nothing, ptr @__multi3], section "llvm.metadata"
"""

MEMORY = """
@tj_bins = internal global [256 x i64] zeroinitializer, align 8
@tj_heap = internal global i64 0, align 8
declare i32 @llvm.wasm.memory.size.i32(i32)
declare i32 @llvm.wasm.memory.grow.i32(i32, i32)
declare i64 @llvm.ctlz.i64(i64, i1)
declare void @llvm.memmove.p0.p0.i64(ptr, ptr, i64, i1)

define ptr @malloc(i64 %asked) nobuiltin noinline {
start:
  %sane = icmp ult i64 %asked, 4294901760
  br i1 %sane, label %sized, label %none
sized:
  %least = call i64 @llvm.umax.i64(i64 %asked, i64 48)
  %last = add i64 %least, 15
  %zeros = call i64 @llvm.ctlz.i64(i64 %last, i1 true)
  %shift = sub i64 61, %zeros
  %top = lshr i64 %last, %shift
  %quarters = add i64 %top, 1
  %size = shl i64 %quarters, %shift
  %four = shl i64 %shift, 2
  %class = add i64 %four, %top
  %bin = getelementptr i64, ptr @tj_bins, i64 %class
  %head = load i64, ptr %bin
  %some = icmp ne i64 %head, 0
  br i1 %some, label %reuse, label %fresh
reuse:
  %block = inttoptr i64 %head to ptr
  %following = load i64, ptr %block
  store i64 %following, ptr %bin
  ret ptr %block
fresh:
  %pages = call i32 @llvm.wasm.memory.size.i32(i32 0)
  %wide = zext i32 %pages to i64
  %have = shl i64 %wide, 16
  %old = load i64, ptr @tj_heap
  %first = icmp eq i64 %old, 0
  %begin = select i1 %first, i64 %have, i64 %old
  %end = add i64 %begin, %size
  %more = icmp ugt i64 %end, %have
  br i1 %more, label %grow, label %take
grow:
  %missing = sub i64 %end, %have
  %rounded = add i64 %missing, 65535
  %needed = lshr i64 %rounded, 16
  %narrow = trunc i64 %needed to i32
  %grown = call i32 @llvm.wasm.memory.grow.i32(i32 0, i32 %narrow)
  %failed = icmp eq i32 %grown, -1
  br i1 %failed, label %none, label %take
take:
  store i64 %end, ptr @tj_heap
  %header = inttoptr i64 %begin to ptr
  store i64 %class, ptr %header
  %size_place = getelementptr i64, ptr %header, i64 1
  %usable = sub i64 %size, 16
  store i64 %usable, ptr %size_place
  %made = getelementptr i8, ptr %header, i64 16
  ret ptr %made
none:
  ret ptr null
}

define void @free(ptr %block) nobuiltin noinline {
start:
  %nothing = icmp eq ptr %block, null
  br i1 %nothing, label %end, label %some
some:
  %header = getelementptr i64, ptr %block, i64 -2
  %class = load i64, ptr %header
  %bin = getelementptr i64, ptr @tj_bins, i64 %class
  %head = load i64, ptr %bin
  store i64 %head, ptr %block
  %address = ptrtoint ptr %block to i64
  store i64 %address, ptr %bin
  ret void
end:
  ret void
}

define ptr @realloc(ptr %block, i64 %asked) nobuiltin noinline {
start:
  %nothing = icmp eq ptr %block, null
  br i1 %nothing, label %new, label %old
new:
  %made = call ptr @malloc(i64 %asked)
  ret ptr %made
old:
  %size_place = getelementptr i64, ptr %block, i64 -1
  %usable = load i64, ptr %size_place
  %fits = icmp ule i64 %asked, %usable
  br i1 %fits, label %keep, label %move
keep:
  ret ptr %block
move:
  %larger = call ptr @malloc(i64 %asked)
  %failed = icmp eq ptr %larger, null
  br i1 %failed, label %end, label %copy
copy:
  call void @llvm.memmove.p0.p0.i64(ptr %larger, ptr %block, i64 %usable, i1 false)
  call void @free(ptr %block)
  br label %end
end:
  ret ptr %larger
}

define ptr @calloc(i64 %count, i64 %each) nobuiltin noinline {
start:
  %bytes = mul i64 %count, %each
  %made = call ptr @malloc(i64 %bytes)
  %failed = icmp eq ptr %made, null
  br i1 %failed, label %end, label %clear
clear:
  call void @llvm.memset.p0.i64(ptr %made, i8 0, i64 %bytes, i1 false)
  br label %end
end:
  ret ptr %made
}

define ptr @memcpy(ptr %target, ptr %source, i64 %count) nobuiltin noinline {
  call void @llvm.memmove.p0.p0.i64(ptr %target, ptr %source, i64 %count, i1 false)
  ret ptr %target
}

define ptr @memmove(ptr %target, ptr %source, i64 %count) nobuiltin noinline {
  call void @llvm.memmove.p0.p0.i64(ptr %target, ptr %source, i64 %count, i1 false)
  ret ptr %target
}

declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
declare i64 @llvm.umax.i64(i64, i64)
define ptr @memset(ptr %target, i32 %byte, i64 %count) nobuiltin noinline {
  %narrow = trunc i32 %byte to i8
  call void @llvm.memset.p0.i64(ptr %target, i8 %narrow, i64 %count, i1 false)
  ret ptr %target
}

define void @__multi3(ptr %result, i64 %a, i64 %a_high, i64 %b, i64 %b_high) nobuiltin noinline {
  %al = and i64 %a, 4294967295
  %ah = lshr i64 %a, 32
  %bl = and i64 %b, 4294967295
  %bh = lshr i64 %b, 32
  %ll = mul i64 %al, %bl
  %lh = mul i64 %al, %bh
  %hl = mul i64 %ah, %bl
  %hh = mul i64 %ah, %bh
  %carry0 = lshr i64 %ll, 32
  %middle0 = add i64 %lh, %carry0
  %middle0_low = and i64 %middle0, 4294967295
  %middle0_high = lshr i64 %middle0, 32
  %middle1 = add i64 %hl, %middle0_low
  %middle1_high = lshr i64 %middle1, 32
  %high0 = add i64 %hh, %middle0_high
  %high1 = add i64 %high0, %middle1_high
  %cross0 = mul i64 %a, %b_high
  %cross1 = mul i64 %a_high, %b
  %high2 = add i64 %high1, %cross0
  %high = add i64 %high2, %cross1
  %low = mul i64 %a, %b
  store i64 %low, ptr %result
  %place = getelementptr i64, ptr %result, i64 1
  store i64 %high, ptr %place
  ret void
}
"""


def texts(reals: bool) -> str:
    """The module of `snprintf` and `printf`, as far as messages need them; `reals`: they show floats."""
    e = Emitter()
    _put(e)
    _format(e, reals)
    with e.function("i32 @printf(ptr %format, ...)"):
        arguments = _arguments(e)
        e.call("void", "tj_print", f"ptr {e.op(f'va_arg ptr {arguments}, ptr')}")
        e.leave("i32 0")
    return e.module()


def _arguments(e: Emitter) -> str:
    """The variable arguments of a function."""
    e.declare("llvm.va_start.p0", "declare void @llvm.va_start.p0(ptr)")
    arguments = e.variable("ptr", "null")
    e.do(f"call void @llvm.va_start.p0(ptr {arguments})")
    return arguments


def _put(e: Emitter) -> None:
    """tj_put: a byte into a buffer that may be full; tj_pad: a byte some times."""
    with e.function("internal void @tj_put(ptr %buffer, i64 %size, ptr %used, i8 %byte)"):
        used = e.load("i64", "%used")
        e.store("i64", e.add(used, 1), "%used")
        with e.when(e.compare("slt", "i64", e.add(used, 1), "%size")):
            e.store("i8", "%byte", "%buffer", used)
        e.leave("void")
    with e.function("internal void @tj_pad(ptr %buffer, i64 %size, ptr %used, i8 %byte, i64 %times)"):
        with e.count("%times"):
            e.call("void", "tj_put", "ptr %buffer", "i64 %size", "ptr %used", "i8 %byte", declare=False)
        e.leave("void")


def _format(e: Emitter, reals: bool) -> None:
    """snprintf with %s, %lld, %llu, %llx and the conversions of floats; flags, width and precision."""
    target = ("ptr %buffer", "i64 %size")
    with e.function("i32 @snprintf(ptr %buffer, i64 %size, ptr %format, ...)"):
        arguments = _arguments(e)
        at, used = e.variable("i64", "0"), e.variable("i64", "0")
        flags = {c: e.variable("i1", "false") for c in "-+ 0"}
        width, precision = e.variable("i64", "0"), e.variable("i64", "-1")
        text, length, sign = e.variable("ptr", "null"), e.variable("i64", "0"), e.variable("i8", "0")
        room = e.variable("[512 x i8]", "undef")

        def here() -> str:
            return e.load("i8", "%format", e.load("i64", at))

        def step() -> None:
            e.store("i64", e.add(e.load("i64", at), 1), at)

        def put(byte: str) -> None:
            e.call("void", "tj_put", *target, f"ptr {used}", f"i8 {byte}", declare=False)

        def pad(byte: str, times: str) -> None:
            e.call("void", "tj_pad", *target, f"ptr {used}", f"i8 {byte}", f"i64 {times}", declare=False)

        def digits(into: str) -> None:
            head = e._fresh("digits")
            e.label(head)
            digit = e.op(f"sub i8 {here()}, 48")
            with e.when(e.compare("ult", "i8", digit, 10)):
                tens = e.op(f"mul i64 {e.load('i64', into)}, 10")
                e.store("i64", e.add(tens, e.op(f"zext i8 {digit} to i64")), into)
                step()
                e.goto(head)

        e.label("next")
        byte = here()
        with e.when(e.compare("eq", "i8", byte, 0)):
            e.goto("end")
        step()
        with e.when(e.compare("ne", "i8", byte, ord("%"))):
            put(byte)
            e.goto("next")
        for flag in flags.values():
            e.store("i1", "false", flag)
        e.store("i64", "0", width)
        e.store("i64", "-1", precision)
        e.store("i8", "0", sign)
        e.label("flags")
        for c, flag in flags.items():
            with e.when(e.compare("eq", "i8", here(), ord(c))):
                e.store("i1", "true", flag)
                step()
                e.goto("flags")
        digits(width)
        with e.when(e.compare("eq", "i8", here(), ord("."))):
            step()
            e.store("i64", "0", precision)
            with e.when(e.compare("eq", "i8", here(), ord("*"))):
                step()
                e.store("i64", e.op(f"sext i32 {e.op(f'va_arg ptr {arguments}, i32')} to i64"), precision)
            digits(precision)
        e.label("sizes")
        with e.when(e.compare("eq", "i8", here(), ord("l"))):
            step()
            e.goto("sizes")
        conversion = here()
        step()
        with e.when(e.compare("eq", "i8", conversion, ord("s"))):
            _text(e, e.op(f"va_arg ptr {arguments}, ptr"), text, length)
            e.goto("show")
        is_signed = e.compare("eq", "i8", conversion, ord("d"))
        is_hexadecimal = e.compare("eq", "i8", conversion, ord("x"))
        whole = e.op(f"or i1 {is_signed}, {is_hexadecimal}")
        with e.when(e.op(f"or i1 {whole}, {e.compare('eq', 'i8', conversion, ord('u'))}")):
            _integer(e, e.op(f"va_arg ptr {arguments}, i64"), is_signed, is_hexadecimal, room, text, length, sign)
            e.goto("signs")
        if reals:
            _real(e, e.op(f"va_arg ptr {arguments}, double"), conversion, e.load("i64", precision), room, length, sign)
            e.store("ptr", room, text)
        e.label("signs")
        for c in "+ ":
            is_free = e.compare("eq", "i8", e.load("i8", sign), 0)
            with e.when(e.op(f"and i1 {is_free}, {e.load('i1', flags[c])}")):
                e.store("i8", str(ord(c)), sign)
        e.label("show")
        has_sign = e.compare("ne", "i8", e.load("i8", sign), 0)
        shown = e.add(e.load("i64", length), e.op(f"zext i1 {has_sign} to i64"))
        left = e.op(f"sub i64 {e.load('i64', width)}, {shown}")
        is_left, zeros = e.load("i1", flags["-"]), e.load("i1", flags["0"])
        with e.unless(e.op(f"or i1 {is_left}, {zeros}")):
            pad(str(ord(" ")), left)
        with e.when(has_sign):
            put(e.load("i8", sign))
        with e.unless(e.op(f"or i1 {is_left}, {e.op(f'xor i1 {zeros}, true')}")):
            pad(str(ord("0")), left)
        with e.count(e.load("i64", length)) as i:
            put(e.load("i8", e.load("ptr", text), i))
        with e.when(is_left):
            pad(str(ord(" ")), left)
        e.goto("next")
        e.start("end")
        with e.when(e.compare("sgt", "i64", "%size", 0)):
            e.declare("llvm.smin.i64", "declare i64 @llvm.smin.i64(i64, i64)")
            last = e.op(f"call i64 @llvm.smin.i64(i64 {e.load('i64', used)}, i64 {e.op('sub i64 %size, 1')})")
            e.store("i8", "0", "%buffer", last)
        total = e.load("i64", used)
        e.leave(f"i32 {e.op(f'trunc i64 {total} to i32')}")


def _real(e: Emitter, number: str, conversion: str, precision: str, room: str, length: str, sign: str) -> None:
    """The text of a float without its sign, by the host."""
    bits = e.op(f"bitcast double {number} to i64")
    with e.when(e.compare("slt", "i64", bits, 0)):
        e.store("i8", str(ord("-")), sign)
    e.declare("llvm.fabs.f64", "declare double @llvm.fabs.f64(double)")
    size = e.op(f"call double @llvm.fabs.f64(double {number})")
    places, kind = e.op(f"trunc i64 {precision} to i32"), e.op(f"zext i8 {conversion} to i32")
    written = e.call("i32", "tj_real", f"ptr {room}", "i32 512", f"double {size}", f"i32 {kind}", f"i32 {places}")
    e.store("i64", e.op(f"sext i32 {written} to i64"), length)


def _text(e: Emitter, given: str, text: str, length: str) -> None:
    """A C string and its length."""
    e.store("ptr", given, text)
    e.store("i64", "0", length)
    head = e._fresh("length")
    e.label(head)
    count = e.load("i64", length)
    with e.when(e.compare("ne", "i8", e.load("i8", given, count), 0)):
        e.store("i64", e.add(count, 1), length)
        e.goto(head)


def _integer(
    e: Emitter, number: str, is_signed: str, is_hexadecimal: str, room: str, text: str, length: str, sign: str
) -> None:
    """The digits of a number, from the end of the room backwards."""
    is_negative = e.op(f"and i1 {is_signed}, {e.compare('slt', 'i64', number, 0)}")
    with e.when(is_negative):
        e.store("i8", str(ord("-")), sign)
    rest = e.variable("i64", "0")
    e.store("i64", e.op(f"select i1 {is_negative}, i64 {e.op(f'sub i64 0, {number}')}, i64 {number}"), rest)
    base = e.op(f"select i1 {is_hexadecimal}, i64 16, i64 10")
    place = e.variable("i64", "0")
    e.store("i64", "64", place)
    head = e._fresh("digit")
    e.label(head)
    value = e.load("i64", rest)
    digit = e.op(f"trunc i64 {e.op(f'urem i64 {value}, {base}')} to i8")
    letter = e.op(f"select i1 {e.compare('ult', 'i8', digit, 10)}, i8 48, i8 87")
    e.store("i64", e.op(f"sub i64 {e.load('i64', place)}, 1"), place)
    e.store("i8", e.op(f"add i8 {digit}, {letter}"), room, e.load("i64", place))
    left = e.op(f"udiv i64 {value}, {base}")
    e.store("i64", left, rest)
    with e.when(e.compare("ne", "i64", left, 0)):
        e.goto(head)
    first = e.load("i64", place)
    e.store("ptr", e.at(room, first), text)
    e.store("i64", e.op(f"sub i64 64, {first}"), length)
