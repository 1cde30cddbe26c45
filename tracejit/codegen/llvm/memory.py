"""Loads and stores as LLVM instructions. Inside a vector loop the step of the index decides what an access is:

step 0: one scalar; 1: a vector; -1: a vector turned round; 2 to SPACED: so many vectors of which every second, third,
... element is kept (they read only between the first and the last element asked for); 0 or 1, which only the running
program knows (a size that may be stretched): as much of a vector as is there; another step: one element after the
other; anything else, and where lanes are off: gather or scatter.
Stores side by side (the parts of complex numbers, columns) are put together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tracejit.codegen.llvm.ramps import first, i64, lanes_of, literal
from tracejit.codegen.llvm.values import Ramp, Value, lane_indices, memory_type_text, type_text
from tracejit.codegen.loop_ir import Const, Expr, Load, Offset, Pointer, Scalar
from tracejit.codegen.lowering.schedule import SPACED
from tracejit.ir.types import BOOL, F32, F64, I8, I64, DType

if TYPE_CHECKING:
    from tracejit.codegen.llvm.expressions import ExpressionPrinter


#: Elements that are read one after the other into one register, at most: more make long code and are no faster.
APART = 16
#: Bytes of a line of the caches, and how many bytes ahead of masked vectors lines are asked for: a few
#: trips of any loop that computes much (256 to 2,048 take the same time on a Zen 5).
LINE, AHEAD = 64, 512


def align_of(dtype: DType | Pointer) -> int:
    """The alignment of an element."""
    return 8 if isinstance(dtype, Pointer) else dtype.itemsize


def element(p: ExpressionPrinter, pointer: Value, index: Value, dtype: DType) -> Value:
    """The address of an element (of one per lane, for an index with lanes)."""
    if index.text == "0":
        return pointer
    text = f"getelementptr {memory_type_text(dtype)}, {pointer.typed()}, {index.typed()}"
    return p.pure(text, pointer.dtype, index.lanes, pointer, index)


def _factors(size: Expr) -> list[Expr]:
    """The factors of a product."""
    if isinstance(size, Scalar) and size.op == "mul":
        return [factor for arg in size.args for factor in _factors(arg)]
    return [size]


def byte_count(p: ExpressionPrinter, count: Expr, itemsize: int) -> Value:
    """The bytes of `count` elements. A product beyond 64 bits gives -1, as unsigned more than can be allocated."""
    factors, total = _factors(count), itemsize
    for factor in factors:
        total *= int(factor.value.real) if isinstance(factor, Const) else 1
    product = Value(str(total), I64)
    spelling = "@llvm.umul.with.overflow.i64"
    for factor in factors:
        if isinstance(factor, Const):
            continue
        p.declare(f"declare {{ i64, i1 }} {spelling}(i64, i64)")
        size = p.uniform(factor)
        both = p.pure(f"call {{ i64, i1 }} {spelling}({size.typed()}, {product.typed()})", I64, 1, size, product)
        low, wild = (
            p.pure(f"extractvalue {{ i64, i1 }} {both.text}, {place}", dtype, 1, both)
            for place, dtype in ((0, I64), (1, BOOL))
        )
        product = p.choose(wild, Value("-1", I64), low)
    return product


def from_memory(p: ExpressionPrinter, loaded: Value, dtype: DType) -> Value:
    """A loaded element as it is in registers."""
    if dtype != BOOL:
        return loaded
    return p.binary("icmp ne", loaded.viewed(I8), Value("0", I8), BOOL)


def to_memory(p: ExpressionPrinter, value: Value, dtype: DType) -> Value:
    """A value as it is stored."""
    return p.convert("zext", value, I8) if dtype == BOOL else value


def offset(p: ExpressionPrinter, e: Offset) -> Value:
    """A buffer that starts inside another."""
    buffer, index = p.lookup(e.buffer), p.value(e.index)
    assert isinstance(buffer, Value)
    return element(p, buffer, index, e.type.element).viewed(e.type)


# -- loads ------------------------------------------------------------------------------------------------------


def load(p: ExpressionPrinter, e: Load) -> Value:
    """`buffer[index]` in the active lanes."""
    buffer, index = p.lookup(e.buffer), p.expr(e.index)
    assert isinstance(buffer, Value)
    readonly = e.buffer in p.readonly
    if not readonly:
        p.volatile_loads += 1
    if isinstance(index, Ramp):
        begin = p.stretches.begin(e.buffer, index)
        loaded = _load_ramp(p, buffer, index, e.type, readonly, begin)
    elif index.lanes > 1:
        loaded = _gather(p, buffer, index, e.type)
    else:
        loaded = _load_one(p, element(p, buffer, index, e.type), e.type, readonly)
    return from_memory(p, loaded, e.type)


def _load_one(p: ExpressionPrinter, address: Value, dtype: DType, readonly: bool) -> Value:
    text = f"load {memory_type_text(dtype)}, ptr {address.text}, align {align_of(dtype)}"
    return p.read(text, dtype, 1, readonly, address)


def _load_ramp(
    p: ExpressionPrinter, buffer: Value, ramp: Ramp, dtype: DType, readonly: bool, begin: int | None = None
) -> Value:
    assert p.vector is not None
    step = p.known_step(ramp.step)
    if p.vector.lanes == 1 or step.text == "0":
        return _load_one(p, _address(p, buffer, ramp, dtype), dtype, readonly)
    match step.text:
        case "1":
            address = _address(p, buffer, ramp, dtype)
            if p.vector.asked is not None:
                _ask_ahead(p, buffer, ramp, address, dtype)
            return _load_vector(p, address, dtype, readonly, p.vector.mask)
        case "-1":
            return _load_backwards(p, buffer, ramp, dtype, readonly)
        case text if step.is_literal and 1 < int(text) <= SPACED:
            if begin is not None:
                return _load_column(p, buffer, ramp, dtype, readonly, begin)
            return _load_spaced(p, buffer, ramp, dtype, readonly)
        case text if text in p.stretched and 0 < p.options.masked_bits <= dtype.bits:
            return _load_stretched(p, buffer, ramp, dtype, readonly)
        case _ if p.vector.mask is None:
            return _load_apart(p, buffer, ramp, dtype, readonly)
        case _:
            return _gather(p, buffer, lanes_of(p, ramp), dtype)


def _ask_ahead(p: ExpressionPrinter, buffer: Value, ramp: Ramp, address: Value, dtype: DType) -> None:
    """Ask for what a loop of masked vectors will read from a stream some trips later, once for each stream: processors
    do not see a stream in masked loads (on a Zen 5, loops over more than the caches took three times as long)."""
    assert p.vector is not None and p.vector.asked is not None
    stream = buffer.text, ramp.offset.text
    if stream in p.vector.asked:
        return
    p.vector.asked.add(stream)
    p.declare("declare void @llvm.prefetch.p0(ptr, i32, i32, i32)")
    for begin in range(0, p.vector.lanes * dtype.itemsize, LINE):
        line = p.pure(f"getelementptr i8, ptr {address.text}, i64 {AHEAD + begin}", address.dtype, 1, address)
        p.line(f"call void @llvm.prefetch.p0(ptr {line.text}, i32 0, i32 3, i32 1)")


def _load_stretched(p: ExpressionPrinter, buffer: Value, ramp: Ramp, dtype: DType, readonly: bool) -> Value:
    """A vector where the step is 1; where it is 0 one element, for which the first lane asks, in every lane."""
    assert p.vector is not None
    lanes, mask = p.vector.lanes, p.vector.mask
    cond, truth = p.stretched[ramp.step.text]
    only_first = Value("<" + ", ".join(f"i1 {'true' if i == 0 else 'false'}" for i in range(lanes)) + ">", BOOL, lanes)
    if mask is None:
        every = p.splat(Value("true", BOOL), lanes)
    else:
        every = mask
        reduce = f"@llvm.vector.reduce.or.v{lanes}i1"
        p.declare(f"declare i1 {reduce}(<{lanes} x i1>)")
        some = p.pure(f"call i1 {reduce}({mask.typed()})", BOOL, 1, mask)
        only_first = p.binary("and", only_first, p.splat(some, lanes), BOOL)
    sides = (every, only_first) if truth else (only_first, every)
    address = _address(p, buffer, ramp, dtype)
    if p.vector.asked is not None:
        _ask_ahead(p, buffer, ramp, address, dtype)
    loaded = _load_vector(p, address, dtype, readonly, p.choose(cond, *sides))
    first = _shuffle(p, loaded, loaded, [0] * lanes)
    return p.choose(cond, loaded, first) if truth else p.choose(cond, first, loaded)


def _address(p: ExpressionPrinter, buffer: Value, ramp: Ramp, dtype: DType, ahead: int = 0) -> Value:
    """The address of the first lane's element, `ahead` elements on; what the loop does not change is added first."""
    assert p.vector is not None
    line = element(p, buffer, ramp.offset, dtype)
    moving = element(p, line, i64(p, "mul", p.known_step(ramp.step), p.vector.index), dtype)
    return element(p, moving, literal(ramp.constant + ahead), dtype)


def _load_vector(p: ExpressionPrinter, address: Value, dtype: DType, readonly: bool, mask: Value | None) -> Value:
    assert p.vector is not None
    lanes = p.vector.lanes
    type = memory_type_text(dtype, lanes)
    if mask is None:
        return p.read(f"load {type}, ptr {address.text}, align {align_of(dtype)}", dtype, lanes, readonly, address)
    if _is_half_a_register(lanes, dtype):
        lanes, mask = 2 * lanes, _with_idle_lanes(p, mask)
        type = memory_type_text(dtype, lanes)
    name = f"@llvm.masked.load.{_suffix(dtype, lanes)}.p0"
    p.declare(f"declare {type} {name}(ptr, i32, <{lanes} x i1>, {type})")
    text = f"call {type} {name}(ptr {address.text}, i32 {align_of(dtype)}, {mask.typed()}, {type} zeroinitializer)"
    loaded = p.read(text, dtype, lanes, readonly, address, mask)
    return loaded if lanes == p.vector.lanes else _shuffle(p, loaded, loaded, range(p.vector.lanes))


def _load_backwards(p: ExpressionPrinter, buffer: Value, ramp: Ramp, dtype: DType, readonly: bool) -> Value:
    assert p.vector is not None
    lanes, mask = p.vector.lanes, p.vector.mask
    turn = range(lanes - 1, -1, -1)
    if mask is not None:
        mask = _shuffle(p, mask, mask, turn)
    loaded = _load_vector(p, _address(p, buffer, ramp, dtype, 1 - lanes), dtype, readonly, mask)
    return _shuffle(p, loaded, loaded, turn)


def _load_spaced(p: ExpressionPrinter, buffer: Value, ramp: Ramp, dtype: DType, readonly: bool) -> Value:
    """Elements 0, step, 2 * step, ...: from `step` vectors, the last of which ends with the last element."""
    assert p.vector is not None
    lanes, mask, step = p.vector.lanes, p.vector.mask, int(p.known_step(ramp.step).text)
    starts = [*range(0, (step - 1) * lanes, lanes), (step - 1) * (lanes - 1)]
    masks: list[Value | None] = [None] * step
    if mask is not None:
        none = Value("zeroinitializer", BOOL, lanes)
        masks = [_shuffle(p, mask, none, _spread(begin, step, lanes)) for begin in starts]
    parts = [
        _load_vector(p, _address(p, buffer, ramp, dtype, begin), dtype, readonly, part)
        for begin, part in zip(starts, masks, strict=True)
    ]
    return _every(p, parts, starts, step)


def _load_column(p: ExpressionPrinter, buffer: Value, ramp: Ramp, dtype: DType, readonly: bool, begin: int) -> Value:
    """As `_load_spaced`, where all elements from `begin` on are read: all columns are parts of one stretch."""
    assert p.vector is not None
    lanes, mask, step = p.vector.lanes, p.vector.mask, int(p.known_step(ramp.step).text)
    stretch, starts = Ramp(ramp.offset, begin, ramp.step), [*range(0, step * lanes, lanes)]
    masks: list[Value | None] = [None] * step
    if mask is not None:
        masks = [_shuffle(p, mask, mask, [(start + i) // step for i in range(lanes)]) for start in starts]
    parts = [
        _load_vector(p, _address(p, buffer, stretch, dtype, start), dtype, readonly, part)
        for start, part in zip(starts, masks, strict=True)
    ]
    column = ramp.constant - begin
    if step & (step - 1):
        return _every(p, parts, starts, step, column)
    while len(parts) > 1:  # every second element of all, once for each doubling: the last digit of a column comes first
        picked, column = range(column % 2, 2 * lanes, 2), column // 2
        parts = [_shuffle(p, a, b, picked) for a, b in zip(parts[::2], parts[1::2], strict=True)]
    return parts[0]


def _every(p: ExpressionPrinter, parts: Sequence[Value], starts: Sequence[int], step: int, first: int = 0) -> Value:
    """Every `step`-th element from `first` on of vectors that begin at `starts`, as one vector."""
    lanes = parts[0].lanes
    kept, have = parts[0], [*range(first, lanes, step)]  # where the first lanes' elements are
    for begin, part in zip(starts[1:], parts[1:], strict=True):
        more = range(first + len(have) * step, min(begin + lanes, first + lanes * step), step)
        picked = [*have, *(lanes + place - begin for place in more)]
        kept = _shuffle(p, kept, part, [*picked, *[0] * (lanes - len(picked))])
        have = [*range(len(picked))]
    return kept


def _spread(begin: int, step: int, lanes: int) -> list[int]:
    """For each element from `begin` on: the lane that asks for it, or (in the second vector) none."""
    return [place // step if place % step == 0 else lanes for place in range(begin, begin + lanes)]


def _pieces(p: ExpressionPrinter, buffer: Value, ramp: Ramp, dtype: DType) -> tuple[int, list[Value], Value]:
    """The lanes of a vector register, the address of the first element for each, and the step between elements."""
    assert p.vector is not None
    width = min(p.vector.lanes, max(p.options.vector_bits // dtype.bits, 1), APART)
    step, place = p.known_step(ramp.step), _address(p, buffer, ramp, dtype)
    places = [place]
    if p.vector.lanes > width:
        whole = p.pure(f"mul i64 {step.text}, {width}", I64, 1, step)
        while len(places) < p.vector.lanes // width:
            places.append(element(p, places[-1], whole, dtype))
    return width, places, step


def _load_apart(p: ExpressionPrinter, buffer: Value, ramp: Ramp, dtype: DType, readonly: bool) -> Value:
    """Elements some step apart, one after the other: several times as fast as a gather (Zen 4: 2.5 times), which also
    is no help to the prefetcher. A function of the module does it: long to compile, and often needed."""
    width, places, step = _pieces(p, buffer, ramp, dtype)
    stored, type = memory_type_text(dtype), memory_type_text(dtype, width)
    name = f"@apart.load.{_suffix(dtype, width)}"
    lines = [f"define internal {type} {name}(ptr %p0, i64 %step) #0 {{"]
    for lane in range(width):
        if lane:
            lines.append(f"  %p{lane} = getelementptr {stored}, ptr %p{lane - 1}, i64 %step")
        lines.append(f"  %x{lane} = load {stored}, ptr %p{lane}, align {align_of(dtype)}")
        before = f"%v{lane - 1}" if lane else "poison"
        lines.append(f"  %v{lane} = insertelement {type} {before}, {stored} %x{lane}, i32 {lane}")
    p.declare("\n".join([*lines, f"  ret {type} %v{width - 1}", "}"]))
    parts = [
        p.read(f"call {type} {name}({place.typed()}, {step.typed()})", dtype, width, False, place) for place in places
    ]
    while len(parts) > 1:
        parts = [_shuffle(p, a, b, range(2 * a.lanes)) for a, b in zip(parts[::2], parts[1::2], strict=True)]
    return parts[0]


def _store_apart(p: ExpressionPrinter, buffer: Value, ramp: Ramp, value: Value, dtype: DType) -> None:
    """As `_load_apart`."""
    width, places, step = _pieces(p, buffer, ramp, dtype)
    stored, type = memory_type_text(dtype), memory_type_text(dtype, width)
    name = f"@apart.store.{_suffix(dtype, width)}"
    lines = [f"define internal void {name}(ptr %p0, i64 %step, {type} %v) #0 {{"]
    for lane in range(width):
        if lane:
            lines.append(f"  %p{lane} = getelementptr {stored}, ptr %p{lane - 1}, i64 %step")
        lines.append(f"  %x{lane} = extractelement {type} %v, i32 {lane}")
        lines.append(f"  store {stored} %x{lane}, ptr %p{lane}, align {align_of(dtype)}")
    p.declare("\n".join([*lines, "  ret void", "}"]))
    for at, place in enumerate(places):
        lanes = range(at * width, (at + 1) * width)
        part = value if len(places) == 1 else _shuffle(p, value, value, lanes)
        p.line(f"call void {name}({place.typed()}, {step.typed()}, {type} {part.text})")


def _gather(p: ExpressionPrinter, buffer: Value, index: Value, dtype: DType) -> Value:
    assert p.vector is not None
    lanes = p.vector.lanes
    addresses = element(p, buffer, index, dtype)
    type = memory_type_text(dtype, lanes)
    name = f"@llvm.masked.gather.{_suffix(dtype, lanes)}.v{lanes}p0"
    p.declare(f"declare {type} {name}(<{lanes} x ptr>, i32, <{lanes} x i1>, {type})")
    given = f"<{lanes} x ptr> {addresses.text}, i32 {align_of(dtype)}, {_active(p)}, {type} zeroinitializer"
    return p.read(f"call {type} {name}({given})", dtype, lanes, False, addresses)


# -- stores -----------------------------------------------------------------------------------------------------


def store(
    p: ExpressionPrinter, buffer: Value, index: Value | Ramp, value: Value, dtype: DType, *, past_caches: bool = False
) -> None:
    """`buffer[index] = value` in the active lanes; with `past_caches`, vectors are whole lines."""
    p.epoch += 1
    value = to_memory(p, value, dtype)
    if p.vector is None or p.vector.lanes == 1:
        place = first(p, index) if isinstance(index, Ramp) else index
        address = element(p, buffer, place, dtype)
        text = f"store {memory_type_text(dtype)} {value.text}, ptr {address.text}, align {align_of(dtype)}"
        p.line(text + p.alias_metadata(dtype))
        return
    value = p.splat(value, p.vector.lanes)
    if isinstance(index, Ramp) and p.known_step(index.step).text == "1":
        address = _address(p, buffer, index, dtype)
        if past_caches and p.vector.mask is None:
            type = memory_type_text(dtype, value.lanes)
            p.line(f"store {type} {value.text}, ptr {address.text}, align 64, !nontemporal !{{i32 1}}")
        else:
            _store_vector(p, address, value, p.vector.mask)
    elif isinstance(index, Ramp) and p.vector.mask is None:
        _store_apart(p, buffer, index, value, dtype)
    else:
        _scatter(p, buffer, index, value, dtype)


def neighbours(p: ExpressionPrinter, places: Sequence[Value | Ramp]) -> list[Ramp]:
    """The first indices of a vector loop that ask for elements side by side: as many as there are from one lane to the
    next, which makes them one stretch, or 2, 4 or 8 elsewhere. None where there are no such."""
    ramps = [place for place in places if isinstance(place, Ramp)]
    if not ramps or len(ramps) < len(places):
        return []
    step = p.known_step(ramps[0].step)
    apart = int(step.text) if step.is_literal else SPACED + 1
    counts = [apart] if 1 < apart <= SPACED else [8, 4, 2] if apart > SPACED and _is_whole(p) else []
    for count in counts:
        taken = ramps[:count]
        least = min(r.constant for r in taken)
        same = all(r.offset.text == taken[0].offset.text and r.step.text == taken[0].step.text for r in taken)
        if same and sorted(r.constant - least for r in taken) == [*range(count)]:
            return taken
    return []


def _is_whole(p: ExpressionPrinter) -> bool:
    """Whether all lanes are on."""
    return p.vector is not None and p.vector.mask is None


def store_neighbours(
    p: ExpressionPrinter, buffer: Value, places: Sequence[Ramp], values: Sequence[Value], dtype: DType
) -> None:
    """Stores to elements side by side at once: what one lane stores is put together, and if that fills the way to the
    next lane, whole vectors are."""
    assert p.vector is not None
    p.epoch += 1
    lanes, mask, count = p.vector.lanes, p.vector.mask, len(places)
    order = sorted(range(count), key=lambda at: places[at].constant)
    begin, step = places[order[0]], p.known_step(places[0].step)
    parts = _zipped(p, [p.splat(to_memory(p, values[at], dtype), lanes) for at in order])
    if step.text == str(count):
        for at, part in enumerate(parts):
            picked = [(at * lanes + lane) // count for lane in range(lanes)]
            active = None if mask is None else _shuffle(p, mask, mask, picked)
            _store_vector(p, _address(p, buffer, begin, dtype, at * lanes), part, active)
        return
    place = _address(p, buffer, begin, dtype)
    for lane in range(lanes):
        part, first = parts[lane * count // lanes], lane * count % lanes
        _store_vector(p, place, _shuffle(p, part, part, range(first, first + count)), None)
        place = element(p, place, step, dtype)


def _zipped(p: ExpressionPrinter, columns: Sequence[Value]) -> list[Value]:
    """The first lanes of all columns, then the second ones, and so on, as vectors of as many lanes."""
    lanes, count = columns[0].lanes, len(columns)
    if count & (count - 1) == 0:  # as many rounds as doublings, each zips the first half of the vectors with the second
        parts = list(columns)
        halves = [[lane // 2 + start + lanes * (lane % 2) for lane in range(lanes)] for start in (0, lanes // 2)]
        for _ in range(count.bit_length() - 1):
            pairs = zip(parts[: count // 2], parts[count // 2 :], strict=True)
            parts = [_shuffle(p, a, b, half) for a, b in pairs for half in halves]
        return parts
    made: list[Value] = []
    for part in range(count):
        sources = [divmod(part * lanes + at, count) for at in range(lanes)]  # the lane and column of each element
        mixed = columns[0]
        for column in range(1, count):
            before = [lane if column == 1 else at for at, (lane, _) in enumerate(sources)]
            picked = [lanes + lane if c == column else b for b, (lane, c) in zip(before, sources, strict=True)]
            mixed = _shuffle(p, mixed, columns[column], picked)
        made.append(mixed)
    return made


def _store_vector(p: ExpressionPrinter, address: Value, value: Value, mask: Value | None) -> None:
    if mask is not None and _is_half_a_register(value.lanes, value.dtype):
        value, mask = _shuffle(p, value, value, [*range(value.lanes)] * 2), _with_idle_lanes(p, mask)
    dtype, lanes = value.dtype, value.lanes
    assert isinstance(dtype, DType)
    type, metadata = memory_type_text(dtype, lanes), p.alias_metadata(dtype)
    if mask is None:
        p.line(f"store {type} {value.text}, ptr {address.text}, align {align_of(dtype)}{metadata}")
        return
    name = f"@llvm.masked.store.{_suffix(dtype, lanes)}.p0"
    p.declare(f"declare void {name}({type}, ptr, i32, <{lanes} x i1>)")
    given = f"{type} {value.text}, ptr {address.text}, i32 {align_of(dtype)}, {mask.typed()}"
    p.line(f"call void {name}({given}){metadata}")


def _scatter(p: ExpressionPrinter, buffer: Value, index: Value | Ramp, value: Value, dtype: DType) -> None:
    assert p.vector is not None
    lanes = p.vector.lanes
    places = p.splat(lanes_of(p, index) if isinstance(index, Ramp) else index, lanes)
    addresses = element(p, buffer, places, dtype)
    type = memory_type_text(dtype, lanes)
    name = f"@llvm.masked.scatter.{_suffix(dtype, lanes)}.v{lanes}p0"
    p.declare(f"declare void {name}({type}, <{lanes} x ptr>, i32, <{lanes} x i1>)")
    given = f"{type} {value.text}, <{lanes} x ptr> {addresses.text}, i32 {align_of(dtype)}, {_active(p)}"
    p.line(f"call void {name}({given})")


def _is_half_a_register(lanes: int, dtype: DType | Pointer) -> bool:
    """Whether masked memory instructions are about more elements than a vector has: 8 bytes."""
    return lanes == 8 and isinstance(dtype, DType) and dtype.bits == 8


def _with_idle_lanes(p: ExpressionPrinter, mask: Value) -> Value:
    """The mask of 8 lanes with 8 more that are off. LLVM would make it by an instruction (KMOVB) that it takes for a
    copy elsewhere: where the mask is kept on the stack meanwhile, the lanes that should be off are what was there
    before. Nor is the mask right as a number: if its lanes were shuffled, LLVM reads their signs by an instruction
    (VMOVMSKPS) that cannot name all registers, and names another one. So the lanes go as bytes through something that
    it knows nothing of."""
    narrow = p.pure(f"zext {mask.typed()} to <8 x i8>", I8, 8, mask)
    wide = _shuffle(p, narrow, Value("zeroinitializer", I8, 8), range(16))
    unknown = p.pure(f'call <16 x i8> asm "", "=x,0"({wide.typed()})', I8, 16, wide)
    return p.pure(f"icmp ne {unknown.typed()}, zeroinitializer", BOOL, 16, unknown)


# -- pieces -----------------------------------------------------------------------------------------------------


def _active(p: ExpressionPrinter) -> str:
    assert p.vector is not None
    mask = p.vector.mask
    return mask.typed() if mask is not None else f"<{p.vector.lanes} x i1> splat (i1 true)"


def _shuffle(p: ExpressionPrinter, a: Value, b: Value, lanes: range | list[int]) -> Value:
    """Lanes picked from a, then b."""
    type = type_text(a.dtype, a.lanes)
    other = "poison" if a is b else b.text
    picked = lane_indices([i % a.lanes for i in lanes] if a is b else lanes)
    return p.pure(f"shufflevector {type} {a.text}, {type} {other}, {picked}", a.dtype, len(lanes), a, b)


def _suffix(dtype: DType, lanes: int) -> str:
    scalar = {F32: "f32", F64: "f64"}.get(dtype) or memory_type_text(dtype)
    return f"v{lanes}{scalar}"
