// Keeps what the page has fetched, so that it opens again without a network. Where there is one, everything comes from
// there: a new version is seen at once, and page and workers always fit together.
const KEPT = 'otjr';

self.addEventListener('install', () => self.skipWaiting());
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));

// The page names what it had fetched before this worker was there: from the browser's own cache, not sent once more. One that
// is missing does not keep the others out.
self.addEventListener('message', (event) => event.waitUntil(caches.open(KEPT).then(
  (cache) => Promise.allSettled(event.data.map((address) => cache.add(new Request(address, { cache: 'force-cache' })))))));

// Browsers let a page have threads only if it is isolated from other origins, by two headers. Where the host does not send them,
// documents get them here, from the second visit on.
function isolated(response) {
  const headers = new Headers(response.headers);
  headers.set('Cross-Origin-Opener-Policy', 'same-origin');
  headers.set('Cross-Origin-Embedder-Policy', 'require-corp');
  // The frame that fetches pictures is a stranger to the page: see src/app/address.rs.
  if (new URL(response.url).pathname.endsWith('/fetch.html')) headers.set('Content-Security-Policy', 'sandbox allow-scripts');
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
}

self.addEventListener('fetch', (event) => {
  const { request } = event;
  if (request.method !== 'GET' || new URL(request.url).origin !== self.location.origin) return;
  const found = async () => {
    try {
      const response = await fetch(request);
      if (response.ok) {
        const copy = response.clone();
        event.waitUntil(caches.open(KEPT).then((cache) => cache.put(request, copy)));
      }
      return response;
    } catch (failure) {
      const kept = await caches.match(request, { ignoreSearch: true });
      if (kept) return kept;
      throw failure;
    }
  };
  event.respondWith(found().then((response) => (request.mode === 'navigate' && response.ok ? isolated(response) : response)));
});
