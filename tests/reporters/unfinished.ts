/** Names the test files that never ended: what Vitest leaves out when a worker process dies. */
import fs from 'node:fs';
import path from 'node:path';
import type { TestModule } from 'vitest/node';
import type { Reporter } from 'vitest/reporters';

/** To be named beside another reporter, which shows everything else. `DETLAB_TEST_OUTCOME` names a file for what it knows. */
export default class UnfinishedReporter implements Reporter {
  private readonly running: Set<string> = new Set();

  onTestModuleQueued({ moduleId }: TestModule): void {
    this.running.add(moduleId);
  }

  onTestModuleEnd({ moduleId }: TestModule): void {
    this.running.delete(moduleId);
  }

  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[]): void {
    const neverEnded = [...this.running].map((file) => path.relative(process.cwd(), file));
    for (const file of neverEnded) console.error(`Never ended: ${file}`);
    const file = process.env.DETLAB_TEST_OUTCOME;
    if (!file) return;
    const failed = modules.filter((module) => !this.running.has(module.moduleId) && !module.ok()).length;
    fs.writeFileSync(file, JSON.stringify({ neverEnded, failed, errors: errors.length }));
  }
}
