// Installs what the commands need where it is missing: npm packages, a WebGPU adapter for Deno, browsers, the digits.
// Plain Node, nothing imported from node_modules at the top: it runs before they exist.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
export const inRoot = (...parts) => join(root, ...parts);
const require = createRequire(import.meta.url);

/** Stops with a message that says what to do. */
export function fail(message) {
  console.error(message);
  process.exit(1);
}

/** True when node_modules does not hold what package-lock.json asks for. */
function packagesAreStale() {
  const installed = inRoot('node_modules', '.package-lock.json');
  if (!existsSync(installed)) return true;
  const have = JSON.parse(readFileSync(installed, 'utf8')).packages;
  const want = JSON.parse(readFileSync(inRoot('package-lock.json'), 'utf8')).packages;
  // Optional packages are the binaries of other platforms; '' is this project itself.
  return Object.entries(want).some(
    ([path, entry]) =>
      path !== '' && !(entry.optional && !have[path]) && have[path]?.version !== entry.version,
  );
}

export function setUpPackages() {
  if (!packagesAreStale()) return;
  console.log('set-up: npm ci, because node_modules is missing or older than package-lock.json');
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  const options = { cwd: root, encoding: 'utf8', shell: process.platform === 'win32' };
  const done = spawnSync(npm, ['ci', '--no-audit', '--no-fund', '--loglevel=error'], options);
  if (done.status !== 0) fail(`npm ci failed:\n${`${done.stderr}${done.error ?? ''}`.slice(0, 3000)}`);
}

/** Installs Debian packages, or ends with the line that does where this process may not. */
function installDebian(packages, why) {
  const problem = tryDebian(packages, why);
  if (problem) fail(problem);
}

/** Installs Debian packages; returns what went wrong, if anything. */
function tryDebian(packages, why) {
  const line = `apt-get update && apt-get install -y --no-install-recommends ${packages.join(' ')}`;
  const mayInstall =
    process.getuid?.() === 0 && existsSync('/usr/bin/apt-get') && existsSync('/etc/debian_version');
  if (!mayInstall) {
    const where = process.platform === 'linux' ? 'On Debian or Ubuntu run:' : 'On Debian it would be:';
    return `${why}, and it cannot be installed from here (no root, or no apt-get). ${where}\n  sudo sh -c '${line}'`;
  }
  console.log(`set-up: apt-get install ${packages.join(' ')}, because ${why}`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const done = spawnSync('sh', ['-c', line], { env, encoding: 'utf8', maxBuffer: 1 << 28 });
  return done.status === 0 ? undefined : `apt-get failed:\n${(done.stdout + done.stderr).slice(-4000)}`;
}

/** The binary itself, not the wrapper of the npm package: signals and exit codes then need no second hop. */
export function denoBinary() {
  const { runInstall } = require(inRoot('node_modules', 'deno', 'install_api.cjs'));
  return runInstall();
}

/**
 * wgpu asks for XDG_RUNTIME_DIR and complains on stderr without it. llvmpipe deals a dispatch out to its threads evenly and
 * waits for the last: with four a core, one that is held up holds up less.
 */
export function denoEnvironment() {
  return {
    XDG_RUNTIME_DIR: tmpdir(),
    LP_NUM_THREADS: String(4 * availableParallelism()),
    ...process.env,
    DENO_NO_UPDATE_CHECK: '1',
  };
}

export const denoFlags = ['run', '-A', '--no-lock', '--node-modules-dir=manual'];

/** What Deno finds: 'hardware', 'software' or nothing. */
function adapterKind(backend = {}) {
  const code = `const a = await navigator.gpu?.requestAdapter();
    console.log(!a ? '' : a.info.isFallbackAdapter ? 'software' : 'hardware')`;
  const env = { ...denoEnvironment(), ...backend };
  const done = spawnSync(denoBinary(), ['eval', '--no-lock', code], { env, encoding: 'utf8' });
  return done.status === 0 ? done.stdout.trim() : '';
}

/**
 * Software Vulkan is installed only where there is no GPU to use, so it never displaces one. Mesa's software OpenGL,
 * which Deno falls back to without Vulkan, does not do: it has fewer features and limits than the tests need.
 */
export function setUpAdapter() {
  const found = adapterKind();
  if (found === 'hardware') return;
  if (process.platform !== 'linux') {
    if (!found) fail('Deno finds no WebGPU adapter: it needs a GPU with a Metal, DX12 or Vulkan driver');
    return;
  }
  const hasVulkan = () => adapterKind({ DENO_WEBGPU_BACKEND: 'vulkan' }) !== '';
  if (hasVulkan()) return;
  const why = 'Deno finds no GPU and no Vulkan driver for WebGPU';
  installDebian(['libvulkan1', 'mesa-vulkan-drivers'], why);
  if (!hasVulkan()) fail(`${why}, even with Mesa's software driver installed`);
}

function findBrowser() {
  const asked = process.env.PUPPETEER_EXECUTABLE_PATH;
  if (asked && !existsSync(asked)) fail(`PUPPETEER_EXECUTABLE_PATH names ${asked}, which does not exist`);
  const linux = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
  const places = [
    ...linux.map((name) => `/usr/bin/${name}`),
    '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
    'C:/Program Files/Google/Chrome/Application/chrome.exe',
  ];
  return asked || places.find((path) => existsSync(path));
}

export function setUpBrowser() {
  if (!findBrowser()) installDebian(['chromium'], 'the tests run in Chromium too, and none was found');
  return findBrowser() ?? fail('no Chromium was found after installing it');
}

/** Firefox 140 was still built without WebGPU on Linux, whatever its preferences say. */
const FIREFOX_WITHOUT_WEBGPU = 140;

/** Firefox, or '' where there is none to be had: benchmark and demos do without it. */
export function setUpFirefox() {
  const places = [
    '/usr/bin/firefox-esr',
    '/usr/bin/firefox',
    '/Applications/Firefox.app/Contents/MacOS/firefox',
  ];
  const find = () => places.find((path) => existsSync(path)) ?? '';
  const version = () => {
    const { stdout = '' } = spawnSync(find(), ['--version'], { encoding: 'utf8' });
    return Number(/\d+/.exec(stdout)?.[0] ?? Number.POSITIVE_INFINITY);
  };
  const why = !find()
    ? 'Firefox is one of the browsers, and none was found'
    : version() <= FIREFOX_WITHOUT_WEBGPU
      ? `Firefox is one of the browsers, and version ${version()} has no WebGPU`
      : '';
  const problem = why && tryDebian(['firefox-esr'], why);
  if (problem) console.error(`${problem}\nIt goes on without.`);
  return find();
}

/**
 * The 8 x 8 digits (UCI optdigits, CC-BY-4.0), one file of Debian's python3-sklearn. Nothing is installed: the
 * package would bring SciPy.
 */
export function setUpDigits() {
  const file = 'usr/lib/python3/dist-packages/sklearn/datasets/data/digits.csv.gz';
  const cache = inRoot('node_modules', '.cache', 'digits');
  const find = () => [join('/', file), join(cache, file)].find((path) => existsSync(path));
  if (find()) return find();
  mkdirSync(cache, { recursive: true });
  const shell = (line) =>
    spawnSync('sh', ['-c', line], { cwd: cache, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  console.log('set-up: apt-get download python3-sklearn, because tests read its digits');
  const download = 'apt-get download python3-sklearn';
  const done = shell(`${download} || { apt-get update && ${download}; }`);
  const [deb] = readdirSync(cache).filter((name) => name.endsWith('.deb'));
  const unpacked = deb && shell(`dpkg-deb --fsys-tarfile '${deb}' | tar x './${file}' && rm '${deb}'`);
  return (
    find() ??
    fail(
      `the digits were not found after downloading them; on Debian: apt-get install python3-sklearn\n${done.stderr}${unpacked?.stderr ?? ''}`,
    )
  );
}
