const content = JSON.parse(byId("content").textContent);

/** Scores of every method over the pairs of a group, a plot for each score. */
function plotsOf(group) {
  const pairs = content.pairs.filter(({ benchmark }) => group === benchmark || content.groups.length === 1 || isOverall(group));
  const methods = [...new Set(pairs.flatMap((pair) => pair.methods))];
  const plots = content.names.map((name, column) => {
    const series = methods.map((method) => ({ method, values: pairs.flatMap((pair) => valuesOf(pair, method, column + 1)) }));
    const scored = series.filter(({ values }) => values.length > 0);
    return scored.length > 0 ? [dotPlot(name, content.better[name], scored)] : [];
  });
  return element("div", { class: "plots" }, ...plots.flat());
}

function valuesOf({ scores }, method, column) {
  const row = scores.rows.find(([[name]]) => name === method);
  const value = row ? parseFloat(row[column][0]) : NaN;
  return isNaN(value) ? [] : [value];
}

function isOverall(group) {
  return !content.pairs.some(({ benchmark }) => benchmark === group);
}

function start() {
  const groups = content.groups.map(({ title }) => title);
  const counted = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;
  const methods = new Set(content.pairs.flatMap((pair) => pair.methods));
  byId("extent").textContent = [
    groups.filter((group) => !isOverall(group)).join(", "),
    counted(content.pairs.length, "pair"),
    counted(methods.size, "method"),
  ].join(" · ");
  for (const table of [...content.groups, ...content.tables]) byId("summary").append(sortedTable(table, content.better));
  for (const [index, group] of groups.entries()) {
    const details = element("details", index === groups.length - 1 ? { open: "" } : {}, element("summary", {}, group), plotsOf(group));
    byId("plots").append(details);
  }
  for (const table of content.pairwise ?? []) {
    byId("pairwise").append(element("details", {}, element("summary", {}, table.title), sortedTable(table, {})));
  }
  byId("notes").querySelector("ul").append(...content.notes.map((note) => element("li", {}, note)));
  if (content.pairs.length > 0) new Comparison(content);
}

start();
