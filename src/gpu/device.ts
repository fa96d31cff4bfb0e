import { checkOptions, shown } from './check.ts';
import { type ChoiceStore, type ChoiceTable, createChoices, defaultStore } from './choices.ts';
import {
  AdapterMissingError,
  DeviceLostError,
  InputError,
  OutOfMemoryError,
  ValidationError,
  WebGPUMissingError,
} from './errors.ts';
import { createPipelineCache, type PipelineCache } from './kernel.ts';
import { createMemory, type Memory } from './memory.ts';
import { MOST_ROUNDS, type Target } from './target.ts';

/** The time that kernel tuning may take. */
export interface Tuning {
  /**
   * Milliseconds in one `compile`; the last kernel may exceed them. Calls for which no time is left keep their default and are
   * measured by the next `compile`. 0: only remembered choices.
   */
  budgetMs: number;
}

/** Kernel tuning on a {@link Device}. */
export interface TuningOptions {
  /**
   * The default of `compile`. `false`: the shipped default kernels, even if choices are remembered. Default: 400 ms on a GPU, because
   * no kernel suits all GPUs; `false` on software adapters, for which the defaults were measured and compiling is slow.
   */
  tune?: false | Tuning;
  /** Stores choices; null: nowhere. Default: the Cache API in pages and workers; see `fileChoices` for Deno. */
  choices?: ChoiceStore | null;
}

/** Options of {@link openDevice}. */
export interface DeviceOptions extends TuningOptions {
  /** Which adapter to prefer on machines with two. Default: the browser's own choice. */
  powerPreference?: 'low-power' | 'high-performance';
  /** Request only WebGPU's default limits, to check that a program works within them. Default false. */
  defaultLimits?: boolean;
}

/**
 * A GPU device with its buffers, pipelines and state. The library has no other state, so several devices can be used
 * side by side.
 */
export interface Device {
  readonly gpu: GPUDevice;
  /** Vendor, architecture or description of the adapter; 'adopted device' if it gives none. */
  readonly adapter: string;
  /** Which kernel variants suit the adapter (see {@link Target}). */
  readonly target: Target;
  /** The default of `compile`: see {@link TuningOptions}. */
  readonly tune: false | Tuning;
  /** The results of tuning on this adapter. */
  readonly choices: ChoiceTable;
  /** The caller owns the GPUDevice: it is never destroyed here. */
  readonly adopted: boolean;
  readonly memory: Memory;
  readonly pipelines: PipelineCache;
  /** Set once the device is lost. */
  lost: DeviceLostError | null;
  /** An error that no scope caught: the next call throws it, once; the device remains usable. */
  error: Error | null;
  /** Set by {@link Device.dispose}. */
  disposed: boolean;
  /** Frees every buffer; destroys the GPUDevice unless it was adopted. */
  dispose(): void;
}

/** Whether a value is a {@link Device}. */
export const isDevice = (value: unknown): value is Device =>
  typeof value === 'object' && value !== null && 'gpu' in value && 'pipelines' in value && 'memory' in value;

/** The optional features that a kernel variant may use. */
const WANTED: GPUFeatureName[] = ['timestamp-query', 'shader-f16', 'subgroups' as GPUFeatureName];

/**
 * Opens a device with those limits and optional features of the adapter that kernels can use.
 * @throws WebGPUMissingError without `navigator.gpu`; AdapterMissingError without an adapter; InputError for an
 * invalid option
 */
export async function openDevice(options: DeviceOptions = {}): Promise<Device> {
  checkOptions('openDevice', options, ['powerPreference', 'defaultLimits', 'tune', 'choices']);
  const api = (globalThis.navigator as Navigator | undefined)?.gpu;
  if (!api) throw new WebGPUMissingError();
  const { powerPreference } = options;
  if (powerPreference !== undefined && !['low-power', 'high-performance'].includes(powerPreference))
    throw new InputError(
      `openDevice: expected low-power or high-performance for "powerPreference", got ${shown(powerPreference)}`,
    );
  const adapter = await api.requestAdapter(powerPreference ? { powerPreference } : undefined);
  if (!adapter) throw new AdapterMissingError();
  const limits = options.defaultLimits ? [] : LIMITS;
  const requiredLimits = Object.fromEntries(limits.map((name) => [name, adapter.limits[name]]));
  const requiredFeatures = WANTED.filter((feature) => adapter.features.has(feature));
  const gpu = await adapter.requestDevice({ requiredFeatures, requiredLimits });
  return wrap(gpu, describe(adapter.info), false, options);
}

/**
 * Works on a device that the caller already owns: its buffers can be shared, and it is never destroyed here.
 * @throws InputError unless it is a GPUDevice
 */
export function adoptDevice(gpu: GPUDevice, options: TuningOptions = {}): Device {
  if (typeof (gpu as Partial<GPUDevice> | null)?.createBuffer !== 'function')
    throw new InputError(`adoptDevice: expected a GPUDevice, got ${shown(gpu)}`);
  checkOptions('adoptDevice', options, ['tune', 'choices']);
  return wrap(gpu, describe(gpu.adapterInfo), true, options);
}

const LIMITS = [
  'maxTextureDimension2D',
  'maxStorageBuffersPerShaderStage',
  'maxStorageBufferBindingSize',
  'maxBufferSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupStorageSize',
] as const;

function describe(info: GPUAdapterInfo | undefined): string {
  if (!info) return 'adopted device';
  const words = [info.vendor, info.architecture, info.device, info.description].filter(
    (word) => word && word !== '0',
  );
  return [...new Set(words)].join(' ') || 'unnamed adapter';
}

function targetOf(adapter: string, gpu: GPUDevice): Target {
  if (/swiftshader/i.test(adapter)) return { softwareAdapter: 'swiftshader' };
  // Firefox gives no name, but says that an adapter is a fallback: here it is llvmpipe.
  if (/llvmpipe/i.test(adapter) || gpu.adapterInfo?.isFallbackAdapter)
    return { softwareAdapter: 'llvmpipe', mostRounds: MOST_ROUNDS };
  return { workgroupTiles: true };
}

function wrap(gpu: GPUDevice, adapter: string, adopted: boolean, options: TuningOptions): Device {
  const memory = createMemory(gpu);
  const target = targetOf(adapter, gpu);
  const { tune = target.workgroupTiles ? { budgetMs: 400 } : false, choices = defaultStore() } = options;
  const device: Device = {
    gpu,
    adapter,
    target,
    tune,
    choices: createChoices(adapter, choices),
    adopted,
    memory,
    pipelines: createPipelineCache(gpu),
    lost: null,
    error: null,
    disposed: false,
    dispose() {
      device.disposed = true;
      memory.dispose();
      if (!adopted) gpu.destroy();
    },
  };
  gpu.lost.then((info) => {
    device.lost = new DeviceLostError(info.reason, info.message);
  });
  if (!adopted) {
    gpu.addEventListener('uncapturederror', (event) => {
      event.preventDefault?.();
      const { error } = event as GPUUncapturedErrorEvent;
      device.error ??=
        error instanceof GPUOutOfMemoryError
          ? new OutOfMemoryError(`out of GPU memory: ${error.message}`)
          : new ValidationError(`WebGPU rejected a call that is no part of a step: ${error.message}`);
    });
  }
  return device;
}

/**
 * Throws if the device is disposed or lost, or has an error that no scope caught.
 * @throws InputError, DeviceLostError, OutOfMemoryError, ValidationError
 */
export function assertAlive(device: Device): void {
  if (device.disposed)
    throw new InputError(`this device was disposed: ${device.adopted ? 'adopt it again' : 'open another'}`);
  if (device.lost) throw device.lost;
  const { error } = device;
  device.error = null;
  if (error) throw error;
}

/**
 * The error to throw after a WebGPU call failed: the loss of the device where that is the cause. Its promise resolves a little later
 * than the call fails.
 */
export async function reasonOf(device: Device, error: unknown): Promise<unknown> {
  await Promise.race([device.gpu.lost, new Promise((resolve) => setTimeout(resolve, 100))]);
  await Promise.resolve();
  if (device.disposed) assertAlive(device);
  return device.lost ?? error;
}
