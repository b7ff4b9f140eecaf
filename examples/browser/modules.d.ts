/** What Vite makes of imports. */
declare module '*?url' {
  /** The address of the file beside the page. */
  const url: string;
  export default url;
}

declare module 'virtual:moby-dick' {
  /** A chapter a row; every twentieth is held out. */
  export const mobyDick: Record<'train' | 'valid', { readonly kind: 'text'; readonly text: string }[]>;
}
