// Draws what a page says in JSON beside each chart. Colours come from the theme; the table behind is the page's own.
const drawn = new Map();
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const percent = (value) => `${+(value * 100).toFixed(1)} %`;
const short = (value) => (Math.abs(value) >= 1000 ? value.toLocaleString() : String(+value.toPrecision(3)));

function axis(said, atBottom) {
  return {
    type: "value", min: said.min ?? "dataMin", max: said.max ?? "dataMax", name: said.name,
    nameLocation: atBottom ? "middle" : "end", nameGap: atBottom ? 28 : 12, splitNumber: 5, interval: said.percent && said.max ? said.max / 5 : undefined,
    nameTextStyle: { color: css("ink-soft"), align: atBottom ? "center" : "left" },
    axisLine: { show: atBottom, lineStyle: { color: css("line") } }, axisTick: { show: false },
    axisLabel: { color: css("ink-soft"), hideOverlap: true, formatter: said.percent ? percent : short },
    splitLine: { show: !atBottom, lineStyle: { color: css("line") } },
  };
}

function curve(said) {
  const colour = css(said.tone);
  return {
    type: "line", name: said.name, data: said.points, symbol: said.dots ? "circle" : "none", symbolSize: 7, color: colour,
    lineStyle: { width: said.helper ? 1 : 2, type: said.helper ? "dashed" : "solid", color: colour }, silent: !!said.helper,
    emphasis: { disabled: true },
  };
}

function spans(said) {
  return {
    type: "custom", name: said.name, data: said.spans, silent: true, tooltip: { show: false }, z: 1,
    renderItem: (_, api) => {
      const [low, high] = [api.coord([api.value(0), api.value(1)]), api.coord([api.value(0), api.value(2)])];
      return { type: "line", shape: { x1: low[0], y1: low[1], x2: high[0], y2: high[1] }, style: { stroke: css(said.tone), lineWidth: 1.5, opacity: 0.55 } };
    },
  };
}

function lines(spec) {
  const named = spec.series.filter((one) => !one.helper);
  return {
    grid: { left: 46, right: 16, top: named.length > 1 ? 34 : 22, bottom: 42 },
    legend: { show: named.length > 1, right: 8, top: 0, itemHeight: 8, textStyle: { color: css("ink") }, data: named.map((one) => one.name) },
    tooltip: {
      trigger: "axis", renderMode: "richText", backgroundColor: css("surface"), borderColor: css("line"), textStyle: { color: css("ink"), fontSize: 12 },
      formatter: (points) => points.filter((one) => one.seriesType === "line").map((one) => {
        const [x, y] = one.data;
        return `${one.seriesName}: ${spec.y.percent ? percent(y) : short(y)} at ${spec.x.percent ? percent(x) : short(x)}`;
      }).join("\n"),
    },
    xAxis: axis(spec.x, true), yAxis: axis(spec.y, false),
    series: [...spec.series.map(curve), ...spec.series.filter((one) => one.spans).map(spans)],
  };
}

function flow(spec) {
  const narrow = innerWidth < 600;
  return {
    tooltip: { renderMode: "richText", backgroundColor: css("surface"), borderColor: css("line"), textStyle: { color: css("ink"), fontSize: 12 } },
    series: [{
      type: "sankey", orient: "horizontal", left: 4, right: narrow ? 80 : 120, top: 8, bottom: 8, nodeWidth: 12, nodeGap: 14, draggable: false,
      data: spec.nodes.map((one) => ({ name: one.name, value: one.value, itemStyle: { color: css(one.tone), borderWidth: 0 } })), links: spec.links,
      label: { color: css("ink"), fontSize: narrow ? 10 : 12, lineHeight: 13, formatter: (node) => `${node.name}${narrow ? "\n" : " "}${node.value.toLocaleString()}` },
      lineStyle: { color: "source", opacity: 0.22, curveness: 0.5 }, emphasis: { focus: "adjacency" },
    }],
  };
}

const KINDS = { lines, flow };

function draw(place) {
  const spec = JSON.parse(place.querySelector("script").textContent);
  const canvas = place.querySelector(".plot");
  const chart = drawn.get(place) ?? echarts.init(canvas, null, { renderer: "canvas" });
  drawn.set(place, chart);
  const still = { animation: false, textStyle: { fontFamily: getComputedStyle(document.body).fontFamily } };
  chart.setOption({ ...still, ...KINDS[spec.kind](spec) }, true);
  sizes.observe(canvas);
}

const sizes = new ResizeObserver((entries) => {
  for (const entry of entries) echarts.getInstanceByDom(entry.target)?.resize();
});

function drawAll() {
  for (const [place, chart] of drawn) {
    if (place.isConnected) continue;
    chart.dispose();
    drawn.delete(place);
  }
  document.querySelectorAll("[data-chart]").forEach(draw);
}

drawAll();
document.addEventListener("htmx:afterSwap", drawAll);
new MutationObserver(drawAll).observe(document.documentElement, { attributeFilter: ["data-bs-theme", "data-theme"] });
