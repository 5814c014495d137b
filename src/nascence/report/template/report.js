"use strict";
(() => {
  const root = document.documentElement;
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const chosenView = {};
  const bulk = new Set(["x", "y", "z", "customdata", "text", "hovertext"]);
  const PRINT_WIDTH = 660;

  const property = (name) => getComputedStyle(root).getPropertyValue(name).trim();

  // A copy of a figure in which the names of colours are the colours of the present scheme.
  function coloured(value, key) {
    if (typeof value === "string") {
      return value.startsWith("--") && /color/.test(key) ? property(value) : value;
    }
    if (value === null || typeof value !== "object" || bulk.has(key)) return value;
    if (Array.isArray(value)) return value.map((item) => coloured(item, key));
    return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, coloured(v, k)]));
  }

  function cellTexts({ names, customdata, z }) {
    return customdata.map((row, i) => row.map((count, j) => {
      const share = z[i][j] === null ? "" : ` (${(100 * z[i][j]).toFixed(1)} % of the class)`;
      return `truth <b>${names[i]}</b><br>predicted <b>${names[j]}</b><br>${count.toLocaleString("en")} images${share}`;
    }));
  }

  function traces(figure, view) {
    return figure.data.map((trace, index) => {
      const drawn = coloured(trace, "data");
      if (view) {
        drawn.x = trace.customdata.map((row) => row[view.column]);
        drawn.visible = !(view.hidden || []).includes(index);
      }
      if (trace.type === "heatmap") {
        drawn.hovertext = cellTexts(trace);
        drawn.hoverinfo = "text";
      }
      return drawn;
    });
  }

  function draw(name, size) {
    const figure = figures[name];
    const view = figure.views && figure.views[chosenView[name] || 0];
    const layout = coloured(figure.layout, "layout");
    if (view) layout.xaxis = coloured(view.xaxis, "xaxis");
    const place = document.getElementById(`chart-${name}`);
    // Without a pointer a drag is the reader's scrolling, not a zoom.
    const pointer = matchMedia("(hover: hover)").matches;
    layout.dragmode = pointer ? "zoom" : false;
    const drawn = traces(figure, view);
    if ((size ? size.width : place.clientWidth) < 480 && drawn[0].type === "heatmap") {
      layout.height = Math.min(layout.height, 400);
      drawn[0].showscale = false;
      const crowded = drawn[0].names.length > 12;
      for (const axis of [layout.xaxis, layout.yaxis]) axis.showticklabels = !crowded;
    }
    const options = {
      responsive: true,
      displaylogo: false,
      displayModeBar: pointer ? "hover" : false,
      modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]],
    };
    return Plotly.react(place, drawn, { ...layout, ...size }, options).then(
      () => { place.dataset.drawn = "yes"; });
  }

  function drawAll(size) {
    for (const name of Object.keys(figures)) {
      draw(name, size).catch((error) => {
        console.error(error);
        document.getElementById(`chart-${name}`).textContent = "This chart could not be drawn.";
      });
    }
  }

  for (const button of document.querySelectorAll("button[data-view]")) {
    button.addEventListener("click", () => {
      for (const other of button.parentElement.children) {
        other.setAttribute("aria-pressed", String(other === button));
      }
      for (const name of button.dataset.charts.split(" ")) {
        chosenView[name] = Number(button.dataset.view);
        draw(name);
      }
    });
  }

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    if (!("print" in root.dataset)) drawAll();
  });
  addEventListener("beforeprint", () => {
    root.dataset.print = "";
    drawAll({ width: PRINT_WIDTH, autosize: false });
  });
  addEventListener("afterprint", () => {
    delete root.dataset.print;
    drawAll();
  });
  drawAll();
})();
