// The page of every demo: controls, charts and words around what the worker computes.
import { type Chart, makeCharts } from './charts.ts';
import { type Declared, defaultsOf, fromAddress, makeControls, toAddress } from './controls.ts';
import {
  CLASSES,
  type FromWorker,
  type Gauges,
  type Handlers,
  type Obstacle,
  SIDE,
  type Style,
  type ToWorker,
} from './protocol.ts';
import { play } from './recording.ts';
import { colorOf, cssOf, theme } from './theme.ts';

/** Settings that are known to do something, and why. */
export interface Preset {
  name: string;
  why: string;
  settings: Record<string, number | string>;
}

export interface Demo {
  /** Numbers are live inputs of the training step, words choose what is built. */
  settings: Declared;
  presets: readonly Preset[];
  charts: readonly Chart[];
  /** Further pictures of a demo's own: gets all gauges of this run whenever there are new ones, and is told when a new run begins. */
  extra?: (box: HTMLElement) => { show(looks: readonly Gauges[]): void; begin(): void };
}

const $ = <T extends HTMLElement = HTMLElement>(id: string) => document.querySelector<T>(`#${id}`)!;

const WHAT_TO_DO: Record<Obstacle, string> = {
  insecure:
    'This page is not a secure context, and browsers give WebGPU to secure ones only. Open it over https, or on localhost.',
  noApi:
    'This browser has no WebGPU (in workers). Use Chrome or Edge 113, Safari 26 or Firefox 141, or newer; in older Firefox set dom.webgpu.enabled in about:config.',
  noAdapter:
    'This browser has WebGPU but offers no GPU. Switch hardware acceleration on in its settings, look at chrome://gpu for what it says, or update the graphics driver.',
  blocked:
    'This browser refuses a WebGPU device. A policy, an extension or the list of blocked drivers may forbid it: look at chrome://gpu or about:support.',
};

const GAUGES = [
  ['loss', 'Loss', ''],
  ['alignment', 'Alignment', 'distance of two views: 0 is best'],
  ['uniformity', 'Uniformity', 'evenness on the sphere: lower is better'],
  ['std', 'Std', 'of a unit embedding’s numbers'],
  ['rank', 'Effective rank', 'dimensions in use'],
  ['length', 'Length', 'of z before it is normalised'],
  ['knn', 'k-NN accuracy', 'of 256 test images by 512 labelled ones'],
] as const;

/** Runs a demo's page. */
export function show(demo: Demo): void {
  const { declared, worker } = {
    declared: demo.settings,
    worker: new Worker('model.js', { type: 'module' }),
  };
  let { settings, seed } = fromAddress(declared, new URLSearchParams(location.search));
  let looks: Gauges[] = [];
  let running = false;
  const send = (message: ToWorker, transfer: Transferable[] = []) => worker.postMessage(message, transfer);

  // The picture.
  const canvas = $<HTMLCanvasElement>('canvas');
  const reduced = matchMedia('(prefers-reduced-motion: reduce)');
  let pictures = new URLSearchParams(location.search).has('pictures');
  const style = (): Style => ({
    ...{ page: colorOf('panel'), line: colorOf('line'), text: colorOf('text') },
    classes: CLASSES.map((_, i) => colorOf(`c${i}`)),
    ...{ pictures, turning: !reduced.matches },
  });
  const size = () => {
    const { width, height } = canvas.getBoundingClientRect();
    return { width, height, ratio: Math.min(2, devicePixelRatio) };
  };
  reduced.addEventListener('change', () => send({ type: 'style', style: style() }));

  // What the visitor may set.
  const toggle = document.createElement('label');
  toggle.className = 'setting switch';
  toggle.innerHTML = '<input type="checkbox" id="pictures"> Pictures instead of dots';
  const box = toggle.querySelector('input')!;
  box.checked = pictures;
  box.addEventListener('change', () => {
    pictures = box.checked;
    send({ type: 'style', style: style() });
  });
  const showSettings = makeControls($('settings'), declared, (name, value) => {
    settings = { ...settings, [name]: value };
    const setting = declared[name];
    if (setting.kind === 'choice') rebuild(setting.carries === true);
    else send({ type: 'live', settings });
    showChoice();
  });
  $('settings').append(toggle);
  const buttons = demo.presets.map((preset) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = preset.name;
    button.addEventListener('click', () => {
      settings = { ...defaultsOf(declared), ...preset.settings };
      showChoice();
      rebuild(false);
      send({ type: 'start' });
    });
    $('presets').append(button);
    return { button, preset };
  });

  function showChoice(): void {
    showSettings(settings);
    history.replaceState(null, '', toAddress(declared, settings, seed));
    const defaults = defaultsOf(declared);
    let why = 'Settings of your own.';
    for (const { button, preset } of buttons) {
      const wanted: Record<string, unknown> = { ...defaults, ...preset.settings };
      const chosen = Object.keys(wanted).every(
        (name) => wanted[name] === settings[name] || (declared[name].when && !declared[name].when(settings)),
      );
      button.setAttribute('aria-pressed', String(chosen));
      if (chosen) why = preset.why;
    }
    $('why').textContent = why;
  }

  function beginRun(): void {
    extra?.begin();
    looks = [];
  }

  function rebuild(carry: boolean): void {
    if (!carry) beginRun();
    status('Compiling kernels …');
    send({ type: 'build', choice: { settings, seed }, carry });
  }

  const status = (text: string) => {
    if ($('status').textContent !== text) $('status').textContent = text;
  };

  $('start').addEventListener('click', () => send({ type: running ? 'pause' : 'start' }));
  $('step').addEventListener('click', () => send({ type: 'step' }));
  $('reset').addEventListener('click', () => {
    beginRun();
    send({ type: 'reset' });
  });
  $('reseed').addEventListener('click', () => {
    seed = crypto.getRandomValues(new Uint32Array(1))[0] % 10_000;
    showChoice();
    rebuild(false);
  });
  $('save').addEventListener('click', () => send({ type: 'save' }));
  $('image').addEventListener('click', () => send({ type: 'image' }));
  $('lose').addEventListener('click', () => send({ type: 'lose' }));
  $('load').addEventListener('change', async ({ target }) => {
    const input = target as HTMLInputElement;
    const [file] = input.files ?? [];
    input.value = ''; // The same file may be chosen again.
    if (file) send({ type: 'load', bytes: new Uint8Array(await file.arrayBuffer()) });
  });
  const name = document.title.split(' ')[0].toLowerCase();
  $('metrics').addEventListener('click', () => {
    const lines = looks.map((look) => `${JSON.stringify(look)}\n`);
    download(new Blob(lines, { type: 'application/jsonl' }), `${name}.jsonl`);
  });

  // The pointer and the arrow keys.
  let dragged: { x: number; y: number } | null = null;
  let picked = -1;
  const at = ({ clientX, clientY }: PointerEvent) => {
    const { left, top, width, height } = canvas.getBoundingClientRect();
    return { x: clientX - left - width / 2, y: height / 2 - (clientY - top) };
  };
  canvas.addEventListener('pointerdown', (event) => {
    dragged = { x: event.clientX, y: event.clientY };
    canvas.setPointerCapture(event.pointerId);
    send({ type: 'pick', at: at(event) });
  });
  canvas.addEventListener('pointermove', (event) => {
    if (!dragged) return send({ type: 'pick', at: at(event) });
    send({ type: 'turn', yaw: (event.clientX - dragged.x) / 150, pitch: (event.clientY - dragged.y) / 150 });
    dragged = { x: event.clientX, y: event.clientY };
  });
  for (const end of ['pointerup', 'pointercancel'] as const)
    canvas.addEventListener(end, () => (dragged = null));
  canvas.addEventListener('pointerleave', () => send({ type: 'pick', at: null }));
  canvas.addEventListener('blur', () => send({ type: 'pick', at: null }));
  canvas.addEventListener('keydown', (event) => {
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (by) send({ type: 'pick', at: { index: picked + by } });
    else if (event.key === 'Escape') send({ type: 'pick', at: null });
    else return;
    event.preventDefault();
  });

  // Charts and tables.
  for (const [i, label] of CLASSES.entries()) {
    const item = document.createElement('li');
    const dot = document.createElement('i');
    dot.className = `dot c${i}`;
    item.append(dot, label);
    $('legend').append(item);
  }
  const numbers = GAUGES.map(([key, label, hint]) => {
    const item = document.createElement('p');
    item.innerHTML = `<span>${label}</span><data id="gauge-${key}">–</data><small>${hint}</small>`;
    $('numbers').append(item);
    return { key, element: item.querySelector('data')! };
  });
  const charts = makeCharts($('charts'), demo.charts);
  const extra = demo.extra?.($('charts'));

  function showGauges(gauges: Gauges): void {
    looks = looks.filter(({ step }) => step < gauges.step);
    looks.push(gauges);
    document.body.dataset.look = String(gauges.step);
    for (const { key, element } of numbers) {
      const value = gauges[key];
      element.value = value === undefined ? '' : String(value);
      element.textContent =
        value === undefined ? '–' : key === 'knn' ? `${(100 * value).toFixed(1)} %` : value.toFixed(3);
    }
    charts.show(looks);
    extra?.show(looks);
    const text = gauges.alarm.map(({ sentence }) => sentence).join(' ');
    // Screen readers hear of a collapse once, not at each look.
    const kinds = gauges.alarm.map(({ kind }) => kind).join();
    $('alarm').hidden = text === '';
    $('alarm').setAttribute('aria-live', $('alarm').dataset.kinds === kinds ? 'off' : 'polite');
    $('alarm').dataset.kinds = kinds;
    $('alarm').textContent = text && `Collapse alarm: ${text}`;
  }

  function drawViews(pixels: Uint8Array): void {
    const target = $<HTMLCanvasElement>('views');
    const count = pixels.length / SIDE / SIDE / 2;
    const context = target.getContext('2d')!;
    for (let i = 0; i < 2 * count; i++) {
      const tile = tileOf(pixels.subarray(i * SIDE * SIDE, (i + 1) * SIDE * SIDE));
      context.imageSmoothingEnabled = false;
      context.drawImage(tile, (i % count) * 56, Math.floor(i / count) * 56, 56, 56);
    }
  }

  function notice(text: string, action?: { label: string; run: () => void }): void {
    const element = $('notice');
    element.textContent = text;
    element.hidden = text === '';
    if (!action) return;
    const button = document.createElement('button');
    Object.assign(button, { type: 'button', textContent: action.label });
    button.addEventListener('click', () => {
      notice('');
      action.run();
    });
    element.append(button);
  }

  /** Without a GPU: says why, and shows a run that was recorded. */
  async function obstacle(kind: Obstacle): Promise<void> {
    document.body.dataset.obstacle = kind;
    notice(`${WHAT_TO_DO[kind]} Meanwhile you see a run that was recorded.`);
    for (const button of document.querySelectorAll<HTMLButtonElement>(
      '#controls button, main .transport button',
    ))
      button.disabled = true;
    for (const input of document.querySelectorAll<HTMLInputElement>(
      '#controls input, #controls select, #load',
    ))
      input.disabled = true;
    $('views-section').hidden = true;
    const fresh = canvas.cloneNode() as HTMLCanvasElement; // The other one belongs to the worker.
    canvas.replaceWith(fresh);
    await play(fresh, {
      colors: () => ({
        ring: cssOf(colorOf('line')),
        classes: CLASSES.map((_, i) => cssOf(colorOf(`c${i}`))),
      }),
      still: reduced.matches,
      say: status,
      gauges: showGauges,
    });
  }

  const hear: Handlers<FromWorker> = {
    progress: ({ text }) => status(`${text} …`),
    opened: ({ adapter }) => ($('facts').dataset.adapter = adapter),
    built({ step }) {
      delete document.body.dataset.look; // The last one is of another model.
      document.body.dataset.built = String(Number(document.body.dataset.built ?? 0) + 1);
      status(`Ready at step ${step}. Press Start.`);
    },
    state(message) {
      ({ running } = message);
      const { step, stepsPerSecond } = message;
      document.body.dataset.step = String(step);
      document.body.dataset.running = String(running);
      $('start').textContent = running ? 'Pause' : 'Start';
      const rested = !running && step > 0 && step % 3000 === 0 ? ', resting: press Start for more' : '';
      status(running ? 'Training.' : step ? `Paused at step ${step}${rested}.` : 'Ready. Press Start.');
      const speed =
        running && stepsPerSecond ? `, ${stepsPerSecond.toFixed(stepsPerSecond < 10 ? 1 : 0)} steps/s` : '';
      $('facts').textContent = `Step ${step}${speed} · seed ${seed} · on ${$('facts').dataset.adapter}`;
    },
    gauges: ({ gauges }) => showGauges(gauges),
    views: ({ pixels }) => drawViews(pixels),
    picked(message) {
      const card = $('card');
      card.hidden = !message.picked;
      picked = message.picked?.items[0].index ?? picked;
      if (!message.picked) return;
      const { items, pixels } = message.picked;
      const pieces = items.map(({ label, similarity }, i) => {
        const item = document.createElement('figure');
        const text = document.createElement('figcaption');
        text.textContent = i ? `${CLASSES[label]} ${similarity.toFixed(2)}` : CLASSES[label];
        item.append(tileOf(pixels.subarray(i * SIDE * SIDE, (i + 1) * SIDE * SIDE)), text);
        return item;
      });
      card.replaceChildren(...pieces);
      const names = items.map(({ label }) => CLASSES[label]);
      $('stage-text').textContent =
        `Image ${items[0].index + 1}: ${names[0]}. Nearest by cosine: ${names.slice(1).join(', ')}.`;
    },
    saved: ({ bytes, step }) => download(new Blob([bytes]), `${name}-encoder-${step}.safetensors`),
    image: ({ blob }) => download(blob, `${name}.png`),
    positions: (message) =>
      dispatchEvent(new CustomEvent('moment', { detail: { ...message, gauges: looks.at(-1) } })),
    obstacle: ({ kind }) => obstacle(kind),
    lost: ({ message, step }) =>
      notice(`${message} The state of step ${step} is kept.`, {
        label: `Go on from step ${step}`,
        run: () => send({ type: 'recover' }),
      }),
    failed: ({ message }) => notice(message, { label: 'Go on', run: () => send({ type: 'recover' }) }),
  };
  worker.addEventListener('message', ({ data }: MessageEvent<FromWorker>) =>
    (hear[data.type] as (message: FromWorker) => unknown)(data),
  );
  worker.addEventListener('error', ({ message }) =>
    notice(`The demo stopped: ${message || 'its worker could not be loaded'}`),
  );

  // For recordings and tests.
  addEventListener('ask-moment', () => send({ type: 'positions' }));

  showChoice();
  theme(() => {
    charts.build();
    send({ type: 'style', style: style() });
  });
  new ResizeObserver(() => send({ type: 'size', size: size() })).observe($('canvas-box'));

  /** Opens the GPU and fetches the images: once the page is there, or at the first click. */
  const open = () => {
    if (!isSecureContext) return void obstacle('insecure');
    if (typeof canvas.transferControlToOffscreen !== 'function') return void obstacle('noApi');
    const drawing = canvas.transferControlToOffscreen();
    const data = new URL('../data/', document.baseURI).href;
    send({ type: 'open', canvas: drawing, data, choice: { settings, seed }, style: style(), size: size() }, [
      drawing,
    ]);
  };
  if ('requestIdleCallback' in window) requestIdleCallback(open, { timeout: 500 });
  else setTimeout(open, 100);
}

/** An image of 28 x 28 bytes. */
function tileOf(pixels: Uint8Array): HTMLCanvasElement {
  const tile = document.createElement('canvas');
  tile.width = tile.height = SIDE;
  const image = new ImageData(SIDE, SIDE);
  for (let i = 0; i < pixels.length; i++) image.data.set([pixels[i], pixels[i], pixels[i], 255], 4 * i);
  tile.getContext('2d')!.putImageData(image, 0, 0);
  return tile;
}

function download(blob: Blob, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
