/** Names the test files that never ended: what Vitest leaves out when a worker process dies. */
import path from 'node:path';
import type { TestModule } from 'vitest/node';
import type { Reporter } from 'vitest/reporters';

/** To be named beside another reporter, which shows everything else. */
export default class UnfinishedReporter implements Reporter {
  private readonly running: Set<string> = new Set();

  onTestModuleQueued({ moduleId }: TestModule): void {
    this.running.add(moduleId);
  }

  onTestModuleEnd({ moduleId }: TestModule): void {
    this.running.delete(moduleId);
  }

  onTestRunEnd(): void {
    for (const file of this.running) console.error(`Never ended: ${path.relative(process.cwd(), file)}`);
  }
}
