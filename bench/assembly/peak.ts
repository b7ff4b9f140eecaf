// What the machine can do at most, with the arithmetic and the loads of the kernels. Only benches have it.
import { madd } from '../../assembly/lanes';

/**
 * n turns of eight independent multiply-adds on four lanes. Two vectors are loaded a turn, so that no compiler takes the
 * products out of the loop; the other factors stay in registers.
 */
export function multiplyAdds(out: usize, n: usize): void {
  const s = v128.load(out), t = v128.load(out, 16), u = v128.load(out, 32), v = v128.load(out, 48);
  let a = s, b = s, c = s, d = s, e = s, f = s, g = s, h = s;
  for (; n > 0; n--) {
    const x = v128.load(out + ((n & 15) << 5)), y = v128.load(out + ((n & 15) << 5), 16);
    a = madd(s, x, a);
    b = madd(s, y, b);
    c = madd(t, x, c);
    d = madd(t, y, d);
    e = madd(u, x, e);
    f = madd(u, y, f);
    g = madd(v, x, g);
    h = madd(v, y, h);
  }
  const low = f32x4.add(f32x4.add(a, b), f32x4.add(c, d)), high = f32x4.add(f32x4.add(e, f), f32x4.add(g, h));
  v128.store(out, f32x4.add(low, high), 512);
}

/** Reads `bytes` bytes (a multiple of 128) from p. */
export function read(out: usize, p: usize, bytes: usize): void {
  let a = i32x4.splat(0), b = a, c = a, d = a, e = a, f = a, g = a, h = a;
  for (const last = p + bytes; p < last; p += 128) {
    a = v128.or(a, v128.load(p));
    b = v128.or(b, v128.load(p, 16));
    c = v128.or(c, v128.load(p, 32));
    d = v128.or(d, v128.load(p, 48));
    e = v128.or(e, v128.load(p, 64));
    f = v128.or(f, v128.load(p, 80));
    g = v128.or(g, v128.load(p, 96));
    h = v128.or(h, v128.load(p, 112));
  }
  v128.store(out, v128.or(v128.or(v128.or(a, b), v128.or(c, d)), v128.or(v128.or(e, f), v128.or(g, h))));
}

/** Copies `bytes` bytes. */
export function copy(to: usize, from: usize, bytes: usize): void {
  memory.copy(to, from, bytes);
}
