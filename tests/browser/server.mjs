// A small static server for dist/, used by native/serve and the browser tests.
//   node tests/browser/server.mjs [--dir dist] [--port 8080] [--base /]
import { createServer } from 'node:http';
import { readFile, stat } from 'node:fs/promises';
import { extname, join, normalize, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';

const TYPES = {
  '.css': 'text/css; charset=utf-8', '.gif': 'image/gif', '.html': 'text/html; charset=utf-8', '.ico': 'image/x-icon',
  '.jpg': 'image/jpeg', '.js': 'text/javascript; charset=utf-8', '.json': 'application/json', '.mjs': 'text/javascript; charset=utf-8',
  '.md': 'text/plain; charset=utf-8', '.png': 'image/png', '.svg': 'image/svg+xml', '.txt': 'text/plain; charset=utf-8', '.wasm': 'application/wasm',
  '.webmanifest': 'application/manifest+json', '.webp': 'image/webp', '.woff2': 'font/woff2',
};
const COMPRESSIBLE = new Set(['.css', '.html', '.js', '.json', '.md', '.mjs', '.svg', '.txt', '.wasm', '.webmanifest']);

const ISOLATION = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' };

/** Compresses at the quality of a static host that compresses files ahead of time. */
export const brotli = (bytes, quality = 11) => promisify(brotliCompress)(bytes, {
  params: { [constants.BROTLI_PARAM_QUALITY]: quality, [constants.BROTLI_PARAM_LGWIN]: 24, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length },
});
export const gzipped = (bytes) => promisify(gzip)(bytes, { level: 9 });

/**
 * Serves `directory` under `base` (which ends in a slash).
 * `isolated`: whether to send the headers for cross-origin isolation. Without them the page has one thread.
 * `before`: text to insert at the start of files, by path, such as test code in a worker. It may change at any time.
 * `caching`: the Cache-Control header. While `failing()` returns true, the server responds with 503.
 * The result's `transfers` lists all responses: {path, bytes, raw, encoding}. Empty it to start again.
 */
export async function serve(directory, { port = 0, base = '/', host = '127.0.0.1', isolated = true, before = {}, caching = 'no-cache', failing = () => false } = {}) {
  const root = resolve(directory);
  const transfers = [];
  const cache = new Map(); // path + modification time -> brotli bytes

  async function answer(request, response) {
    const refuse = (status, text) => response.writeHead(status, { 'Content-Type': 'text/plain' }).end(text);
    if (request.method !== 'GET' && request.method !== 'HEAD') return refuse(405, 'only GET and HEAD are supported');
    if (failing()) return refuse(503, 'service unavailable');
    const path = decodeURIComponent(new URL(request.url, 'http://host').pathname);
    if (path + '/' === base) return response.writeHead(302, { Location: base }).end();
    if (!path.startsWith(base)) return refuse(404, `only files under ${base} are served`);
    let file = normalize(join(root, path.slice(base.length)));
    if (file !== root && !file.startsWith(root + sep)) return refuse(403, 'outside the directory');
    let facts = await stat(file).catch(() => null);
    if (facts?.isDirectory()) facts = await stat((file = join(file, 'index.html'))).catch(() => null);
    if (!facts?.isFile()) return refuse(404, `${path} does not exist`);

    const extension = extname(file);
    const headers = { 'Content-Type': TYPES[extension] ?? 'application/octet-stream', 'Cache-Control': caching };
    if (isolated) Object.assign(headers, ISOLATION);
    const prefix = before[path.slice(base.length)];
    const raw = prefix ? Buffer.concat([Buffer.from(prefix), await readFile(file)]) : await readFile(file);
    let body = raw;
    if (COMPRESSIBLE.has(extension) && /\bbr\b/.test(request.headers['accept-encoding'] ?? '')) {
      const key = `${file} ${facts.mtimeMs} ${prefix ?? ''}`;
      if (!cache.has(key)) cache.set(key, brotli(raw, 9));
      body = await cache.get(key);
      headers['Content-Encoding'] = 'br';
    }
    headers['Content-Length'] = body.length;
    response.writeHead(200, headers);
    if (request.method === 'HEAD') return response.end();
    transfers.push({ path: path.slice(base.length), bytes: body.length, raw: raw.length, encoding: headers['Content-Encoding'] ?? '' });
    response.end(body);
  }

  const server = createServer((request, response) => {
    answer(request, response).catch((error) => response.headersSent ? response.destroy(error) : response.writeHead(500).end(String(error)));
  });
  await new Promise((done, failed) => server.once('error', failed).listen(port, host, done));
  return {
    url: `http://${host}:${server.address().port}${base}`,
    transfers,
    close: () => new Promise((done) => { server.close(done); server.closeAllConnections(); }),
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const option = (name, otherwise) => { const i = process.argv.indexOf(name); return i < 0 ? otherwise : process.argv[i + 1]; };
  const port = Number(option('--port', '8080'));
  try {
    const { url } = await serve(option('--dir', 'dist'), { port, base: option('--base', '/') });
    console.log(`The page is at ${url} (stop the server with Ctrl-C)`);
  } catch (error) {
    console.error(error.code === 'EADDRINUSE' ? `Port ${port} is taken; choose another with --port N.` : String(error));
    process.exit(1);
  }
}
