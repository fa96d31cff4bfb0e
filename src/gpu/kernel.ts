import { ValidationError } from './errors.ts';
import { memo } from './memo.ts';
import { formatOf } from './memory.ts';

/** The key of a compute pipeline. */
export interface PipelineKey {
  /** The complete WGSL. */
  source: string;
  entry: string;
  /** Values of `override` constants. */
  constants?: Record<string, number>;
  /**
   * One letter per binding from 1 on: a buffer, `r` read-only or `w` read-write, or a texture, `t` to read,
   * `l` to load from as a sampled one, or `s` to write; capitals are textures of f16.
   * Binding 0 is the uniform block.
   */
  access: string;
  /** Rounds of its loops, if the kernel states them; not part of the key's name. */
  rounds?: number;
}

export interface Pipeline {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
}

const bindingOf = (letter: string): Partial<GPUBindGroupLayoutEntry> => {
  const format = formatOf(letter < 'a');
  const kinds: Record<string, Partial<GPUBindGroupLayoutEntry>> = {
    r: { buffer: { type: 'read-only-storage' } },
    w: { buffer: { type: 'storage' } },
    t: { storageTexture: { access: 'read-only', format } },
    l: { texture: { sampleType: 'unfilterable-float' } },
    s: { storageTexture: { access: 'write-only', format } },
  };
  return kinds[letter.toLowerCase()];
};

export interface PipelineCache {
  /** Compiles once per key, asynchronously; `ValidationError` carries the compiler's own message. */
  get(key: PipelineKey): Promise<Pipeline>;
}

export function createPipelineCache(gpu: GPUDevice): PipelineCache {
  const modules = new Map<string, GPUShaderModule>();
  const layouts = new Map<string, GPUBindGroupLayout>();
  const pipelines = new Map<string, Promise<Pipeline>>();

  const createLayout = (access: string) => {
    const entries: GPUBindGroupLayoutEntry[] = [{ binding: 0, visibility: 4, buffer: { type: 'uniform' } }];
    for (const [i, letter] of [...access].entries())
      entries.push({ binding: i + 1, visibility: 4, ...bindingOf(letter) });
    return gpu.createBindGroupLayout({ entries });
  };
  const build = async ({ source, entry, constants = {}, access }: PipelineKey): Promise<Pipeline> => {
    const layout = memo(layouts, access, () => createLayout(access));
    // A scope here, so that an invalid shader of a custom op is thrown here and not reported as uncaught.
    gpu.pushErrorScope('validation');
    const module = memo(modules, source, () => gpu.createShaderModule({ label: entry, code: source }));
    const made = gpu
      .createComputePipelineAsync({
        label: entry,
        layout: gpu.createPipelineLayout({ bindGroupLayouts: [layout] }),
        compute: { module, entryPoint: entry, constants },
      })
      .then(
        (pipeline) => ({ pipeline, failure: null }),
        (failure: unknown) => ({ pipeline: null, failure }),
      );
    const scoped = gpu.popErrorScope();
    const { pipeline, failure } = await made;
    const error = await scoped;
    if (pipeline && !error) return { pipeline, layout };
    const info = await module.getCompilationInfo?.();
    const lines = (info?.messages ?? [])
      .filter((m) => m.type === 'error')
      .map((m) => `${m.lineNum}:${m.linePos} ${m.message}`);
    throw new ValidationError(
      `kernel "${entry}" does not compile: ${lines.join('; ') || error?.message || (failure as Error)?.message || 'no reason given'}`,
    );
  };
  return {
    get(key) {
      const name = `${key.entry}|${key.access}|${JSON.stringify(key.constants ?? {})}|${key.source}`;
      return memo(pipelines, name, () => build(key));
    },
  };
}

/** Folds a count of workgroups into a legal 2-D grid. */
export function grid(workgroups: number, limit: number): [x: number, y: number] {
  const y = Math.ceil(workgroups / limit);
  return [Math.ceil(workgroups / y), y];
}
