/** ECharts with what the reports draw and nothing else: a chunk of its own, asked for when the first chart is. */
import { BarChart, LineChart, PieChart } from "echarts/charts";
import { GridComponent, TooltipComponent } from "echarts/components";
import { init, use, type ECharts } from "echarts/core";
import { SVGRenderer } from "echarts/renderers";

import type { Drawing, Option } from "./option";

use([BarChart, LineChart, PieChart, GridComponent, TooltipComponent, SVGRenderer]);

/** A chart that lives in an element. */
export function draw(element: HTMLElement): ECharts {
  return init(element, null, { renderer: "svg" });
}

/** The same chart as the text of an `<svg>`, still: no motion, no hover, no style sheet. */
export function drawStill({ option, width, height }: Drawing): string {
  const chart = init(null, null, { renderer: "svg", ssr: true, width, height });
  chart.setOption(still(option));
  // Zrender's own way, since ECharts passes on none of these options: with its defaults it writes a style sheet.
  const painter = chart.getZr().painter as unknown as {
    renderToString: (how: Record<string, boolean>) => string;
  };
  const text = painter.renderToString({
    useViewBox: true,
    cssEmphasis: false,
    cssAnimation: false,
  });
  chart.dispose();
  // Where the middle of a letter is, readers of SVG do not agree on, svg2pdf least of all; a shift of its baseline they do.
  return text.replaceAll('dominant-baseline="central"', 'dy="0.35em"');
}

function still(option: Option): Option {
  const series = [option.series ?? []]
    .flat()
    .map((one) => ({ ...one, silent: true, emphasis: { disabled: true } }));
  return {
    ...option,
    series: series as NonNullable<Option["series"]>,
    animation: false,
    tooltip: { show: false },
  };
}
