// The progress of a run: one line that is rewritten in place, or plain lines where the output is not a terminal.
import { type CurveKey, curves } from '../metrics/curves.ts';
import { formatNumber } from '../metrics/format.ts';

/** The progress of a training, with the latest metrics of the curves. */
export type TrainingState = { [K in CurveKey]?: number | null } & {
  /** Steps done, and to do. */
  step: number;
  steps: number;
};

export interface Pace {
  imagesPerSecond?: number;
  secondsLeft?: number;
}

export interface ProgressOptions {
  /** Writes text: (text) => Deno.stdout.writeSync(encoder.encode(text)). */
  write: (text: string) => void;
  /** Deno.stdout.isTerminal(): without a terminal each update is a separate line. */
  terminal: boolean;
  /** Columns of the terminal, read at every update, since a window can be resized. Default 80. */
  columns?: () => number;
  /** Images in one step, for images/s; 0 leaves it out. */
  imagesPerStep?: number;
  /** The time in milliseconds, for tests. Default performance.now. */
  now?: () => number;
}

export interface Progress {
  /** Call after as many steps as you like: most calls write nothing. */
  training(state: TrainingState): void;
  /** A stage with a known share done, 0 to 1; `note` follows its name. */
  stage(name: string, fraction: number, note?: string): void;
  /** A separate line that stays, above the bar. */
  say(line: string): void;
  /** Ends the line that is being rewritten; call it before anything else writes. */
  end(): void;
}

/** 75 -> "1:15", 3675 -> "1:01:15"; "–" for anything but a duration. */
export function formatSeconds(seconds: number | undefined): string {
  if (seconds === undefined || !Number.isFinite(seconds) || seconds < 0) return '–';
  const whole = Math.round(seconds);
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (n: number) => String(n).padStart(2, '0');
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

/** 950 -> "950", 12345 -> "12,345": the same in every locale. */
export function formatCount(n: number): string {
  return Number.isFinite(n) ? Math.round(n).toLocaleString('en') : '–';
}

/** "━━━━━╸────": `width` cells, with a resolution of half a cell. */
export function bar(fraction: number, width: number): string {
  const share = Math.min(1, Math.max(0, Number.isFinite(fraction) ? fraction : 0));
  const halves = Math.floor(share * width * 2);
  const full = halves >> 1;
  const half = halves & 1 ? '╸' : '';
  return `${'━'.repeat(full)}${half}${'─'.repeat(Math.max(0, width - full - half.length))}`;
}

/** Joins the parts that fit into `columns`, most important first; a part never breaks. */
function fit(parts: string[], columns: number): string {
  let line = '';
  for (const part of parts.filter(Boolean)) {
    const longer = line ? `${line}  ${part}` : part;
    if (longer.length > columns) break;
    line = longer;
  }
  // A first part that does not fit is cut, since a wrapped line cannot be rewritten.
  return line || (parts[0] ?? '').slice(0, Math.max(0, columns));
}

/** A share as a bar and in percent, on narrow terminals in percent only. */
function done(fraction: number, columns: number): string {
  const percent = `${Math.floor(100 * Math.min(1, Math.max(0, fraction || 0)))} %`;
  const width = columns >= 100 ? 24 : columns >= 60 ? 12 : 0;
  return width ? `${bar(fraction, width)} ${percent.padStart(5)}` : percent;
}

/** The line of a training step, at most `columns` wide; narrow terminals lose the parts at the end. */
export function trainingLine(
  state: TrainingState,
  { imagesPerSecond, secondsLeft }: Pace = {},
  columns = 80,
): string {
  const { step, steps } = state;
  const [loss = '', ...metrics] = curves.flatMap(({ key, short, digits }) =>
    short === undefined || state[key] === undefined ? [] : [`${short} ${formatNumber(state[key], digits)}`],
  );
  const parts = [
    `${formatCount(step).padStart(formatCount(steps).length)}/${formatCount(steps)}`,
    loss,
    secondsLeft === undefined ? '' : `${formatSeconds(secondsLeft)} left`,
    ...metrics,
    imagesPerSecond === undefined ? '' : `${formatCount(imagesPerSecond)} img/s`,
  ];
  return fit([done(steps > 0 ? step / steps : 0, columns), ...parts], columns);
}

/** The line of an evaluation stage, at most `columns` wide. */
export function stageLine(name: string, fraction: number, columns = 80, note = ''): string {
  return fit([done(fraction, columns), name, note], columns);
}

/** The shortest time between two updates of the line, in milliseconds: shorter ones only flicker. */
const interval = 100;
/** Without a terminal, each such share of the work gets a line. */
const lineShare = 0.05;

export function createProgress(options: ProgressOptions): Progress {
  const { write, terminal, columns = () => 80, imagesPerStep = 0, now = () => performance.now() } = options;
  let open = false; // a line is on the screen that the next update rewrites
  let shown = ''; // that line
  let lastTime = Number.NEGATIVE_INFINITY;
  let lastMark = -1; // the last multiple of lineShare that got a line
  let stageName: string | undefined;
  const pace = createPace(imagesPerStep, now);

  // The last column is left free: some terminals wrap as soon as it is written.
  const width = () => Math.max(1, (terminal ? columns() || 80 : 120) - 1);

  function show(line: string) {
    if (line === shown && open) return;
    // One write: carriage return, text, and an escape sequence that erases the rest of the previous line.
    write(`\r${line}\x1b[K`);
    open = true;
    shown = line;
  }

  function end() {
    if (open) write('\n');
    open = false;
    shown = '';
    lastTime = Number.NEGATIVE_INFINITY;
  }

  function update(name: string, fraction: number, line: () => string) {
    if (name !== stageName) {
      end();
      stageName = name;
      lastMark = -1;
    }
    const last = fraction >= 1;
    if (terminal) {
      const time = now();
      if (!last && time - lastTime < interval) return;
      lastTime = time;
      show(line());
    } else {
      const mark = last ? Number.POSITIVE_INFINITY : Math.floor(fraction / lineShare + 1e-9);
      if (mark <= lastMark) return;
      lastMark = mark;
      write(`${line()}\n`);
    }
  }

  return {
    training(state) {
      const known = pace(state);
      const fraction = state.steps > 0 ? state.step / state.steps : 0;
      update('', fraction, () => trainingLine(state, known, width()));
    },
    stage(name, fraction, note = '') {
      update(name, fraction, () => stageLine(name, fraction, width(), note));
    },
    say(line) {
      const { shown: below, open: rewritten } = { shown, open };
      write(rewritten ? `\r${line}\x1b[K\n` : `${line}\n`);
      open = false;
      if (rewritten) show(below);
    },
    end() {
      end();
      stageName = undefined;
    },
  };
}

/** Speed over about the last ten seconds, from the second call on: the first steps after a warm-up are slow. */
function createPace(imagesPerStep: number, now: () => number) {
  const window = 10_000;
  let samples: { time: number; step: number }[] = [];
  return ({ step, steps }: TrainingState): Pace => {
    const time = now();
    const previous = samples.at(-1);
    if (previous && step < previous.step) samples = [];
    if (!previous || time - previous.time >= 250 || step >= steps || samples.length < 2)
      samples.push({ time, step });
    while (samples.length > 2 && time - samples[0].time > window) samples.shift();
    const { time: since, step: from } = samples[0];
    if (step <= from || time <= since) return {};
    const perSecond = (1000 * (step - from)) / (time - since);
    return {
      imagesPerSecond: imagesPerStep ? perSecond * imagesPerStep : undefined,
      secondsLeft: Math.max(0, steps - step) / perSecond,
    };
  };
}
