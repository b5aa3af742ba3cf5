// The pages work without this. With it, what is entered while there is no network waits in one queue on this
// device, and is sent once when there is one; a refusal stays until somebody has read it.
"use strict";
const FORMS_KEPT = 40;
const words = document.body.dataset;

function database() {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open("itp", 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore("queue", { keyPath: "id" });
    opening.onsuccess = () => resolve(opening.result);
    opening.onerror = () => reject(opening.error);
  });
}

async function inQueue(mode, act) {
  const open = await database();
  try {
    return await new Promise((resolve, reject) => {
      const step = open.transaction("queue", mode);
      const asked = act(step.objectStore("queue"));
      step.oncomplete = () => resolve(asked && asked.result);
      step.onerror = () => reject(step.error);
    });
  } finally {
    open.close();
  }
}

const entries = async () => (await inQueue("readonly", (queue) => queue.getAll())).sort((a, b) => a.at - b.at);
const put = (entry) => inQueue("readwrite", (queue) => queue.put(entry));
const drop = (id) => inQueue("readwrite", (queue) => queue.delete(id));

function content(fields) {
  return JSON.stringify(fields.filter(([name]) => name !== "csrf" && name !== "id"));
}

// One entry for each statement: the same form pressed again is the same entry; a form that was kept from before
// and is used for something else gets an id of its own, made here.
async function keep(form) {
  const fields = [...new FormData(form).entries()];
  const given = fields.find(([name]) => name === "id")[1];
  const before = (await entries()).find((entry) => entry.id === given);
  if (before && content(before.fields) === content(fields)) return;
  const id = before || sessionStorage.getItem("used-" + given) ? crypto.randomUUID().replaceAll("-", "") : given;
  const named = fields.map(([name, value]) => [name, name === "id" ? id : value]);
  const about = (document.querySelector("h1") || {}).textContent || "";
  await put({ id, to: form.getAttribute("action"), fields: named, about, at: Date.now(), refused: "" });
  sessionStorage.setItem("used-" + given, "yes");
}

async function freshToken() {
  const page = await fetch("/today", { headers: { Accept: "text/html" } });
  if (page.redirected) return null;
  const read = new DOMParser().parseFromString(await page.text(), "text/html");
  const token = read.querySelector('meta[name="csrf"]');
  return token && token.content;
}

let sending = false;
async function send() {
  if (sending) return;
  sending = true;
  try {
    const waiting = (await entries()).filter((entry) => !entry.refused);
    const token = waiting.length ? await freshToken() : null;
    if (waiting.length && !token) return await show("sign-in");
    for (const entry of waiting) {
      const body = new URLSearchParams(entry.fields.map(([name, value]) => [name, name === "csrf" ? token : value]));
      const answer = await fetch(entry.to, { method: "POST", headers: { Accept: "application/json" }, body });
      // What the service could not answer for is sent again.
      if (answer.status >= 500) return await show();
      const said = await answer.json();
      if (said.outcome === "sign-in") return await show("sign-in");
      if (said.outcome === "refused") await put({ ...entry, refused: said.said });
      else await drop(entry.id);
    }
    await show();
  } catch (error) {
    await show();
  } finally {
    sending = false;
  }
}

function line(tag, text, name) {
  const made = document.createElement(tag);
  made.textContent = text;
  if (name) made.className = name;
  return made;
}

async function show(why) {
  const box = document.getElementById("queue");
  const all = await entries();
  box.replaceChildren();
  if (["network", "stale", "none"].includes(why)) {
    const shown = line("div", "", "said refused");
    shown.setAttribute("role", "alert");
    shown.append(line("p", words[why]));
    box.append(shown);
  }
  const waiting = all.filter((entry) => !entry.refused);
  if (waiting.length) {
    const shown = line("div", "", "said");
    shown.setAttribute("role", "status");
    shown.append(line("p", words.kept), line("p", `${words.waiting}: ${waiting.length}`));
    if (why === "sign-in") {
      const link = line("a", words.signIn);
      link.href = "/sign-in?to=/today";
      shown.append(link);
    }
    const list = document.createElement("ul");
    waiting.forEach((entry) => list.append(line("li", entry.about)));
    shown.append(list);
    box.append(shown);
  }
  for (const entry of all.filter((each) => each.refused)) {
    const shown = line("div", "", "said refused");
    shown.setAttribute("role", "alert");
    shown.append(line("p", `${words.refused}: ${entry.about}`), line("p", entry.refused));
    const read = line("button", words.read);
    read.type = "button";
    read.addEventListener("click", async () => { await drop(entry.id); await show(); });
    shown.append(read);
    box.append(shown);
  }
}

async function answers() {
  try {
    return (await fetch("/web/style.css", { method: "HEAD", cache: "no-store" })).ok;
  } catch (error) {
    return false;
  }
}

// What is signed is never kept on the device, for the password is the signature: it waits for the network.
document.querySelectorAll('main form[method="post"]:not([data-queue])').forEach((form) => {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = event.submitter;
    if (await answers()) return resend(form, button);
    show("network");
    document.getElementById("main").focus();
    window.scrollTo(0, 0);
  });
});

// The button's own name and value would be lost in a form's own submit.
function resend(form, button) {
  if (button && button.name) {
    const field = document.createElement("input");
    Object.assign(field, { type: "hidden", name: button.name, value: button.value });
    form.append(field);
  }
  HTMLFormElement.prototype.submit.call(form);
}

document.querySelectorAll("form[data-queue]").forEach((form) => {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    // A form's own submit does not come here again.
    if (await answers()) return HTMLFormElement.prototype.submit.call(form);
    await keep(form);
    await show();
    document.getElementById("main").focus();
    window.scrollTo(0, 0);
  });
});

async function begin() {
  if (!document.querySelector('meta[name="csrf"]')) return;
  await send();
  // Without network the page is the one that was kept; for one that was not, the worker shows Today.
  if (!await answers()) await show(words.here === window.location.pathname + window.location.search ? "stale" : "none");
  window.addEventListener("online", send);
  if (!navigator.serviceWorker) return;
  await navigator.serviceWorker.register("/worker.js");
  const ready = await navigator.serviceWorker.ready;
  const forms = [...document.querySelectorAll("a[data-offline]")].slice(0, FORMS_KEPT).map((link) => link.getAttribute("href"));
  ready.active.postMessage({ keep: [window.location.pathname, ...forms] });
}

begin();
