/** The results of tuning on an adapter: for each call the name of its fastest kernel. */
export type Choices = Record<string, string>;

/** Stores choices between sessions. If it fails, the kernels are measured again. */
export interface ChoiceStore {
  /** The choices that were saved for an adapter. A value that is no table of choices is ignored. */
  load(adapter: string): Promise<unknown>;
  save(adapter: string, choices: Choices): Promise<void>;
}

/** The choices of one device. */
export interface ChoiceTable {
  /** The table itself, read from the store the first time. */
  load(): Promise<Choices>;
  /** Writes the table to the store. */
  save(): Promise<void>;
}

/** Whether a value is a table of choices: an object whose values are strings. */
export const isTable = (value: unknown): value is Choices =>
  typeof value === 'object' &&
  !!value &&
  !Array.isArray(value) &&
  Object.values(value).every((name) => typeof name === 'string');

export function createChoices(adapter: string, store: ChoiceStore | null): ChoiceTable {
  let table: Promise<Choices> | undefined;
  const read = async () => {
    const saved = await store?.load(adapter).catch(() => null);
    return isTable(saved) ? { ...saved } : {};
  };
  const load = () => {
    table ??= read();
    return table;
  };
  // Merged with entries that others saved meanwhile.
  const save = async () => store?.save(adapter, { ...(await read()), ...(await load()) }).catch(() => {});
  return { load, save };
}

/** The Cache API in pages and workers, elsewhere null: see `fileChoices` for Deno. */
export const defaultStore = (): ChoiceStore | null =>
  'caches' in globalThis && !('Deno' in globalThis) ? cacheStore : null;

const cacheStore: ChoiceStore = {
  async load(adapter) {
    const found = await (await caches.open('hypersphere')).match(addressOf(adapter));
    return found?.json();
  },
  async save(adapter, choices) {
    const cache = await caches.open('hypersphere');
    await cache.put(addressOf(adapter), new Response(JSON.stringify(choices)));
  },
};

/** An absolute address that nobody can fetch: a worker may have no base URL. */
const addressOf = (adapter: string) => `https://hypersphere.invalid/choices/${encodeURIComponent(adapter)}`;
