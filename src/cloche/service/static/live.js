// Replaces the part of a page that changes by the same part, rendered by the server again.
"use strict";
(() => {
  const live = document.getElementById("live");
  if (!live) return;
  const said = document.getElementById("said");
  let asked = false, again = false;

  const replace = (part) => {
    const focused = live.contains(document.activeElement) ? document.activeElement.id : "";
    const scrolled = [...live.querySelectorAll(".scroll")].map((each) => [each.scrollLeft, each.scrollTop]);
    live.replaceChildren(...part.childNodes);
    [...live.querySelectorAll(".scroll")].forEach((each, n) => {
      if (scrolled[n]) [each.scrollLeft, each.scrollTop] = scrolled[n];
    });
    if (focused) document.getElementById(focused)?.focus({preventScroll: true});
  };

  const refresh = async (address, id) => {
    if (asked) { again = true; return; }
    asked = true;
    try {
      const answer = await fetch(address, {headers: {Accept: "text/html"}});
      if (answer.ok) {
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        replace(id ? page.getElementById(id) : page.body);
      }
    } catch { /* the next event, or the next time */ }
    asked = false;
    if (again) { again = false; setTimeout(refresh, 500, address, id); }
  };

  if (live.dataset.events) {
    const source = new EventSource(live.dataset.events);
    let timer = 0;
    const soon = () => { if (!timer) timer = setTimeout(() => { timer = 0; refresh(live.dataset.part); }, 500); };
    source.onmessage = (message) => {
      const event = JSON.parse(message.data);
      if (event.event === "done") said.textContent = `${event.package.split("::")[0]}: ${event.how}`;
      if (event.event === "end") {
        source.close();
        said.textContent = `The build has ended: ${event.state}`;
        document.title = document.title.replace(/: \w+ ·/, `: ${event.state} ·`);
      }
      soon();
    };
    source.onerror = () => { said.textContent = "Not connected; trying again"; };
    source.onopen = () => { said.textContent = ""; };
  } else if (live.dataset.every) {
    setInterval(() => { if (!document.hidden) refresh(location.href, "live"); }, 1000 * live.dataset.every);
  }
})();
