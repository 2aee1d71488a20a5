// Builds the extension, the simulator and (with --tests) the tests that run inside VS Code.
//   --watch       builds again on every change
//   --production  minifies, prints the size of what activation loads and fails when that passes its budget
//   --tests       also builds test/host into out/test/host
//   --quiet       prints problems and sizes only
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { context } from 'esbuild';

const flag = (name) => process.argv.includes(name);
const production = flag('--production');
const activationBudgetBytes = 150_000;

/**
 * Importing undici sets the process-wide dispatcher slots, and every other extension's `fetch` in the same host would
 * then run through our copy, past VS Code's proxy handling. The slot becomes a variable of this module instead.
 */
const keepUndiciToItself = {
  name: 'keep-undici-to-itself',
  setup(build) {
    build.onLoad({ filter: /[\\/]undici[\\/]lib[\\/]global\.js$/ }, (args) => {
      const original = readFileSync(args.path, 'utf8');
      const names = original.slice(original.indexOf('const installedExports'));
      if (!names.startsWith('const installedExports')) throw new Error(`${args.path} has changed: look at it again`);
      return { contents: `${privateDispatcher}\n${names}`, loader: 'js', resolveDir: path.dirname(args.path) };
    });
  },
};
const privateDispatcher = `'use strict'
const { InvalidArgumentError } = require('./core/errors')
const Agent = require('./dispatcher/agent')
let ours
function setGlobalDispatcher (agent) {
  if (!agent || typeof agent.dispatch !== 'function') throw new InvalidArgumentError('Argument agent must implement Agent')
  ours = agent
}
function getGlobalDispatcher () { return (ours ??= new Agent()) }
`;

const common = {
  bundle: true,
  platform: 'node',
  target: 'node22',
  format: 'esm',
  splitting: true,
  external: ['vscode'],
  metafile: true,
  logLevel: flag('--quiet') ? 'warning' : 'info',
  entryNames: '[dir]/[name]',
  chunkNames: 'chunks/[name]-[hash]',
};

const product = {
  ...common,
  entryPoints: ['src/extension.ts', 'src/sim/cli.ts'].filter((file) => existsSync(file)),
  outbase: 'src',
  outdir: 'dist',
  minify: production,
  sourcemap: production ? false : 'linked',
  // Bundled CommonJS packages call require() for Node's own modules, which an ES module does not have.
  banner: {
    js: "import { createRequire as createRequireHere } from 'node:module'; const require = createRequireHere(import.meta.url);",
  },
  plugins: [keepUndiciToItself],
};

// Packages stay outside: these tests run from the project's folder and find them in node_modules.
const hostTests = {
  ...common,
  entryPoints: ['test/host/index.ts', ...listTests('test/host')],
  outbase: '.',
  outdir: 'out',
  chunkNames: 'test/host/chunks/[name]-[hash]',
  packages: 'external',
  sourcemap: 'inline',
};

function listTests(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true })
    .map((name) => path.posix.join(folder, String(name).split(path.sep).join('/')))
    .filter((name) => name.endsWith('.test.ts'));
}

/** Removes files of earlier builds, whose chunks had other names. New files are written first: a running host keeps its own. */
function removeStale(folder, metafile) {
  if (!existsSync(folder)) return;
  const current = new Set(Object.keys(metafile.outputs).map((file) => path.resolve(file)));
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const file = path.resolve(entry.parentPath, entry.name);
    if (entry.isFile() && /\.js(\.map)?$/.test(entry.name) && !current.has(file)) rmSync(file, { force: true });
  }
}

/** Bytes that VS Code reads to activate the extension: the entry and everything it imports statically. */
function activationBytes(metafile) {
  const seen = new Set();
  const visit = (file) => {
    const output = metafile.outputs[file];
    if (!output || seen.has(file)) return;
    seen.add(file);
    for (const imported of output.imports) if (imported.kind === 'import-statement') visit(imported.path);
  };
  visit('dist/extension.js');
  return [...seen].reduce((sum, file) => sum + metafile.outputs[file].bytes, 0);
}

async function build(options, folder) {
  const builder = await context(options);
  try {
    const { metafile } = await builder.rebuild();
    removeStale(folder, metafile);
    return metafile;
  } finally {
    await builder.dispose();
  }
}

async function main() {
  if (flag('--watch')) {
    for (const options of flag('--tests') ? [product, hostTests] : [product]) await (await context(options)).watch();
    return;
  }
  if (flag('--tests') && existsSync('test/host/index.ts')) await build(hostTests, 'out/test/host');
  const metafile = await build(product, 'dist');
  if (!production) return;
  const bytes = activationBytes(metafile);
  console.log(`  Activation loads ${(bytes / 1000).toFixed(1)} kB of at most ${activationBudgetBytes / 1000} kB`);
  if (bytes > activationBudgetBytes) {
    console.error('The activation bundle is over its budget: import what it does not need at once dynamically.');
    process.exitCode = 1;
  }
}

// esbuild has printed its own errors by then.
await main().catch((error) => {
  if (!error.errors) console.error(error);
  process.exitCode = 1;
});
