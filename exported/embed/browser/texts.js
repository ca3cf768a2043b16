// What the page's thread and the worker's thread share: the error, texts as bytes, and the place of a model.

/** The model cannot be fetched, read or run. `cause` is the error of the browser or of onnxruntime. */
export class ClassifierError extends Error {
  constructor(message, options) {
    super(message, options);
    this.name = "ClassifierError";
  }
}

/** A text as bytes in UTF-8; bytes as they are. */
export function toBytes(text) {
  if (typeof text === "string") return new TextEncoder().encode(text);
  if (text instanceof Uint8Array) return text;
  throw new TypeError("a text is a string or a Uint8Array");
}

/** The address of a folder, with a slash at its end. A relative one is relative to the page. */
export function toFolder(path) {
  if (typeof path !== "string" && !(path instanceof URL)) throw new TypeError("the path of a model is a string or a URL");
  const url = new URL(path, globalThis.document?.baseURI ?? globalThis.location?.href);
  if (!url.pathname.endsWith("/")) url.pathname += "/";
  return url;
}
