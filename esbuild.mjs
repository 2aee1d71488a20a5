// Builds the extension, the simulator, the webviews and (with --tests) the tests that run inside VS Code.
//   --watch       builds again on every change
//   --production  minifies, prints the size of what activation loads and fails when that passes its budget
//   --sizes       also prints what that consists of
//   --tests       also builds test/host into out/test/host
//   --quiet       prints problems and sizes only
import { existsSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { build, context } from 'esbuild';
import {
  activationBudgetBytes,
  activationLoad,
  extensionBundle,
  hostTestsBundle,
  simulatorBundle,
  webviewBundle,
} from './scripts/bundles.ts';

const flag = (name) => process.argv.includes(name);
const flavor = { production: flag('--production') };
const logLevel = flag('--quiet') ? 'warning' : 'info';

const product = [extensionBundle(flavor), simulatorBundle(flavor), webviewBundle(flavor)];
const tests = flag('--tests') && existsSync('test/host/index.ts') ? [hostTestsBundle()] : [];

/** Removes files of earlier builds, whose chunks had other names. New files are written first: a running host keeps its own. */
function removeStale(folder, metafiles) {
  if (!existsSync(folder)) return;
  const current = new Set(metafiles.flatMap(({ outputs }) => Object.keys(outputs)).map((file) => path.resolve(file)));
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const file = path.resolve(entry.parentPath, entry.name);
    if (entry.isFile() && /\.c?js(\.map)?$/.test(entry.name) && !current.has(file)) rmSync(file, { force: true });
  }
}

async function buildAll(bundles, folder) {
  const results = await Promise.all(bundles.map((options) => build({ ...options, logLevel })));
  const metafiles = results.map(({ metafile }) => metafile);
  removeStale(folder, metafiles);
  return metafiles;
}

function reportSizes(metafile) {
  const { bytes, files, modules } = activationLoad(metafile);
  const kilobytes = (count) => `${(count / 1000).toFixed(1)} kB`;
  console.log(
    `  Activation loads ${kilobytes(bytes)} in ${files.length} files, of at most ${kilobytes(activationBudgetBytes)}`,
  );
  const shown = flag('--sizes') ? modules : bytes > activationBudgetBytes ? modules.slice(0, 20) : [];
  for (const [module, size] of shown) console.log(`  ${kilobytes(size).padStart(9)}  ${module}`);
  if (bytes <= activationBudgetBytes) return;
  console.error('Activation is over its budget: load what it does not need at first use (src/core/kernel/late.ts).');
  process.exitCode = 1;
}

async function main() {
  if (flag('--watch')) {
    for (const options of [...product, ...tests]) await (await context({ ...options, logLevel })).watch();
    return;
  }
  if (tests.length > 0) await buildAll(tests, 'out/test/host');
  const [extension] = await buildAll(product, 'dist');
  if (flavor.production) reportSizes(extension);
}

// esbuild has printed its own errors by then.
await main().catch((error) => {
  if (!error.errors) console.error(error);
  process.exitCode = 1;
});
