// Where workers run: each task in a process of its own, Deno's or a browser's with a new profile.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import puppeteer, { type Browser, type LaunchOptions } from 'puppeteer';
import { type EngineName, engineNames } from './engines/engine.ts';

/** A worker that runs. */
export interface Running {
  /** Says why it ended, if it does so by itself. */
  ended: Promise<string>;
  stop(): Promise<void>;
}

export interface Runtime {
  name: string;
  /** What its adapters are called after: a real GPU is the same one in several runtimes. */
  prefix: string;
  /** Engines that are compared by default. */
  engines: readonly EngineName[];
  /** @param env in addition to this process's */
  start(url: string, env: Record<string, string>): Promise<Running>;
}

/** Environment of a process that finds no shader compiled by an earlier one. */
export function coldCaches(): { env: Record<string, string>; remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), 'hypersphere-cold-'));
  const usual = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache');
  const env = {
    XDG_CACHE_HOME: folder,
    MESA_SHADER_CACHE_DIR: folder,
    __GL_SHADER_DISK_CACHE_PATH: folder,
    // Deno's own cache of the sources is none of shaders.
    ...(process.platform === 'linux' ? { DENO_DIR: process.env.DENO_DIR ?? join(usual, 'deno') } : {}),
  };
  return { env, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** A process that this one's end must not leave behind. */
const children = new Set<() => void>();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    for (const kill of children) kill();
    process.exit(130);
  });
}

export function deno(binary: string, worker: string): Runtime {
  return {
    name: 'Deno',
    prefix: '',
    engines: engineNames,
    async start(url, env) {
      const args = ['run', '-A', '--no-lock', '--node-modules-dir=manual', worker, url];
      const child = spawn(binary, args, {
        stdio: ['ignore', 'ignore', 'pipe'],
        env: { ...process.env, ...env, NO_COLOR: '1' },
      });
      const kill = () => child.kill('SIGKILL');
      children.add(kill);
      let said = '';
      child.stderr.on('data', (data) => {
        said = (said + data).slice(-4000);
      });
      const ended = new Promise<string>((resolve) => {
        child.on('error', (error) => resolve(error.message));
        child.on('close', (code, signal) => {
          children.delete(kill);
          const last = said.trim().split('\n').at(-1);
          resolve(`process ended: ${signal ?? `exit ${code}`}${last ? `, ${last}` : ''}`);
        });
      });
      return {
        ended,
        async stop() {
          kill();
          await ended;
        },
      };
    },
  };
}

/** A browser for each task. */
function browser(
  name: string,
  prefix: string,
  options: LaunchOptions,
  engines: readonly EngineName[] = engineNames,
): Runtime {
  return {
    name,
    prefix,
    engines,
    async start(url, env) {
      const launched: Browser = await puppeteer.launch({
        ...options,
        headless: true,
        env: { ...process.env, ...env },
        ...{ handleSIGINT: false, handleSIGTERM: false, handleSIGHUP: false },
      });
      const { pid } = launched.process()!;
      // Puppeteer starts it as the leader of a group: its GPU process would work on alone for a while.
      const kill = () => {
        try {
          process.kill(process.platform === 'win32' ? pid! : -pid!, 'SIGKILL');
        } catch {
          // It has gone already.
        }
      };
      children.add(kill);
      const tab = await launched.newPage();
      const ended = new Promise<string>((resolve) => {
        tab.on('error', (error) => resolve(`process ended: ${error.message}`));
        tab.on('pageerror', (error) => resolve(String((error as Error).message ?? error)));
        launched.on('disconnected', () => resolve('process ended: the browser is gone'));
      });
      await tab.goto(url);
      return {
        ended,
        async stop() {
          const closed = launched.close().catch(() => {});
          await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, 5000))]);
          kill();
          children.delete(kill);
        },
      };
    },
  };
}

const quiet = [
  '--no-sandbox',
  '--enable-unsafe-webgpu',
  '--disable-gpu-watchdog', // a step on a software adapter may take longer than it allows
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-quic',
  '--no-first-run',
  '--disable-dev-shm-usage',
];

/** Chromium on its own software adapter, SwiftShader. */
export const chromium = (executablePath: string): Runtime =>
  browser('Chromium', '', { executablePath, args: [...quiet, '--use-webgpu-adapter=swiftshader'] });

/** Chromium on the GPU. */
export const chromiumOnGpu = (executablePath: string): Runtime => {
  const linux = process.platform === 'linux' ? ['--enable-features=Vulkan', '--ignore-gpu-blocklist'] : [];
  return browser('Chromium', 'chromium-', { executablePath, args: [...quiet, ...linux] });
};

/** Without TensorFlow.js, whose times in Chromium say enough. */
export const firefox = (executablePath: string): Runtime => {
  const options: LaunchOptions = {
    browser: 'firefox',
    executablePath,
    extraPrefsFirefox: {
      'dom.webgpu.enabled': true,
      'gfx.webgpu.ignore-blocklist': true,
      'gfx.webgpu.force-enabled': true,
    },
  };
  return browser('Firefox', 'firefox-', options, ['hypersphere', 'jax-js']);
};
