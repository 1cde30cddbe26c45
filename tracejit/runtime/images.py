"""Object code as images: laid out and linked but for the addresses of this process, and mapped into it.

LLVM's linker is made for object code of every kind; a process that only runs what it finds on the disk would begin LLVM
for nothing else. What LLVM makes for x86-64 and Linux needs little of a linker: sections one after another, jumps and a
table of addresses for what lies outside, and a few kinds of places that refer to something.
"""

from __future__ import annotations

import ctypes
import marshal
import mmap
import platform
import re
import struct
import sys
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

from tracejit.records import record

#: Whether this process maps images. Elsewhere LLVM links.
ARE_USED = sys.platform == "linux" and platform.machine() == "x86_64" and sys.maxsize > 1 << 32

_MAGIC = b"tracejit image\n"

# as the ELF specification for x86-64 numbers things
_PROGBITS, _SYMTAB, _RELA, _NOBITS, _UNWIND = 1, 2, 4, 8, 0x70000001
_WRITE, _ALLOC, _TLS = 1, 2, 0x400
_LOCAL, _UNDEFINED, _RESERVED = 0, 0, 0xFF00
_ADDRESS, _DISTANCE, _CALL = 1, 2, 4
_TABLE = frozenset((9, 41, 42, 43))  #: distances to a place that holds the address


class Section(NamedTuple):
    """The header of a section."""

    name: int
    type: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    alignment: int
    entry: int


class Symbol(NamedTuple):
    """A symbol of an object file: a place in a section, or something outside."""

    name: str
    is_local: bool
    section: int
    value: int


@record
class Image:
    """What changes, and from `fixed`, where a page begins, code and constants. Words that hold addresses: places and
    what of the image they hold (`inner`), names from outside and places that hold theirs (`outer`)."""

    body: bytes
    fixed: int
    symbols: dict[str, int]
    inner: tuple[tuple[int, int], ...]
    outer: dict[str, tuple[int, ...]]

    def packed(self) -> bytes:
        """As bytes that `image_of` knows."""
        return _MAGIC + marshal.dumps((self.body, self.fixed, self.symbols, self.inner, self.outer))


def image_of(code: bytes) -> Image:
    """The image of its packed bytes, or of an object file."""
    return Image(*marshal.loads(code[len(_MAGIC) :])) if code.startswith(_MAGIC) else linked([code])


def prepared(files: Sequence[bytes]) -> list[bytes]:
    """Object files as they are kept on the disk and linked: as one image, where such are used."""
    return [linked(files).packed()] if ARE_USED else list(files)


def names_outside(code: bytes) -> Iterable[str]:
    """The names that code has of what it does not define; those of an object file, and others in it."""
    if code.startswith(_MAGIC):
        return image_of(code).outer
    return {name.decode() for name in re.findall(rb"\0_?(\w+)(?=\0)", code)}


# -- from object files to an image ------------------------------------------------------------------------------------


class _Object:
    """An object file, and where its sections go."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        (start,), (count,) = struct.unpack_from("<Q", data, 40), struct.unpack_from("<H", data, 60)
        self.sections = [Section(*row) for row in struct.iter_unpack("<IIQQQQIIQQ", data[start : start + 64 * count])]
        self.places: dict[int, int] = {}
        table = next(section for section in self.sections if section.type == _SYMTAB)
        names = self.sections[table.link].offset
        self.symbols = [
            Symbol(self._text(names + name), kind >> 4 == _LOCAL, section, value)
            for name, kind, _, section, value, _ in struct.iter_unpack("<IBBHQQ", self._bytes(table))
        ]

    def _bytes(self, section: Section) -> bytes:
        return self._data[section.offset : section.offset + section.size]

    def _text(self, start: int) -> str:
        return self._data[start : self._data.index(0, start)].decode()

    def lay_out(self, end: int, *, changing: bool) -> int:
        """Give the sections that change, or those that do not, places from `end` on; where they end."""
        for number, section in enumerate(self.sections):
            if not section.flags & _ALLOC or section.type == _UNWIND:  # nothing unwinds the stack through compiled code
                continue
            if section.type not in (_PROGBITS, _NOBITS) or section.flags & _TLS:
                raise RuntimeError(f"a section of type {section.type}, flags {section.flags}, cannot be linked")
            if bool(section.flags & _WRITE) == changing:
                self.places[number] = _aligned(end, max(section.alignment, 1))
                end = self.places[number] + section.size
        return end

    def contents(self) -> Iterator[tuple[int, bytes]]:
        """Places and what lies there; the rest is zero."""
        for number, place in self.places.items():
            if self.sections[number].type == _PROGBITS:
                yield place, self._bytes(self.sections[number])

    def defined(self) -> Iterator[tuple[str, int]]:
        """The global symbols and their places."""
        for symbol in self.symbols:
            if not symbol.is_local and symbol.section != _UNDEFINED:
                yield symbol.name, self._place(symbol)

    def references(self) -> Iterator[tuple[int, int, str | int, int]]:
        """Places that refer to something: place, kind, the place or the name of what is meant, number to add."""
        for table in self.sections:
            if table.type == _RELA and table.info in self.places:
                start = self.places[table.info]
                for offset, info, addend in struct.iter_unpack("<QQq", self._bytes(table)):
                    symbol = self.symbols[info >> 32]
                    meant = symbol.name if symbol.section == _UNDEFINED else self._place(symbol)
                    yield start + offset, info & 0xFFFFFFFF, meant, addend

    def _place(self, symbol: Symbol) -> int:
        if symbol.section >= _RESERVED:
            raise RuntimeError(f"{symbol.name} in section {symbol.section:#x} cannot be linked")
        return self.places[symbol.section] + symbol.value


def linked(files: Sequence[bytes]) -> Image:
    """One image of object files, which know each other's global symbols. Raises RuntimeError where they have what LLVM
    is not known to make."""
    objects = [_Object(data) for data in files]
    end = 0
    for part in objects:
        end = part.lay_out(end, changing=True)
    end = fixed = _aligned(end, mmap.PAGESIZE)
    for part in objects:
        end = part.lay_out(end, changing=False)
    linking = _Linking(_aligned(end, 8), {name: place for part in objects for name, place in part.defined()})
    for part in objects:
        for place, content in part.contents():
            linking.body[place : place + len(content)] = content
    for part in objects:
        for reference in part.references():
            linking.refer(*reference)
    outer = {name: tuple(places) for name, places in linking.outer.items()}
    return Image(bytes(linking.body), fixed, linking.symbols, tuple(linking.inner), outer)


class _Linking:
    """An image in the making: words are added at its end as they are found to be needed."""

    def __init__(self, size: int, symbols: dict[str, int]) -> None:
        self.body = bytearray(size)
        self.symbols = symbols
        self.inner: list[tuple[int, int]] = []
        self.outer: dict[str, list[int]] = {}
        self._table: dict[str | int, int] = {}
        self._jumps: dict[str, int] = {}

    def refer(self, place: int, kind: int, meant: str | int, addend: int) -> None:
        """Write what a place says of something."""
        if isinstance(meant, str):
            meant = self.symbols.get(meant, meant)
        if kind == _ADDRESS:
            self._address(place, meant, addend)
            return
        if kind in _TABLE:
            meant = self._entry(meant)
        elif kind == _CALL and isinstance(meant, str):
            meant = self._jump(meant)
        elif kind not in (_DISTANCE, _CALL) or isinstance(meant, str):
            raise RuntimeError(f"a reference of kind {kind} to {meant} cannot be linked")
        struct.pack_into("<i", self.body, place, meant + addend - place)

    def _address(self, place: int, meant: str | int, addend: int = 0) -> None:
        if isinstance(meant, int):
            self.inner.append((place, meant + addend))
        elif addend:
            raise RuntimeError(f"a reference to what follows {meant} cannot be linked")
        else:
            self.outer.setdefault(meant, []).append(place)

    def _entry(self, meant: str | int) -> int:
        """The word of the table that holds an address."""
        if meant not in self._table:
            self._table[meant] = self._word(bytes(8))
            self._address(self._table[meant], meant)
        return self._table[meant]

    def _jump(self, name: str) -> int:
        """Code that goes on with a function from outside: `jmp *distance(%rip)`."""
        if name not in self._jumps:
            entry = self._entry(name)
            self._jumps[name] = self._word(b"\xff\x25" + struct.pack("<i", entry - (len(self.body) + 6)) + b"\xcc\xcc")
        return self._jumps[name]

    def _word(self, content: bytes) -> int:
        place = len(self.body)
        self.body += content
        return place


def _aligned(place: int, alignment: int) -> int:
    return -(-place // alignment) * alignment


# -- in this process --------------------------------------------------------------------------------------------------


class Library:
    """Images in the memory of this process, which know each other's symbols: addresses by symbol. Code lives as long as
    this."""

    def __init__(self, images: Sequence[Image], find: Callable[[Iterable[str]], dict[str, int]]) -> None:
        """`find` gives the addresses of names from outside, those that it knows. Raises RuntimeError where one is
        missing, MemoryError where there is no room."""
        sizes = [_aligned(max(len(image.body), 1), mmap.PAGESIZE) for image in images]
        self._start = _mapped(sum(sizes))
        weakref.finalize(self, _memory().munmap, self._start, sum(sizes)).atexit = False  # other threads may be in it
        starts = [self._start + sum(sizes[:i]) for i in range(len(sizes))]
        self.symbols = {
            name: start + place
            for start, image in zip(starts, images, strict=True)
            for name, place in image.symbols.items()
        }
        outside = find({name for image in images for name in image.outer if name not in self.symbols})
        for start, size, image in zip(starts, sizes, images, strict=True):
            self._fill(start, image, outside)
            code = start + image.fixed, size - image.fixed
            if _memory().mprotect(*code, mmap.PROT_READ | mmap.PROT_EXEC):
                raise MemoryError("the system has no more mappings of memory for compiled code")

    def __getitem__(self, name: str) -> int:
        return self.symbols[name]

    def _fill(self, start: int, image: Image, outside: dict[str, int]) -> None:
        body = bytearray(image.body)
        for place, held in image.inner:
            struct.pack_into("<Q", body, place, start + held)
        for name, places in image.outer.items():
            address = self.symbols.get(name) or outside.get(name)
            if not address:
                raise RuntimeError(f"compiled code needs {name}, which nobody knows")
            for place in places:
                struct.pack_into("<Q", body, place, address)
        ctypes.memmove(start, (ctypes.c_char * len(body)).from_buffer(body), len(body))


def _mapped(size: int) -> int:
    """Memory of its own, a multiple of pages, that can be read and written."""
    start = _memory().mmap(None, size, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE | mmap.MAP_ANON, -1, 0)
    if start == ctypes.c_void_p(-1).value:
        raise MemoryError("no memory for compiled code")
    return start


@cache
def _memory() -> Any:
    """The C library's functions for memory. Python's own object would give it back when the process ends."""
    library = ctypes.CDLL(None)
    library.mmap.restype = ctypes.c_void_p
    library.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    library.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    library.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    return library
