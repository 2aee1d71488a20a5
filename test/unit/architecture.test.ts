import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { build } from 'esbuild';

const root = path.resolve(import.meta.dirname, '..', '..');

interface Source {
  /** From the project's root, with '/'. */
  readonly file: string;
  readonly text: string;
  /** Without comments and without the inside of strings and patterns. */
  readonly code: string;
  readonly imports: readonly string[];
}

const sources: readonly Source[] = readdirSync(path.join(root, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => {
    const file = path.posix.join('src', name.split(path.sep).join('/'));
    const text = readFileSync(path.join(root, file), 'utf8');
    const pattern =
      /(?:^|\n)\s*(?:import|export)\s[^;'"]*?from\s+'([^']+)'|(?:^|\n)import\s+'([^']+)'|import\(\s*'([^']+)'\s*\)/g;
    const imports = [...text.matchAll(pattern)].map(([, from, bare, lazy]) => (from ?? bare ?? lazy)!);
    return { file, text, code: codeOnly(text), imports };
  });

function codeOnly(text: string): string {
  return text
    .replaceAll(/\/\*[\s\S]*?\*\//g, '')
    .replaceAll(/(^|[^:'"`\\])\/\/.*$/gm, '$1')
    .replaceAll(/'(?:[^'\\\n]|\\.)*'/g, "''")
    .replaceAll(/"(?:[^"\\\n]|\\.)*"/g, '""');
}

const under = (...folders: string[]) =>
  sources.filter(({ file }) => folders.some((folder) => file.startsWith(`src/${folder}/`)));

/** What an import means: a file of ours, or the package's name. */
function target(from: string, specifier: string): string {
  return specifier.startsWith('.')
    ? path.posix.normalize(path.posix.join(path.posix.dirname(from), specifier))
    : specifier;
}

function forbid(files: readonly Source[], wrong: (imported: string, file: string) => boolean): void {
  const found = files.flatMap(({ file, imports }) =>
    imports
      .map((one) => target(file, one))
      .filter((one) => wrong(one, file))
      .map((one) => `${file} imports ${one}`),
  );
  assert.deepEqual(found, []);
}

describe('architecture', () => {
  it('reads the sources', () => {
    assert.ok(sources.length > 50);
    const importing = sources.find(({ file }) => file === 'src/extension.ts');
    assert.ok(importing?.imports.includes('vscode'));
    assert.equal(codeOnly("a('fetch(') // fetch(\n/* fetch( */ b"), "a('') \n b");
  });

  it('core and sim never import vscode, not even as a type', () => {
    forbid(under('core', 'sim'), (imported) => imported === 'vscode');
  });

  it('core imports neither ui, host, sim nor the root', () => {
    forbid(under('core'), (imported) => imported.startsWith('src/') && !imported.startsWith('src/core/'));
  });

  it('sim imports nothing of ours but itself: one misreading must not pass on both sides', () => {
    forbid(under('sim'), (imported) => imported.startsWith('src/') && !imported.startsWith('src/sim/'));
  });

  it('ui imports contract, core and ui, and never the shapes of replies', () => {
    forbid(
      under('ui'),
      (imported) => imported.startsWith('src/') && !/^src\/(contract\.ts|core\/|ui\/)/.test(imported),
    );
    forbid(under('ui'), (imported) => /^src\/core\/.*\/wire\.ts$/.test(imported));
  });

  it('nothing imports the composition root', () => {
    forbid(sources, (imported) => imported === 'src/extension.ts');
  });

  it('pure row and text modules know no vscode', () => {
    const pure = under('ui').filter(({ file }) => /(Rows|[sS]tatusText|\/row)\.ts$/.test(file));
    assert.ok(pure.length >= 2);
    forbid(pure, (imported) => imported === 'vscode');
  });

  it('core uses only the packages it may', () => {
    const allowed = /^(node:[\w/]+|zod\/mini|undici)$/;
    forbid(under('core'), (imported) => !imported.startsWith('src/') && !allowed.test(imported));
  });

  it('undici has one door: core/http/dispatcher.ts', () => {
    forbid(
      sources.filter(({ file }) => !file.startsWith('src/sim/') && file !== 'src/core/http/dispatcher.ts'),
      (imported) => imported === 'undici',
    );
  });

  it('the dispatcher is loaded at the first request only', () => {
    const found = sources.filter(({ text }) => /^import (?!type).*http\/dispatcher\.ts/m.test(text));
    assert.deepEqual(
      found.map(({ file }) => file),
      [],
    );
  });

  it('the simulator is loaded only when the demo starts', () => {
    const found = sources
      .filter(({ file }) => !file.startsWith('src/sim/'))
      .filter(({ text }) => /^import (?!type)[^;]*from '[^']*\/sim\/[^']*'/m.test(text));
    assert.deepEqual(
      found.map(({ file }) => file),
      [],
    );
  });

  it('core takes time, chance and output from its ports', () => {
    const words = /(?<![\w.$#])fetch\(|\bDate\.now\(|(?<![\w.$])set(?:Timeout|Interval)\(|\bMath\.random\(|\bconsole\./;
    const found = under('core')
      .filter(({ file }) => !file.startsWith('src/core/kernel/'))
      .flatMap(({ file, code }) =>
        code
          .split('\n')
          .filter((line) => words.test(line))
          .map((line) => `${file}: ${line.trim()}`),
      );
    assert.deepEqual(found, []);
  });

  it('commands are registered in one place', () => {
    const found = sources.filter(({ code }) => code.includes('registerCommand(')).map(({ file }) => file);
    assert.deepEqual(found, ['src/ui/commands/runCommand.ts']);
  });

  it('ids of commands and views are written in contract.ts only', () => {
    const found = [
      ...under('ui', 'host'),
      ...sources.filter(({ file }) => /^src\/(session|extension)\.ts$/.test(file)),
    ].flatMap(({ file, text }) => [...text.matchAll(/'podrelay\.[a-z]+\.[a-z]\w+'/g)].map(([id]) => `${file}: ${id}`));
    assert.deepEqual(found, []);
  });

  it('has no import cycles', () => {
    const known = new Map(
      sources.map(({ file, text, imports }) => {
        // A type needs no module at run time.
        const types = new Set([...text.matchAll(/import type[^;]*?from '([^']+)'/g)].map(([, from]) => from));
        return [
          file,
          imports.filter((one) => !types.has(one) || text.includes(`} from '${one}'`)).map((one) => target(file, one)),
        ];
      }),
    );
    const done = new Set<string>();
    const cycles: string[] = [];
    const visit = (file: string, trail: readonly string[]): void => {
      if (trail.includes(file)) cycles.push([...trail.slice(trail.indexOf(file)), file].join(' > '));
      if (done.has(file) || trail.includes(file)) return;
      for (const next of known.get(file) ?? []) if (known.has(next)) visit(next, [...trail, file]);
      done.add(file);
    };
    for (const file of known.keys()) visit(file, []);
    assert.deepEqual(cycles, []);
  });

  it('keeps files short, named after their content, without default exports and barrels', () => {
    const found = sources.flatMap(({ file, text, code }) => [
      ...(text.split('\n').length > 401 ? [`${file}: over 400 lines`] : []),
      ...(/^export default/m.test(code) ? [`${file}: default export`] : []),
      ...(/^export \*/m.test(code) ? [`${file}: barrel`] : []),
      ...(/\/(utils?|helpers?|common|shared|types)(\/|\.ts$)/.test(file) ? [`${file}: a name that says nothing`] : []),
      ...(/\/index\.ts$/.test(file) ? [`${file}: barrel`] : []),
      ...(/\/[a-z][A-Za-z0-9]*\.ts$/.test(file) ? [] : [`${file}: not camelCase`]),
    ]);
    assert.deepEqual(found, []);
  });

  it('keeps what tests and benchmarks are built from as short', () => {
    const found = ['test', 'bench'].flatMap((folder) =>
      readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })
        .map((name) => path.posix.join(folder, name.split(path.sep).join('/')))
        .filter((file) => file.endsWith('.ts') && (!file.endsWith('.test.ts') || file.startsWith('test/simulation/')))
        .filter((file) => readFileSync(path.join(root, file), 'utf8').split('\n').length > 401),
    );
    assert.deepEqual(found, []);
  });

  it('core can be bundled without vscode being there', async () => {
    const bundle = (contents: string) =>
      build({
        stdin: { contents, resolveDir: root, loader: 'ts' },
        bundle: true,
        platform: 'node',
        format: 'esm',
        write: false,
        logLevel: 'silent',
      });
    const { errors, outputFiles } = await bundle("export * from './src/core/createCore.ts'");
    assert.equal(errors.length, 0);
    assert.ok((outputFiles[0]?.text.length ?? 0) > 10_000);
    await assert.rejects(
      bundle("import * as vscode from 'vscode'; console.log(vscode.version)"),
      /Could not resolve "vscode"/,
    );
  });
});
