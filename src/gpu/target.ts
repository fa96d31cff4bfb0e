/** llvmpipe silently ends an invocation after this many rounds of all its loops together: ops split their work to need fewer. */
export const MOST_ROUNDS = 65_535;

/** The software adapters that have kernels of their own: WebGPU on the CPU. */
export type SoftwareAdapter = 'llvmpipe' | 'swiftshader';

/** What the choice of kernels depends on. */
export interface Target {
  /** Workgroup memory is fast, as on every GPU and on no software adapter. Default false. */
  workgroupTiles?: boolean;
  /** The adapter is one of these: it runs the kernels of src/software instead of the ops' own. Default: none. */
  softwareAdapter?: SoftwareAdapter;
  /**
   * An invocation is silently ended after this many rounds of all its loops together: see `Kernel.rounds`. Default: never.
   */
  mostRounds?: number;
  /** The tuned kernel of a call with several kernels: see `keyOf` and `variantOf` in graph/op.ts. */
  choice?: (key: string) => string | undefined;
}
