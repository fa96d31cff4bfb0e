import { theme } from './theme.ts';

theme(() => {});
