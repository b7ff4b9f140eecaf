// The list of kernels, and nothing else.
//
// Argument order: outputs, inputs, sizes, range. A kernel is a pure function of memory: it allocates nothing, has no
// state and knows nothing of threads; `begin, end` is the caller's share of the units that its comment names.
// Outputs are written (=), but parameters' gradients, and what says +=, are added to. `init` is where an output starts
// from: another buffer, the output itself, or 0 for zeros.
export { spmmQuad, spmmTQuad } from './quad';
export { mergeQuad, sddmmQuad } from './quadAdapter';
export { upGradQuad, downGradQuad } from './quadFactors';
export { spmmCsr, spmmTCsr, transposeCsr } from './csr';
export { mergeCsr, sddmmCsr, upGradCsr, downGradCsr } from './csrAdapter';
export { spmmBlock, spmmTBlock } from './block';
export { mergeBlock, sddmmBlock, upGradBlock, downGradBlock } from './blockAdapter';
export { gemm, gemmT } from './dense';
export { mergeDense, sddmmDense, upGradDense, downGradDense } from './denseAdapter';
export { modulate, timesValues, spreadRows, gatherRows } from './modulate';
export { snapQuad, snapCsr, snapBlock, snapDense } from './snap';
export { spmvQuad, spmvCsr } from './spmv';
export { spmvBlock } from './spmvBlock';
export { gemv } from './gemv';
export { embedToken, rmsNormToken, ropeToken, storeToken, attentionToken } from './oneToken';
export { project, expand, factorGrad, gateRanks } from './lowRank';
export { rmsNorm, rmsNormBackward, rmsNormGainGrad } from './rmsNorm';
export { ropeAngles, rope } from './rope';
export { attention, attentionBackward, sumHeads } from './attention';
export { swiglu, swigluBackward } from './swiglu';
export { crossEntropy, crossEntropyBackward } from './crossEntropy';
export { embed, embedGrad } from './embedding';
export { gatherTokens, storeTokens } from './tokens';
export { adamw } from './adamw';
export { sumSquares, clipScale, featureSquares, clear } from './reduce';
export { multiplyAdds, readRuns, copyRuns } from './limits';
