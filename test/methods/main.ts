// npm run methods: trains and judges what the tests of the methods ask for.
import { main } from '../../src/studies/methods.ts';
import { findStudies } from './studies.ts';

await main(Deno.args, [...(await findStudies()).values()]);
