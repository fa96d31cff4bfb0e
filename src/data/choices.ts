import { shown } from '../gpu/check.ts';
import type { ChoiceStore } from '../gpu/choices.ts';
import { InputError } from '../gpu/errors.ts';

/** Stores the kernels that were chosen by tuning, in Deno: one file for each adapter, in the user's cache directory. */
export const fileChoices: ChoiceStore = {
  async load(adapter) {
    const path = pathOf(adapter);
    return JSON.parse(await Deno.readTextFile(path));
  },
  async save(adapter, choices) {
    const path = pathOf(adapter);
    const temporary = `${path}.${crypto.randomUUID()}`;
    await Deno.mkdir(path.slice(0, path.lastIndexOf('/')), { recursive: true });
    await Deno.writeTextFile(temporary, JSON.stringify(choices, null, 1));
    await Deno.rename(temporary, path);
  },
};

function pathOf(adapter: string): string {
  if (typeof Deno === 'undefined')
    throw new InputError('fileChoices: files are for Deno; leave "choices" out in a page');
  if (typeof adapter !== 'string' || !adapter)
    throw new InputError(`fileChoices: expected the name of an adapter, got ${shown(adapter)}`);
  const { XDG_CACHE_HOME, LOCALAPPDATA, HOME } = Deno.env.toObject();
  return `${XDG_CACHE_HOME || LOCALAPPDATA || `${HOME}/.cache`}/hypersphere/${adapter.replace(/[^\w.-]+/g, '_')}.json`;
}
