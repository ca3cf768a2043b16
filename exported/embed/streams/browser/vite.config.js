// Builds the page into build/, as files for any web server.
export default {
  root: "page",
  base: "./",
  build: { outDir: "../build", emptyOutDir: true, modulePreload: false, assetsInlineLimit: 0 },
  worker: { format: "es" },
  server: { fs: { allow: [".."] } },
  preview: { port: 8000 },
};
