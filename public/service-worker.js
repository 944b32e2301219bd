// Keeps what the page has fetched, so that it opens again without a network. Where there is one, everything comes from
// there: a new version is seen at once, and page and workers always fit together.
const KEPT = 'otjr';

self.addEventListener('install', () => self.skipWaiting());
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));

// The page names what it had fetched before this worker was there: from the browser's own cache, not sent once more. One that
// is missing does not keep the others out.
self.addEventListener('message', (event) => event.waitUntil(caches.open(KEPT).then(
  (cache) => Promise.allSettled(event.data.map((address) => cache.add(new Request(address, { cache: 'force-cache' })))))));

self.addEventListener('fetch', (event) => {
  const { request } = event;
  if (request.method !== 'GET' || new URL(request.url).origin !== self.location.origin) return;
  event.respondWith((async () => {
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
  })());
});
