// What is built from what: the settings of esbuild for each bundle, and what VS Code reads of it to activate.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { BuildOptions, Metafile, Plugin } from 'esbuild';
import { asCommonJs } from './commonJs.ts';

/** Bytes of JavaScript that VS Code reads to activate the extension. */
export const activationBudgetBytes = 150_000;

/**
 * Importing undici sets the process-wide dispatcher slots, and every other extension's `fetch` in the same host would
 * then run through our copy, past VS Code's proxy handling. The slot becomes a variable of this module instead.
 */
const keepUndiciToItself: Plugin = {
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

/** Large and needed by requests alone: in a file of its own. */
const apart = /http\/dispatcher\.ts$/;
const dynamicImport = /(?<!typeof )import\('(\.[^']+)'\)/g;

/**
 * All that is imported at first use goes into one file. Left to itself, esbuild makes a file of each such import and one
 * more of whatever any two share: activation would read dozens, each of which VS Code looks up on its own.
 */
const loadLaterTogether: Plugin = {
  name: 'load-later-together',
  setup(build) {
    const source = /[\\/]src[\\/].*\.ts$/;
    let later: string[] = [];
    build.onStart(() => {
      const found = filesIn('src', /^src\/(?!sim\/|webview\/).*\.ts$/).flatMap((file) =>
        [...readFileSync(file, 'utf8').matchAll(dynamicImport)].map(([, to = '']) =>
          path.resolve(path.dirname(file), to),
        ),
      );
      later = [...new Set(found)].filter((file) => !apart.test(file)).sort();
    });
    build.onLoad({ filter: source }, (args) => {
      let found = false;
      const contents = readFileSync(args.path, 'utf8').replaceAll(dynamicImport, (whole, to: string) => {
        const index = later.indexOf(path.resolve(path.dirname(args.path), to));
        if (index < 0) return whole;
        found = true;
        return `loadLater().then((later) => later.module${String(index)})`;
      });
      return { contents: found ? `import { loadLater } from 'load-later'; ${contents}` : contents, loader: 'ts' };
    });
    build.onResolve({ filter: /^(load-)?later$/ }, ({ path }) => ({ path, namespace: 'later' }));
    // In one place: bundled, an import is rather long.
    build.onLoad({ filter: /^load-later$/, namespace: 'later' }, () => ({
      contents: `export const loadLater = () => import('later');`,
    }));
    build.onLoad({ filter: /^later$/, namespace: 'later' }, () => ({
      contents: later
        .map((file, index) => `export * as module${String(index)} from ${JSON.stringify(file)};`)
        .join('\n'),
      loader: 'ts',
      resolveDir: path.resolve('src'),
    }));
  },
};

/** The pod agent's files (src/agent) become part of the bundle: each read of one is replaced by its text. */
const embedAgent: Plugin = {
  name: 'embed-agent',
  setup(build) {
    build.onLoad({ filter: /[\\/]agentProgram\.ts$/ }, (args) => {
      const watchFiles = [args.path];
      const source = readFileSync(args.path, 'utf8').replaceAll(
        /readFileSync\(new URL\('([^']+)', import\.meta\.url\), 'utf8'\)/g,
        (_, name: string) => {
          const file = path.resolve(path.dirname(args.path), name);
          watchFiles.push(file);
          return JSON.stringify(readFileSync(file, 'utf8'));
        },
      );
      if (watchFiles.length === 1) throw new Error(`${args.path} has changed: no file of the agent is read in it`);
      return { contents: source, loader: 'ts', watchFiles };
    });
  },
};

const inNode = {
  bundle: true,
  platform: 'node',
  format: 'esm',
  splitting: true,
  metafile: true as const,
  entryNames: '[dir]/[name]',
  chunkNames: 'chunks/[name]-[hash]',
  // Bundled CommonJS packages call require() for Node's own modules, which an ES module does not have.
  banner: {
    js: "import { createRequire as createRequireHere } from 'node:module'; const require = createRequireHere(import.meta.url);",
  },
} satisfies BuildOptions;

export interface BundleFlavor {
  /** Minified, without source maps. */
  readonly production: boolean;
}

function flavored({ production }: BundleFlavor): Pick<BuildOptions, 'minify' | 'sourcemap'> {
  return { minify: production, sourcemap: production ? false : 'linked' };
}

export function extensionBundle(flavor: BundleFlavor) {
  return {
    ...inNode,
    ...flavored(flavor),
    target: 'node22',
    external: ['vscode'],
    entryPoints: ['src/extension.ts'],
    outbase: 'src',
    outdir: 'dist',
    outExtension: { '.js': '.cjs' },
    banner: {},
    plugins: [keepUndiciToItself, embedAgent, loadLaterTogether, asCommonJs],
  } satisfies BuildOptions;
}

/** A program of its own, in one file. It runs on the editor's own Node, or on any from 20 on. */
export function simulatorBundle(flavor: BundleFlavor) {
  return {
    ...inNode,
    ...flavored(flavor),
    splitting: false,
    target: 'node20',
    entryPoints: ['src/sim/cli.ts'],
    outbase: 'src',
    outdir: 'dist',
  } satisfies BuildOptions;
}

/** The scripts of the webviews. Each has the name of its page's style sheet; other files there are parts of them. */
export function webviewBundle(flavor: BundleFlavor) {
  return {
    ...flavored(flavor),
    bundle: true,
    platform: 'browser',
    format: 'iife',
    target: 'chrome130',
    metafile: true,
    entryPoints: filesIn('src/webview', /\.ts$/).filter((file) =>
      existsSync(path.join('media', 'webview', `${path.basename(file, '.ts')}.css`)),
    ),
    outbase: 'src',
    outdir: 'dist',
  } satisfies BuildOptions;
}

/** Packages stay outside: these tests run from the project's folder and find them in node_modules. */
export function hostTestsBundle() {
  return {
    ...inNode,
    target: 'node22',
    external: ['vscode'],
    entryPoints: ['test/host/index.ts', ...filesIn('test/host', /\.test\.ts$/)],
    outbase: '.',
    outdir: 'out',
    chunkNames: 'test/host/chunks/[name]-[hash]',
    packages: 'external',
    sourcemap: 'inline',
    banner: {},
  } satisfies BuildOptions;
}

function filesIn(folder: string, pattern: RegExp): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => path.posix.join(folder, name.split(path.sep).join('/')))
    .filter((name) => pattern.test(name));
}

export interface ActivationLoad {
  readonly bytes: number;
  readonly files: readonly string[];
  /** Bytes by source module, heaviest first. */
  readonly modules: readonly (readonly [module: string, bytes: number])[];
}

/** What VS Code reads to activate the extension: the entry and everything that it imports statically. */
export function activationLoad({ outputs }: Metafile, entry = 'dist/extension.cjs'): ActivationLoad {
  const files = new Set<string>();
  const visit = (file: string): void => {
    const output = outputs[file];
    if (output === undefined || files.has(file)) return;
    files.add(file);
    for (const imported of output.imports) if (imported.kind === 'import-statement') visit(imported.path);
  };
  visit(entry);
  let bytes = 0;
  const modules = new Map<string, number>();
  for (const file of files) {
    bytes += outputs[file]?.bytes ?? 0;
    for (const [module, { bytesInOutput }] of Object.entries(outputs[file]?.inputs ?? {})) {
      modules.set(module, (modules.get(module) ?? 0) + bytesInOutput);
    }
  }
  return { bytes, files: [...files], modules: [...modules].sort((a, b) => b[1] - a[1]) };
}
