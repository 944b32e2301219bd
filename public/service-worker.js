// Keeps what the page has fetched, so that it opens again without a network. Where there is one, everything comes from
// there: a new version is seen at once, and page and workers always fit together.
const KEPT = 'otjr';

self.addEventListener('install', () => self.skipWaiting());
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));

// The host is always asked whether it has something newer: what the browser's own cache holds may be of another version than
// the page.
const FRESH = { cache: 'no-cache' };
// In the names of files that change with every version.
const HASH = /-[0-9a-f]{8,16}(_bg)?\.(js|wasm|css)$/;

// The page names what it is made of and had fetched before this worker was there. One that is missing does not keep the others
// out. Files of versions before go.
self.addEventListener('message', (event) => event.waitUntil(caches.open(KEPT).then(async (cache) => {
  await Promise.allSettled(event.data.map((address) => cache.add(new Request(address, FRESH))));
  const named = new Set(event.data.map((address) => new URL(address, self.location).href));
  const old = (await cache.keys()).filter(({ url }) => HASH.test(new URL(url).pathname) && !named.has(url));
  await Promise.all(old.map((request) => cache.delete(request)));
})));

// Browsers let a page have threads only if it is isolated from other origins, by two headers. Where the host does not send them,
// documents get them here, from the second visit on.
function isolated(response) {
  const headers = new Headers(response.headers);
  headers.set('Cross-Origin-Opener-Policy', 'same-origin');
  headers.set('Cross-Origin-Embedder-Policy', 'require-corp');
  // The frame that fetches images is a stranger to the page: see src/app/address.rs.
  if (new URL(response.url).pathname.endsWith('/fetch.html')) headers.set('Content-Security-Policy', 'sandbox allow-scripts');
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
}

self.addEventListener('fetch', (event) => {
  const { request } = event;
  if (request.method !== 'GET' || new URL(request.url).origin !== self.location.origin) return;
  const found = async () => {
    const kept = () => caches.match(request, { ignoreSearch: true });
    try {
      const response = await fetch(request, FRESH);
      if (response.ok) {
        const copy = response.clone();
        event.waitUntil(caches.open(KEPT).then((cache) => cache.put(request, copy)));
      }
      // A host in trouble is no better than none.
      return response.status < 400 ? response : await kept() ?? response;
    } catch (failure) {
      const copy = await kept();
      if (copy) return copy;
      throw failure;
    }
  };
  event.respondWith(found().then((response) => (request.mode === 'navigate' && response.ok ? isolated(response) : response)));
});
