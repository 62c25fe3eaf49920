/** A table that its column heads sort; `better` says which direction of a column is the better one. */
function sortedTable({ title, header, words, rows }, better) {
  const body = element("tbody");
  const heads = header.map((name, column) => {
    const button = element("button", { type: "button" }, withDirection(name, better[name]));
    const head = element("th", { scope: "col" }, button);
    if (column >= words) head.className = "figure";
    button.addEventListener("click", () => {
      const rising = column < words || better[name] === "lower" || better[name] === "zero";
      const first = rising ? "ascending" : "descending";
      const order = head.ariaSort === first ? (rising ? "descending" : "ascending") : first;
      for (const other of heads) other.removeAttribute("aria-sort");
      head.ariaSort = order;
      fill(inOrder(rows, column, order, column < words, better[name] === "zero"));
    });
    return head;
  });
  const fill = (ordered) => body.replaceChildren(...ordered.map((row) => tableRow(row, words)));
  fill(rows);
  const table = element("table", {}, element("caption", {}, title), element("thead", {}, element("tr", {}, ...heads)), body);
  return element("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": title }, table);
}

/** The name of a score, and where it is better. */
function withDirection(name, direction) {
  return name + ({ higher: " ↑", lower: " ↓", zero: " → 0" }[direction] ?? "");
}

function tableRow(row, words) {
  const cells = row.map(([text, mark], column) => {
    if (column === 0) return element("th", { scope: "row" }, text);
    const cell = element("td", {}, text);
    cell.className = `${column < words ? "" : "figure"} ${mark}`.trim();
    if (mark) cell.append(element("span", { class: "unseen" }, mark === "best" ? " (best)" : " (second best)"));
    return cell;
  });
  return element("tr", {}, ...cells);
}

/** Rows by a column; what is no figure comes last in both directions. */
function inOrder(rows, column, order, byWord, byDistance) {
  const sign = order === "ascending" ? 1 : -1;
  const key = (row) => (byDistance ? Math.abs(parseFloat(row[column][0])) : parseFloat(row[column][0]));
  return [...rows].sort((one, other) => {
    if (byWord) return sign * one[column][0].localeCompare(other[column][0], "en", { numeric: true });
    const [first, second] = [key(one), key(other)];
    if (isNaN(first) || isNaN(second)) return isNaN(first) - isNaN(second);
    return sign * (first - second);
  });
}
