// Caches all files of the page, so that it opens without a network. With a network every file is fetched from the host, so that
// a new version appears at once and page and workers have the same version.
const CACHE = 'otjr';

self.addEventListener('install', () => self.skipWaiting());
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));

// Always ask the host for a newer version, because the browser's HTTP cache may contain files of another version.
const FRESH = { cache: 'no-cache' };
// Hash in the names of files that change with every version.
const HASH = /-[0-9a-f]{8,16}(_bg)?\.(js|wasm|css)$/;

// The page sends the URLs of its files that were fetched before this worker was active. Each is cached, even if another one
// fails, and files of previous versions are deleted.
self.addEventListener('message', (event) => event.waitUntil(caches.open(CACHE).then(async (cache) => {
  await Promise.allSettled(event.data.map((url) => cache.add(new Request(url, FRESH))));
  const current = new Set(event.data.map((url) => new URL(url, self.location).href));
  const old = (await cache.keys()).filter(({ url }) => HASH.test(new URL(url).pathname) && !current.has(url));
  await Promise.all(old.map((request) => cache.delete(request)));
})));

// Browsers allow threads only in a page that two headers isolate from other origins. If the host does not send them, this
// function adds them to documents, from the second visit on.
function withIsolation(response) {
  const headers = new Headers(response.headers);
  headers.set('Cross-Origin-Opener-Policy', 'same-origin');
  headers.set('Cross-Origin-Embedder-Policy', 'require-corp');
  // The frame that fetches images has its own origin: see src/app/address.rs.
  if (new URL(response.url).pathname.endsWith('/fetch.html')) headers.set('Content-Security-Policy', 'sandbox allow-scripts');
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
}

self.addEventListener('fetch', (event) => {
  const { request } = event;
  if (request.method !== 'GET' || new URL(request.url).origin !== self.location.origin) return;
  const load = async () => {
    const cached = () => caches.match(request, { ignoreSearch: true });
    try {
      const response = await fetch(request, FRESH);
      if (response.ok) {
        const copy = response.clone();
        event.waitUntil(caches.open(CACHE).then((cache) => cache.put(request, copy)));
      }
      // An error of the host is treated like a missing network.
      return response.status < 400 ? response : await cached() ?? response;
    } catch (failure) {
      const copy = await cached();
      if (copy) return copy;
      throw failure;
    }
  };
  event.respondWith(load().then((response) => (request.mode === 'navigate' && response.ok ? withIsolation(response) : response)));
});
