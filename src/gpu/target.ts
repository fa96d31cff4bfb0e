/** llvmpipe silently ends an invocation after this many rounds of all its loops together: ops split their work to need fewer. */
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
   * An invocation is silently ended after this many rounds of all its loops together: see `Kernel.rounds`. Default: never.
   */
  mostRounds?: number;
  /** The tuned kernel of a call with several kernels: see `keyOf` and `variantOf` in graph/op.ts. */
  choice?: (key: string) => string | undefined;
}
