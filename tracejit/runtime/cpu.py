"""Programs as native functions of this process, and as position-independent objects for others.

`NativeFunction.call` is the portable way in: ctypes, any Python, any layout. The fast way is `dispatch.py`.
"""

from __future__ import annotations

import ctypes
import os
import sys
import weakref
from collections.abc import Callable, Iterable, Sequence
from ctypes import Structure, addressof, c_int32, c_int64, c_void_p
from functools import partial
from itertools import chain
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from numpy.typing import NDArray

from tracejit import config
from tracejit.codegen import text as loop_text
from tracejit.codegen.llvm.baseline import baseline_module, baseline_options, may_have_baseline
from tracejit.codegen.llvm.entry import INTERRUPTED, NO_MEMORY, TOO_LONG
from tracejit.codegen.llvm.options import LlvmOptions
from tracejit.codegen.llvm.printer import (
    LlvmText,
    Module,
    ModulePrinter,
    gains_by_passes,
    print_modules,
    print_program,
    products_of,
)
from tracejit.codegen.loop_ir import ErrorSite, InputSpec, Kernel, OutputSpec, Program, ReportSite
from tracejit.codegen.numeric import numpy_dtype
from tracejit.codegen.support.lapack import lapack_module
from tracejit.codegen.support.native import Platform, gemm_module, ordering_modules, support_text
from tracejit.ir.core import Graph
from tracejit.ir.types import ScalarType, TensorType
from tracejit.locks import cached_property
from tracejit.messages import filled
from tracejit.ops.effects import REPORTED
from tracejit.runtime import cache as disk
from tracejit.runtime.dispatch_tables import NativeContext
from tracejit.runtime.emission import Work
from tracejit.runtime.engine import (
    LARGE_BYTES,
    assemble,
    drop_unused,
    engine,
    link_support,
    memory_free_address,
    memory_fresh_blocks,
    memory_trim,
)
from tracejit.runtime.failure import no_memory, payload_scalar, payload_values
from tracejit.runtime.images import prepared
from tracejit.runtime.interrupts import interruption, poll_hook
from tracejit.runtime.machines import host_machines, host_options, identity, target_machine

__all__ = [
    "LARGE_BYTES",
    "NativeFailure",
    "NativeFunction",
    "compile_program",
    "emit_object",
    "link_support",
    "memory_free_address",
    "memory_fresh_blocks",
    "memory_trim",
]

Array = NDArray[Any]


class TensorRecord(Structure):
    """`tj_tensor`."""

    _fields_ = [("data", c_void_p), ("ndim", c_int64), ("shape", c_void_p), ("strides", c_void_p), ("dtype", c_int32)]


PRINT_HOOK = ctypes.CFUNCTYPE(None, c_void_p, c_int64, c_void_p)


class NativeFailure(Exception):
    """A program left through a `Fail`: its site, and the payload as Python numbers."""

    def __init__(self, site: ErrorSite, payload: list[bool | int | float]) -> None:
        super().__init__(filled(site.message, payload))
        self.site = site
        self.payload = payload

    def __str__(self) -> str:
        return filled(self.site.message, self.payload)


class TooLong(Exception):
    """A call of baseline code was given up: it takes longer than better code would."""


class NativeFunction:
    """A compiled program. `address` is its entry; the code lives as long as this object."""

    def __init__(
        self,
        program: Program,
        options: LlvmOptions,
        objects: Sequence[bytes],
        whole: Callable[[], Program] | None = None,
    ) -> None:
        self.program = program  #: its interface at least
        self.options = options
        self._whole = whole
        self.size = sum(map(len, objects))  #: bytes of its object code
        self._library = engine().link(objects, (options.entry_name,))
        self.address: int = self._library[options.entry_name]
        self._entry = ctypes.CFUNCTYPE(c_int32, c_void_p, c_void_p, c_void_p)(self.address)

    @cached_property
    def text(self) -> LlvmText:
        """The program as LLVM IR, before passes."""
        return print_program(self.program if self._whole is None else self._whole(), self.options)

    @property
    def llvm(self) -> str:
        """The program as LLVM IR, before passes."""
        return str(self.text)

    @cached_property
    def asm(self) -> str:
        """The program as assembly."""
        return engine().assembly(self.options, (self.text.entry, *self.text.kernels))

    def call(self, inputs: Sequence[Any]) -> list[Any]:
        """Run on arrays and numbers; gives arrays, and NumPy scalars for host scalars.

        Raises `NativeFailure` where the program does, MemoryError, and `TooLong` (baseline code only).
        """
        specs = self.program.inputs
        waits = self.options.budget > 0  #: nothing that the caller sees is done before the call has succeeded
        prepared = [_Prepared(x, spec, apart=waits) for x, spec in zip(inputs, specs, strict=True)]
        records = (TensorRecord * max(len(prepared), 1))(*(p.record for p in prepared))
        wanted = [_Wanted(spec) for spec in self.program.outputs]
        outputs = (TensorRecord * max(len(wanted), 1))(*(w.record for w in wanted))
        context = NativeContext(poll_hook=poll_hook(), budget=self.options.budget)
        said: list[Callable[[], object]] = []
        hook = (
            PRINT_HOOK(lambda _, site, payload: said.append(self._said(site, payload))) if waits else self.print_hook()
        )
        context.print_hook = ctypes.cast(hook, c_void_p).value
        status = self._entry(addressof(records), addressof(outputs), addressof(context))
        if status == TOO_LONG:
            raise TooLong
        for say in said:
            say()
        for p in prepared:
            p.write_back()
        if status == NO_MEMORY:
            raise no_memory()
        if status == INTERRUPTED:
            raise interruption(addressof(context))
        if status:
            site = self.program.errors[status - 1]
            raise NativeFailure(site, payload_values(list(context.payload), site.payload))
        return [w.result(record) for w, record in zip(wanted, outputs, strict=False)]

    def print_hook(self) -> Any:
        """A C function for the context's print hook; it lives as long as the object given."""
        return PRINT_HOOK(self._print)

    def _print(self, context: int, site: int, payload: int) -> None:
        self._said(site, payload)()

    def _said(self, site: int, payload: int) -> Callable[[], object]:
        """What prints the values of a site, or notes them."""
        row = self.program.prints[site]
        if isinstance(row, ReportSite):
            return partial(REPORTED.note, row.plan, _values_at(payload, row.types), more=row.more)
        words = (c_int64 * len(row.payload)).from_address(payload)
        text = filled(row.template, payload_values(list(words), row.payload))
        return lambda: sys.stdout.write(text)


def _values_at(words: int, types: Sequence[ScalarType | TensorType]) -> list[Any]:
    """Numbers that stand at an address, and copies of the arrays whose buffers and dims stand there."""
    made: list[Any] = []
    for type in types:
        if isinstance(type, ScalarType):
            made.append(payload_scalar(c_int64.from_address(words).value, type.dtype))
            words += 8
            continue
        address, *dims = (c_int64 * (1 + type.rank)).from_address(words)
        words += 8 * (1 + type.rank)
        array = np.empty(tuple(dims), numpy_dtype(type.dtype))
        ctypes.memmove(array.ctypes.data, address, array.nbytes)
        made.append(array)
    return made


class _Prepared:
    """An input as its record; what it points to is kept here. `apart`: an array that is written is a copy."""

    def __init__(self, x: Any, spec: InputSpec, *, apart: bool = False) -> None:
        dtype = numpy_dtype(spec.type.dtype)
        given = np.asarray(x, dtype) if isinstance(spec.type, ScalarType) or not isinstance(x, np.ndarray) else x
        if given.dtype.newbyteorder("=") != dtype or given.ndim != spec.type.rank:
            raise TypeError(f"{spec.name}: expected {spec.type}, got an array of {given.dtype} with {given.ndim} axes")
        fits = all(s % given.itemsize == 0 for s in given.strides)
        if spec.order != "any":
            fits = given.flags.c_contiguous if spec.order == "C" else given.flags.f_contiguous
        own = fits and given.flags.aligned and given.dtype.isnative and not (apart and spec.inout)
        self.array: Array = given if own else given.astype(dtype, order="F" if spec.order == "F" else "C")
        self.given: Array | None = given if self.array is not given and spec.inout else None
        self.shape = (c_int64 * max(given.ndim, 1))(*given.shape)
        self.strides = (c_int64 * max(given.ndim, 1))(*(s // given.itemsize for s in self.array.strides))
        self.record = TensorRecord(
            self.array.ctypes.data, given.ndim, addressof(self.shape), addressof(self.strides), 0
        )

    def write_back(self) -> None:
        """Copy what the program changed to where the caller sees it."""
        if self.given is not None:
            self.given[...] = self.array


class _Wanted:
    """An output's record before the call and its value after it."""

    def __init__(self, spec: OutputSpec) -> None:
        self.spec = spec
        self.dtype = numpy_dtype(spec.type.dtype)
        self.scalar: Array | None = np.zeros((), self.dtype) if isinstance(spec.type, ScalarType) else None
        self.shape = (c_int64 * max(spec.type.rank, 1))()
        data = None if self.scalar is None else self.scalar.ctypes.data
        self.record = TensorRecord(data, spec.type.rank, addressof(self.shape), None, 0)

    def result(self, record: TensorRecord) -> Any:
        """The value: memory made by the program belongs to the array and is freed with it."""
        if self.scalar is not None:
            return self.scalar[()]
        shape = tuple(self.shape[: self.spec.type.rank])
        size = int(np.prod(shape, dtype=np.int64)) * self.dtype.itemsize
        free = ctypes.CFUNCTYPE(None, c_void_p)(memory_free_address())
        if size == 0:
            free(record.data)
            return np.empty(shape, self.dtype)
        memory = (ctypes.c_char * size).from_address(record.data)
        weakref.finalize(memory, free, record.data)
        return np.frombuffer(memoryview(memory), self.dtype).reshape(shape)


class Begun:
    """A program that is still being lowered: its kernels are compiled as they are made."""

    def __init__(self, graph: Graph) -> None:
        self.printer = ModulePrinter(graph.name, bool(graph.policy.get("fastmath", False)), host_options())
        self.work = Work()
        self._process = os.getpid()

    @property
    def is_here(self) -> bool:
        """Whether this process began it."""
        return self._process == os.getpid()

    def kernel(self, kernel: Kernel) -> None:
        """One more kernel is made."""
        self._compile(self.printer.kernel(kernel))

    def all_came(self) -> None:
        """No more kernels are made: those that wait for others to be compiled with wait no longer."""
        self._compile(self.printer.last_kernels())

    def _compile(self, modules: Iterable[Module]) -> None:
        for module in modules:
            self.work.ahead(module, host_machines())


def compile_program(
    program: Program,
    *,
    options: LlvmOptions | None = None,
    key: str | None = None,
    keep: bool = True,
    whole: Callable[[], Program] | None = None,
    begun: Callable[[], Begun | None] = lambda: None,
) -> NativeFunction:
    """Compile a program for this machine, or (`keep`) take it from the disk cache.

    `key` stands for the program's content where the caller has a digest of it; else its text is taken. Of `program` no
    more than the interface is needed where `whole` gives all of it. What that has `begun` with is not done again.
    """
    options = options or host_options()
    entry = _entry(loop_text.print_program(program) if key is None else key, program, options)
    data = disk.load(entry) if keep else None
    title = f"@{program.name}"
    config.log("cache", f"{title} {'is not kept' if not keep else 'missed' if data is None else 'found'}: {entry}")
    if data is None:
        code = program if whole is None else whole()
        objects = _compiled(code, options, begun())
        if keep:
            disk.store(entry, disk.packed(objects))
    else:
        objects = disk.unpacked(data)
    made = NativeFunction(program, options, objects, whole)
    config.log("llvm", f"{title} as LLVM IR", lambda: made.llvm)
    config.log("asm", f"{title} as assembly", lambda: made.asm)
    return made


def _compiled(code: Program, options: LlvmOptions, begun: Begun | None) -> list[bytes]:
    """The object code of a program."""
    printer, work = (None, Work()) if begun is None else (begun.printer, begun.work)
    modules = print_modules(code, options, printer)
    try:
        first = next(modules)  # printed while another thread may still be making the engine
        return _objects(code, options, chain((first,), modules), work)
    except BaseException:
        work.stop()
        raise


def _objects(code: Program, options: LlvmOptions, modules: Iterable[Module], work: Work) -> list[bytes]:
    """The object code of a program's modules; `work` was begun with the first of them."""
    if not (code.kernels or products_of(code)) and options == host_options():
        return [engine().alone(module) for module in modules]
    return prepared(engine().objects(options, modules, loops=gains_by_passes(code), work=work))


def compile_baseline(
    program: Program, *, key: str, keep: bool = True, whole: Callable[[], Program]
) -> NativeFunction | None:
    """The baseline code of a program, from the disk cache or made quickly; None where it has none, and where better
    code lies in the disk cache. Arguments as of `compile_program`."""
    if keep and disk.has(_entry(key, program, host_options())):
        return None
    options = baseline_options(host_options())
    entry = _entry(key, program, options)
    data = disk.load(entry) if keep else None
    if data is None:
        code = whole()
        module = baseline_module(code, host_options()) if may_have_baseline(code) else None
        if module is None:
            return None
        objects = [engine().alone(module)]
        if keep and config.get("num_threads") == 1:  # else another thread makes better code
            disk.store(entry, disk.packed(objects))
    else:
        objects = disk.unpacked(data)
    return NativeFunction(program, options, objects, whole)


def _entry(content: str, program: Program, options: LlvmOptions) -> str:
    """The key of a program's object code in the disk cache."""
    return disk.digest("objects", content, str(program.fastmath), repr(options), disk.stamp("codegen/"), *identity())


def emit_object(
    program: Program,
    *,
    cpu: str,
    features: str = "",
    export_name: str,
    options: LlvmOptions | None = None,
    triple: str | None = None,
) -> bytes:
    """A position-independent object with one visible function, its support inside, that needs libc and libm only."""
    options = options or LlvmOptions.for_cpu(cpu, _feature_flags(features), export_name)
    machine = target_machine(options, triple)
    platform = Platform.of_triple(triple or llvm.get_default_triple())
    with engine().lock:
        text = print_program(program, options)
        module = _whole(text, machine)
        needs_gemm = "@tj_gemm_" in str(text)
        support = [support_text(platform), *([gemm_module(options)] if needs_gemm else [])]
        support += [lapack_module()] if "@tj_lapack_" in str(text) else []
        support += ordering_modules(str(text), options)
        module.link_in(assemble(support, machine, optimised=True))
        for item in (*module.functions, *module.global_variables):
            if not item.is_declaration and item.name != export_name:
                item.linkage = "internal"
        drop_unused(module, machine)
        return bytes(machine.emit_object(module))


def _feature_flags(features: str) -> dict[str, bool]:
    return {name[1:]: name[0] == "+" for name in features.split(",") if name}


def _whole(text: LlvmText, machine: Any) -> Any:
    """The program as one module."""
    texts = [text.entry.text, *(module.text for module in text.kernels)]
    return assemble(texts, machine, optimised=text.entry.effort == "full", vectorise=True)
