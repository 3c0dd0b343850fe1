
// The graph: columns of what needs nothing, what needs that, and so on

const svg = (tag, attributes = {}, ...children) => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
};
const BOX = 190, HIGH = 26, ACROSS = 270, DOWN = 40;
const view = { x: 0, y: 0, w: 1, h: 1 };
const root = svg("svg", { role: "img", "aria-label": "Dependency graph", preserveAspectRatio: "xMidYMid meet" });
const nodes = [], edges = [];

function drawGraph() {
  const at = p => [p.place[0] * ACROSS, p.place[1] * DOWN];
  packages.forEach((p, n) => p.needs.forEach(other => {
    const [x1, y1] = at(packages[other]), [x2, y2] = at(p), bend = (x2 - x1 - BOX) / 2;
    const path = svg("path", { d: `M${x1 + BOX},${y1 + HIGH / 2} c${bend},0 ${bend},${y2 - y1} ${2 * bend},${y2 - y1}` });
    edges.push({ from: n, to: other, path });
    root.append(path);
  }));
  packages.forEach((p, n) => {
    const [x, y] = at(p), name = p.name.split("/").pop();
    const node = svg("g", { class: `node ${p.how}${critical.has(n) ? " critical" : ""}`, transform: `translate(${x},${y})`, "data-package": n },
      svg("title", {}, p.id), svg("rect", { width: BOX, height: HIGH, rx: 5 }),
      svg("text", { x: 8, y: 18 }, name.length > 25 ? `${name.slice(0, 24)}…` : name));
    nodes.push(node);
    root.append(node);
  });
  body("graph").append(root);
  fit();
}
function show() { root.setAttribute("viewBox", `${view.x} ${view.y} ${view.w} ${view.h}`); }
function fit() {
  const x = Math.max(0, ...packages.map(p => p.place[0])), y = Math.max(0, ...packages.map(p => p.place[1]));
  Object.assign(view, { x: -20, y: -20, w: x * ACROSS + BOX + 40, h: y * DOWN + HIGH + 40 });
  show();
}
function zoom(factor, x = view.x + view.w / 2, y = view.y + view.h / 2) {
  view.x = x - (x - view.x) * factor; view.y = y - (y - view.y) * factor;
  view.w *= factor; view.h *= factor;
  show();
}
function point(event) {
  const p = new DOMPoint(event.clientX, event.clientY).matrixTransform(root.getScreenCTM().inverse());
  return [p.x, p.y];
}
function choose(n) {
  const near = new Set(n === null ? [] : [n, ...packages[n].needs, ...needed[n]]);
  nodes.forEach((node, m) => {
    node.classList.toggle("chosen", m === n);
    node.classList.toggle("dim", n !== null && !near.has(m));
  });
  for (const e of edges) {
    const is = n !== null && (e.from === n || e.to === n);
    e.path.classList.toggle("near", is);
    e.path.classList.toggle("dim", n !== null && !is);
  }
}
function find() {
  const text = document.getElementById("search").value.toLowerCase();
  const hits = text ? packages.flatMap((p, n) => p.id.toLowerCase().includes(text) ? [n] : []) : [];
  choose(null);
  nodes.forEach((node, n) => {
    node.classList.toggle("hit", hits.includes(n));
    node.classList.toggle("dim", Boolean(text) && !hits.includes(n));
  });
  document.getElementById("found").textContent = text ? `${hits.length} found` : "";
  if (!hits.length) return;
  const [x, y] = packages[hits[0]].place;
  Object.assign(view, { w: ACROSS * 3, h: DOWN * 12 });
  Object.assign(view, { x: x * ACROSS + BOX / 2 - view.w / 2, y: y * DOWN - view.h / 2 });
  show();
}

const fingers = new Map();
let moved = false, pressed = null;
root.addEventListener("wheel", event => { event.preventDefault(); zoom(event.deltaY > 0 ? 1.15 : 1 / 1.15, ...point(event)); }, { passive: false });
root.addEventListener("pointerdown", event => {
  const node = event.target.closest(".node");
  pressed = node === null ? null : Number(node.dataset.package);
  fingers.set(event.pointerId, event);
  moved = false;
});
root.addEventListener("pointermove", event => {
  const before = fingers.get(event.pointerId);
  if (before === undefined) return;
  const far = Math.abs(event.clientX - before.clientX) + Math.abs(event.clientY - before.clientY);
  if (!moved && far < 4) return;
  if (!moved) root.setPointerCapture(event.pointerId);
  moved = true;
  if (fingers.size === 2) {
    const other = [...fingers.values()].find(f => f.pointerId !== event.pointerId);
    const gap = f => Math.hypot(f.clientX - other.clientX, f.clientY - other.clientY) || 1;
    zoom(gap(before) / gap(event), ...point(other));
  } else {
    const [x1, y1] = point(before), [x2, y2] = point(event);
    view.x += x1 - x2; view.y += y1 - y2;
    show();
  }
  fingers.set(event.pointerId, event);
});
for (const name of ["pointerup", "pointercancel", "pointerleave"]) {
  root.addEventListener(name, event => {
    const ours = fingers.delete(event.pointerId);
    if (name === "pointerup" && ours && !moved) choose(pressed);
  });
}
root.addEventListener("dblclick", event => {
  const node = event.target.closest(".node");
  if (node !== null) detail(Number(node.dataset.package));
});
document.getElementById("nearer").addEventListener("click", () => zoom(1 / 1.4));
document.getElementById("further").addEventListener("click", () => zoom(1.4));
document.getElementById("fit").addEventListener("click", () => { choose(null); fit(); });
document.getElementById("search").addEventListener("input", find);

head(); timeline(); chain(); table(); slowest(); drawGraph();
