/** Brings staged weights into the arena. */
import type { Constant } from '../core/constant.ts';
import { bytesOf, isRemote } from '../core/constant.ts';
import type { Fetch, StageStep } from '../program/encode.ts';
import type { Arena } from './arena.ts';

/** Bytes that are copied before the host has its turn again: about a millisecond. */
const CHUNK_BYTES = 8 << 20;

/** What a lone walker does at a stage step: everything, when it is waited for. */
export function fetchNow(fetches: readonly Fetch[], arena: Arena): (step: StageStep) => void {
  return ({ stage, fetch }) => {
    if (stage === 'fetch') return;
    for (const { from, address } of fetches[fetch]!) {
      const target = arena.bytes(address, from.byteLength);
      if (isRemote(from)) from.readSync(target);
      else target.set(bytesOf(from));
    }
  };
}

/** Brings one weight in while the host goes on. */
export async function fetchMeanwhile(parts: Fetch, arena: Arena): Promise<void> {
  for (const { from, address } of parts) await bring(from, arena.bytes(address, from.byteLength));
}

async function bring(from: Constant, target: Uint8Array): Promise<void> {
  if (isRemote(from)) return from.read(target);
  const bytes = bytesOf(from);
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
    target.set(bytes.subarray(at, at + CHUNK_BYTES), at);
    await new Promise((resolve) => setTimeout(resolve));
  }
}
