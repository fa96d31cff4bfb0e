import type { Scalar, Tensor } from '../graph/tensor.ts';
import { concatenate } from '../ops/shape.ts';
import { alignUniform } from './align_uniform.ts';
import { alignmentLoss } from './alignment.ts';
import { infoNce } from './info_nce.ts';
import { ntXent } from './nt_xent.ts';
import { supCon } from './sup_con.ts';
import { uniformityLoss } from './uniformity.ts';

/** The numbers that a method may be tuned by, each a number or a scalar input. */
export type Knobs = Record<string, Scalar>;

/** What the terminal program and the demos know of a method. */
export interface Method {
  title: string;
  paper: string;
  year: number;
  summary: string;
  /** Its knobs with their defaults. */
  knobs: Record<string, number>;
  /** Whether its loss reads the labels. */
  supervised?: boolean;
  /** The loss of two views' embeddings [N, D] and, for a supervised one, their labels u32 [N]. */
  loss: (zA: Tensor, zB: Tensor, knobs: Knobs, labels: Tensor | null) => Tensor;
}

/** The methods by the names that `--method` takes. */
export const methods: Record<string, Method> = {
  simclr: {
    title: 'SimCLR (NT-Xent)',
    paper: 'Chen et al., arXiv 2002.05709',
    year: 2020,
    summary: 'two views of a sample attract, all other rows of the batch repel',
    knobs: { temperature: 0.2 },
    loss: (zA, zB, { temperature }) => ntXent(zA, zB, { temperature }),
  },
  infoNce: {
    title: 'InfoNCE',
    paper: 'van den Oord et al., arXiv 1807.03748',
    year: 2018,
    summary: 'tell the other view of a sample from the other views of the batch, both ways',
    knobs: { temperature: 0.2 },
    loss: (zA, zB, { temperature }) => infoNce(zA, zB, { temperature }),
  },
  supCon: {
    title: 'SupCon',
    paper: 'Khosla et al., arXiv 2004.11362',
    year: 2020,
    summary: 'all rows of one label attract: the supervised upper reference',
    knobs: { temperature: 0.1 },
    supervised: true,
    loss: (zA, zB, { temperature }, labels) =>
      supCon(concatenate([zA, zB], 0), concatenate([labels!, labels!], 0), { temperature }),
  },
  alignUniform: {
    title: 'Alignment + uniformity',
    paper: 'Wang & Isola, arXiv 2005.10242',
    year: 2020,
    summary: 'what InfoNCE tends to: views agree, embeddings spread over the hypersphere',
    knobs: { alignWeight: 1, uniformWeight: 1 },
    loss: (zA, zB, { alignWeight, uniformWeight }) => alignUniform(zA, zB, { alignWeight, uniformWeight }),
  },
  alignment: {
    title: 'Alignment only',
    paper: 'Wang & Isola, arXiv 2005.10242',
    year: 2020,
    summary: 'collapses completely: every sample to one point',
    knobs: {},
    loss: (zA, zB) => alignmentLoss(zA, zB),
  },
  uniformity: {
    title: 'Uniformity only',
    paper: 'Wang & Isola, arXiv 2005.10242',
    year: 2020,
    summary: 'spreads over the hypersphere and ignores which views belong together',
    knobs: {},
    loss: (zA, zB) => uniformityLoss(concatenate([zA, zB], 0)),
  },
};
