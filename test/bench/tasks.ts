// Gives tasks to workers, collects what they report, and ends those that take too long.
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import * as esbuild from 'esbuild';
import type { EngineName } from './engines/engine.ts';
import type { Report, Task } from './protocol.ts';
import type { Runtime } from './runtimes.ts';

/** What came of a task. */
export interface Outcome {
  reports: Report[];
  /** Set where the task did not come to its own end: why, and whose step it was. */
  broken?: { reason: string; engine?: EngineName };
}

export interface Tasks {
  run(runtime: Runtime, task: Task, env?: Record<string, string>): Promise<Outcome>;
  close(): void;
}

const page =
  '<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><title>bench</title><script type="module" src="/worker.js"></script>';

/** Bundles the worker, the same for pages and for Deno. */
export async function bundleWorker(source: string, outfile: string): Promise<void> {
  const options = { bundle: true, format: 'esm', target: 'es2022', logLevel: 'warning' } as const;
  await esbuild.build({ ...options, entryPoints: [source], outfile });
  await esbuild.stop();
}

/** @param worker the bundle @param busy called with what runs */
export async function openTasks(worker: string, busy: (what: string) => void): Promise<Tasks> {
  const script = readFileSync(worker, 'utf8');
  let task: Task;
  let take: (report: Report) => void;
  const server: Server = createServer(async (request, response) => {
    const send = (type: string, body: string) =>
      response
        .writeHead(200, {
          'content-type': type,
          // An isolated page has the finest clock.
          'cross-origin-opener-policy': 'same-origin',
          'cross-origin-embedder-policy': 'require-corp',
        })
        .end(body);
    if (request.url === '/') send('text/html; charset=utf-8', page);
    else if (request.url === '/worker.js') send('text/javascript; charset=utf-8', script);
    else if (request.url === '/task') send('application/json', JSON.stringify(task));
    else if (request.url === '/report') {
      let text = '';
      for await (const part of request.setEncoding('utf8')) text += part;
      send('text/plain', '');
      take(JSON.parse(text));
    } else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve));
  const url = `http://localhost:${(server.address() as AddressInfo).port}/`;

  return {
    async run(runtime, next, env = {}) {
      task = next;
      const reports: Report[] = [];
      let current: { engine?: EngineName; what: string; limit: number } = { what: 'start', limit: 60 };
      let since = Date.now();
      let end: (broken?: string) => void = () => {};
      const over = new Promise<string | undefined>((resolve) => {
        end = resolve;
      });
      take = (report) => {
        since = Date.now();
        reports.push(report);
        if (report.type === 'busy') {
          current = report;
          busy(`${report.engine ? `${report.engine}: ` : ''}${report.what}`);
        }
        if (report.type === 'done') end();
        if (report.type === 'broken') end(report.reason);
      };
      const watchdog = setInterval(() => {
        if (Date.now() - since > 1000 * current.limit) end(`time limit of ${current.limit} s`);
      }, 250);
      try {
        const running = await runtime.start(url, env);
        running.ended.then(end);
        const reason = await over;
        await running.stop();
        return reason === undefined ? { reports } : { reports, broken: { reason, engine: current.engine } };
      } catch (error) {
        return { reports, broken: { reason: (error as Error).message.split('\n')[0] } };
      } finally {
        clearInterval(watchdog);
        take = () => {};
      }
    },
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
