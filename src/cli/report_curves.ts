// The training curves of a report.
import { type Curve, type CurveRow, curves } from '../metrics/curves.ts';
import { formatNumber, isNumber, significant } from '../metrics/format.ts';
import { least, most, spaced } from './chart.ts';
import { html, type Section, tableOf } from './html.ts';
import { alignsViews, curvesOf, type LoggedStep, type RunReport } from './report.ts';

/** Steps in order, each once: after a resumed run the later entry of a step counts. */
export const sorted = (steps: readonly LoggedStep[]): LoggedStep[] =>
  [...new Map(steps.map((one) => [one.step, one])).values()].sort((a, b) => a.step - b.step);

/** A curve of all reports, or of the method. */
type Shown = Pick<Curve, 'key' | 'name' | 'long' | 'kind' | 'digits'> & Pick<CurveRow, 'target'>;

/** The curves that a run has; the method's own come last. */
const shownCurves = ({ curves: steps, methodCurves = [] }: RunReport): Shown[] =>
  [
    ...curves.filter(({ shown }) => shown.includes('report')),
    ...methodCurves.map((curve) => ({ ...curve, kind: 'number' as const })),
  ].filter(({ key }) => steps.some((one) => isNumber(one[key])));

export function curveSection(run: RunReport): Section | undefined {
  const steps = sorted(run.curves);
  const shown = shownCurves(run);
  if (!shown.length) return undefined;
  const d = run.spectrum.trained.length;
  const of = curvesOf(run.report);
  const titleOf = ({ name, long = name }: Shown) => long.replace(/ of z$/, ` of ${of}`);
  const rank = d > 0 && ` far above 1 (the most it can be is ${d})`;
  const course = alignsViews(run.report)
    ? html`: in a healthy run alignment ends low and uniformity comes close to its dashed optimum${rank && `, while the effective rank stays${rank}`}.`
    : html`. Alignment, uniformity, rank and std are of ${of} at unit length. The method does not train for them; still, in a healthy run the effective rank stays${rank || ' high'}.`;
  const own = (run.methodCurves ?? []).map(({ name, hint }) => `${name}, ${hint}`).join('; ');
  const quick = shown.some(({ kind }) => kind === 'accuracy');
  const body = html`<figure>
<div class="curves">${shown.map((row) => html`<div class="chart"><h3 id="curve-${row.key}-title">${titleOf(row)}</h3><p class="readout" id="curve-${row.key}-value" aria-hidden="true"></p><div class="plot" id="curve-${row.key}" role="img" aria-label="${describeCurve(steps, row.key, titleOf(row))}"></div></div>\n`)}</div>
<figcaption>Each curve is one number over the training steps (point at a step to read all of them)${course}${quick && ' The two quick accuracies are of a few augmented test images, by a part of the training images: they show the course, and lie below the table’s, which are of all.'} The thick loss line is smoothed, the thin one is not.${own && ` The method’s own curves: ${own}.`}</figcaption>
${tableOf(
  'The curves as numbers',
  ['step', ...shown.map(titleOf)],
  spaced(steps, 9).map((one) => [
    one.step,
    ...shown.map(({ key, digits }) => formatNumber(one[key], digits)),
  ]),
)}
</figure>`;
  return { id: 'training', title: 'Training', body };
}

function describeCurve(steps: readonly LoggedStep[], key: string, title: string): string {
  const known = steps.filter((one) => isNumber(one[key]));
  const at = (one: LoggedStep) => `${formatNumber(one[key], 3)} at step ${one.step}`;
  const values = known.map((one) => one[key]!);
  const extremes = `between ${formatNumber(least(values), 3)} and ${formatNumber(most(values), 3)}`;
  return `${title} over training: ${at(known[0])}, ${at(known.at(-1)!)}, ${extremes}`;
}

/** A number as the page's script gets it. */
export const short = (value: number | null | undefined) => (isNumber(value) ? significant(value) : null);

/** The curves as the page's script draws them. */
export function curveData(run: RunReport) {
  const steps = sorted(run.curves);
  const { trained } = run.report.metrics;
  return {
    steps: steps.map(({ step }) => step),
    curves: shownCurves(run).map(({ key, digits, target }) => {
      const value = target && short(trained[target.key]);
      return {
        key,
        digits,
        smooth: key === 'loss',
        values: steps.map((one) => short(one[key])),
        target: value === undefined || value === null ? undefined : { name: target!.name, value },
      };
    }),
  };
}
