import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import Mocha from 'mocha';

/** What a suite writes to the file named by PODRELAY_TEST_REPORT; scripts/test.mjs adds these up. */
export interface TestCounts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

const { EVENT_RUN_END, EVENT_SUITE_END, EVENT_TEST_FAIL, EVENT_TEST_PASS, EVENT_TEST_PENDING } = Mocha.Runner.constants;

/**
 * Prints one line per top-level suite, each failure and each skip by name, and the failures in full at the end.
 * Counts go to PODRELAY_TEST_REPORT. A failed hook counts as one failed test.
 */
export class CompactReporter extends Mocha.reporters.Base {
  #passed = 0;
  #failed = 0;
  #skipped = 0;
  #lines: string[] = [];
  #skippedTitles: string[] = [];
  #inSuite = 0;
  #suiteMs = 0;

  constructor(runner: Mocha.Runner, options?: Mocha.MochaOptions) {
    super(runner, options);
    // In a parallel run, events come from other processes and a suite has no parent unless this is asked for.
    (runner as { linkPartialObjects?: (on: boolean) => unknown }).linkPartialObjects?.(true);
    const each = process.env.PODRELAY_TEST_VERBOSE === '1';
    runner.on(EVENT_TEST_PASS, (test) => {
      this.#passed += 1;
      this.#inSuite += 1;
      this.#suiteMs += test.duration ?? 0;
      if (each) this.#lines.push(`      ok    ${test.title} (${String(test.duration ?? 0)} ms)`);
    });
    runner.on(EVENT_TEST_FAIL, (test) => {
      this.#failed += 1;
      this.#lines.push(`      FAIL  ${test.fullTitle()}`);
    });
    runner.on(EVENT_TEST_PENDING, (test) => {
      this.#skipped += 1;
      this.#skippedTitles.push(`      skip  ${test.fullTitle()}`);
    });
    runner.on(EVENT_SUITE_END, (suite) => {
      if (suite.parent?.root) this.#printSuite(suite.title);
    });
    runner.once(EVENT_RUN_END, () => {
      this.#flush();
      if (this.failures.length > 0) Mocha.reporters.Base.list(this.failures);
      this.#writeCounts();
    });
  }

  #printSuite(title: string): void {
    const what = `${String(this.#inSuite)} passed, ${String(this.#suiteMs)} ms`;
    Mocha.reporters.Base.consoleLog(`    ${title} (${what})`);
    this.#flush();
    this.#inSuite = 0;
    this.#suiteMs = 0;
  }

  #flush(): void {
    const skipped = this.#skippedTitles.splice(0);
    // A suite that skips as a whole says why itself; its list of titles would only push that off the screen.
    if (skipped.length > 3) skipped.splice(2, Infinity, `      skip  … and ${String(skipped.length - 2)} more`);
    for (const line of [...this.#lines.splice(0), ...skipped]) Mocha.reporters.Base.consoleLog(line);
  }

  #writeCounts(): void {
    const file = process.env.PODRELAY_TEST_REPORT;
    if (file === undefined) return;
    const counts: TestCounts = { passed: this.#passed, failed: this.#failed, skipped: this.#skipped };
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, JSON.stringify(counts));
  }
}

// Mocha's --reporter loads this file with require(), which hands out this export.
export { CompactReporter as 'module.exports' };
