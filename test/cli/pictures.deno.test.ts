import { aboutRun, loadingCode } from '../../src/cli/about.ts';
import { imageRunOf } from '../../src/cli/images.ts';
import { type ImageOptions, parse } from '../../src/cli/options.ts';
import { pictures } from '../../src/cli/pictures.ts';
import { renderReport } from '../../src/cli/report_html.ts';
import { dataset } from '../../src/data/dataset.ts';
import { fromArrays, type Images } from '../../src/data/idx.ts';
import { saveVariables } from '../../src/data/safetensors.ts';
import { embed } from '../../src/metrics/embed.ts';
import { readVariable } from '../../src/runtime/variables.ts';
import { encoders } from '../../src/train/encoders.ts';
import { buildImageModel, represent } from '../../src/train/images.ts';
import { close, freshSeed, device as openTestDevice, random, test } from '../harness.ts';

/** Images of two classes, one bright above and one bright below, with noise. */
function halves(count: number, channels: number, side = 8): Images {
  const values = random(freshSeed());
  const size = side * side * channels;
  const noise = values.normal(count * size);
  const pixels = Uint8Array.from(noise, (value, i) => {
    const above = i % size < size / 2;
    return Math.min(255, Math.max(0, (above === (Math.floor(i / size) % 2 === 0) ? 200 : 50) + 20 * value));
  });
  return fromArrays(
    pixels,
    [count, side, side, channels],
    Array.from({ length: count }, (_, i) => i % 2),
  );
}

function setting(channels: number, ...args: string[]) {
  const images = { train: halves(30, channels), test: halves(12, channels) };
  const data = {
    train: dataset(images.train, { name: 'train', mean: 0.5, std: 0.25 }),
    test: dataset(images.test, { name: 'test', mean: 0.5, std: 0.25 }),
  };
  const options = parse(args).options as ImageOptions;
  return { images, data, options, make: () => buildImageModel(imageRunOf(options, data), 0) };
}

test('an embedding of two numbers is a map by itself, the first that is shown', async () => {
  const device = await openTestDevice();
  const { images, data, make } = setting(1, '--method', 'tSimcne', '--encoder', 'mlp-small');
  const model = make();
  const { map, failures } = await pictures(device, model, data, images);
  if (failures.length) throw new Error(String(failures));
  const [first, ...others] = map!.layouts;
  if (
    `${first.encoder} ${first.kind}` !== 'trained embedding' ||
    others.some(({ kind }) => kind === 'embedding')
  )
    throw new Error(JSON.stringify(map!.layouts));
  const { z } = await embed(device, data.test, (x) => ({ z: represent(model, x).z! }));
  const points = await readVariable(device, z);
  close(
    first.x,
    Array.from({ length: 12 }, (_, i) => points[2 * i]),
    { rel: 1e-6 },
  );
  close(
    first.y,
    Array.from({ length: 12 }, (_, i) => points[2 * i + 1]),
    { rel: 1e-6 },
  );
});

for (const channels of [1, 2, 3, 4]) {
  test(`pictures of images of ${channels} channels: maps, and neighbours that are of their class`, async () => {
    const device = await openTestDevice();
    const { images, data, make } = setting(channels, '--encoder', 'mlp-small');
    const { map, neighbours, gallery, failures } = await pictures(device, make(), data, images, {
      untrained: async () => make(),
    });
    if (failures.length) throw new Error(String(failures));
    const layouts = map!.layouts.map(({ encoder, kind }) => `${encoder} ${kind}`).join();
    if (layouts !== 'trained neighbours,trained plane,untrained neighbours,raw neighbours')
      throw new Error(layouts);
    if (
      map!.layouts.some(
        ({ x, y }) => x.length !== 12 || ![...Array.from(x), ...Array.from(y)].every(Number.isFinite),
      )
    )
      throw new Error(JSON.stringify(map!.layouts));
    // A class has 15 images: no more neighbours can be right.
    const { k, queries, of, shares, gains, shown } = neighbours!;
    if (k !== 15 || queries !== 12 || of !== 30) throw new Error(JSON.stringify(neighbours));
    if (shares.raw!.mean !== 1 || shares.raw!.error !== 0)
      throw new Error(`raw pixels: ${JSON.stringify(shares.raw)}`);
    // The same weights: the same neighbours.
    if (gains.untrained!.mean !== 0) throw new Error(JSON.stringify(gains));
    for (const line of shown) {
      if (line.raw!.some((i) => gallery!.label[i] !== gallery!.label[line.query]))
        throw new Error('a picture of another class');
      if (line.raw!.length !== 5) throw new Error(JSON.stringify(line));
    }
    const size = gallery!.height * gallery!.width * gallery!.channels;
    if (gallery!.data.length !== size * gallery!.label.length)
      throw new Error(`${gallery!.data.length} bytes`);
  });
}

test('a picture that fails is named, and the others are there', async () => {
  const device = await openTestDevice();
  const { images, data, options, make } = setting(1, '--encoder', 'mlp-small');
  const drawn = await pictures(device, make(), data, images, {
    untrained: async () => {
      throw new Error('out of memory\nand more');
    },
  });
  if (drawn.failures.join() !== 'untrained: out of memory') throw new Error(drawn.failures.join());
  if (
    drawn.map!.layouts.length !== 3 ||
    drawn.neighbours!.shares.untrained ||
    !drawn.neighbours!.shares.trained
  )
    throw new Error(JSON.stringify(drawn.neighbours));
  const page = renderReport({
    report: {
      ...aboutRun(options, data, [images.train.labels!, images.test.labels!], new Date(0)),
      ...{
        method: 'simclr',
        seed: 0,
        steps: 1,
        seconds: 1,
        adapter: '',
        loss: 1,
        options: {},
        verdict: '',
        alarm: [],
      },
      metrics: { raw: {}, untrained: {}, trained: {} },
    },
    curves: [],
    spectrum: { untrained: [], trained: [] },
    classNames: ['above', 'below'],
    ...drawn,
  });
  for (const part of ['untrained: out of memory', '2 classes', '12 test images', 'id="map"'])
    if (!page.includes(part)) throw new Error(`${part} is not on the page`);
});

test('the program of a report loads the encoder of its run, of every kind', async () => {
  const device = await openTestDevice();
  const folder = Deno.makeTempDirSync();
  const sourceOf = (name = '') => new URL(`../../src${name}/index.ts`, import.meta.url).href;
  try {
    const runs = Object.keys(encoders).map((name) => ['--encoder', name]);
    for (const [i, args] of [...runs, ['--method', 'ddpm', '--width', '16']].entries()) {
      const { data, images, options, make } = setting(2, ...args);
      const model = make();
      const want = await embed(device, data.test, (x) => ({ h: represent(model, x).h }));
      Deno.writeFileSync(
        `${folder}/encoder.safetensors`,
        await saveVariables(device, model.encoderVariables),
      );
      const about = aboutRun(options, data, [], new Date(0));
      const program = loadingCode(options, about.data)
        .replaceAll(/'hypersphere(\/\w+)?'/g, (_, name) => `'${sourceOf(name)}'`)
        .replace("'encoder.safetensors'", `'${folder}/encoder.safetensors'`)
        .replace(/const pixels = .*/, `const pixels = Uint8Array.of(${images.test.pixels});`);
      Deno.writeTextFileSync(`${folder}/${i}.ts`, `${program}\ndevice.dispose();\nexport { rows };\n`);
      const { rows } = await import(`file://${folder}/${i}.ts`);
      close(rows, (await readVariable(device, want.h)) as Float32Array, { rel: 0, abs: 0 });
    }
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});
