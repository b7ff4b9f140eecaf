// The loops over a bucket of quads (layout: quad.ts): rows that keep the same one to four inputs of a group.
//
//   rows   the block's, in y or dy          a, b, c, d   the inputs that the listed ones keep, in x or dx
//   v      their values                     i to last    where the index lists them
//
// Each returns where the next bucket's values are. They are inlined by asc: where V8 chooses, unstructured masks are 5 to 9 % slower.
import { FEATURE_SHIFT, LOADS_FIRST, WIDE_LANES, madd, splatAt } from './lanes';

/** Bytes of a feature that three or four inputs go over at a time: a whole tile only fits the 16 vector registers where V8 pairs them. */
export const SPAN: usize = WIDE_LANES ? 64 : 32;

/** How far the row listed at i is from the block's first, in bytes of features: forward, where they are spread (`listed` in quad.ts). */
@inline
function spreadAt(i: usize): usize {
  return <usize>load<u16>(i);
}

/** The same backward, from the index itself. */
@inline
function rowAt(i: usize): usize {
  return <usize>load<u8>(i) << FEATURE_SHIFT;
}

@inline
export function forward1(rows: usize, a: usize, v: usize, i: usize, last: usize): usize {
  const a0 = v128.load(a), a1 = v128.load(a, 16), a2 = v128.load(a, 32), a3 = v128.load(a, 48);
  do {
    const p = rows + spreadAt(i);
    const w = splatAt(v);
    if (LOADS_FIRST) {
      const y0 = v128.load(p), y1 = v128.load(p, 16), y2 = v128.load(p, 32), y3 = v128.load(p, 48);
      v128.store(p, madd(w, a1, y1), 16);
      v128.store(p, madd(w, a0, y0));
      v128.store(p, madd(w, a3, y3), 48);
      v128.store(p, madd(w, a2, y2), 32);
    } else {
      v128.store(p, madd(w, a0, v128.load(p)));
      v128.store(p, madd(w, a1, v128.load(p, 16)), 16);
      v128.store(p, madd(w, a2, v128.load(p, 32)), 32);
      v128.store(p, madd(w, a3, v128.load(p, 48)), 48);
    }
    v += 4;
    i += 2;
  } while (i < last);
  return v;
}

@inline
export function forward2(rows: usize, a: usize, b: usize, v: usize, i: usize, last: usize): usize {
  const a0 = v128.load(a), a1 = v128.load(a, 16), a2 = v128.load(a, 32), a3 = v128.load(a, 48);
  const b0 = v128.load(b), b1 = v128.load(b, 16), b2 = v128.load(b, 32), b3 = v128.load(b, 48);
  do {
    const p = rows + spreadAt(i);
    const w = splatAt(v), u = v128.load32_splat(v, 4);
    if (LOADS_FIRST) {
      const y0 = v128.load(p), y1 = v128.load(p, 16), y2 = v128.load(p, 32), y3 = v128.load(p, 48);
      v128.store(p, madd(u, b1, madd(w, a1, y1)), 16);
      v128.store(p, madd(u, b0, madd(w, a0, y0)));
      v128.store(p, madd(u, b3, madd(w, a3, y3)), 48);
      v128.store(p, madd(u, b2, madd(w, a2, y2)), 32);
    } else {
      v128.store(p, madd(u, b0, madd(w, a0, v128.load(p))));
      v128.store(p, madd(u, b1, madd(w, a1, v128.load(p, 16))), 16);
      v128.store(p, madd(u, b2, madd(w, a2, v128.load(p, 32))), 32);
      v128.store(p, madd(u, b3, madd(w, a3, v128.load(p, 48))), 48);
    }
    v += 8;
    i += 2;
  } while (i < last);
  return v;
}

@inline
export function forward3(rows: usize, a: usize, b: usize, c: usize, v: usize, i: usize, last: usize): usize {
  const a0 = v128.load(a), a1 = v128.load(a, 16), a2 = WIDE_LANES ? v128.load(a, 32) : a0, a3 = WIDE_LANES ? v128.load(a, 48) : a0;
  const b0 = v128.load(b), b1 = v128.load(b, 16), b2 = WIDE_LANES ? v128.load(b, 32) : b0, b3 = WIDE_LANES ? v128.load(b, 48) : b0;
  const c0 = v128.load(c), c1 = v128.load(c, 16), c2 = WIDE_LANES ? v128.load(c, 32) : c0, c3 = WIDE_LANES ? v128.load(c, 48) : c0;
  for (; i < last; i += 2, v += 12) {
    const p = rows + spreadAt(i);
    const w = splatAt(v), u = v128.load32_splat(v, 4), s = v128.load32_splat(v, 8);
    if (WIDE_LANES) {
      const y0 = v128.load(p), y1 = v128.load(p, 16), y2 = v128.load(p, 32), y3 = v128.load(p, 48);
      v128.store(p, madd(s, c1, madd(u, b1, madd(w, a1, y1))), 16);
      v128.store(p, madd(s, c0, madd(u, b0, madd(w, a0, y0))));
      v128.store(p, madd(s, c3, madd(u, b3, madd(w, a3, y3))), 48);
      v128.store(p, madd(s, c2, madd(u, b2, madd(w, a2, y2))), 32);
    } else {
      v128.store(p, madd(s, c0, madd(u, b0, madd(w, a0, v128.load(p)))));
      v128.store(p, madd(s, c1, madd(u, b1, madd(w, a1, v128.load(p, 16)))), 16);
    }
  }
  return v;
}

@inline
export function forward4(rows: usize, a: usize, b: usize, c: usize, d: usize, v: usize, i: usize, last: usize): usize {
  const a0 = v128.load(a), a1 = v128.load(a, 16), a2 = WIDE_LANES ? v128.load(a, 32) : a0, a3 = WIDE_LANES ? v128.load(a, 48) : a0;
  const b0 = v128.load(b), b1 = v128.load(b, 16), b2 = WIDE_LANES ? v128.load(b, 32) : b0, b3 = WIDE_LANES ? v128.load(b, 48) : b0;
  const c0 = v128.load(c), c1 = v128.load(c, 16), c2 = WIDE_LANES ? v128.load(c, 32) : c0, c3 = WIDE_LANES ? v128.load(c, 48) : c0;
  const d0 = v128.load(d), d1 = v128.load(d, 16), d2 = WIDE_LANES ? v128.load(d, 32) : d0, d3 = WIDE_LANES ? v128.load(d, 48) : d0;
  for (; i < last; i += 2, v += 16) {
    const p = rows + spreadAt(i);
    const w = splatAt(v), u = v128.load32_splat(v, 4), s = v128.load32_splat(v, 8), q = v128.load32_splat(v, 12);
    if (WIDE_LANES) {
      const y0 = v128.load(p), y1 = v128.load(p, 16), y2 = v128.load(p, 32), y3 = v128.load(p, 48);
      v128.store(p, madd(q, d1, madd(s, c1, madd(u, b1, madd(w, a1, y1)))), 16);
      v128.store(p, madd(q, d0, madd(s, c0, madd(u, b0, madd(w, a0, y0)))));
      v128.store(p, madd(q, d3, madd(s, c3, madd(u, b3, madd(w, a3, y3)))), 48);
      v128.store(p, madd(q, d2, madd(s, c2, madd(u, b2, madd(w, a2, y2)))), 32);
    } else {
      v128.store(p, madd(q, d0, madd(s, c0, madd(u, b0, madd(w, a0, v128.load(p))))));
      v128.store(p, madd(q, d1, madd(s, c1, madd(u, b1, madd(w, a1, v128.load(p, 16))))), 16);
    }
  }
  return v;
}

@inline
export function backward1(rows: usize, a: usize, v: usize, i: usize, last: usize): usize {
  let a0 = v128.load(a), a1 = v128.load(a, 16), a2 = v128.load(a, 32), a3 = v128.load(a, 48);
  do {
    const p = rows + rowAt(i);
    const w = splatAt(v);
    a0 = madd(w, v128.load(p), a0);
    a1 = madd(w, v128.load(p, 16), a1);
    a2 = madd(w, v128.load(p, 32), a2);
    a3 = madd(w, v128.load(p, 48), a3);
    v += 4;
    i++;
  } while (i < last);
  v128.store(a, a1, 16);
  v128.store(a, a0);
  v128.store(a, a3, 48);
  v128.store(a, a2, 32);
  return v;
}

@inline
export function backward2(rows: usize, a: usize, b: usize, v: usize, i: usize, last: usize): usize {
  let a0 = v128.load(a), a1 = v128.load(a, 16), a2 = v128.load(a, 32), a3 = v128.load(a, 48);
  let b0 = v128.load(b), b1 = v128.load(b, 16), b2 = v128.load(b, 32), b3 = v128.load(b, 48);
  do {
    const p = rows + rowAt(i);
    const w = splatAt(v), u = v128.load32_splat(v, 4);
    const p0 = v128.load(p), p1 = v128.load(p, 16), p2 = v128.load(p, 32), p3 = v128.load(p, 48);
    a0 = madd(w, p0, a0);
    b0 = madd(u, p0, b0);
    a1 = madd(w, p1, a1);
    b1 = madd(u, p1, b1);
    a2 = madd(w, p2, a2);
    b2 = madd(u, p2, b2);
    a3 = madd(w, p3, a3);
    b3 = madd(u, p3, b3);
    v += 8;
    i++;
  } while (i < last);
  v128.store(a, a1, 16);
  v128.store(a, a0);
  v128.store(a, a3, 48);
  v128.store(a, a2, 32);
  v128.store(b, b1, 16);
  v128.store(b, b0);
  v128.store(b, b3, 48);
  v128.store(b, b2, 32);
  return v;
}

@inline
export function backward3(rows: usize, a: usize, b: usize, c: usize, v: usize, i: usize, last: usize): usize {
  let a0 = v128.load(a), a1 = v128.load(a, 16), a2 = WIDE_LANES ? v128.load(a, 32) : a0, a3 = WIDE_LANES ? v128.load(a, 48) : a0;
  let b0 = v128.load(b), b1 = v128.load(b, 16), b2 = WIDE_LANES ? v128.load(b, 32) : b0, b3 = WIDE_LANES ? v128.load(b, 48) : b0;
  let c0 = v128.load(c), c1 = v128.load(c, 16), c2 = WIDE_LANES ? v128.load(c, 32) : c0, c3 = WIDE_LANES ? v128.load(c, 48) : c0;
  for (; i < last; i++, v += 12) {
    const p = rows + rowAt(i);
    const w = splatAt(v), u = v128.load32_splat(v, 4), s = v128.load32_splat(v, 8);
    const p0 = v128.load(p), p1 = v128.load(p, 16);
    a0 = madd(w, p0, a0);
    a1 = madd(w, p1, a1);
    b0 = madd(u, p0, b0);
    b1 = madd(u, p1, b1);
    c0 = madd(s, p0, c0);
    c1 = madd(s, p1, c1);
    if (WIDE_LANES) {
      const p2 = v128.load(p, 32), p3 = v128.load(p, 48);
      a2 = madd(w, p2, a2);
      a3 = madd(w, p3, a3);
      b2 = madd(u, p2, b2);
      b3 = madd(u, p3, b3);
      c2 = madd(s, p2, c2);
      c3 = madd(s, p3, c3);
    }
  }
  v128.store(a, a1, 16);
  v128.store(a, a0);
  v128.store(b, b1, 16);
  v128.store(b, b0);
  v128.store(c, c1, 16);
  v128.store(c, c0);
  if (WIDE_LANES) {
    v128.store(a, a3, 48);
    v128.store(a, a2, 32);
    v128.store(b, b3, 48);
    v128.store(b, b2, 32);
    v128.store(c, c3, 48);
    v128.store(c, c2, 32);
  }
  return v;
}

@inline
export function backward4(rows: usize, a: usize, b: usize, c: usize, d: usize, v: usize, i: usize, last: usize): usize {
  let a0 = v128.load(a), a1 = v128.load(a, 16), a2 = WIDE_LANES ? v128.load(a, 32) : a0, a3 = WIDE_LANES ? v128.load(a, 48) : a0;
  let b0 = v128.load(b), b1 = v128.load(b, 16), b2 = WIDE_LANES ? v128.load(b, 32) : b0, b3 = WIDE_LANES ? v128.load(b, 48) : b0;
  let c0 = v128.load(c), c1 = v128.load(c, 16), c2 = WIDE_LANES ? v128.load(c, 32) : c0, c3 = WIDE_LANES ? v128.load(c, 48) : c0;
  let d0 = v128.load(d), d1 = v128.load(d, 16), d2 = WIDE_LANES ? v128.load(d, 32) : d0, d3 = WIDE_LANES ? v128.load(d, 48) : d0;
  for (; i < last; i++, v += 16) {
    const p = rows + rowAt(i);
    const w = splatAt(v), u = v128.load32_splat(v, 4), s = v128.load32_splat(v, 8), q = v128.load32_splat(v, 12);
    const p0 = v128.load(p), p1 = v128.load(p, 16);
    a0 = madd(w, p0, a0);
    a1 = madd(w, p1, a1);
    b0 = madd(u, p0, b0);
    b1 = madd(u, p1, b1);
    c0 = madd(s, p0, c0);
    c1 = madd(s, p1, c1);
    d0 = madd(q, p0, d0);
    d1 = madd(q, p1, d1);
    if (WIDE_LANES) {
      const p2 = v128.load(p, 32), p3 = v128.load(p, 48);
      a2 = madd(w, p2, a2);
      a3 = madd(w, p3, a3);
      b2 = madd(u, p2, b2);
      b3 = madd(u, p3, b3);
      c2 = madd(s, p2, c2);
      c3 = madd(s, p3, c3);
      d2 = madd(q, p2, d2);
      d3 = madd(q, p3, d3);
    }
  }
  v128.store(a, a1, 16);
  v128.store(a, a0);
  v128.store(b, b1, 16);
  v128.store(b, b0);
  v128.store(c, c1, 16);
  v128.store(c, c0);
  v128.store(d, d1, 16);
  v128.store(d, d0);
  if (WIDE_LANES) {
    v128.store(a, a3, 48);
    v128.store(a, a2, 32);
    v128.store(b, b3, 48);
    v128.store(b, b2, 32);
    v128.store(c, c3, 48);
    v128.store(c, c2, 32);
    v128.store(d, d3, 48);
    v128.store(d, d2, 32);
  }
  return v;
}

/** Two inputs of two tiles, whose rows are `rows` and `others`, and their inputs at a and b, c and d: eight sums once V8 has paired them. */
@inline
export function backward2Twice(rows: usize, others: usize, a: usize, b: usize, c: usize, d: usize, v: usize, i: usize, last: usize): usize {
  let a0 = v128.load(a), a1 = v128.load(a, 16), a2 = v128.load(a, 32), a3 = v128.load(a, 48);
  let b0 = v128.load(b), b1 = v128.load(b, 16), b2 = v128.load(b, 32), b3 = v128.load(b, 48);
  let c0 = v128.load(c), c1 = v128.load(c, 16), c2 = v128.load(c, 32), c3 = v128.load(c, 48);
  let d0 = v128.load(d), d1 = v128.load(d, 16), d2 = v128.load(d, 32), d3 = v128.load(d, 48);
  do {
    const row = rowAt(i), p = rows + row, q = others + row, w = splatAt(v), u = v128.load32_splat(v, 4);
    const p0 = v128.load(p), p1 = v128.load(p, 16), p2 = v128.load(p, 32), p3 = v128.load(p, 48);
    a0 = madd(w, p0, a0);
    a1 = madd(w, p1, a1);
    a2 = madd(w, p2, a2);
    a3 = madd(w, p3, a3);
    b0 = madd(u, p0, b0);
    b1 = madd(u, p1, b1);
    b2 = madd(u, p2, b2);
    b3 = madd(u, p3, b3);
    const q0 = v128.load(q), q1 = v128.load(q, 16), q2 = v128.load(q, 32), q3 = v128.load(q, 48);
    c0 = madd(w, q0, c0);
    c1 = madd(w, q1, c1);
    c2 = madd(w, q2, c2);
    c3 = madd(w, q3, c3);
    d0 = madd(u, q0, d0);
    d1 = madd(u, q1, d1);
    d2 = madd(u, q2, d2);
    d3 = madd(u, q3, d3);
    v += 8;
    i++;
  } while (i < last);
  v128.store(a, a1, 16);
  v128.store(a, a0);
  v128.store(a, a3, 48);
  v128.store(a, a2, 32);
  v128.store(b, b1, 16);
  v128.store(b, b0);
  v128.store(b, b3, 48);
  v128.store(b, b2, 32);
  v128.store(c, c1, 16);
  v128.store(c, c0);
  v128.store(c, c3, 48);
  v128.store(c, c2, 32);
  v128.store(d, d1, 16);
  v128.store(d, d0);
  v128.store(d, d3, 48);
  v128.store(d, d2, 32);
  return v;
}
