/**
 * SparsePEFT of SQFT (arXiv 2410.03750, IntelLabs): W~ = W + s (up down) * mask, s = alpha / r, the gradient through
 * autograd: the same function as SP-LoRA. As published the merged weight and the mask stay alive from forward to
 * backward (`--merge keep`); the mask is the index arrays here, which every method has for good.
 */
import type { AdapterRule } from './rule.ts';
import { SP_LORA } from './lors.ts';

export const SQFT: AdapterRule = { ...SP_LORA };
