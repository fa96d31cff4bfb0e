/** Submits the commands that `record` writes into an encoder. */
export function submit(gpu: GPUDevice, record: (encoder: GPUCommandEncoder) => void): void {
  const encoder = gpu.createCommandEncoder();
  record(encoder);
  gpu.queue.submit([encoder.finish()]);
}
