// Runs other programs: interactive ones, and the tools of node_modules.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { denoBinary, denoEnvironment, denoFlags, fail, inRoot, root } from './setup.mjs';

/**
 * The folder that the user called npm from, which relative paths are meant from: npm itself runs scripts in the project's
 * root. Without npm, or with another command's variables about, it is the current folder.
 */
export function callersFolder(command) {
  const { INIT_CWD, npm_lifecycle_event, npm_package_json } = process.env;
  const ours = npm_lifecycle_event === command && npm_package_json === inRoot('package.json');
  return ours && INIT_CWD && existsSync(INIT_CWD) ? INIT_CWD : process.cwd();
}

/**
 * Runs a program to its end and gives its exit code. It gets its own process group: a Ctrl-C at the terminal
 * then arrives here (often twice, once from the terminal and once from npm) and goes on to it exactly once. So do SIGTERM, and
 * SIGHUP when the terminal is closed.
 */
export function runInteractive(program, args, env, cwd = process.cwd()) {
  const detached = process.platform !== 'win32';
  const child = spawn(program, args, { stdio: 'inherit', env, cwd, detached });
  const last = {};
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      const now = performance.now();
      if (now - (last[signal] ?? -Infinity) > 500) child.kill(signal);
      last[signal] = now;
    });
  }
  return new Promise((resolve) => {
    child.on('error', (error) => fail(`cannot run ${program}: ${error.message}`));
    child.on('close', (code, signal) => resolve(code ?? 128 + constants.signals[signal]));
  });
}

/** Runs a tool of node_modules and says whether it was content. */
function tool(name, args) {
  const start = performance.now();
  const done = spawnSync(process.execPath, [inRoot('node_modules', ...name), ...args], {
    cwd: root,
    stdio: 'inherit',
  });
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  console.log(`${done.status === 0 ? 'ok  ' : 'FAIL'} ${name.at(-1)} ${args.join(' ')} (${seconds} s)`);
  return done.status === 0;
}

export const tsc = (...args) => tool(['typescript', 'bin', 'tsc'], args);
export const biome = (...args) => tool(['@biomejs', 'biome', 'bin', 'biome'], args);

/** Runs a TypeScript program of this project in Deno. */
export const runDeno = (path, args, cwd) =>
  runInteractive(denoBinary(), [...denoFlags, inRoot(path), ...args], denoEnvironment(), cwd);
