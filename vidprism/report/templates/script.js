"use strict";
// Sort a table by the column whose heading holds the pressed button.
document.addEventListener("click", event => {
  const button = event.target.closest("table.sortable thead button");
  if (!button) return;
  const heading = button.closest("th"), table = button.closest("table"), body = table.tBodies[0];
  const descending = heading.getAttribute("aria-sort") !== "descending";
  for (const other of table.tHead.querySelectorAll("[aria-sort]")) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
  const value = row => {
    const cell = row.cells[+heading.dataset.column];
    return cell ? cell.dataset.v ?? cell.textContent.trim() : "";
  };
  const order = (a, b) => {
    const [x, y] = [value(a), value(b)], [p, q] = [parseFloat(x), parseFloat(y)];
    if (isNaN(p) !== isNaN(q)) return isNaN(p) ? 1 : -1;  // rows without a number come last
    const found = isNaN(p) ? x.localeCompare(y) : p - q;
    return descending ? -found : found;
  };
  body.append(...[...body.rows].sort(order));
});
