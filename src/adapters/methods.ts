/** The one table of adapter methods: options, files, layers and fusing all read it. */
import { HIRA } from './hira.ts';
import { LORA } from './lora.ts';
import { LORS, SP_LORA } from './lors.ts';
import type { AdapterRule } from './rule.ts';
import { SPP } from './spp.ts';
import { SQFT } from './sqft.ts';

export const METHODS = { lors: LORS, lora: LORA, 'sp-lora': SP_LORA, sqft: SQFT, spp: SPP, hira: HIRA } as const satisfies Record<
  string,
  AdapterRule
>;

export type AdapterMethod = keyof typeof METHODS;
export const ADAPTER_METHODS = Object.keys(METHODS) as AdapterMethod[];

/** What a method answers. */
export function ruleOf(method: AdapterMethod): AdapterRule {
  return METHODS[method];
}
