"""Builds programs in TypeScript that use a package of `rnnx embed`, with Vite and with webpack."""

from __future__ import annotations

import json
from pathlib import Path

from tests.runtimes.kits import run

WEBPACK_PACKAGES = ("webpack@5", "webpack-cli@6", "ts-loader@9", "typescript@5")
PAGE_PACKAGES = ("vite@8", *WEBPACK_PACKAGES, "playwright-core@1")
BUNDLERS = {
    "vite": ["vite", "build", "--base", "./", "--outDir", "vite-out", "--minify", "false"],
    "webpack": ["webpack"],
}
_POLICY = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; img-src data:"
_HTML = f"""<!doctype html>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<link rel="icon" href="data:,">
<script type="module" src="./%s"></script>
"""
_TYPESCRIPT = {
    "strict": True,
    "target": "es2022",
    "module": "esnext",
    "moduleResolution": "bundler",
    "lib": ["es2022", "dom"],
    "types": [],
}


def write_webpack(folder: Path, settings: str) -> None:
    """Writes the configuration of webpack, which checks the types of programs in TypeScript.

    Args:
        folder: A folder with a `program.ts`.
        settings: The settings of the build, in JavaScript.
    """
    rule = r"{ test: /\.ts$/, loader: 'ts-loader' }"
    config = f"""import {{ resolve }} from "node:path";
export default {{
  {settings},
  mode: "production",
  module: {{ rules: [{rule}] }},
  resolve: {{ extensions: [".ts", ".js"] }},
  optimization: {{ minimize: false }},
}};
"""
    (folder / "webpack.config.mjs").write_text(config, encoding="utf-8")
    checks = json.dumps({"compilerOptions": _TYPESCRIPT, "files": ["program.ts"]})
    (folder / "tsconfig.json").write_text(checks, encoding="utf-8")


def build_pages(folder: Path) -> None:
    """Builds a page around `program.ts` by each bundler, into `vite-out` and `webpack-out`.

    Args:
        folder: A folder with a `program.ts` and the packages `PAGE_PACKAGES`.
    """
    (folder / "index.html").write_text(_HTML % "program.ts", encoding="utf-8")
    write_webpack(folder, 'entry: "./program.ts", output: { path: resolve("webpack-out") }')
    for command in BUNDLERS.values():
        done = run([folder / "node_modules/.bin" / command[0], *command[1:]], folder)
        assert done.returncode == 0, done.stdout + done.stderr
    (folder / "webpack-out" / "index.html").write_text(_HTML % "main.js", encoding="utf-8")


def build_for_node(folder: Path) -> Path:
    """Builds `program.ts` by webpack for Node, with onnxruntime-node as it is installed; returns the built program.

    The files of the model have to be next to it, as webpack puts them.

    Args:
        folder: A folder with a `program.ts` and the packages `WEBPACK_PACKAGES`.
    """
    write_webpack(
        folder,
        'target: "node", entry: "./program.ts", output: { path: resolve("webpack-out"), filename: "main.cjs" }, '
        'externals: { "onnxruntime-node": "commonjs onnxruntime-node" }',
    )
    done = run([folder / "node_modules/.bin/webpack"], folder)
    assert done.returncode == 0, done.stdout
    assert {".cjs", ".json", ".onnx"} <= {path.suffix for path in (folder / "webpack-out").iterdir()}
    return folder / "webpack-out" / "main.cjs"
