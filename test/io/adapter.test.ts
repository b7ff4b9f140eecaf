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
