import assert from 'node:assert/strict';
import { build } from 'esbuild';
import type { Metafile } from 'esbuild';
import { activationBudgetBytes, activationLoad, extensionBundle } from '../../scripts/bundles.ts';
import type { ActivationLoad } from '../../scripts/bundles.ts';

const packageOf = (module: string) => /^node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(module)?.[1];

describe('the bundle of the extension', () => {
  let metafile: Metafile;
  let load: ActivationLoad;

  before(async () => {
    const options = extensionBundle({ production: true });
    ({ metafile } = await build({ ...options, write: false, logLevel: 'silent' }));
    load = activationLoad(metafile);
  });

  it('is small where activation loads it', () => {
    const heaviest = load.modules.slice(0, 12).map(([module, bytes]) => `${String(bytes)} ${module}`);
    const what = `activation loads ${String(load.bytes)} bytes; the heaviest are\n  ${heaviest.join('\n  ')}`;
    assert.ok(load.modules.some(([module]) => module === 'src/extension.ts'));
    assert.ok(load.bytes > 20_000, what);
    assert.ok(load.bytes < activationBudgetBytes, what);
  });

  it('has no package in what activation loads: packages are behind an import at first use (core/kernel/late.ts)', () => {
    const found = load.modules
      .filter(([module]) => packageOf(module) !== undefined)
      .map(([module]) => whoImports(module));
    assert.deepEqual(found.slice(0, 5), []);
  });

  it('has the HTTP and schema libraries in chunks of later', () => {
    const all = new Set(Object.keys(metafile.inputs).map(packageOf));
    assert.ok(all.has('undici'));
    assert.ok(all.has('zod'));
  });

  it('is measured by what its files import statically, and by that alone', () => {
    const output = { exports: [], inputs: { 'src/x.ts': { bytesInOutput: 3 } } };
    const to = (path: string, kind: 'import-statement' | 'dynamic-import') => ({ path, kind });
    const { bytes, files, modules } = activationLoad({
      inputs: {},
      outputs: {
        'dist/extension.cjs': { ...output, bytes: 100, imports: [to('dist/a.js', 'import-statement')] },
        'dist/a.js': {
          ...output,
          bytes: 20,
          imports: [to('dist/b.js', 'dynamic-import'), to('vscode', 'import-statement')],
        },
        'dist/b.js': { ...output, bytes: 7, imports: [to('dist/a.js', 'import-statement')] },
      },
    });
    assert.deepEqual(
      { bytes, files, modules },
      {
        bytes: 120,
        files: ['dist/extension.cjs', 'dist/a.js'],
        modules: [['src/x.ts', 6]],
      },
    );
  });

  /** `module < its importer < …`, through files that activation loads. */
  function whoImports(module: string): string {
    const loaded = new Set(load.modules.map(([name]) => name));
    const trail = [module];
    for (;;) {
      const importer = [...loaded].find(
        (name) =>
          !trail.includes(name) &&
          metafile.inputs[name]?.imports.some(({ path, kind }) => path === trail.at(-1) && kind === 'import-statement'),
      );
      if (importer === undefined) return trail.join(' < ');
      trail.push(importer);
    }
  }
});
