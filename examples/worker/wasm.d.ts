declare module 'lors-wasm/*.wasm' {
  const module: WebAssembly.Module;
  export default module;
}
