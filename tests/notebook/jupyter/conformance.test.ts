/** jupyter_kernel_test, and what a person does to a kernel, against our kernel as Jupyter starts it. */
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { buildLibrary } from '../helpers';
import { Desk, pythonTools } from './python-tools';

interface Row {
  status: 'passed' | 'failed' | 'skipped';
  text: string;
}

const conformance = [
  ...['kernel_info', 'execute_stdout', 'execute_stderr', 'execute_result', 'display_data', 'clear_output'],
  ...['error', 'completion', 'inspect', 'is_complete', 'history'],
]
  .map((name) => `Conformance.test_${name}`)
  .concat('Welcome.test_recv_iopub_welcome_msg');

const endurance = [
  ...['interrupt_endless_loop', 'interrupt_await', 'state_survives_an_interrupt', 'killed_cell_process'],
  ...[
    'stop_on_error_aborts_what_is_queued',
    'process_exit_is_an_error_of_the_cell',
    'does_not_ask_for_input',
  ],
  ...['answers_while_a_cell_runs', 'restart_forgets', 'shutdown_ends_the_process'],
].map((name) => `Endurance.test_${name}`);

describe('our kernel', async () => {
  const tools = await pythonTools();

  describe.skipIf(typeof tools === 'string')('as jupyter_client and jupyter_kernel_test see it', () => {
    let rows: Record<string, Row> = {};
    beforeAll(async () => {
      if (typeof tools === 'string') return;
      buildLibrary();
      const desk = new Desk(tools);
      try {
        const { code, text } = await desk.python([path.join(__dirname, 'kernel_conformance.py')]);
        expect(code, text).toBe(0);
        const line = text.split('\n').find((one) => one.startsWith('{'));
        rows = JSON.parse(line ?? '{}') as Record<string, Row>;
      } finally {
        desk.remove();
      }
    }, 310_000);

    it.each([...conformance, ...endurance])('%s', (name) => {
      const row = rows[name];
      expect(row?.status, row?.text).toBe('passed');
    });

    it('leaves out one test alone: a pager belongs to IPython, and the kernel has none', () => {
      const rest = Object.keys(rows).filter((name) => ![...conformance, ...endurance].includes(name));
      expect(rest).toEqual(['Conformance.test_pager']);
      expect(rows[rest[0]!]!.status).toBe('skipped');
    });
  });
});
