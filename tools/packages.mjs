// Reads files of npm packages: of pinned versions, checked against the digest that npm publishes for them.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Runs a program; its output, or an error with what it said. */
function output(program, args, cwd) {
  const options = { cwd, encoding: 'utf8', maxBuffer: 2 ** 26, shell: process.platform === 'win32' };
  const done = spawnSync(program, args, options);
  if (done.status !== 0) throw new Error(`${program} ${args.join(' ')}: ${done.stderr}${done.error ?? ''}`);
  return done.stdout;
}

/**
 * Downloads packages by `npm pack` into a temporary folder, and gives the action what reads their files.
 * @template T
 * @param {Record<string, { version: string, integrity: string }>} packages
 * @param {(read: (name: string, path: string) => Buffer) => T | Promise<T>} action
 * @returns {Promise<T>}
 */
export async function withPackages(packages, action) {
  const folder = mkdtempSync(join(tmpdir(), 'hypersphere-data-'));
  try {
    for (const [name, { version, integrity }] of Object.entries(packages)) {
      console.log(`npm pack ${name}@${version}`);
      const [tarball] = output('npm', ['pack', '--silent', `${name}@${version}`], folder)
        .trim()
        .split('\n');
      const digest = createHash('sha512')
        .update(readFileSync(join(folder, tarball)))
        .digest('base64');
      if (`sha512-${digest}` !== integrity)
        throw new Error(`${name}@${version}: expected ${integrity}, got sha512-${digest}`);
      // By relative names: tar takes "C:" for a host.
      output('tar', ['-xzf', tarball], folder);
      rmSync(join(folder, tarball));
      renameSync(join(folder, 'package'), join(folder, name));
    }
    return await action((name, path) => readFileSync(join(folder, name, path)));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
