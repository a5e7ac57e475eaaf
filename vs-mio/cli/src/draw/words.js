// The same in words: what was delivered in each view, what is under the pointer, the legend.
const byId = (id) => document.getElementById(id);
function element(name, text, attributes = {}) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function summarise(model) {
  const delivered = model.rows.reduce((sum, row) => sum + row.deliveries.length, 0);
  byId("title").textContent = `Views and messages of ${data.groups.length === 1 ? `group ${data.groups[0]}` : "groups"}`;
  byId("summary").textContent =
    `${model.rows.length} processes, ${model.views.length} views, ${model.messages.length} messages, ` +
    `delivered ${delivered} times, in ${duration(model.last - model.first)}. Each row is a process, each band a view ` +
    `in which it was; a bar joins those who went on together.` +
    (IS_LONG ? " Views are numbered in the order of their ids." : "");
}

// Each view in a row, each process in a column.
function tabulate(model, choose) {
  const table = byId("table");
  table.replaceChildren();
  const head = element("tr");
  head.append(element("th", "view"), element("th", "members"));
  for (const row of model.rows) head.append(element("th", String(row.id)));
  table.append(head);
  for (const view of model.views) {
    const line = element("tr", undefined, { class: "view", tabindex: "0" });
    const name = element("td", idOf(view.view));
    name.prepend(element("span", "", { class: "swatch", style: `background:${edgeInk(view.view)}` }));
    line.append(name, element("td", membersOf(view.view)));
    for (let row = 0; row < model.rows.length; row++) {
      const span = view.spans.find((s) => s.row === row);
      if (!span) { line.append(element("td", "·", { class: "none" })); continue; }
      const next = model.rows[row].spans.find((s) => s.from >= span.to && s !== span && s.view >= 0);
      const mates = next && span.ending === "view" ? `together with ${setOf(next.set)}` : span.ending || "to the end";
      const frame = next && span.ending === "view" ? `border-color:${edgeInk(data.sets[next.set][0] + 7 * next.view)}` : "";
      line.append(element("td", String(span.delivered), { class: "number", title: mates, style: frame }));
    }
    line.addEventListener("click", () => choose(view));
    line.addEventListener("keydown", (event) => { if (event.key === "Enter") choose(view); });
    table.append(line);
  }
}

const LISTED_MAX = 200;
// The messages of one view, and where each was delivered.
function detail(model, view) {
  const panel = byId("detail");
  panel.hidden = !view;
  panel.replaceChildren();
  if (!view) return;
  const messages = model.messages.filter((m) => m.view === view.view);
  panel.append(element("h2", `View ${idOf(view.view)}, members ${membersOf(view.view)}`));
  if (IS_LONG) panel.append(element("p", `Its id is ${data.views[view.view].id}.`, { class: "hint" }));
  const lines = new Map();
  for (const span of view.spans) {
    const next = model.rows[span.row].spans.find((s) => s.from >= span.to && s !== span && s.view >= 0);
    const went = span.ending === "view" && next
      ? `${setOf(next.set)} went on to view ${idOf(next.view)} together, after ${span.delivered} messages each`
      : `${model.rows[span.row].id} ${span.ending === "left" ? "left" : span.ending ? "ended here" : "stayed to the end"}, after ${span.delivered} messages`;
    lines.set(went, true);
  }
  for (const line of lines.keys()) panel.append(element("p", line + "."));
  const table = element("table"), head = element("tr");
  head.append(element("th", "sender"), element("th", "number"));
  for (const span of view.spans) head.append(element("th", `at ${model.rows[span.row].id}`));
  table.append(head);
  for (const m of messages.slice(0, LISTED_MAX)) {
    const line = element("tr");
    line.append(element("td", String(model.rows[m.from].id)), element("td", String(m.number)));
    for (const span of view.spans) {
      const there = m.at.find((d) => d.row === span.row);
      const late = there ? `+${duration(Math.max(0, there.time - (Number.isNaN(m.sent) ? there.time : m.sent)))}` : "not here";
      line.append(element("td", late, there ? {} : { class: "missing" }));
    }
    table.append(line);
  }
  const scroll = element("div", undefined, { class: "scroll" });
  scroll.append(table);
  panel.append(scroll);
  if (messages.length > LISTED_MAX) {
    panel.append(element("p", `and ${messages.length - LISTED_MAX} more messages.`, { class: "hint" }));
  }
}

const WORDS = {
  [KIND.startChange]: (m) => `change ${m.a} is proposed: the next view may have ${setOf(m.b)}`,
  [KIND.mbrView]: (m) => `${nameOf(m.a)} ${membersOf(m.a)} is announced`,
  [KIND.block]: () => "the application is asked to stop sending",
  [KIND.blockOk]: () => "the application has stopped sending",
  [KIND.sync]: (m) => `sync message for change ${m.a}`,
  [KIND.forward]: (m) => `a packet of ${data.processes[m.b]} is handed on to ${data.processes[m.a]}`,
  [KIND.signal]: (m) => `the view ends: what follows is promised to ${setOf(m.b)}`,
  [KIND.primary]: () => "the view is primary",
  [KIND.lapsed]: () => "the view does not hold here any more",
  [KIND.restored]: () => "the view holds again",
  [KIND.gap]: (m) => `the application missed ${m.a} messages`,
  [KIND.state]: (m) => `replicated state: ${data.words[m.a]}`,
};

function aboutMessage(model, m) {
  const at = m.at.map((d) => model.rows[d.row].id).sort((x, y) => x - y);
  const view = model.views.find((v) => v.view === m.view);
  const missing = view ? view.spans.filter((s) => !m.at.some((d) => d.row === s.row)).map((s) => model.rows[s.row].id) : [];
  return `message ${m.number} of process ${model.rows[m.from].id} in ${nameOf(m.view)}, ${m.len} bytes: delivered at ` +
    `${at.join(", ") || "nobody"}${missing.length ? `; not at ${missing.join(", ")}` : ""}`;
}

function aboutSpan(model, s) {
  const came = s.set >= 0 ? `; came together with ${setOf(s.set)}` : "";
  return `process ${model.rows[s.row].id} in ${nameOf(s.view)} ${membersOf(s.view)} for ${duration(s.to - s.from)}: ` +
    `${s.sent} sent, ${s.delivered} delivered${came}${s.ending && s.ending !== "view" ? `; ${s.ending}` : ""}`;
}

function legend() {
  const pictures = [
    ["a view, as a band", `<rect x="1" y="3" width="26" height="11" rx="2" fill="hsl(205 62% 70%)"/>`],
    ["went on together", `<path d="M14 1v15" stroke="hsl(205 60% 45%)" stroke-width="3"/><circle cx="14" cy="8" r="4" fill="hsl(205 60% 45%)"/>`],
    ["a message", `<path d="M3 3L24 13" stroke="currentColor"/><circle cx="3" cy="3" r="2" fill="currentColor"/><path d="M25 14l-6-1 2-3z" fill="currentColor"/>`],
    ["delivered at its sender", `<path d="M14 3v11" stroke="currentColor" stroke-width="1.5"/>`],
    ["many messages", `<path d="M4 6v5M8 4v9M12 2v13M16 4v9M20 6v5" stroke="currentColor" stroke-width="2"/>`],
    ["sync message", `<path d="M14 2l5 6-5 6-5-6z" fill="currentColor"/>`],
    ["a change is proposed", `<path d="M10 3l8 5-8 5z" fill="none" stroke="currentColor"/>`],
    ["a view is announced", `<rect x="10" y="4" width="8" height="8" fill="none" stroke="currentColor"/>`],
    ["ended without leaving", `<path d="M9 3l10 10M19 3L9 13" stroke="var(--bad)" stroke-width="3"/>`],
  ];
  byId("legend").innerHTML = pictures
    .map(([word, shape]) => `<span><svg width="28" height="17" aria-hidden="true">${shape}</svg>${word}</span>`).join("");
}
