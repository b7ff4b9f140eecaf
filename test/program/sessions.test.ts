/** Sessions that follow one another on one arena: each finds zeros where nothing says otherwise, as the first one does. */
import { expect, test } from 'vitest';
import { kernelModule } from '../../src/io/kernelModule.ts';
import { ProgramBuilder } from '../../src/program/program.ts';
import type { Value } from '../../src/program/value.ts';
import { Arena } from '../../src/runtime/arena.ts';
import { LocalSession } from '../../src/runtime/local.ts';

const NOTHING = { tokens: 0, tiles: 0, labelled: 0, labelTiles: 0 };
const { module } = kernelModule('plain');

/** A session with one value of some kilobytes that nothing has written. */
function open(arena: Arena, kilobytes: number): { session: LocalSession; state: Value } {
  const state: Value = { name: 'state', bytes: kilobytes * 1024, kind: 'state' };
  const b = new ProgramBuilder('clear', 0);
  b.emit('clear', kilobytes, { x: state });
  return { session: new LocalSession([b.finish()], { module, arena }), state };
}

test('what one session left behind is not the state that the next one starts from', () => {
  const arena = new Arena(false);
  const first = open(arena, 300);
  first.session.floats(first.state).fill(7);
  for (const kilobytes of [100, 300, 500]) {
    const { session, state } = open(arena, kilobytes);
    expect(session.floats(state).every((x) => x === 0)).toBe(true);
    session.floats(state).fill(7);
    session.run('clear', NOTHING);
    expect(session.floats(state).every((x) => x === 0)).toBe(true);
    session.floats(state).fill(7);
  }
});

test('only bytes that no session had are counted as not resident yet', () => {
  const arena = new Arena(false);
  const whole = open(arena, 300).session.untouched;
  expect(whole).toBeGreaterThanOrEqual(300 * 1024);
  expect(open(arena, 100).session.untouched).toBe(0);
  expect(open(arena, 500).session.untouched).toBe(200 * 1024);
});
