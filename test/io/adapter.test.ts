import fs from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Adapter } from '../../src/adapters/adapter.ts';
import { scalingOf } from '../../src/adapters/adapter.ts';
import type { AdapterMethod } from '../../src/adapters/methods.ts';
import { ADAPTER_METHODS, ruleOf } from '../../src/adapters/methods.ts';
import { encodeWeights } from '../../src/core/dtypes.ts';
import { FormatError, UnsupportedError } from '../../src/core/errors.ts';
import { loadAdapter, saveAdapter } from '../../src/io/adapter.ts';
import { openSafetensors, writeSafetensors } from '../../src/io/safetensors.ts';
import type { Grid } from '../../src/quant/grid.ts';
import { temporaryDirectory } from './temporary.ts';

const root = temporaryDirectory();
let count = 0;
const fresh = (): string => {
  const path = join(root, `adapter-${count++}`);
  fs.mkdirSync(path);
  return path;
};

const MODULE = 'model.layers.0.self_attn.q_proj';
const KEY = `base_model.model.${MODULE}`;
const adapterOf = (method: AdapterMethod): Adapter => {
  const { peftType, upShape } = ruleOf(method);
  const up = upShape === 'one' ? Float32Array.of(3) : Float32Array.of(-1, 0.5);
  return {
    config: {
      method,
      rank: 2,
      // PEFT's HiRA has no scaling.
      ...(peftType === 'HIRA' ? { alpha: 2, rslora: false } : { alpha: 4, rslora: true }),
      targetModules: ['q_proj'],
      baseModel: 'stories',
      ...(peftType === 'LORS' && { patternFingerprint: 'f00d' }),
    },
    modules: new Map([[MODULE, { rank: 2, inFeatures: 3, outFeatures: 1, down: Float32Array.of(1, 2, 3, 4, 5, 6), up }]]),
  };
};

const PEFT = { peft_type: 'LORA', r: 2, lora_alpha: 4, target_modules: ['q_proj'], bias: 'none', base_model_name_or_path: 'x' };
const factor = (name: string, shape: number[], values = new Float32Array(shape.reduce((a, b) => a * b, 1))) => ({
  name,
  dtype: 'F32',
  shape,
  data: new Uint8Array(values.buffer),
});
const A = factor(`${KEY}.lora_A.weight`, [2, 3]);
const B = factor(`${KEY}.lora_B.weight`, [1, 2]);

/** An adapter made by hand, as PEFT writes it. */
function made(config: object, tensors: Parameters<typeof writeSafetensors>[1] = [A, B]): string {
  const directory = fresh();
  fs.writeFileSync(join(directory, 'adapter_config.json'), JSON.stringify({ ...PEFT, ...config }));
  writeSafetensors(join(directory, 'adapter_model.safetensors'), tensors);
  return directory;
}

describe('saving', () => {
  it.each(ADAPTER_METHODS)('%s comes back as it was', (method) => {
    const directory = fresh();
    saveAdapter(directory, adapterOf(method));
    expect(loadAdapter(directory)).toEqual(adapterOf(method));
  });

  it("uses PEFT's names and shapes", () => {
    const directory = fresh();
    saveAdapter(directory, adapterOf('lora'));
    const file = openSafetensors(join(directory, 'adapter_model.safetensors'));
    expect(file.info(`${KEY}.lora_A.weight`)).toMatchObject({ dtype: 'F32', shape: [2, 3] });
    expect(file.info(`${KEY}.lora_B.weight`)).toMatchObject({ dtype: 'F32', shape: [1, 2] });
    file.close();
  });

  it("is PEFT's own LORA for plain LoRA, and a type that PEFT refuses for a masked update", () => {
    const config = (method: AdapterMethod): Record<string, unknown> => {
      const directory = fresh();
      saveAdapter(directory, adapterOf(method));
      return JSON.parse(fs.readFileSync(join(directory, 'adapter_config.json'), 'utf8')) as Record<string, unknown>;
    };
    const plain = config('lora');
    expect(plain).toMatchObject({ peft_type: 'LORA', task_type: 'CAUSAL_LM', r: 2, lora_alpha: 4, use_rslora: true, bias: 'none' });
    expect(plain).not.toHaveProperty('lors');
    expect(config('lors')).toMatchObject({
      peft_type: 'LORS',
      lors: { method: 'lors', rule: 'W + scaling * mask * (up @ down)', pattern_fingerprint: 'f00d', format_version: 1 },
    });
  });
});

describe('a sub-adapter on a grid', () => {
  const OTHER = 'model.layers.1.mlp.up_proj';
  const grid: Grid = { rows: 2, cols: 6, size: 4, scales: Float32Array.of(0.5, 1, 2, 0.1), zeros: Float32Array.of(0, 15, 7, 8) };
  const sub = (rslora: boolean): Adapter => ({
    config: {
      method: 'sqft',
      rank: 4,
      alpha: 8,
      rslora,
      targetModules: ['q_proj', 'up_proj'],
      baseModel: 'stories',
      groupSize: 4,
      nls: { ranks: [4, 1], sharing: 'module' },
    },
    modules: new Map([
      [MODULE, { rank: 1, inFeatures: 6, outFeatures: 2, down: Float32Array.of(1, 2, 3, 4, 5, 6), up: Float32Array.of(-1, 0.5), grid }],
      [OTHER, { rank: 4, inFeatures: 6, outFeatures: 2, down: new Float32Array(24).fill(3), up: new Float32Array(8).fill(2), grid }],
    ]),
  });
  const saved = (change: (config: Record<string, Record<string, unknown>>) => void = () => undefined): string => {
    const directory = fresh();
    saveAdapter(directory, sub(false));
    const path = join(directory, 'adapter_config.json');
    const config = JSON.parse(fs.readFileSync(path, 'utf8')) as Record<string, Record<string, unknown>>;
    change(config);
    fs.writeFileSync(path, JSON.stringify(config));
    return directory;
  };

  it.each([false, true])('comes back as it was, rslora %s', (rslora) => {
    const directory = fresh();
    saveAdapter(directory, sub(rslora));
    expect(loadAdapter(directory)).toEqual(sub(rslora));
    const json = JSON.parse(fs.readFileSync(join(directory, 'adapter_config.json'), 'utf8')) as Record<string, Record<string, number>>;
    expect(json['rank_pattern']).toEqual({ [MODULE]: 1 });
    // What PEFT makes of alpha and rank of a module is the scaling of the whole adapter.
    expect(scalingOf(json['alpha_pattern']![MODULE]!, 1, rslora)).toBeCloseTo(scalingOf(8, 4, rslora), 12);
  });

  it('names its grid as compressed-tensors does', () => {
    const file = openSafetensors(join(saved(), 'adapter_model.safetensors'));
    expect(file.info(`${KEY}.weight_scale`)).toMatchObject({ dtype: 'F32', shape: [2, 2] });
    expect(file.info(`${KEY}.weight_zero_point`)).toMatchObject({ dtype: 'U8', shape: [2, 2] });
    file.close();
  });

  it.each<[what: string, change: (config: Record<string, Record<string, unknown>>) => void, message: RegExp]>([
    ['a rank above the whole', (c) => (c['rank_pattern']![MODULE] = 5), /rank_pattern: .*q_proj: expected a rank of 1 to 4, got 5/],
    [
      'a rank of another size',
      (c) => {
        c['rank_pattern']![OTHER] = 2;
        c['alpha_pattern']![OTHER] = 4;
      },
      /up_proj: expected lora_A \[2, in\]/,
    ],
    [
      'an alpha of its own',
      (c) => (c['alpha_pattern']![MODULE] = 8),
      /alpha_pattern: .*q_proj: expected 2, for the adapter's own scaling, got 8/,
    ],
    ['an alpha without a rank', (c) => (c['alpha_pattern']![OTHER] = 8), /rank_pattern: .*up_proj: expected a rank of 1 to 4, got nothing/],
    ['other bits', (c) => (c['lors']!['quantization'] = { bits: 8, group_size: 4 }), /quantization: bits: expected 4, got 8/],
    [
      'groups that are none',
      (c) => (c['lors']!['quantization'] = { bits: 4, group_size: 3 }),
      /group_size: expected a multiple of 4, got 3/,
    ],
    [
      'groups of another size',
      (c) => (c['lors']!['quantization'] = { bits: 4, group_size: 8 }),
      /weight_scale: expected F32 \[2, 1\], got F32 \[2, 2\]/,
    ],
    [
      'elastic ranks beyond its own',
      (c) => (c['lors']!['nls'] = { ranks: [8], sharing: 'module' }),
      /nls\.ranks: expected ranks of 1 to 4, got \[8\]/,
    ],
    [
      'nobody to share with',
      (c) => (c['lors']!['nls'] = { ranks: [4], sharing: 'all' }),
      /nls\.sharing: expected block or module, got "all"/,
    ],
  ])('refuses %s', (_, change, message) => {
    const directory = saved(change);
    expect(() => loadAdapter(directory)).toThrow(message);
  });
});

describe('HiRA', () => {
  const config = { ...adapterOf('hira').config, alpha: 16, rank: 2, rslora: false };
  const saved = (): string => {
    const directory = fresh();
    saveAdapter(directory, { ...adapterOf('hira'), config });
    return directory;
  };

  it("is PEFT's own: bare parameters, its fields and no others, the scaling in hira_B", () => {
    const directory = saved();
    const file = openSafetensors(join(directory, 'adapter_model.safetensors'));
    expect([...file.tensors.keys()]).toEqual([`${KEY}.hira_A`, `${KEY}.hira_B`]);
    expect([...new Float32Array(file.read(`${KEY}.hira_B`).buffer)]).toEqual([-8, 4]);
    file.close();
    expect(JSON.parse(fs.readFileSync(join(directory, 'adapter_config.json'), 'utf8'))).toEqual({
      peft_type: 'HIRA',
      task_type: 'CAUSAL_LM',
      base_model_name_or_path: 'stories',
      r: 2,
      target_modules: ['q_proj'],
      hira_dropout: 0,
      fan_in_fan_out: false,
      inference_mode: true,
      modules_to_save: null,
    });
  });

  it('comes back as the same function: scaling 1, and what it was in up', () => {
    const { config: loaded, modules } = loadAdapter(saved());
    expect(scalingOf(loaded.alpha, loaded.rank, loaded.rslora)).toBe(1);
    expect([...modules.get(MODULE)!.up]).toEqual([-8, 4]);
  });

  it('takes the names of PEFT in memory, and refuses LoRA tensors and ranks by pattern', () => {
    const hira = [factor(`${KEY}.hira_A.default`, [2, 3]), factor(`${KEY}.hira_B.default`, [1, 2])];
    expect(loadAdapter(made({ peft_type: 'HIRA' }, hira)).config).toMatchObject({ method: 'hira', rank: 2, alpha: 2 });
    expect(() => loadAdapter(made({ peft_type: 'HIRA' }))).toThrow(/lora_A\.weight: expected tensors named .*hira_A or \.hira_B/);
    expect(() => loadAdapter(made({ peft_type: 'HIRA', r_pattern: { q_proj: 4 } }, hira))).toThrow(/r_pattern: expected it unused/);
  });
});

it('SPP has one number a row where the others have a rank, and says its rule', () => {
  const directory = fresh();
  saveAdapter(directory, adapterOf('spp'));
  const file = openSafetensors(join(directory, 'adapter_model.safetensors'));
  expect(file.info(`${KEY}.lora_B.weight`)).toMatchObject({ shape: [1, 1] });
  file.close();
  const wrong = made({ peft_type: 'LORS', lors: { method: 'spp' } });
  expect(() => loadAdapter(wrong)).toThrow(/expected lora_A \[2, in\] and lora_B \[out, 1\], got \[2, 3\] and \[1, 2\]/);
  expect(() => loadAdapter(made({ peft_type: 'LORS', lors: { method: 'dora' } }))).toThrow(
    /lors\.method: expected lors, sp-lora, sqft, spp, got "dora"/,
  );
});

describe('loading', () => {
  it("takes PEFT's files, of any of the three float types", () => {
    expect(loadAdapter(made({})).config).toMatchObject({ method: 'lora', rank: 2, alpha: 4, rslora: false, targetModules: ['q_proj'] });
    for (const dtype of ['F16', 'BF16'] as const) {
      const half = encodeWeights(dtype, Float32Array.of(1, 2, 3, 4, 5, 6));
      const directory = made({ use_rslora: true }, [{ ...A, dtype, data: new Uint8Array(half.buffer) }, B]);
      expect([...loadAdapter(directory).modules.get(MODULE)!.down]).toEqual([1, 2, 3, 4, 5, 6]);
    }
  });

  it.each([
    ['use_dora', true],
    ['bias', 'all'],
    ['rank_pattern', { q_proj: 4 }],
    ['alpha_pattern', { q_proj: 4 }],
    ['modules_to_save', ['lm_head']],
    ['fan_in_fan_out', true],
    ['peft_type', 'LOHA'],
  ])('refuses %s, by its name', (name, value) => {
    const directory = made({ [name]: value });
    expect(() => loadAdapter(directory)).toThrow(UnsupportedError);
    expect(() => loadAdapter(directory)).toThrow(new RegExp(`adapter_config\\.json: ${name}: `));
  });

  const broken: [what: string, make: () => string, message: RegExp][] = [
    ['no config', fresh, /adapter_config\.json: missing/],
    ['an A without a B', () => made({}, [A]), /q_proj: expected lora_B beside lora_A/],
    ['a B without an A', () => made({}, [B]), /q_proj: expected lora_A beside lora_B/],
    ['no factors', () => made({}, []), /expected factors of at least one module/],
    ['another rank than the config', () => made({ r: 3 }), /expected lora_A \[3, in\] and lora_B \[out, 3\], got \[2, 3\] and \[1, 2\]/],
    ['a rank that is none', () => made({ r: 0 }), /r: expected a rank of at least 1, got 0/],
    ['no alpha', () => made({ lora_alpha: null }), /lora_alpha: expected a number/],
    [
      'NaN',
      () => made({}, [factor(A.name, [2, 3], Float32Array.of(1, NaN, 1, 1, 1, 1)), B]),
      /lora_A\.weight: expected finite numbers, got NaN/,
    ],
  ];
  it.each(broken)('%s is a FormatError that says so', (_, make, message) => {
    const directory = make();
    expect(() => loadAdapter(directory)).toThrow(FormatError);
    expect(() => loadAdapter(directory)).toThrow(message);
  });

  it('refuses tensors that it would have to leave out', () => {
    const directory = made({}, [A, B, factor(`${KEY}.lora_magnitude_vector`, [1])]);
    expect(() => loadAdapter(directory)).toThrow(/lora_magnitude_vector/);
  });
});
