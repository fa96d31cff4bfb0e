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

const isTable = (value: unknown): value is Choices =>
  typeof value === 'object' && !!value && Object.values(value).every((name) => typeof name === 'string');

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
  return { load, save: async () => store?.save(adapter, await load()).catch(() => {}) };
}

/** A file per adapter in the user's cache directory in Deno, the Cache API in pages and workers, nothing elsewhere. */
export function defaultStore(): ChoiceStore | null {
  // A library makes Deno ask nobody for permissions.
  if ('Deno' in globalThis) return PERMISSIONS.every(granted) ? fileStore : null;
  return 'caches' in globalThis ? cacheStore : null;
}

const PERMISSIONS = ['env', 'read', 'write'] as const;
const granted = (name: (typeof PERMISSIONS)[number]) =>
  Deno.permissions.querySync({ name }).state === 'granted';

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

const fileStore: ChoiceStore = {
  load: async (adapter) => JSON.parse(await Deno.readTextFile(pathOf(adapter))),
  async save(adapter, choices) {
    const path = pathOf(adapter);
    const temporary = `${path}.${crypto.randomUUID()}`;
    await Deno.mkdir(path.slice(0, path.lastIndexOf('/')), { recursive: true });
    await Deno.writeTextFile(temporary, JSON.stringify(choices, null, 1));
    await Deno.rename(temporary, path);
  },
};

function pathOf(adapter: string): string {
  const { XDG_CACHE_HOME, LOCALAPPDATA, HOME } = Deno.env.toObject();
  return `${XDG_CACHE_HOME || LOCALAPPDATA || `${HOME}/.cache`}/hypersphere/${adapter.replace(/[^\w.-]+/g, '_')}.json`;
}
