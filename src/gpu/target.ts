/** llvmpipe ends an invocation after so many rounds of all its loops together, silently: ops cut their work to need fewer. */
export const MOST_ROUNDS = 65_535;

/** Processors that play GPU, by what plays it. */
export type Processor = 'llvmpipe' | 'swiftshader';

/** What a choice among kernel variants may know of the adapter. */
export interface Target {
  /** Workgroup memory is fast, as on every GPU and on no processor that plays one. Default false. */
  workgroupTiles?: boolean;
  /** The adapter is a processor: it runs kernels of src/software in the place of the ops' own. */
  processor?: Processor;
  /**
   * After how many rounds of all its loops together an invocation is ended, silently: see `Kernel.rounds`. Default: never.
   */
  mostRounds?: number;
  /** What measuring chose for a call with several kernels: see `keyOf` and `variantOf` in graph/op.ts. */
  choice?: (key: string) => string | undefined;
}
