"""The settings with which webpack builds a program in TypeScript that uses a package of `rnnx embed`."""

from __future__ import annotations

import json
from pathlib import Path

WEBPACK_PACKAGES = ("webpack@5", "webpack-cli@6", "ts-loader@9", "typescript@5")
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
