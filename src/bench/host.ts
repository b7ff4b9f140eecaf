/** The machine that figures are of. */
import { arch, availableParallelism, cpus, platform, release, totalmem } from 'node:os';
import type { BenchReport } from './types.ts';

export function hostOf(): BenchReport['host'] {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    os: `${platform()} ${release()}`,
    arch: arch(),
    runtime: `Node ${process.versions.node}`,
  };
}
