// The device that the suite works on, opened again if an input broke it.
import { type Device, openDevice } from '../../src/gpu/device.ts';
import { Wrong } from './engine.ts';

let open: Device | undefined;

export const gpu = {
  /** The device; call `openGpu` first. */
  get device(): Device {
    return open!;
  },
};

export async function openGpu(): Promise<void> {
  if (open && !open.lost && !open.error) return;
  open?.dispose();
  open = await openDevice({ tune: false, choices: null });
}

/** Fails where what was done left the device broken. */
export function checkGpu(what: string): void {
  const { lost, error } = gpu.device;
  if (lost) throw new Wrong(`${what}: the device is lost`, lost.message.slice(0, 300));
  if (error) throw new Wrong(`${what}: the device is broken`, error.message.slice(0, 300));
}

export function closeGpu(): void {
  open?.dispose();
  open = undefined;
}
