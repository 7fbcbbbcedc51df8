"use strict";
document.documentElement.classList.add("scripted");

// Sort a table by the column whose heading holds the pressed button.
document.addEventListener("click", event => {
  const button = event.target.closest("table.sortable thead button");
  if (!button) return;
  const heading = button.closest("th"), table = button.closest("table"), body = table.tBodies[0];
  const column = +(heading.dataset.column ?? heading.cellIndex);
  const descending = heading.getAttribute("aria-sort") !== "descending";
  for (const other of table.tHead.querySelectorAll("[aria-sort]")) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
  table.classList.add("sorted");
  const value = row => { const cell = row.cells[column]; return cell ? cell.dataset.v ?? text(cell) : ""; };
  const order = (a, b) => {
    const [x, y] = [value(a), value(b)], [p, q] = [parseFloat(x), parseFloat(y)];
    if (isNaN(p) !== isNaN(q)) return isNaN(p) ? 1 : -1;  // rows without a number come last
    const found = isNaN(p) ? x.localeCompare(y) : p - q;
    return descending ? -found : found;
  };
  body.append(...[...body.rows].sort(order));
});

// Show the rows of one group only.
document.addEventListener("change", event => {
  if (event.target.id !== "group") return;
  for (const row of document.querySelectorAll("table.sortable tbody tr[data-group], table.sortable tbody tr.section"))
    row.hidden = event.target.value !== "" && row.dataset.group !== event.target.value;
});

// Copy the visible rows of all tables.
document.addEventListener("click", async event => {
  const button = event.target.closest("button.copy");
  if (!button) return;
  const tables = [...document.querySelectorAll("table.sortable")].map(read);
  const written = writers[button.dataset.kind](tables);
  let done = true;
  try {
    await navigator.clipboard.writeText(written);
  } catch {  // a page opened from disk may not use the clipboard
    const area = document.createElement("textarea");
    area.value = written;
    document.body.append(area);
    area.select();
    done = document.execCommand("copy");
    area.remove();
    button.focus();
  }
  button.dataset.name ??= button.textContent;  // a second press comes before the first message is gone
  button.textContent = done ? "Copied" : "Not copied";
  setTimeout(() => { button.textContent = button.dataset.name; }, 1500);
});

const text = cell => cell.textContent.replace(/\s+/g, " ").trim();
const shown = row => row.getClientRects().length > 0;

// A table as its caption, the names of its columns, and its visible rows of cells.
function read(table) {
  const [upper, lower] = table.tHead.rows;
  const names = [], below = lower ? [...lower.cells] : [];
  for (const cell of upper.cells) {
    const own = text(cell);
    if (cell.rowSpan > 1 || !lower) names.push(own);
    else for (const part of below.splice(0, cell.colSpan)) names.push(`${own} ${text(part)}`);
  }
  const rows = [...table.tBodies[0].rows].filter(row => shown(row) && !row.classList.contains("section"));
  return {caption: text(table.caption), names, rows: rows.map(row => [...row.cells].map(cellOf))};
}

// Its numbers with all digits, and as the page shows them: what is copied is rounded as what is read.
function cellOf(cell) {
  const number = key => cell.dataset[key] === undefined ? null : +cell.dataset[key];
  const value = number("v"), half = number("h"), part = cell.querySelector(".number, .change");
  return {
    text: text(part ?? cell), value, half, paper: number("p"), best: cell.classList.contains("best"),
    shown: (part ? text(part) : cell.dataset.p ?? "").replace("−", "-"),
    shownHalf: half === null ? "" : text(cell.querySelector(".pm")).replace("±", ""),
  };
}

const commands = {"\\": "textbackslash", "^": "textasciicircum", "~": "textasciitilde", "<": "textless", ">": "textgreater", "|": "textbar"};
const escapeTex = s => s.replace(/[\\{}$&#%_^~<>|]/g, c => commands[c] ? `\\${commands[c]}{}` : `\\${c}`);
const escapeMarkdown = s => s.replace(/[\\|<>*_`[\]]/g, c => `\\${c}`);
const quote = s => /[",\r\n]/.test(s) ? `"${s.replaceAll('"', '""')}"` : s;
const plain = cell => cell.value === null ? cell.text : cell.shown + (cell.half === null ? "" : ` ± ${cell.shownHalf}`);

const writers = {
  latex: tables => tables.map(({caption, names, rows}) => {
    const tex = cell => {
      if (cell.value === null) return escapeTex(cell.text);
      const half = cell.half === null ? "" : `_{\\pm ${cell.shownHalf}}`;
      return `$${cell.best ? `\\mathbf{${cell.shown}}` : cell.shown}${half}$`;
    };
    const lines = [names.map(escapeTex), ...rows.map(row => row.map(tex))].map(cells => `${cells.join(" & ")} \\\\`);
    return [`% ${caption}`, `\\begin{tabular}{l${"c".repeat(names.length - 1)}}`, "\\toprule", lines[0], "\\midrule",
      ...lines.slice(1), "\\bottomrule", "\\end{tabular}", ""].join("\n");
  }).join("\n"),
  markdown: tables => tables.map(({caption, names, rows}) => {
    const line = cells => `| ${cells.join(" | ")} |`;
    const marked = cell => cell.best ? `**${escapeMarkdown(plain(cell))}**` : escapeMarkdown(plain(cell));
    return [escapeMarkdown(caption), "", line(names.map(escapeMarkdown)), line(names.map(() => "---")), ...rows.map(row => line(row.map(marked))), ""].join("\n");
  }).join("\n"),
  csv: tables => tables.map(({names, rows}) =>
    [names, ...rows.map(row => row.map(plain))].map(row => row.map(quote).join(",")).join("\n")).join("\n\n") + "\n",
  json: tables => JSON.stringify(tables.map(({caption, names, rows}) => ({
    caption, rows: rows.map(row => Object.fromEntries(row.map((cell, i) => [names[i], cell.value === null ? cell.text
      : {value: cell.value, half_width: cell.half, paper: cell.paper, best: cell.best}]))),
  })), null, 1) + "\n",
};
