// Keeps pages for the time without network: what was opened, and the forms of the page of the day.
// It keeps no answer to a form, and everything is removed when somebody signs out.
"use strict";
const KEPT = "itp-pages-1";
const SHELL = ["/web/style.css", "/web/app.js"];

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(KEPT).then((cache) => cache.addAll(SHELL)).then(() => self.skipWaiting()));
});
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("fetch", (event) => {
  const request = event.request;
  const wanted = request.mode === "navigate" || SHELL.includes(new URL(request.url).pathname);
  if (request.method !== "GET" || !wanted) return;
  event.respondWith(fromNetworkElseKept(request));
});

self.addEventListener("message", (event) => {
  if (event.data && event.data.keep) event.waitUntil(keepAll(event.data.keep));
  if (event.data && event.data.forget) event.waitUntil(caches.delete(KEPT));
});

async function fromNetworkElseKept(request) {
  try {
    const answer = await fetch(request);
    if (answer.ok && !answer.redirected) {
      const cache = await caches.open(KEPT);
      await cache.put(request.url, answer.clone());
    }
    return answer;
  } catch (error) {
    const kept = await caches.match(request.url) || await caches.match("/today");
    return kept || new Response("No network. 无网络。", { status: 503, headers: { "Content-Type": "text/plain; charset=utf-8" } });
  }
}

async function keepAll(addresses) {
  const cache = await caches.open(KEPT);
  for (const address of addresses) {
    try {
      const answer = await fetch(address, { credentials: "same-origin" });
      if (answer.ok && !answer.redirected) await cache.put(new URL(address, self.location).href, answer);
    } catch (error) {
      return;
    }
  }
}
