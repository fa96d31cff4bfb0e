// What the adapter can do at most, and what it costs to wait for it.

/** fma() on vectors in registers, in chains that do not wait for each other: nothing else is loaded or stored. */
const source = (chains: number) => {
  const all = Array.from({ length: chains }, (_, i) => `a${i}`);
  return `
@group(0) @binding(0) var<storage, read_write> y: array<vec4f>;
@group(0) @binding(1) var<uniform> rounds: u32;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let x = vec4f(f32(id.x & 63u) + 1.0);
  let factor = vec4f(0.5) + x * 1e-3;
  ${all.map((a, i) => `var ${a} = x + ${i}.0;`).join('\n  ')}
  for (var round = 0u; round < rounds; round++) {
    ${all.map((a) => `${a} = fma(${a}, factor, x);`).join('\n    ')}
  }
  y[id.x] = ${all.join(' + ')};
}`;
};

const INVOCATIONS = 2 ** 14;
/** Rounds times chains of a dispatch; llvmpipe ends an invocation after 65,535 rounds. */
const ROUNDS = 8192;

export interface Peak {
  /** Milliseconds from an empty submit to the answer that it is done. */
  latency: number;
  /** Operations a second, from one measurement of a few times the latency. */
  measure(): Promise<number>;
}

/** The wait for work that was submitted; Firefox would look only every 100 ms unless it is given something to do. */
async function done(device: GPUDevice): Promise<void> {
  const nudge = setInterval(() => device.queue.submit([]), 2);
  try {
    await device.queue.onSubmittedWorkDone();
  } finally {
    clearInterval(nudge);
  }
}

export async function openPeak(): Promise<Peak> {
  const adapter = await navigator.gpu.requestAdapter({ powerPreference: 'high-performance' });
  const device = await adapter!.requestDevice();
  const y = device.createBuffer({ size: INVOCATIONS * 16, usage: GPUBufferUsage.STORAGE });
  const uniform = device.createBuffer({ size: 16, usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST });
  const staging = device.createBuffer({ size: 16, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });

  const prepare = (chains: number) => {
    const module = device.createShaderModule({ code: source(chains) });
    const pipeline = device.createComputePipeline({ layout: 'auto', compute: { module } });
    const entries = [y, uniform].map((buffer, binding) => ({ binding, resource: { buffer } }));
    const group = device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries });
    const rounds = Math.floor(ROUNDS / chains);
    const flops = INVOCATIONS * rounds * chains * 8;
    /** Milliseconds of some dispatches. */
    const time = async (dispatches: number) => {
      device.queue.writeBuffer(uniform, 0, new Uint32Array([rounds]));
      const start = performance.now();
      const encoder = device.createCommandEncoder();
      const pass = encoder.beginComputePass();
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, group);
      for (let i = 0; i < dispatches; i++) pass.dispatchWorkgroups(INVOCATIONS / 64);
      pass.end();
      device.queue.submit([encoder.finish()]);
      await done(device);
      return performance.now() - start;
    };
    return {
      time,
      rate: async (dispatches: number) => (1e3 * flops * dispatches) / (await time(dispatches)),
    };
  };

  /** As engines see it: submit, then map. */
  const roundTrip = async () => {
    const start = performance.now();
    device.queue.submit([]);
    await staging.mapAsync(GPUMapMode.READ);
    staging.unmap();
    return performance.now() - start;
  };
  const trips: number[] = [];
  for (let i = 0; i < 5; i++) trips.push(await roundTrip());
  const latency = trips.sort((a, b) => a - b)[2];

  // How many chains fill the pipeline of an adapter without running out of its registers is tried out.
  let best = { rate: 0, chains: prepare(8), dispatches: 1 };
  for (const chains of [4, 8, 16].map(prepare)) {
    await chains.time(1);
    let dispatches = 1;
    while (dispatches < 2 ** 20 && (await chains.time(dispatches)) < 60) dispatches *= 2;
    const rate = Math.max(await chains.rate(dispatches), await chains.rate(dispatches));
    if (rate > best.rate) best = { rate, chains, dispatches };
  }
  return { latency, measure: () => best.chains.rate(2 * best.dispatches) };
}
