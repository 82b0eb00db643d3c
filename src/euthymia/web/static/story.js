// Turns dials into a patient, and a patient into chapters: what is in sight first, the rest after it.
(() => {
  "use strict";
  const form = document.getElementById("patient");
  let query = location.search, generation = 0, running = 0, stop = new AbortController();
  const seen = new Set();

  // a dial says its value at once; the model answers a moment later
  form.addEventListener("input", ({ target }) => {
    if (target.type !== "range") return;
    const text = Number(target.value).toFixed(Number(target.dataset.places));
    target.parentElement.querySelector("output b").textContent = text;
    target.setAttribute("aria-valuetext", `${text} ${target.dataset.unit}`);
  });

  document.body.addEventListener("patient", (event) => {
    query = event.detail.query;
    generation += 1;
    stop.abort(); stop = new AbortController(); running = 0;
    for (const live of document.querySelectorAll(".live")) { live.dataset.stale = ""; live.setAttribute("aria-busy", "true"); }
    next();
  });

  document.body.addEventListener("htmx:responseError", (event) => {
    if (event.detail.target?.id === "bar") event.detail.target.innerHTML = event.detail.xhr.response;
  });

  function waiting() {
    const stale = [...document.querySelectorAll(".live[data-stale]:not([data-loading])")];
    return stale.find((one) => seen.has(one)) ?? stale[0];
  }

  function next() {
    while (running < 2) {
      const live = waiting();
      if (!live) break;
      load(live, generation);
    }
    document.documentElement.dataset.settled = String(running === 0 && !document.querySelector(".live[data-stale]"));
  }

  async function load(live, mine) {
    running += 1;
    live.dataset.loading = "";
    try {
      const answer = await fetch(`/story/chapter/${live.dataset.chapter}${query}`, { headers: { "HX-Request": "true" }, signal: stop.signal });
      const text = await answer.text();
      if (mine === generation) { live.innerHTML = text; delete live.dataset.stale; live.setAttribute("aria-busy", "false"); euthymiaCharts.all(live); window.euthymiaBrain?.(live); }
    } catch (error) {
      if (error.name !== "AbortError" && mine === generation) { delete live.dataset.stale; live.innerHTML = '<p class="problem" role="alert">The server did not answer. Is it still running?</p>'; }
    } finally {
      delete live.dataset.loading;
      if (mine === generation) { running -= 1; next(); }
    }
  }

  const near = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) isIntersecting ? seen.add(target) : seen.delete(target);
    next();
  }, { rootMargin: "300px" });
  document.querySelectorAll(".live").forEach((one) => near.observe(one));

  const rail = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) if (isIntersecting) {
      for (const link of document.querySelectorAll("[data-rail]")) link.toggleAttribute("aria-current", link.dataset.rail === target.id);
    }
  }, { rootMargin: "-35% 0px -60% 0px" });
  document.querySelectorAll("section.chapter[id]").forEach((one) => rail.observe(one));
  next();
})();
