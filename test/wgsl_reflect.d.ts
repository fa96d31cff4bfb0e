// The bare import of wgsl_reflect breaks in Deno and Node; its types are those of the bare import.
declare module 'wgsl_reflect/wgsl_reflect.module.js' {
  export { WgslReflect } from 'wgsl_reflect';
}
