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

/** How long choosing kernels by measuring may take. */
export interface Tuning {
  /**
   * Milliseconds in one `compile`; the last kernel may run over. What there is no time for keeps its default, and is
   * measured by the next `compile`. 0: only what is remembered.
   */
  budgetMs: number;
}

/** What a {@link Device} does about kernels that there are several of. */
export interface TuningOptions {
  /**
   * What `compile` does unless told. `false`: the shipped defaults, whatever is remembered. Default: 400 ms on a GPU, where no
   * default suits all; `false` on processors that play one, where the defaults are measured and kernels compile for long.
   */
  tune?: false | Tuning;
  /** Where choices are remembered; null: nowhere. Default: the Cache API in pages and workers; for Deno there is `fileChoices`. */
  choices?: ChoiceStore | null;
}

/** What a {@link Device} is opened with. */
export interface DeviceOptions extends TuningOptions {
  /** Which adapter to prefer on machines with two. Default: the browser's own choice. */
  powerPreference?: 'low-power' | 'high-performance';
  /** Ask only for WebGPU's default limits, to see that a program works within them. Default false. */
  defaultLimits?: boolean;
}

/**
 * A GPU device with what belongs to it: its buffers, its pipelines, its state. There is no other state
 * anywhere, so several devices work side by side.
 */
export interface Device {
  readonly gpu: GPUDevice;
  /** Vendor, architecture or description of the adapter; 'adopted device' when it does not tell. */
  readonly adapter: string;
  /** Which kernel variants suit the adapter (see {@link Target}). */
  readonly target: Target;
  /** What `compile` does unless told: see {@link TuningOptions}. */
  readonly tune: false | Tuning;
  /** What measuring chose on this adapter. */
  readonly choices: ChoiceTable;
  /** The caller owns the GPUDevice: it is never destroyed here. */
  readonly adopted: boolean;
  readonly memory: Memory;
  readonly pipelines: PipelineCache;
  /** Set once the device is lost. */
  lost: DeviceLostError | null;
  /** An error that no scope caught: the next call tells it, once, and the device goes on. */
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
 * Opens a device with all that the adapter offers.
 * @throws WebGPUMissingError without `navigator.gpu`; AdapterMissingError without an adapter; InputError for an option
 * that is none.
 */
export async function openDevice(options: DeviceOptions = {}): Promise<Device> {
  checkOptions('openDevice', options, ['powerPreference', 'defaultLimits', 'tune', 'choices']);
  const api = (globalThis.navigator as Navigator | undefined)?.gpu;
  if (!api) throw new WebGPUMissingError();
  const { powerPreference } = options;
  if (powerPreference && !/^(low-power|high-performance)$/.test(powerPreference))
    throw new InputError(
      `openDevice: expected low-power or high-performance for "powerPreference", got ${shown(powerPreference)}`,
    );
  const adapter = await api.requestAdapter(powerPreference ? { powerPreference } : undefined);
  if (!adapter) throw new AdapterMissingError();
  const requiredLimits: Record<string, number> = {};
  if (!options.defaultLimits) {
    for (const name of LIMITS) requiredLimits[name] = adapter.limits[name];
  }
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
  if (/swiftshader/i.test(adapter)) return { processor: 'swiftshader' };
  // Firefox names no adapter, but tells one that is a processor: here llvmpipe.
  if (/llvmpipe/i.test(adapter) || gpu.adapterInfo?.isFallbackAdapter)
    return { processor: 'llvmpipe', mostRounds: MOST_ROUNDS };
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
 * Throws what is known to be wrong with the device: disposed, lost, or an error that no scope caught.
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

/** The error to tell where WebGPU failed: a device that was lost first says so soon after, by its promise alone. */
export async function reasonOf(device: Device, error: unknown): Promise<unknown> {
  await Promise.race([device.gpu.lost, new Promise((resolve) => setTimeout(resolve, 100))]);
  await Promise.resolve();
  if (device.disposed) assertAlive(device);
  return device.lost ?? error;
}
