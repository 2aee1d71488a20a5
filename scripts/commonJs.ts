import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { transform } from 'esbuild';
import type { OutputFile, Plugin, TransformOptions } from 'esbuild';

/**
 * Turns the ES modules that esbuild splits into CommonJS modules, which it cannot split by itself. VS Code loads
 * CommonJS in one go; while it waits for the files of an ES module it starts other extensions, and our activation lasts
 * until those have had their turn.
 */
export const asCommonJs: Plugin = {
  name: 'as-common-js',
  setup(build) {
    const { minify, sourcemap, write = true, target } = build.initialOptions;
    build.initialOptions.write = false;
    if (sourcemap) build.initialOptions.sourcemap = 'inline';
    const options: TransformOptions = {
      format: 'cjs',
      platform: 'node',
      ...(target === undefined ? {} : { target }),
      minify: minify ?? false,
      sourcemap: sourcemap ? 'inline' : false,
      // So that later parts are required, too.
      supported: { 'dynamic-import': false },
    };
    build.onEnd(async ({ outputFiles = [], metafile }) => {
      for (const file of outputFiles) {
        const code = await commonJs(file, options);
        const output = metafile?.outputs[path.relative('.', file.path).split(path.sep).join('/')];
        if (output !== undefined) output.bytes = Buffer.byteLength(code);
        if (!write) continue;
        mkdirSync(path.dirname(file.path), { recursive: true });
        writeFileSync(file.path, code);
      }
    });
  },
};

/** A namespace import would copy each name of VS Code's API, and each require is VS Code's to look up: one a file will do. */
const importOfVscode = /\bimport\s*\*\s*as\s+([\w$]+)\s+from\s*"vscode"/g;

async function commonJs(file: OutputFile, options: TransformOptions): Promise<string> {
  let first: string | undefined;
  const direct = file.text.replaceAll(importOfVscode, (_, name: string) => {
    const api = first ?? 'require("vscode")';
    first ??= name;
    return `const ${name}=${api}`;
  });
  return (await transform(direct, { ...options, sourcefile: path.basename(file.path) })).code;
}
