import { theme } from './theme.ts';

/** When the dark pictures are shown. */
const DARK = { auto: '(prefers-color-scheme: dark)', light: 'not all', dark: 'all' };

theme((mode) => {
  for (const source of document.querySelectorAll('source')) source.media = DARK[mode];
});
