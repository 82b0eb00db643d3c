// The live stream of a page, and what the page says when it hears nothing. Nothing is kept in the browser.
"use strict";

const STALE_AFTER_MS = 7000; // heartbeats come every 2 s; the page has to say so within 10 s

class Live {
  constructor(path, sign) {
    this.sign = sign;
    this.heardAt = Date.now();
    this.seq = null;
    this.source = null;
    this.path = path;
    this.open();
    setInterval(() => this.look(), 1000);
    document.addEventListener("visibilitychange", () => this.look());
    window.addEventListener("offline", () => this.look());
    window.addEventListener("pageshow", () => this.look());
  }

  open() {
    if (this.source) this.source.close();
    this.source = new EventSource(this.path);
    this.source.addEventListener("beat", (event) => this.beat(JSON.parse(event.data)));
    this.source.addEventListener("change", (event) => this.change(JSON.parse(event.data)));
    this.openedAt = Date.now();
  }

  // The first beat of a connection says that the server answers; the next ones that its heart beats.
  beat(data) {
    this.heardAt = Date.now();
    if (this.seq !== null && data.seq > this.seq) this.missed();
    if (this.seq === null) this.seq = data.seq;
    const unsaved = document.getElementById("unsaved");
    if (!data.is_well) {
      unsaved.textContent = "NOT SAVED: the record cannot be written now. Use paper and call for help.";
      unsaved.hidden = false;
    } else if (unsaved.dataset.of !== "post") {
      unsaved.hidden = true; // what a post could not save stays said until one was saved
    }
    this.look();
  }

  change(data) {
    this.heardAt = Date.now();
    const isWhole = this.seq === null || data.previous <= this.seq;
    this.seq = data.seq;
    if (!isWhole) this.missed();
    document.dispatchEvent(new CustomEvent("care:change", { detail: data }));
    this.look();
  }

  missed() {
    this.seq = null;
    document.dispatchEvent(new CustomEvent("care:missed"));
  }

  look() {
    const isStale = Date.now() - this.heardAt > STALE_AFTER_MS;
    const at = new Date(this.heardAt).toLocaleTimeString();
    this.sign.dataset.state = isStale ? "stale" : "live";
    const text = isStale ? `NOT LIVE since ${at}. What is shown is old: load the page again.` : "Live";
    if (this.sign.textContent !== text) this.sign.textContent = text;
    document.body.toggleAttribute("data-stale", isStale);
    if (isStale && Date.now() - this.openedAt > 3000) this.open();
  }
}

// Post JSON to the record with the token of this page; gives the answer and says NOT SAVED where there is none.
async function carePost(path, body) {
  const token = document.querySelector("meta[name=csrf]").content;
  const unsaved = document.getElementById("unsaved");
  try {
    const answer = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "application/json", "X-CSRF-Token": token },
      body: JSON.stringify(body),
    });
    const found = await answer.json();
    unsaved.hidden = answer.status < 500;
    unsaved.dataset.of = answer.status < 500 ? "" : "post";
    unsaved.textContent = answer.status < 500 ? "" : "NOT SAVED. Try again, or use paper and call for help.";
    return found;
  } catch {
    unsaved.hidden = false;
    unsaved.dataset.of = "post";
    unsaved.textContent = "NOT SAVED: the record cannot be reached. Keep this page open, or use paper.";
    return { ok: false, status: 0, errors: [{ field: "", message: unsaved.textContent }] };
  }
}

window.care = { post: carePost };
const path = document.body.dataset.live;
if (path) window.care.live = new Live(path, document.getElementById("live"));
