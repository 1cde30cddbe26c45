"""A relocatable WebAssembly object, as LLVM emits it for static code, as a finished module.

The object holds final indices and addresses already (its data begins at address 0) if everything it needs is defined in
it: what LLVM asks a linker for are the memory, the table of functions and the stack pointer, which are imports of the
object, and exports. Functions that a host must give stay imports. The stack lies behind the data and grows down; the
heap begins where the first memory ends.

Format: WebAssembly Core Specification 2.0, chapter 5; symbols: "linking" section of the tool conventions.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from tracejit.errors import ExportError

PAGE = 1 << 16
STACK = 1 << 20

_TYPE, _IMPORT, _FUNCTION, _TABLE, _MEMORY, _GLOBAL, _EXPORT = 1, 2, 3, 4, 5, 6, 7
_ELEMENT, _CODE, _DATA, _DATA_COUNT = 9, 10, 11, 12
_SYMBOL_TABLE, _SYMBOL_FUNCTION, _UNDEFINED, _EXPLICIT_NAME = 8, 0, 0x10, 0x40


class Reader:
    """Reads the numbers and names of the binary format."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def __bool__(self) -> bool:
        return self.at < len(self.data)

    def byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1]

    def number(self, signed: bool = False) -> int:
        """A LEB128 number."""
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value - (1 << shift) if signed and byte & 64 else value

    def bytes(self, count: int) -> bytes:
        self.at += count
        return self.data[self.at - count : self.at]

    def name(self) -> str:
        return self.bytes(self.number()).decode()

    def limits(self) -> None:
        """Skip the least and the most of a table or memory."""
        has_most = self.byte() & 1
        for _ in range(1 + has_most):
            self.number()


def number(value: int, signed: bool = False) -> bytes:
    """A number as LEB128."""
    out = bytearray()
    while True:
        byte = value & 127
        value >>= 7
        done = value == (-1 if signed and byte & 64 else 0)
        out.append(byte if done else byte | 128)
        if done and (not signed or byte & 64 == 0 or value == -1):
            return bytes(out)


def _name(text: str) -> bytes:
    return number(len(text.encode())) + text.encode()


def _vector(items: Collection[bytes]) -> bytes:
    return number(len(items)) + b"".join(items)


def sections(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The sections of a module by number; custom ones have number 0."""
    reader = Reader(data)
    if reader.bytes(8) != b"\0asm\1\0\0\0":
        raise ExportError("LLVM gave no WebAssembly object")
    while reader:
        kind = reader.byte()
        yield kind, reader.bytes(reader.number())


def finished(data: bytes, exports: Collection[str], host: Collection[str]) -> bytes:
    """The module of an object. `exports` are names of its functions; `host` those that it may import.

    Raises ExportError where the object needs a function that is neither.
    """
    parts = dict[int, bytes]()
    symbols = dict[str, int]()
    for kind, content in sections(data):
        if kind:
            parts[kind] = content
        elif Reader(content).name() == "linking":
            symbols = _functions(content)
    imports = _imports(parts.pop(_IMPORT, b"\0"), host)
    stack_end = -(-_data_end(parts.get(_DATA, b"\0")) // 16) * 16 + STACK
    pages = -(-stack_end // PAGE)
    parts[_IMPORT] = _vector(imports)
    parts[_TABLE] = _vector([b"\x70\0" + number(_table_end(parts.get(_ELEMENT, b"\0")))])
    parts[_MEMORY] = _vector([b"\0" + number(pages)])
    parts[_GLOBAL] = _vector([b"\x7f\1\x41" + number(stack_end, signed=True) + b"\x0b"])
    entries = [_name(name) + b"\0" + number(symbols[name]) for name in exports]
    parts[_EXPORT] = _vector([_name("memory") + b"\2\0", *entries])
    order = (_TYPE, _IMPORT, _FUNCTION, _TABLE, _MEMORY, _GLOBAL, _EXPORT, _ELEMENT, _DATA_COUNT, _CODE, _DATA)
    return b"\0asm\1\0\0\0" + b"".join(
        bytes([kind]) + number(len(parts[kind])) + parts[kind] for kind in order if kind in parts
    )


def _imports(content: bytes, host: Collection[str]) -> list[bytes]:
    """The functions of the host, in order."""
    reader, kept = Reader(content), list[bytes]()
    missing: list[str] = []
    for _ in range(reader.number()):
        start = reader.at
        reader.name()
        name = reader.name()
        match reader.byte():
            case 0:
                reader.number()
                kept.append(reader.data[start : reader.at])
                if name not in host:
                    missing.append(name)
            case 1:
                reader.byte()
                reader.limits()
            case 2:
                reader.limits()
            case _:
                reader.bytes(2)
                if name != "__stack_pointer":
                    missing.append(name)
    if missing:
        raise ExportError(f"a WebAssembly module cannot have {', '.join(sorted(missing))}")
    return kept


def _functions(content: bytes) -> dict[str, int]:
    """The indices of functions by name, from the symbol table."""
    reader, found = Reader(content), dict[str, int]()
    reader.name()
    reader.number()
    while reader:
        kind, size = reader.byte(), reader.number()
        end = reader.at + size
        if kind == _SYMBOL_TABLE:
            for _ in range(reader.number()):
                _symbol(reader, found)
        reader.at = end
    return found


def _symbol(reader: Reader, found: dict[str, int]) -> None:
    kind, flags = reader.byte(), reader.number()
    match kind:
        case 1:  # data
            reader.name()
            if not flags & _UNDEFINED:
                for _ in range(3):
                    reader.number()
        case 3:  # a section
            reader.number()
        case _:
            index = reader.number()
            if not flags & _UNDEFINED or flags & _EXPLICIT_NAME:
                name = reader.name()
                if kind == _SYMBOL_FUNCTION:
                    found[name] = index


def _table_end(content: bytes) -> int:
    """The place behind the last function of the table."""
    reader, end = Reader(content), 0
    for _ in range(reader.number()):
        if reader.number() != 0 or reader.byte() != 0x41:
            raise ExportError("a WebAssembly object with a table of an unknown kind")
        start = reader.number(signed=True)
        reader.byte()
        count = reader.number()
        for _ in range(count):
            reader.number()
        end = max(end, start + count)
    return end


def _data_end(content: bytes) -> int:
    """The address behind the last byte of data."""
    reader, end = Reader(content), 0
    for _ in range(reader.number()):
        if reader.number() != 0 or reader.byte() != 0x41:
            raise ExportError("a WebAssembly object with data of an unknown kind")
        start = reader.number(signed=True)
        reader.byte()
        size = reader.number()
        reader.bytes(size)
        end = max(end, start + size)
    return end
