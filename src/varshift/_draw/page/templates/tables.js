"use strict";

// Tables: a click on a heading sorts by it, a second click the other way; what is unknown is last.
function key(row, index) {
  const cell = row.cells[index];
  const raw = (cell.dataset.sort ?? cell.textContent).trim();
  const words = row.closest("table").classList.contains(`n${index + 1}`) ? /^\s*[^\s±]+/.exec(raw)?.[0] ?? "" : raw;
  const plain = words.replace("−", "-");
  if (["", "nan", "—", "n/a"].includes(plain)) return "";
  if (/^-?(inf|∞)$/.test(plain)) return plain.startsWith("-") ? -Infinity : Infinity;
  const number = Number(plain);
  return Number.isNaN(number) ? raw : number;
}

function compare(one, other) {
  if (typeof one === "number" && typeof other === "number") return one - other;
  return String(one).localeCompare(String(other), "en", { numeric: true });
}

function sort(table, index) {
  const heading = table.tHead.rows[0].cells[index];
  const down = heading.getAttribute("aria-sort") === "ascending";
  const body = table.tBodies[0];
  const rows = Array.from(body.rows, (row) => [key(row, index), row]);
  rows.sort(([one], [other]) => {
    if ((one === "") !== (other === "")) return one === "" ? 1 : -1;
    return down ? compare(other, one) : compare(one, other);
  });
  for (const cell of table.tHead.rows[0].cells) cell.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", down ? "descending" : "ascending");
  body.append(...rows.map(([, row]) => row));
}

for (const table of document.querySelectorAll("table")) {
  Array.from(table.tHead.rows[0].cells).forEach((cell, index) => {
    cell.querySelector("button").addEventListener("click", () => sort(table, index));
  });
}

// A long table is searched: rows that hold all words of the search stay.
for (const tabled of document.querySelectorAll(".tabled")) {
  const search = tabled.querySelector(".search");
  if (!search) continue;
  const rows = Array.from(tabled.querySelectorAll("tbody tr"));
  const texts = rows.map((row) =>
    Array.from(row.cells, (cell) => cell.title || cell.textContent).join(" ").toLowerCase());
  search.hidden = false;
  search.querySelector("input").addEventListener("input", (event) => {
    const words = event.target.value.toLowerCase().split(/\s+/);
    let found = 0;
    rows.forEach((row, index) => {
      row.hidden = !words.every((word) => texts[index].includes(word));
      found += row.hidden ? 0 : 1;
    });
    search.querySelector("output").textContent = `${found} of ${rows.length} rows`;
  });
}
