/** llvmpipe silently ends an invocation after this many rounds of all its loops together: ops split their work to need fewer. */
export const MOST_ROUNDS = 65_535;

/** What a choice among kernel variants may know of the adapter. */
export interface Target {
  /**
   * The processor plays GPU and loads cost more than registers: tiles of 16 x 16 an invocation pay, for products of at
   * least so many multiply-adds; for less they take longer to compile than they ever save. Infinity: never.
   */
  largeTiles: number;
  /** How kernels read the textures that their operands are copied into. Default 'storage'. */
  textures?: 'storage' | 'sampled';
  /** Invocations of a quad exchange values faster than they load them. Default false. */
  quads?: boolean;
  /** The most texels on a side of a texture. Default 8192, which every device allows. */
  textureSide?: number;
  /** Workgroup memory is fast, as on every GPU and on no processor that plays one. Default false. */
  workgroupTiles?: boolean;
  /**
   * An invocation is silently ended after this many rounds of all its loops together: see `Kernel.rounds`. Default: never.
   */
  mostRounds?: number;
  /** The tuned kernel of a call with several kernels: see `keyOf` and `variantOf` in graph/op.ts. */
  choice?: (key: string) => string | undefined;
}
