/** llvmpipe silently ends an invocation after this many rounds of all its loops together: ops split their work to need fewer. */
export const MOST_ROUNDS = 65_535;

/** The properties of an adapter that the choice of a kernel depends on. */
export interface Target {
  /**
   * On software adapters loads cost more than registers: tiles of 16 x 16 per invocation are used for products of at least this
   * many multiply-adds. For smaller ones they take longer to compile than they save. Infinity: never.
   */
  largeTiles: number;
  /** The kind of texture from which kernels read copied operands. Default 'storage'. */
  textures?: 'storage' | 'sampled';
  /** Invocations of a quad exchange values faster than they load them. Default false. */
  quads?: boolean;
  /** The most texels on a side of a texture. Default 8192, which every device allows. */
  textureSide?: number;
  /** Workgroup memory is fast, as on every GPU and no software adapter. Default false. */
  workgroupTiles?: boolean;
  /**
   * An invocation is silently ended after this many rounds of all its loops together: see `Kernel.rounds`. Default: never.
   */
  mostRounds?: number;
  /** The tuned kernel of a call with several kernels: see `keyOf` and `variantOf` in graph/op.ts. */
  choice?: (key: string) => string | undefined;
}
