/**
 * What the kernels are built for: multiply then add, or relaxed_madd (fused where the hardware is); wide is the second in tiles that V8
 * widens to 256 bits, on request only (io/wideModule.ts).
 */
export type Flavour = 'plain' | 'relaxed' | 'wide';

/**
 * What weights are packed for: products of many tokens by kernels of a flavour, or of one token at a time, as text is generated, from
 * memory that they stay in, or in few bytes.
 */
export type PackedFor = Flavour | 'one token' | 'one token, few bytes';
