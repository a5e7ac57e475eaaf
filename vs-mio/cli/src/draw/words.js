// The same in words: what was delivered in each view, what is under the pointer, the legend.
const byId = (id) => document.getElementById(id);
function element(name, text, attributes = {}) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function counted(number, word, words = `${word}s`) {
  return `${number} ${number === 1 ? word : words}`;
}

function summarise(model) {
  const delivered = model.rows.reduce((sum, row) => sum + row.deliveries.length, 0);
  byId("title").textContent = `Views and messages of ${data.groups.length === 1 ? `group ${data.groups[0]}` : "groups"}`;
  const processes = new Set(model.rows.filter((row) => row.spans.length).map((row) => row.id)).size;
  byId("summary").textContent =
    `${counted(processes, "process", "processes")}, ${counted(model.views.length, "view")}, ` +
    `${counted(model.messages.length, "message")}, delivered ${counted(delivered, "time")}, in ${duration(model.last - model.first)}. Each row is a process, each band a view ` +
    `in which it was; a bar joins those who went on together.` +
    (IS_LONG ? " Views are numbered in the order of their ids." : "");
}

// What became of a process in a view: who went on with it, or how it ended.
function mates(span) {
  return span.next ? `together with ${setOf(span.next.set)}` : span.ending || "to the end";
}

const VIEWS_MAX = 300;
// Each view in a row, each process in a column.
function tabulate(model, choose) {
  const table = byId("table"), rows = model.rows.filter((row) => row.spans.length);
  table.replaceChildren();
  const head = element("tr");
  head.append(element("th", "view"), element("th", "members"));
  for (const row of rows) head.append(element("th", row.id));
  table.append(head);
  for (const view of model.views.slice(0, VIEWS_MAX)) {
    const line = element("tr", undefined, { class: "view", tabindex: "0" });
    const name = element("td", idOf(view.view));
    name.prepend(element("span", "", { class: "swatch", style: `background:${edgeInk(view.view)}` }));
    line.append(name, element("td", membersOf(view.view)));
    for (const row of rows) {
      const span = view.spans.find((s) => model.rows[s.row] === row);
      if (!span) { line.append(element("td", "·", { class: "none" })); continue; }
      const frame = span.next ? `border-color:${edgeInk(data.sets[span.next.set][0] + 7 * span.next.view)}` : "";
      line.append(element("td", String(span.delivered), { class: "number", title: mates(span), style: frame }));
    }
    line.addEventListener("click", () => choose(view));
    line.addEventListener("keydown", (event) => { if (event.key === "Enter") choose(view); });
    table.append(line);
  }
  byId("more").textContent = model.views.length > VIEWS_MAX
    ? `and ${model.views.length - VIEWS_MAX} more views: zoom in, or go from view to view.` : "";
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
    const { next, ending, delivered } = span, of = counted(delivered, "message");
    const end = ending === "left" ? "left" : ending === "crashed" ? "crashed" : ending || "stayed to the end";
    lines.set(next ? `${setOf(next.set)} went on to view ${idOf(next.view)} together, after ${of} each`
      : `${rowName(span.row)} ${end}, after ${of}`, true);
  }
  for (const line of lines.keys()) panel.append(element("p", line + "."));
  const table = element("table"), head = element("tr");
  head.append(element("th", "sender"), element("th", "number"));
  for (const span of view.spans) head.append(element("th", `at ${model.rows[span.row].id}`));
  table.append(head);
  for (const m of messages.slice(0, LISTED_MAX)) {
    const line = element("tr");
    line.append(element("td", String(data.processes[m.process])), element("td", String(m.number)));
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

const CALL_RESULTS = ["carried out", "carried out once or never", "not carried out"];
const REPLY_RESULTS = ["it came", "the member has left", "refused", "it did not come in time", "too large"];
const callOf = (m) => `${m.c ? "read" : "call"} ${m.a}`;
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
  [KIND.create]: () => "makes a new state: nobody had one",
  [KIND.recover]: (m) => `an operator decided at ${data.processes[m.a]} whose state counts`,
  [KIND.snapshot]: (m) => `offers its state to ${data.processes[m.a]}, as of operation ${m.b}`,
  [KIND.restore]: (m) => `takes over the state of ${data.processes[m.a]}, as of operation ${m.b}`,
  [KIND.settled]: () => "has the state that counts, and takes part",
  [KIND.serve]: () => "answers calls from here on",
  [KIND.open]: (m) => `a session begins, in place ${m.b} of the order`,
  [KIND.apply]: (m) => `carries out operation ${m.a} of a session, in place ${m.b} of the order`,
  [KIND.pass]: (m) => `passes over operation ${m.a} of a session, in place ${m.b} of the order`,
  [KIND.call]: (m) => `${callOf(m)} goes to the group`,
  [KIND.reply]: (m) => `${callOf(m)} is answered: ${CALL_RESULTS[m.b]}`,
  [KIND.collect]: (m) => `asks all members for their answers to call ${m.a}; ${m.b} are wanted`,
  [KIND.heard]: (m) => `answer of ${data.processes[m.a]} to call ${m.b}: ${REPLY_RESULTS[m.c]}`,
  [KIND.collected]: (m) => `waits for no more answers to call ${m.a}: ${m.b ? "there are enough" : "too few came"}`,
};

function aboutMessage(model, m) {
  const at = m.at.map((d) => model.rows[d.row].id).sort((x, y) => x - y);
  const view = model.views.find((v) => v.view === m.view);
  const missing = view ? view.spans.filter((s) => !m.at.some((d) => d.row === s.row)).map((s) => rowName(s.row)) : [];
  const size = Number.isNaN(m.sent) ? "" : `, ${counted(m.len, "byte")}`;
  return `message ${m.number} of process ${data.processes[m.process]} in ${nameOf(m.view)}${size}: delivered at ` +
    `${at.join(", ") || "nobody"}${missing.length ? `; not at ${missing.join(", ")}` : ""}`;
}

function aboutSpan(model, s) {
  const came = s.set >= 0 ? `; came together with ${setOf(s.set)}` : "";
  return `process ${model.rows[s.row].id} in ${nameOf(s.view)} ${membersOf(s.view)} for ${duration(s.to - s.from)}: ` +
    `${s.sent} sent, ${s.delivered} delivered${came}${s.ending && s.ending !== "view" ? `; ${s.ending}` : ""}` +
    (s.to - s.seen > 0 ? `; nothing is told of it in the last ${duration(s.to - s.seen)}` : "");
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
    ...(data.events.k.includes(KIND.restore) ? [["snapshot to a joiner", `<path d="M2 3L26 13" stroke="currentColor" stroke-width="2" stroke-dasharray="5 3"/>`]] : []),
    ["ended without leaving", `<path d="M9 3l10 10M19 3L9 13" stroke="var(--bad)" stroke-width="3"/>`],
  ];
  byId("legend").innerHTML = pictures
    .map(([word, shape]) => `<span><svg width="28" height="17" aria-hidden="true">${shape}</svg>${word}</span>`).join("");
}
