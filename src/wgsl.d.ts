// import source from './x.wgsl' with { type: 'text' }: esbuild and Deno both give the text of the file.
declare module '*.wgsl' {
  const source: string;
  export default source;
}
