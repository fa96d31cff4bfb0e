/** The kernels that measuring chose on an adapter: the call, and the name of the fastest kernel for it. */
export type Choices = Record<string, string>;

/** Where choices are kept from one session to the next. It may fail: they are then measured anew. */
export interface ChoiceStore {
  /** What was saved for an adapter; anything else counts as nothing. */
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

/** Whether a value is a table of choices: names by names. */
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
  // What others saved meanwhile stays.
  const save = async () => store?.save(adapter, { ...(await read()), ...(await load()) }).catch(() => {});
  return { load, save };
}

/** The Cache API, which pages and workers have. Elsewhere nothing: see `fileChoices` for Deno. */
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

/** Of nothing that could be fetched: a worker may have no address to be relative to. */
const addressOf = (adapter: string) => `https://hypersphere.invalid/choices/${encodeURIComponent(adapter)}`;
