// `npm test`: installs what is missing, runs every suite and ends with 'N passed, N failed, N skipped'.
// `npm test -- --only=unit,contract` runs some of them.
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { ensureToolchain, root } from './bootstrap.mjs';

await ensureToolchain();

const tool = (...parts) => path.join(root, 'node_modules', ...parts);
const eslint = [tool('eslint', 'bin', 'eslint.js'), '.'];
const prettier = [tool('prettier', 'bin', 'prettier.cjs'), '--check', '--log-level=warn', '.'];
const tsc = (project) => [tool('typescript', 'bin', 'tsc'), '--noEmit', '--pretty', 'false', '--project', project];
// What is tested in VS Code is what ships; this build also holds the size budget of activation.
const build = ['esbuild.mjs', '--tests', '--production', '--quiet'];

/** A check is one test: it passes when each of its commands, which run at the same time, ends with 0. A counted suite writes its own numbers. */
const suites = [
  { name: 'lint and types', check: [eslint, prettier, tsc('.'), tsc('src/webview')] },
  { name: 'unit', files: 'test/unit', commands: [mocha('test/unit')] },
  { name: 'simulation', files: 'test/simulation', commands: [mocha('test/simulation', '--timeout', '120000')] },
  { name: 'contract', files: 'test/contract', commands: [mocha('test/contract', '--parallel', '--jobs', '6')] },
  { name: 'host', files: 'test/host', commands: [build, ['test/host/runner/runHostTests.ts']] },
  { name: 'package', files: 'test/package', commands: [mocha('test/package')] },
  {
    name: 'journeys',
    files: 'test/journeys',
    commands: [build, mocha('test/journeys', '--timeout', '180000', '--parallel', '--jobs', '2')],
  },
];

function mocha(folder, ...more) {
  const reporter = ['--reporter', path.join(root, 'test', 'compactReporter.ts')];
  return [tool('mocha', 'bin', 'mocha.js'), ...reporter, ...more, `${folder}/**/*.test.ts`];
}

const running = new Set();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    for (const child of running) child.kill(signal);
    process.exitCode = 130;
  });
}

/** Runs one command on this Node and resolves with its exit code; a signal counts as 1. */
function node(args, env) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, args, { cwd: root, env, stdio: ['ignore', 'inherit', 'inherit'] });
    const end = (code) => {
      running.delete(child);
      resolve(code ?? 1);
    };
    running.add(child);
    child.on('error', () => end(1));
    child.on('exit', end);
  });
}

async function runSuite(suite) {
  const report = path.join(root, 'out', 'reports', `${suite.name}.json`);
  rmSync(report, { force: true });
  const env = { ...process.env, PODRELAY_TEST_REPORT: report };
  if (suite.check) {
    const codes = await Promise.all(suite.check.map((command) => node(command, env)));
    const failed = codes.some((code) => code !== 0);
    return { passed: failed ? 0 : 1, failed: failed ? 1 : 0, skipped: 0 };
  }
  let failed = false;
  for (const command of suite.commands) {
    if (process.exitCode === 130) return { passed: 0, failed: 1, skipped: 0 };
    failed = (await node(command, env)) !== 0;
    if (failed) break;
  }
  const counts = readCounts(report);
  if (!counts) {
    console.log(`    FAIL  ${suite.name} ended before it could report its tests`);
    return { passed: 0, failed: 1, skipped: 0 };
  }
  // A run that ends badly after its last test (an unhandled rejection, a host that crashes) is a failure too.
  return failed && counts.failed === 0 ? { ...counts, failed: 1 } : counts;
}

function readCounts(file) {
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined;
}

function hasTests(folder) {
  const full = path.join(root, folder);
  return existsSync(full) && readdirSync(full, { recursive: true }).some((name) => String(name).endsWith('.test.ts'));
}

function selected() {
  const only = process.argv.find((argument) => argument.startsWith('--only='))?.slice('--only='.length);
  if (only === undefined) return suites;
  const names = only.split(',');
  const unknown = names.filter((name) => !suites.some((suite) => suite.name === name));
  if (unknown.length > 0) {
    console.error(
      `No suite is called ${unknown.join(', ')}. There are: ${suites.map((suite) => suite.name).join(', ')}.`,
    );
    process.exit(2);
  }
  return suites.filter((suite) => names.includes(suite.name));
}

const total = { passed: 0, failed: 0, skipped: 0 };
for (const suite of selected()) {
  if (process.exitCode === 130) break;
  if (suite.files && !hasTests(suite.files)) continue;
  console.log(`\n${suite.name}`);
  const started = Date.now();
  const counts = await runSuite(suite);
  for (const key of Object.keys(total)) total[key] += counts[key];
  const seconds = ((Date.now() - started) / 1000).toFixed(1);
  console.log(`  ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped in ${seconds} s`);
}
if (process.exitCode !== 130) process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0;
console.log(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
