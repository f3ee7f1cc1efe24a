// Draws the plots in the page's colours and sorts its tables. No request leaves the page.
"use strict";

(function drawPlots() {
  const source = document.getElementById("figures");
  if (!source) return;
  const figures = JSON.parse(source.textContent);
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  function themed(layout) {
    const axis = { gridcolor: colour("--grid"), linecolor: colour("--line"), zeroline: false };
    const hover = { bgcolor: colour("--card"), bordercolor: colour("--line"), font: { color: colour("--ink") } };
    return {
      ...layout,
      autosize: true,
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { color: colour("--ink"), size: 12, family: getComputedStyle(document.body).fontFamily },
      xaxis: { ...layout.xaxis, ...axis },
      yaxis: { ...layout.yaxis, ...axis },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("--soft"), activecolor: colour("--front") },
      annotations: (layout.annotations || []).map((note) => ({ ...note, bgcolor: colour("--veil") })),
      hoverlabel: { ...hover, align: "left", namelength: -1 },
    };
  }

  function draw() {
    for (const place of document.querySelectorAll("[data-figure]")) {
      const figure = figures[place.dataset.figure];
      const config = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["select2d", "lasso2d"] };
      Plotly.react(place, figure.data, themed(figure.layout), config);
    }
  }

  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
})();

(function sortTables() {
  // Empty values stay last in either direction; the sort is stable.
  function order(first, second, number, direction) {
    const [a, b] = [first.value, second.value];
    if (a === "" || b === "") return (a === "") - (b === "");
    return direction * (number ? Number(a) - Number(b) : a.localeCompare(b, undefined, { numeric: true }));
  }

  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      head.querySelector("button").addEventListener("click", () => {
        const ascending = head.getAttribute("aria-sort") !== "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
        const number = head.classList.contains("number");
        const body = table.tBodies[0];
        [...body.rows]
          .map((row) => ({ row, value: row.cells[column].dataset.value }))
          .sort((a, b) => order(a, b, number, ascending ? 1 : -1))
          .forEach(({ row }) => body.append(row));
      });
    });
  }
})();
