// The studies' pictures: those in docs/ are what the numbers beside them give, and every file stands alone.
import { decades, linear } from '../../src/cli/chart.ts';
import { circle, density } from '../../src/studies/circle.ts';
import { disentanglement } from '../../src/studies/disentanglement.ts';
import { figure } from '../../src/studies/figure.ts';
import { generation } from '../../src/studies/generation.ts';
import { limit } from '../../src/studies/limit.ts';
import { modalityGapStudy } from '../../src/studies/modality_gap.ts';
import type { Study } from '../../src/studies/study.ts';
import { tokenization } from '../../src/studies/tokenization.ts';
import { wangIsola } from '../../src/studies/wang_isola.ts';
import { close, test } from '../harness.ts';

const studies: Record<string, Study<object>> = {
  'wang-isola': wangIsola,
  'modality-gap': modalityGapStudy,
  ...{ limit, circle, disentanglement, generation, tokenization },
};
const folder = new URL('../../docs/studies/', import.meta.url);
const read = (name: string) => Deno.readTextFileSync(new URL(name, folder));

for (const [name, study] of Object.entries(studies)) {
  test(`${name}: the picture is that of its numbers`, () => {
    const drawn = study.draw(JSON.parse(read(`${name}.json`)));
    if (drawn !== read(`${name}.svg`)) throw new Error(`npm run studies -- --only ${name} --draw`);
    if (/NaN|undefined|Infinity|null/.test(drawn))
      throw new Error(/.{40}(NaN|undefined|Infinity|null).{20}/.exec(drawn)?.[0]);
    if (!/<title id="title">.+<\/title>\n<desc id="description">.{100,}<\/desc>/.test(drawn))
      throw new Error('no words for who cannot see it');
    if (!drawn.includes('prefers-color-scheme: dark')) throw new Error('no dark version');
    // Pictures in the file itself are no links.
    const others = drawn.replace(/href="data:image\/png;base64,[A-Za-z0-9+/]+=*"/g, '');
    if (/(href|src|url\(|@import)/.test(others)) throw new Error('it loads something');
  });
}

for (const [name, file] of [
  ['disentanglement', 'generation.md'],
  ['generation', 'generation.md'],
  ['modality-gap', 'modality_gap.md'],
])
  test(`${name}: the tables of docs/${file} are those of its numbers`, () => {
    const page = read(`../${file}`).split('\n');
    const lines = studies[name].summary(JSON.parse(read(`${name}.json`))).split('\n');
    for (const line of lines.filter(Boolean))
      if (!page.includes(`| ${line} |`)) throw new Error(`not in the page: ${line}`);
  });

test('the scatter has its 24 runs, of several temperatures, weights and batch sizes', () => {
  const runs = JSON.parse(read('wang-isola.json')) as { args: string }[];
  const values = (name: string) =>
    new Set(runs.map(({ args }) => new RegExp(`--${name} (\\S+)`).exec(args)?.[1]).filter(Boolean));
  const counts = ['temperature', 'align-weight', 'batch'].map((name) => values(name).size);
  if (runs.length < 24 || counts[0] < 5 || counts[1] < 5 || counts[2] < 4)
    throw new Error(`${runs.length}: ${counts}`);
  if (new Set(runs.map(({ args }) => args)).size !== runs.length) throw new Error('a run is there twice');
});

test('text in a picture is escaped, axes hold their values', () => {
  const drawn = figure({ title: '<a>&', description: '"', width: 10, height: 10 }, []);
  if (!drawn.includes('&lt;a&gt;&amp;')) throw new Error(drawn);
  const axis = linear('x', [0.2, 3.7]);
  if (axis.low > 0.2 || axis.high < 3.7) throw new Error(JSON.stringify(axis));
  const powers = decades('M', [-4.2, 3]).ticks.map(({ text }) => text);
  if (String(powers) !== '10⁻⁵,10⁻⁴,10⁻³,10⁻²,10⁻¹,1,10,100,10³') throw new Error(String(powers));
});

test('the density around the circle has mean 1 and its peak where the angles are', () => {
  const even = density(Array.from({ length: 360 }, (_, i) => (i * Math.PI) / 180));
  close(even, new Float32Array(even.length).fill(1), { rel: 1e-6 });
  const peaked = density([Math.PI / 2]);
  close([peaked.reduce((a, b) => a + b) / peaked.length], [1], { rel: 1e-9 });
  if (peaked.indexOf(Math.max(...peaked)) !== peaked.length / 4) throw new Error('the peak is elsewhere');
});
