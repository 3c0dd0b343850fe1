"use strict";
// Draws the report out of the two JSON elements. Strings become text nodes and nothing else.
const data = JSON.parse(document.getElementById("data").textContent);
const packages = data.packages;
const critical = new Set(data.critical);
const needed = packages.map(() => []);
packages.forEach((p, n) => p.needs.forEach(other => needed[other].push(n)));
let logs = null;

function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "click") node.addEventListener("click", value);
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}
const body = id => document.querySelector(`#${id} .body`);

function duration(s) {
  if (s < 100) return `${s.toFixed(1)} s`;
  const minutes = Math.floor(Math.round(s) / 60), rest = Math.round(s) % 60;
  if (minutes < 60) return `${minutes} min ${String(rest).padStart(2, "0")} s`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, "0")} min`;
}
function bytes(value) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) { value /= 1024; unit += 1; }
  return `${unit === 0 || value >= 100 ? value.toFixed(0) : value.toFixed(1)} ${units[unit]}`;
}
const worked = p => p.steps.some(s => s.name !== "fetch");
const took = p => worked(p) ? p.end - p.start : 0;
const link = n => el("button", { class: "link", click: () => detail(n) }, packages[n].name);

// The head

function head() {
  document.getElementById("title").textContent = `Machine ${data.machine}`;
  document.getElementById("when").textContent =
    `built ${new Date(data.began * 1000).toLocaleString()}`;
  const of = how => packages.filter(p => p.how === how).length;
  const total = packages.length, size = packages.reduce((sum, p) => sum + (p.size || 0), 0);
  const busy = packages.reduce((sum, p) => sum + took(p), 0);
  const cards = [
    [duration(data.seconds), "in all"], [String(total), "packages"],
    [String(of("built")), "built"],
    [`${of("reused")}${total ? ` (${Math.round(100 * of("reused") / total)} %)` : ""}`, "reused"],
    [String(of("failed")), "failed"], [String(of("skipped")), "not started"],
    [bytes(size), "in layers"],
    [data.seconds ? (busy / data.seconds).toFixed(1) : "0", "packages at once, on average"],
  ];
  for (const [value, name] of cards) {
    document.getElementById("cards").append(
      el("div", { class: "card" }, el("b", {}, value), el("span", {}, name)));
  }
  const failed = packages.flatMap((p, n) => p.how === "failed" ? [n] : []);
  document.getElementById("failures").hidden = failed.length === 0;
  for (const n of failed) body("failures").append(el("p", {}, link(n)), ...failure(packages[n]));
  const talkers = packages.flatMap((p, n) => p.said.length ? [n] : []);
  document.getElementById("messages").hidden = talkers.length === 0;
  for (const n of talkers) body("messages").append(el("p", {}, link(n)),
    ...packages[n].said.map(s => el("pre", { class: `said ${s.level}` }, s.text)));
}

function failure(p) {
  const parts = [];
  if (p.reason) parts.push(el("p", { class: "failed" }, p.reason));
  if (p.lines.length) parts.push(el("pre", { class: "why" }, p.lines.join("\n")));
  if (p.enter) parts.push(el("p", {}, "Look around in its root: ", el("code", {}, p.enter)));
  return parts;
}

// The time line

function place(node, start, end) {
  const whole = data.seconds || 1;
  node.style.left = `${100 * start / whole}%`;
  node.style.width = `${100 * (end - start) / whole}%`;
  return node;
}
function timeline() {
  const rows = Array.from({ length: data.lanes }, () => el("div", { class: "lane" }));
  packages.forEach((p, n) => {
    if (p.lane === null) return;
    const bar = el("button", {
      class: `bar ${p.how}${critical.has(n) ? " critical" : ""}`,
      title: `${p.name}: ${duration(took(p))}`, "data-package": n, click: () => detail(n),
    }, p.name.split("/").pop());
    rows[p.lane].append(place(bar, p.start, p.end));
  });
  const stages = el("div", { class: "lane" });
  for (const s of data.stages) {
    stages.append(place(el("div", { class: "bar stage", title: `${s.name}: ${duration(s.end - s.start)}` }, s.name), s.start, s.end));
  }
  const marks = [0, 1, 2, 3, 4].map(n => el("span", {}, duration(data.seconds * n / 4)));
  body("timeline").append(...rows, stages, el("div", { class: "axis" }, ...marks));
}
function chain() {
  const list = el("ol", { class: "chain" });
  for (const n of data.critical) list.append(el("li", {}, link(n), ` ${duration(took(packages[n]))}`));
  body("critical").append(data.critical.length ? list : el("p", {}, "Nothing had to be built."));
}

// Tables

const columns = [
  ["Package", p => p.name, n => [link(n)], ""], ["Result", p => p.how, n => [el("span", { class: `how ${packages[n].how}` }, packages[n].how)], ""],
  ["Time", took, n => [took(packages[n]) ? duration(took(packages[n])) : "–"], "number"],
  ["Size", p => p.size || 0, n => [packages[n].size === null ? "–" : bytes(packages[n].size)], "number"],
  ["USE", p => p.use.join(" "), n => [packages[n].use.join(" ")], "use"],
];
let order = packages.map((_, n) => n), sortedBy = null, downwards = false;

function table() {
  const wanted = document.getElementById("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  const shown = order.filter(n => {
    const p = packages[n], text = `${p.id} ${p.how} ${p.use.join(" ")}`.toLowerCase();
    return wanted.every(word => text.includes(word));
  });
  const heads = columns.map(([name, value, , kind], c) => el("th", { class: kind }, el("button", { click: () => sort(c, value) }, name)));
  const rows = shown.map(n => el("tr", {}, ...columns.map(([, , cell, kind]) => el("td", { class: kind }, ...cell(n)))));
  body("packages").replaceChildren(el("table", {}, el("thead", {}, el("tr", {}, ...heads)), el("tbody", {}, ...rows)));
}
function sort(column, value) {
  downwards = sortedBy === column ? !downwards : columns[column][3] === "number";
  sortedBy = column;
  const compare = (a, b) => a < b ? -1 : a > b ? 1 : 0;
  order.sort((a, b) => (downwards ? -1 : 1) * compare(value(packages[a]), value(packages[b])));
  table();
}
function slowest() {
  const rows = data.slowest.map(s => el("tr", {}, el("td", {}, link(s.package)), el("td", {}, s.name), el("td", { class: "number" }, duration(s.end - s.start))));
  body("slowest").append(rows.length ? el("table", {}, el("tbody", {}, ...rows)) : el("p", {}, "Nothing ran."));
}

// One package

async function unpacked(n, which) {
  logs ??= JSON.parse(document.getElementById("logs").textContent);
  const raw = Uint8Array.from(atob(logs[n][which]), c => c.charCodeAt(0));
  const stream = new Blob([raw]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}
async function showLog(n, which, target) {
  const mark = "=== cloche: phase ", pre = el("pre", { class: "log" }), jumps = el("p", { class: "tools" });
  const { step, leftOut } = packages[n].logs[which];
  for (const part of (await unpacked(n, which)).split(/^(?==== cloche: phase )/m)) {
    const end = part.startsWith(mark) ? part.indexOf("\n") : -1;
    if (end > 0) {
      const name = part.slice(mark.length, end), line = el("span", { class: "mark" }, name);
      jumps.append(el("button", { click: () => line.scrollIntoView() }, name));
      pre.append(line);
    }
    pre.append(part.slice(end + 1));
  }
  const cut = leftOut ? [el("p", { class: "hint" }, `${leftOut} earlier lines are left out.`)] : [];
  target.replaceChildren(el("h3", {}, `Log of ${step}`), ...cut, jumps, pre);
}
function detail(n) {
  const p = packages[n], log = el("div", {}), list = (title, ns) => ns.length
    ? [el("p", {}, `${title}: `, ...ns.flatMap((m, k) => k ? [", ", link(m)] : [link(m)]))] : [];
  const bars = el("div", { class: "lane" }), whole = took(p) || 1;
  for (const s of p.phases) {
    const bar = el("div", { class: "bar part", title: `${s.name}: ${duration(s.end - s.start)}` }, s.name);
    bar.style.left = `${100 * (s.start - p.start) / whole}%`;
    bar.style.width = `${100 * (s.end - s.start) / whole}%`;
    bars.append(bar);
  }
  body("detail").replaceChildren(
    el("h2", {}, p.id), el("p", {}, el("span", { class: `how ${p.how}` }, p.how), ` ${took(p) ? duration(took(p)) : ""} ${p.size === null ? "" : bytes(p.size)}${p.member ? "" : " (for building only)"}`),
    ...(p.use.length ? [el("p", { class: "hint" }, `USE="${p.use.join(" ")}"`)] : []),
    ...failure(p), ...(p.phases.length ? [bars] : []),
    ...list("Needs", p.needs), ...list("Needed by", needed[n]),
    el("p", { class: "tools" }, ...p.logs.map((l, which) => el("button", { class: "open-log", click: () => showLog(n, which, log) }, `Log of ${l.step}`))), log);
  const dialog = document.getElementById("detail");
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
}
document.querySelector("#detail .close").addEventListener("click", () => document.getElementById("detail").close());
document.getElementById("filter").addEventListener("input", table);
