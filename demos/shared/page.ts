// The page of every demo: controls, charts and texts around what the worker computes.
import { curves, formatMetric, formatNumber } from 'hypersphere/metrics';
import { type Chart, makeCharts } from './charts.ts';
import { type Declared, defaultsOf, fromAddress, isTooLong, makeControls, toAddress } from './controls.ts';
import { $, element } from './dom.ts';
import { listen } from './pointer.ts';
import {
  CLASSES,
  type FromWorker,
  type Handlers,
  type Metrics,
  type Obstacle,
  REST_EVERY,
  type Settings,
  type Style,
  type ToWorker,
} from './protocol.ts';
import { showRecording } from './recording.ts';
import { colorOf, theme } from './theme.ts';
import { drawViews, showCard } from './tiles.ts';

/** Settings that are known to do something, and why. */
export interface Preset {
  name: string;
  why: string;
  settings: Settings;
}

export interface Demo {
  /** Numbers are live inputs of the training step, strings choose what is built. */
  settings: Declared;
  presets: readonly Preset[];
  charts: readonly Chart[];
  /** Further pictures of a demo's own: gets all metrics of this run whenever there are new ones, and a call when a new run begins. */
  extra?: (box: HTMLElement) => { show(looks: readonly Metrics[]): void; begin(): void };
}

/** Bytes of a file that is looked at: an encoder has a few hundred thousand. */
const LARGEST_FILE = 100e6;

/** A label begins with a capital, but k-NN is written small everywhere. */
const capital = (text: string) => (text.startsWith('k-NN') ? text : text[0].toUpperCase() + text.slice(1));

/** Runs a demo's page. */
export function show({ settings: declared, presets, charts: declaredCharts, extra: makeExtra }: Demo): void {
  const worker = new Worker('model.js', { type: 'module' });
  const send = (message: ToWorker, transfer: Transferable[] = []) => worker.postMessage(message, transfer);
  const address = fromAddress(declared, location.search);
  let { settings, seed } = address;
  let looks: Metrics[] = [];
  let running = false;
  let adapter = '';

  const status = (text: string) => {
    if ($('status').textContent !== text) $('status').textContent = text;
  };
  const CLOSE = 'Close';
  /** What went wrong, and what can be done about it; what can be done already stays. */
  function notice(text: string, action = CLOSE, run = () => {}): void {
    const box = $('notice');
    const old = box.hidden ? null : box.querySelector('button');
    if (action === CLOSE && old && old.textContent !== CLOSE) {
      box.prepend(`${text} `);
      return;
    }
    const button = element('button', { type: 'button', textContent: action });
    button.addEventListener('click', () => {
      box.hidden = true;
      run();
    });
    box.replaceChildren(text, button);
    box.hidden = false;
  }

  // The picture.
  const canvas = $<HTMLCanvasElement>('canvas');
  const reduced = matchMedia('(prefers-reduced-motion: reduce)');
  const pictures = $<HTMLInputElement>('pictures');
  pictures.checked = address.pictures;
  const style = (): Style => ({
    ...{ page: colorOf('panel'), line: colorOf('line'), text: colorOf('text') },
    classes: CLASSES.map((_, i) => colorOf(`c${i}`)),
    ...{ pictures: pictures.checked, turning: !reduced.matches },
  });
  const size = () => {
    const { width, height } = canvas.getBoundingClientRect();
    return { width, height, ratio: Math.min(2, devicePixelRatio) };
  };
  for (const changing of [reduced, pictures])
    changing.addEventListener('change', () => {
      send({ type: 'style', style: style() });
      showChoice();
    });
  let screen: ImageBitmapRenderingContext | null = null;
  let picked = -1;
  const pointing = listen($('canvas-box'), send, () => picked);

  // What the visitor may set.
  const showSettings = makeControls($<HTMLFormElement>('settings'), declared, (name, value) => {
    settings = { ...settings, [name]: value };
    const setting = declared[name];
    if (setting.kind === 'choice') rebuild(setting.carries === true);
    else send({ type: 'live', settings });
    showChoice();
  });
  const buttons = presets.map((preset) => {
    const button = element('button', { type: 'button', textContent: preset.name });
    button.addEventListener('click', () => {
      settings = { ...defaultsOf(declared), ...preset.settings };
      showChoice();
      rebuild(false);
      send({ type: 'start' });
    });
    $('presets').append(button);
    return { button, preset };
  });

  let waiting: ReturnType<typeof setTimeout>;
  /** Shows the settings in the controls, among the presets, and in the address once they rest: browsers count its changes. */
  function showChoice(): void {
    showSettings(settings);
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      history.replaceState(null, '', toAddress(declared, { settings, seed, pictures: pictures.checked }));
    }, 300);
    const defaults = defaultsOf(declared);
    let why = 'Settings of your own.';
    for (const { button, preset } of buttons) {
      const wanted: Settings = { ...defaults, ...preset.settings };
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

  $('start').addEventListener('click', () => send({ type: running ? 'pause' : 'start' }));
  for (const type of ['step', 'save', 'image', 'lose'] as const)
    $(type).addEventListener('click', () => send({ type }));
  $('reset').addEventListener('click', () => {
    beginRun();
    send({ type: 'reset' });
  });
  $('reseed').addEventListener('click', () => {
    seed = crypto.getRandomValues(new Uint32Array(1))[0] % 10_000;
    showChoice();
    rebuild(false);
  });
  $('load').addEventListener('change', async ({ target }) => {
    const input = target as HTMLInputElement;
    const [file] = input.files ?? [];
    input.value = ''; // The same file may be chosen again.
    if (!file) return;
    if (file.size > LARGEST_FILE) return notice(`${file.name} is too large for an encoder of this page.`);
    const bytes = await file.arrayBuffer().catch(() => null);
    if (bytes) send({ type: 'load', bytes: new Uint8Array(bytes) });
    else notice(`${file.name} cannot be read.`);
  });
  const name = document.title.split(' ')[0].toLowerCase();
  $('metrics').addEventListener('click', () => {
    const lines = looks.map((look) => `${JSON.stringify(look)}\n`);
    download(new Blob(lines, { type: 'application/jsonl' }), `${name}.jsonl`);
  });

  // Charts and tables.
  for (const [i, label] of CLASSES.entries()) {
    $('legend').append(element('li', {}, element('i', { className: `dot c${i}` }), label));
  }
  const shownNumbers = curves.filter(({ shown }) => shown.includes('demo'));
  const numbers = shownNumbers.map(({ key, name, hint, kind, digits }) => {
    const shown = element('data', { id: `metric-${key}` }, '–');
    $('numbers').append(
      element('p', {}, element('span', {}, capital(name)), shown, element('small', {}, hint)),
    );
    return (metrics: Metrics) => {
      const value = metrics[key];
      shown.value = value === undefined ? '' : String(value);
      shown.textContent = kind === 'accuracy' ? formatMetric(value, kind) : formatNumber(value, digits);
    };
  });
  const charts = makeCharts($('charts'), declaredCharts);
  const extra = makeExtra?.($('charts'));

  function showMetrics(metrics: Metrics): void {
    looks = looks.filter(({ step }) => step < metrics.step);
    looks.push(metrics);
    document.body.dataset.look = String(metrics.step);
    for (const showNumber of numbers) showNumber(metrics);
    charts.show(looks);
    extra?.show(looks);
    const text = metrics.alarm.map(({ sentence }) => sentence).join(' ');
    // Screen readers hear of a collapse once, not at each look.
    const kinds = metrics.alarm.map(({ kind }) => kind).join();
    $('alarm').hidden = text === '';
    $('alarm').setAttribute('aria-live', $('alarm').dataset.kinds === kinds ? 'off' : 'polite');
    $('alarm').dataset.kinds = kinds;
    $('alarm').textContent = text && `Collapse alarm: ${text}`;
  }

  const obstacle = (kind: Obstacle) =>
    showRecording(kind, { notice, status, metrics: showMetrics, still: () => reduced.matches });

  const hear: Handlers<FromWorker> = {
    progress: ({ text }) => status(`${text} …`),
    opened: (message) => ({ adapter } = message),
    choice({ choice }) {
      ({ settings, seed } = choice);
      showChoice();
    },
    built({ step }) {
      delete document.body.dataset.look; // The last one is of another model.
      // What there was to do about a failure is done; other words stay until they are read.
      if ($('notice').querySelector('button')?.textContent !== CLOSE) $('notice').hidden = true;
      document.body.dataset.built = String(Number(document.body.dataset.built ?? 0) + 1);
      status(`Ready at step ${step}. Press Start.`);
    },
    state({ step, drawn, stepsPerSecond, ...message }) {
      ({ running } = message);
      Object.assign(document.body.dataset, { step, drawn, running });
      $('start').textContent = running ? 'Pause' : 'Start';
      const rested = !running && step > 0 && step % REST_EVERY === 0;
      const paused = `Paused at step ${step}${rested ? ', resting: press Start for more' : ''}.`;
      status(running ? 'Training.' : step ? paused : 'Ready. Press Start.');
      const speed = stepsPerSecond ? `, ${stepsPerSecond.toFixed(stepsPerSecond < 10 ? 1 : 0)} steps/s` : '';
      $('facts').textContent = `Step ${step}${speed} · seed ${seed} · on ${adapter}`;
    },
    metrics: ({ metrics }) => showMetrics(metrics),
    picture({ picture }) {
      screen ??= canvas.getContext('bitmaprenderer')!;
      screen.transferFromImageBitmap(picture);
    },
    views: ({ pixels }) => drawViews($<HTMLCanvasElement>('views'), pixels),
    picked(message) {
      const words = showCard($('card'), message.picked);
      picked = message.picked?.items[0].index ?? picked;
      if (pointing.byKey()) $('told').textContent = words;
    },
    saved: ({ bytes, step }) => download(new Blob([bytes]), `${name}-encoder-${step}.safetensors`),
    image: ({ blob }) => download(blob, `${name}.png`),
    positions: (message) =>
      dispatchEvent(new CustomEvent('moment', { detail: { ...message, metrics: looks.at(-1) } })),
    obstacle: ({ kind }) => obstacle(kind),
    failed({ message, kept }) {
      status('Stopped.');
      const [text, action] =
        kept === null
          ? [message, 'Try again']
          : [`${message} The state of step ${kept} is kept.`, `Go on from step ${kept}`];
      notice(text, action, () => send({ type: 'recover' }));
    },
    refused: ({ message }) => notice(message),
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
  if (isTooLong(location.search))
    notice('The address is too long, so the page begins with its own settings.');
  theme(() => {
    charts.build();
    send({ type: 'style', style: style() });
  });
  const sized = () => send({ type: 'size', size: size() });
  new ResizeObserver(sized).observe($('canvas-box'));
  /** A window may move to a screen with other pixels. */
  (function watchPixels(): void {
    const changed = () => {
      sized();
      watchPixels();
    };
    matchMedia(`(resolution: ${devicePixelRatio}dppx)`).addEventListener('change', changed, { once: true });
  })();

  // The GPU is opened, images are fetched and kernels are compiled before the first click.
  if (!isSecureContext) return void obstacle('insecure');
  if (typeof OffscreenCanvas !== 'function') return void obstacle('noApi');
  const data = new URL('../data/', document.baseURI).href;
  const choice = { settings, seed };
  send({ type: 'open', data, choice, style: style(), size: size() });
}

function download(blob: Blob, name: string): void {
  const link = element('a', { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
