export interface BenchReport {
  readonly schema: 'lors-bench/1';
  readonly made: string;
  readonly version: string;
  readonly host: {
    readonly cpu: string;
    readonly cores: number;
    readonly memoryBytes: number;
    readonly os: string;
    readonly arch: string;
    readonly runtime: string;
  };
  readonly options: Readonly<Record<string, unknown>>;
  readonly limits: readonly Limits[];
  readonly rows: readonly BenchRow[];
  readonly quality?: QualityReport;
}
export interface Limits {
  readonly flavour: string;
  readonly threads: number;
  readonly gflops: number;
  readonly readGBs: number;
  readonly copyGBs: number;
}
export interface BenchRow {
  readonly op: 'spmm' | 'spmmT' | 'merge' | 'sddmm' | 'step';
  readonly pattern: string;
  readonly format: string;
  readonly density: number;
  readonly shape: string;
  readonly rows: number;
  readonly cols: number;
  readonly tokens: number;
  readonly threads: number;
  readonly flavour: string;
  readonly seconds: { readonly median: number; readonly low: number; readonly high: number; readonly rounds: number };
  /** The times of the rounds disagree; their ratios may agree all the same. */
  readonly noisy: boolean;
  readonly gflops: number;
  readonly denseGflops: number;
  readonly gbs: number;
  readonly intensity: number;
  readonly ofPeak: number;
  /** Over our dense kernel: the median of the ratios of each round, and the middle half of them. */
  readonly overDense?: number;
  readonly overDenseSpread?: { readonly low: number; readonly high: number };
  readonly overPeers?: Readonly<Record<string, number>>;
  readonly weightBytes: number;
}
export interface QualityReport {
  readonly model: string;
  readonly data: string;
  readonly iters: number;
  readonly densePerplexity: number;
  readonly rows: readonly QualityRow[];
}
export interface QualityRow {
  readonly pattern: string;
  readonly pruner: string;
  readonly density: number;
  readonly before: number;
  readonly after: number;
  readonly stepSeconds: number;
  readonly tokensPerSecond: number;
  readonly pareto: boolean;
}
