/** An ONNX model of one MatMul, y = x w, written by hand: the format is Protocol Buffers, of which this needs three kinds of fields. */

function varint(n: number): Uint8Array {
  const bytes: number[] = [];
  for (; n > 127; n = Math.floor(n / 128)) bytes.push((n % 128) | 128);
  return Uint8Array.from([...bytes, n]);
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((n, part) => n + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

function number(field: number, value: number): Uint8Array {
  return joined(varint(field * 8), varint(value));
}

function bytes(field: number, value: Uint8Array | string): Uint8Array {
  const data = typeof value === 'string' ? new TextEncoder().encode(value) : value;
  return joined(varint(field * 8 + 2), varint(data.length), data);
}

/** w [inner, outer] is a constant of the model, so that the runtime may pack it as it likes. x [tokens, inner], y [tokens, outer]. */
export function matMulModel(tokens: number, inner: number, outer: number, w: Float32Array): Uint8Array {
  const tensor = (name: string, dims: readonly number[]): Uint8Array =>
    joined(bytes(1, name), bytes(2, bytes(1, joined(number(1, 1), bytes(2, joined(...dims.map((n) => bytes(1, number(1, n)))))))));
  const node = joined(bytes(1, 'x'), bytes(1, 'w'), bytes(2, 'y'), bytes(4, 'MatMul'));
  const raw = new Uint8Array(w.buffer, w.byteOffset, w.byteLength);
  const constant = joined(number(1, inner), number(1, outer), number(2, 1), bytes(8, 'w'), bytes(9, raw));
  const graph = joined(
    bytes(1, node),
    bytes(2, 'g'),
    bytes(5, constant),
    bytes(11, tensor('x', [tokens, inner])),
    bytes(12, tensor('y', [tokens, outer])),
  );
  return joined(number(1, 8), bytes(7, graph), bytes(8, joined(bytes(1, ''), number(2, 13))));
}
