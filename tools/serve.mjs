// Serves files on localhost: the gallery, and the page of the tests in Chromium.
import { existsSync, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, resolve, sep } from 'node:path';

const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json',
  '.map': 'application/json',
  '.svg': 'image/svg+xml',
  '.webp': 'image/webp',
  '.png': 'image/png',
  '.md': 'text/plain; charset=utf-8',
  '.wgsl': 'text/plain; charset=utf-8',
};

/** Finds the files of a folder by their paths in it. The file of a folder is its index.html. */
export const filesOf = (folder) => (inside) => {
  const root = resolve(folder);
  const file = resolve(root, `./${inside}`);
  if ((file !== root && !file.startsWith(root + sep)) || !existsSync(file)) return undefined;
  if (!statSync(file).isDirectory()) return { name: file, body: readFileSync(file) };
  // Relative addresses need the slash.
  if (inside && !inside.endsWith('/')) return { moved: true };
  const index = join(file, 'index.html');
  return existsSync(index) ? { name: index, body: readFileSync(index) } : undefined;
};

/**
 * Starts a server that answers any address, under a path of its own.
 * @param {(inside: string) => { name: string, body: string | Uint8Array } | { moved: true } | undefined} find what is at a path
 * @param {{ port?: number, path?: string, headers?: Record<string, string> }} options port 0: any
 */
export async function serve(find, { port = 0, path = '/', headers = {} } = {}) {
  // Longer than any address that a browser sends: what is too long for a page, the page says.
  const server = createServer({ maxHeaderSize: 1 << 22 }, ({ url }, response) => {
    const end = (status, more) => response.writeHead(status, more).end();
    let pathname;
    let decoded;
    try {
      ({ pathname } = new URL(url, 'http://localhost'));
      decoded = decodeURIComponent(pathname);
    } catch {
      return end(400); // No address.
    }
    const found = decoded.startsWith(path) ? find(decoded.slice(path.length)) : undefined;
    if (!found) return end(404);
    if (found.moved) return end(301, { location: `${pathname}/` });
    const type = TYPES[extname(found.name)] ?? 'application/octet-stream';
    response.writeHead(200, { 'content-type': type, ...headers }).end(found.body);
  });
  await new Promise((done, reject) => {
    server.on('error', reject);
    server.listen(port, 'localhost', done);
  });
  return { server, url: `http://localhost:${server.address().port}${path}` };
}
