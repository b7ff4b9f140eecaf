/** Events and reports in words. */
import { megabytes } from '../runtime/session.ts';
import type { TrainEvent } from '../tasks/events.ts';
import type { ModelReport } from '../tasks/inspect.ts';
import { columnsOf } from './columns.ts';

type Told = Exclude<TrainEvent, { event: 'progress' }>;

function describeRecomputed(blocks: number, mlps: number): string {
  const parts = [
    blocks > 0 && `${blocks} ${blocks === 1 ? 'block' : 'blocks'}`,
    mlps > 0 && `${mlps} ${mlps === 1 ? 'MLP' : 'MLPs'}`,
  ].filter(Boolean);
  return parts.length > 0 ? `; activations of ${parts.join(' and ')} are recomputed` : '';
}

/** One line for an event; the plan of a run takes a few. */
export function describeEvent(event: Told): string {
  switch (event.event) {
    case 'start': {
      const from = event.firstStep > 0 ? ` from step ${event.firstStep}` : '';
      const dropped = event.droppedRows > 0 ? `, ${event.droppedRows} rows without a target left out` : '';
      return [
        `${event.method} on ${event.model}: ${event.trainableParameters.toLocaleString('en')} trainable parameters, ` +
          `${event.kernels} kernels, ${event.threads} ${event.threads === 1 ? 'thread' : 'threads'}`,
        describeFormats(event.formats),
        `data: ${event.trainDocuments} windows to train on, ${event.validDocuments} to validate on${dropped}`,
        `plan: ${megabytes(event.plannedBytes)} resident, the arena in it: ${event.plan}` +
          describeRecomputed(event.recomputedBlocks, event.recomputedMlps),
        `${event.steps} steps of up to ${event.tokensPerBatch} tokens a batch${from}`,
      ].join('\n');
    }
    case 'prune':
      return `pruned block ${event.layer} of ${event.layers}`;
    case 'init':
      return `gradient of ${event.samples} windows: pass ${event.pass} of ${event.passes}`;
    case 'step': {
      const { step, steps, loss, learningRate, gradNorm, tokensPerSecond, secondsLeft, peakBytes } = event;
      return (
        `step ${step}/${steps}  loss ${loss.toFixed(4)}  lr ${learningRate.toExponential(2)}  norm ${gradNorm.toFixed(3)}  ` +
        `${tokensPerSecond.toFixed(0)} tokens/s  ${eta(secondsLeft)} left  peak ${megabytes(peakBytes)}`
      );
    }
    case 'eval':
      return `step ${event.step}  valid loss ${event.loss.toFixed(4)}  perplexity ${event.perplexity.toFixed(3)}`;
    case 'search': {
      const { turn, turns, loss, best } = event;
      return `search ${turn}/${turns}  valid loss ${loss.toFixed(4)}  best ${best.toFixed(4)}`;
    }
    case 'save':
      return `saved ${event.path}`;
    case 'done':
      return event.interrupted
        ? `interrupted at step ${event.step} of ${event.steps}; go on with --resume ${event.out}`
        : `done: ${event.steps} steps in ${eta(event.seconds)}, peak ${megabytes(event.peakBytes)}; results in ${event.out}`;
  }
}

/** Seconds as people say them: 42s, 3m 05s, 2h 10m. */
export function eta(seconds: number): string {
  const s = Math.round(seconds);
  if (s < 60) return `${s}s`;
  if (s < 3600) return `${Math.floor(s / 60)}m ${String(s % 60).padStart(2, '0')}s`;
  return `${Math.floor(s / 3600)}h ${String(Math.floor((s % 3600) / 60)).padStart(2, '0')}m`;
}

function describeFormats(formats: Readonly<Record<string, number>>): string {
  const parts = Object.entries(formats).map(([format, n]) => `${n} ${format}`);
  return `formats: ${parts.join(', ')}`;
}

/** A table of a model's matrices. */
export function describeModel(report: ModelReport): string {
  const rows = report.layers.map((layer) => [
    layer.name,
    layer.shape.join(' x '),
    layer.dtype,
    layer.pattern,
    `${(layer.density * 100).toFixed(2)} %`,
    kilobytes(layer.packedBytes),
    kilobytes(layer.denseBytes),
  ]);
  const table = [['module', 'shape', 'dtype', 'pattern', 'density', 'packed', 'dense'], ...rows];
  const { parameters, projectionDensity, packedBytes, denseBytes, grid } = report;
  const onGrid = grid ? `${grid.projections} projections on INT4 grids, ${grid.groupSize} inputs a group\n` : '';
  const total =
    `${parameters.toLocaleString('en')} parameters; ${(projectionDensity * 100).toFixed(2)} % of the projections kept; ` +
    `${megabytes(packedBytes)} packed, ${megabytes(denseBytes)} dense`;
  return `${columnsOf(table, 4)}\n${total}\n${describeFormats(report.formats)}\n${onGrid}`;
}

function kilobytes(bytes: number): string {
  return `${(bytes / 1e3).toFixed(1)} kB`;
}
