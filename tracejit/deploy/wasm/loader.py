"""The JavaScript beside a WebAssembly module: a function of typed arrays and numbers."""

from __future__ import annotations

import json
from pathlib import Path

from tracejit.deploy.abi import DTYPE_CODES, Interface
from tracejit.runtime.dispatch_tables import NativeTensor, offset_of, size_of

#: The typed array of each dtype, and how many of its elements make one of the dtype.
_ARRAYS = {
    "bool": ("Uint8Array", 1), "i8": ("Int8Array", 1), "i16": ("Int16Array", 1), "i32": ("Int32Array", 1),
    "i64": ("BigInt64Array", 1), "u8": ("Uint8Array", 1), "u16": ("Uint16Array", 1), "u32": ("Uint32Array", 1),
    "u64": ("BigUint64Array", 1), "f16": ("Uint16Array", 1), "bf16": ("Uint16Array", 1), "f32": ("Float32Array", 1),
    "f64": ("Float64Array", 1), "c64": ("Float32Array", 2), "c128": ("Float64Array", 2),
}  # fmt: skip


def loader_text(interface: Interface, module: str) -> str:
    """The module `model.mjs` for `model.wasm`."""
    dtypes = {code: [*_ARRAYS[dtype.name], dtype.name] for dtype, code in DTYPE_CODES.items()}
    slots = [
        {"name": s.name, "code": DTYPE_CODES[s.dtype], "scalar": s.is_scalar, "inout": s.inout}
        for s in interface.inputs
    ]
    outputs = [{"name": s.name, "scalar": s.is_scalar} for s in interface.outputs]
    fields = {name: offset_of(NativeTensor, name) for name, *_ in NativeTensor._fields_}
    facts = {
        "NAME": interface.name,
        "FILE": module,
        "INPUTS": slots,
        "OUTPUTS": outputs,
        "DTYPES": dtypes,
        "FIELDS": fields,
        "RECORD": size_of(NativeTensor),
    }
    constants = "".join(f"const {name} = {json.dumps(value)};\n" for name, value in facts.items())
    text = Path(__file__).with_suffix(".mjs").read_text()
    return f"// {interface.signature}\n\n{text.replace('// FACTS', constants)}"
