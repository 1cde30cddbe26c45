// `const call = await load()` reads the module beside this file; `load(bytes)` takes one that was read elsewhere.
// call(...inputs) gives the result, or an array of several. An array is a typed array, or { data, shape } with a typed
// array in C order; results are { data, shape }. Numbers are numbers, 64-bit integers may be BigInts, booleans true and
// false. An array that the function changes is changed. Errors of the program are thrown with their message.
// FACTS
export default async function load(source) {
  let memory;
  const bytes = () => new Uint8Array(memory.buffer);
  const text = (pointer) => {
    const all = bytes(), at = address(pointer);
    return new TextDecoder().decode(all.slice(at, all.indexOf(0, at)));
  };
  const shown = [];
  const host = {
    ...Object.fromEntries(Object.entries(mathematics).flatMap(([name, f]) => [[name, f], [name + "f", f]])),
    tj_print(at) {
      const lines = (shown.join("") + text(at)).split("\n");
      shown.splice(0, shown.length, lines.pop());
      for (const line of lines) console.log(line);
    },
    tj_real(pointer, room, number, conversion, precision) {
      const place = address(pointer);
      const written = real(number, String.fromCharCode(conversion), precision);
      const made = new TextEncoder().encode(written).slice(0, room - 1);
      bytes().set(made, place);
      bytes()[place + made.length] = 0;
      return made.length;
    },
  };
  const { instance } = await WebAssembly.instantiate(await content(source), { env: host });
  const module = instance.exports;
  memory = module.memory;
  return (...inputs) => {
    if (inputs.length !== INPUTS.length) throw new TypeError(`${NAME} takes ${INPUTS.length} arguments`);
    return run(module, inputs, text);
  };
}

// WebAssembly hands out addresses as signed numbers.
function address(pointer) {
  return pointer >>> 0;
}

// Functions of a C library, where JavaScript's are others: `pow` of nan and infinities.
const mathematics = {
  fmod: (x, y) => x % y,
  pow: (x, y) => (x === 1 || (x === -1 && Math.abs(y) === Infinity) ? 1 : x ** y),
  sin: Math.sin,
  cos: Math.cos,
  tan: Math.tan,
};

async function content(source) {
  if (source !== undefined && !(source instanceof URL) && typeof source !== "string") return source;
  const place = source ?? new URL(FILE, import.meta.url);
  if (place instanceof URL && place.protocol === "file:") {
    return (await import("node:fs/promises")).readFile(place);
  }
  return (await fetch(place)).arrayBuffer();
}

function run(module, inputs, text) {
  const blocks = [];
  const take = (size) => {
    const block = address(module.malloc(BigInt(Math.max(size, 8))));
    if (block === 0) throw new Error("out of memory");
    blocks.push(block);
    return block;
  };
  const view = () => new DataView(module.memory.buffer);
  try {
    const given = take(RECORD * INPUTS.length), taken = take(RECORD * OUTPUTS.length);
    new Uint8Array(module.memory.buffer, taken, RECORD * OUTPUTS.length).fill(0);
    const placed = INPUTS.map((slot, i) => place(slot, inputs[i], given + RECORD * i, take, module));
    const status = module[NAME](given, taken, 0);
    if (status !== 0) throw new Error(text(module[`${NAME}_message`]()));
    INPUTS.forEach((slot, i) => {
      if (slot.inout) placed[i].data.set(elements(module, slot.code, placed[i].at, placed[i].data.length));
    });
    const results = OUTPUTS.map((slot, i) => {
      const record = taken + RECORD * i, at = view().getUint32(record + FIELDS.data, true);
      const ndim = Number(view().getBigInt64(record + FIELDS.ndim, true));
      const sizes = view().getUint32(record + FIELDS.shape, true);
      const shape = Array.from({ length: ndim }, (_, axis) => Number(view().getBigInt64(sizes + 8 * axis, true)));
      const code = view().getInt32(record + FIELDS.dtype, true);
      const count = shape.reduce((a, b) => a * b, DTYPES[code][1]);
      const data = elements(module, code, at, count).slice();
      module[`${NAME}_free`](at);
      return slot.scalar ? number(data, code) : { data, shape };
    });
    return results.length === 1 ? results[0] : results;
  } finally {
    for (const block of blocks) module.free(block);
  }
}

function elements(module, code, at, count) {
  return new globalThis[DTYPES[code][0]](module.memory.buffer, at, count);
}

function place(slot, value, record, take, module) {
  const [kind, parts, dtype] = DTYPES[slot.code];
  let data, shape;
  if (slot.scalar) {
    data = globalThis[kind].from(dtype === "i64" || dtype === "u64" ? [BigInt(value)] : [].concat(value).map(Number));
    shape = [];
  } else {
    data = ArrayBuffer.isView(value) ? value : value.data;
    shape = ArrayBuffer.isView(value) ? [value.length / parts] : value.shape;
    if (!(data instanceof globalThis[kind])) throw new TypeError(`${slot.name} must be a ${kind}`);
    if (shape.reduce((a, b) => a * b, parts) !== data.length) {
      throw new TypeError(`${slot.name} has ${data.length} elements, which are not those of shape [${shape}]`);
    }
  }
  const at = take(data.byteLength), sizes = take(8 * shape.length);
  const source = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  new Uint8Array(module.memory.buffer, at, data.byteLength).set(source);
  const view = new DataView(module.memory.buffer);
  shape.forEach((size, axis) => view.setBigInt64(sizes + 8 * axis, BigInt(size), true));
  new Uint8Array(module.memory.buffer, record, RECORD).fill(0);
  view.setUint32(record + FIELDS.data, at, true);
  view.setBigInt64(record + FIELDS.ndim, BigInt(shape.length), true);
  view.setUint32(record + FIELDS.shape, sizes, true);
  return { at, data };
}

function number(data, code) {
  const dtype = DTYPES[code][2];
  if (dtype === "bool") return data[0] !== 0;
  if (typeof data[0] === "bigint") {
    const near = Number(data[0]);
    return Number.isSafeInteger(near) ? near : data[0];
  }
  return DTYPES[code][1] === 1 ? data[0] : Array.from(data);
}

// A float as C's printf writes its size, or ("r") as Python's repr.
function real(x, conversion, precision) {
  const exponent = (text) => text.replace(/e([+-])(\d)$/, "e$10$2");
  if (!Number.isFinite(x)) return Number.isNaN(x) ? "nan" : x < 0 ? "-inf" : "inf";
  if (conversion === "r") {
    const negative = x < 0 || Object.is(x, -0), size = Math.abs(x);
    let made = size !== 0 && (size < 1e-4 || size >= 1e16) ? exponent(size.toExponential()) : decimal(size);
    return (negative ? "-" : "") + made;
  }
  const places = precision < 0 ? 6 : precision;
  let made;
  switch (conversion.toLowerCase()) {
    case "f": {
      const zeros = places ? "." + "0".repeat(places) : "";
      made = x < 1e21 ? rounded(x, "toFixed", places) : BigInt(x).toString() + zeros;
      break;
    }
    case "e": made = exponent(rounded(x, "toExponential", places)); break;
    default: {
      const digits = Math.max(places, 1), power = x === 0 ? 0 : Number(x.toExponential(digits - 1).split("e")[1]);
      made = power < -4 || power >= digits
        ? exponent(rounded(x, "toExponential", digits - 1))
        : rounded(x, "toFixed", digits - 1 - power);
      if (made.includes(".")) made = made.replace(/\.?0+(?=$|e)/, "");
    }
  }
  return conversion === conversion.toUpperCase() ? made.toUpperCase() : made;
}

// What toFixed or toExponential gives, but the even one of two that are equally near, as in C.
function rounded(x, form, places) {
  const all = x[form](100), cut = all.indexOf(".") + 1 + places;
  const below = all.slice(0, places ? cut : cut - 1), rest = all.slice(cut);
  const isTie = /^50*(e|$)/.test(rest);
  return isTie && "02468".includes(below.at(-1)) ? below + rest.replace(/^\d+/, "") : x[form](places);
}

function decimal(size) {
  const made = size.toString();
  return made.includes(".") ? made : made + ".0";
}
