// The same classes in a Web Worker. An error has no `cause` there.
export * from "./index.js";
